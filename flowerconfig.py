"""How Flower is set up here. `celery -A tasks flower` reads it from the current directory."""

from checkout_demo.settings import store_settings as _store_settings

# By default Flower listens on every interface, and asks nobody who they are.
address = "127.0.0.1"
port = _store_settings().flower_port
# Each task costs some 5 KB of memory.
max_tasks = 5_000
