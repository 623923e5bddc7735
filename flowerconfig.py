"""How Flower is set up here. `celery -A tasks flower` reads it from the current directory."""

from tornado.options import options as _options

from checkout_demo.settings import store_settings as _store_settings
from tasks.celery import app as _app
from tasks.monitor.install import install as _install

# The pages beside Flower's own, the login, and what nobody should read by the way. The page of a
# job with an `order_id` among its data leads to the order.
_install(_app, _options, links={"order_id": f"{_store_settings().store}/orders/{{}}"})

# By default Flower listens on every interface, and asks nobody who they are. FLOWER_ADDRESS or
# --address name another one; without a login, Flower refuses then to start.
address = _options.address or "127.0.0.1"
port = _store_settings().flower_port
# Each task costs some 5 KB of memory.
max_tasks = 5_000
