"""How Celery is set up here. Every value that differs from Celery's default says why.

Names that begin with an underscore are not settings: Celery's configuration shows every public name
of this module, in Flower too, so the settings object stays out of its sight.
"""

from celery.schedules import crontab as _crontab

from config.credentials import drop_celerys_copy as _drop_celerys_copy
from config.queues import DEFAULT as _DEFAULT
from config.queues import QUEUES as _QUEUES
from config.settings import credentials as _credentials
from config.settings import framework_settings as _framework_settings
from config.settings import without_password as _without_password

_settings = _framework_settings()
_drop_celerys_copy(_settings.broker_url)
_SECOND = 1.0

# -- Which code the workers load -----------------------------------------------------------------

imports = (
    "tasks.housekeeping",
    "tasks.work.test_job",
    "tasks.work.email_job",
    "tasks.work.data_miner_job",
    "checkout_demo.jobs",
)

# -- Broker ----------------------------------------------------------------------------------------

# Claims that no crash can lose, leases, quarantine: see tasks/broker/. Celery's own transport loses
# a job in 44 of 60 kills of a busy worker.
broker_transport = (
    "tasks.broker.transport:SentinelTransport"
    if _settings.broker_url.get_secret_value().startswith("sentinel")
    else "tasks.broker.transport:Transport"
)

# Without its password: config/credentials.py hands that over when a connection is made.
# Of several Sentinels, the URL names the first one, and the transport's options name all.
broker_url, *_others = _without_password(_settings.broker_url).split(";")
if any(_credentials(_settings.broker_url)):
    broker_url += (
        "&" if "?" in broker_url else "?"
    ) + "credential_provider=config.credentials.BrokerCredentials"

# By default, a publish or a wait for a pooled connection can block for ever on a dead broker.
broker_connection_timeout = _settings.publish_timeout
broker_pool_acquire_timeout = _settings.publish_timeout
# A second try would double the wait. A connection that the server has closed meanwhile is noticed,
# and made again, before anything is sent.
task_publish_retry = False
# A worker that starts before its broker waits for it, instead of ending.
broker_connection_retry_on_startup = True
# A broker that is away for a day is still the broker.
broker_connection_max_retries = None

_sentinels = [broker_url.partition("?")[0], *_others]

broker_transport_options = {
    "socket_connect_timeout": _settings.publish_timeout,
    "socket_timeout": _settings.publish_timeout,
    # By default, a first connection is tried for ever. (A worker's has its own setting, above.)
    "max_retries": 0,
    # A worker is not in a hurry: a server that saves its data may well be silent for a second.
    "claim_timeout": 5 * _SECOND,
    "socket_keepalive": True,
    # `-Q high,default,low` means that order, as in Resque; Celery's default takes turns.
    "queue_order_strategy": "priority",
    # What a dead worker held is back in its queue after this time and a look at it (2 s at most). A
    # live worker renews it, so it has nothing to do with how long jobs run.
    "lease": _settings.lease,
    # A job that has outlived this many workers is taken for what killed them.
    "delivery_limit": _settings.delivery_limit,
    "quarantine_limit": _settings.quarantine_limit,
    # A plain server is not asked for either.
    "master_name": _settings.sentinel_master,
    "sentinels": _sentinels,
}

# -- Results ---------------------------------------------------------------------------------------

_BACKEND = (
    "tasks.results:SentinelResultBackend"
    if _settings.results.get_secret_value().startswith("sentinel")
    else "tasks.results:ResultBackend"
)
result_backend = f"{_BACKEND}+{_without_password(_settings.results)}"
if any(_credentials(_settings.results)):
    redis_backend_credential_provider = "config.credentials.ResultBackendCredentials"
result_backend_transport_options = {"master_name": _settings.sentinel_master}
redis_socket_connect_timeout = 1 * _SECOND
redis_socket_timeout = 5 * _SECOND
redis_socket_keepalive = True

result_expires = _settings.result_expires
# Who comes back from a weekend should still see what failed.
result_failure_expires = _settings.result_failure_expires
# Without it, a job that runs still looks as if it waited.
task_track_started = True

# -- Messages --------------------------------------------------------------------------------------

task_queues = _QUEUES
task_default_queue = _DEFAULT
task_default_exchange = "jobs"
task_default_routing_key = _DEFAULT
# JSON alone, which is Celery's default for tasks; here also for what the control commands carry.
accept_content = ["json"]

# -- Workers ---------------------------------------------------------------------------------------

# What cannot become a job is quarantined; a worker that stops gives back what it has not started.
worker_consumer = "tasks.worker:Consumer"

# A job is acknowledged when it is finished, so it outlives its worker. Jobs must bear to be run
# again, and Celery's default is to lose them instead.
task_acks_late = True
task_reject_on_worker_lost = True
# With the default of 4, jobs wait behind a busy process while another one idles.
worker_prefetch_multiplier = 1
# No job runs for ever. There is no soft limit by default: a task that sets only a hard one below it
# would never be stopped at all, because Celery's prefork pool looks at the hard one afterwards.
task_time_limit = 180
# Memory that a job has taken is seldom given back to the system. A process of the prefork pool that
# has grown beyond this ends after its job, and another one takes its place. (Celery counts in KB.)
worker_max_memory_per_child = _settings.worker_max_memory_mb * 1_024 or None
# After SIGTERM, a running job gets this long to finish before it goes back to its queue.
worker_soft_shutdown_timeout = 10 * _SECOND
# Flower's task list and rates come from events, which are off by default.
worker_send_task_events = True
task_send_sent_event = True
# config/logging.py says how a line looks; Celery would replace what it set up.
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# -- beat ------------------------------------------------------------------------------------------

# Celery's own beat loses a tick to a dead broker, and two of them send it twice. This one's entries
# can be paused and run at once, too: tasks/schedule.py.
beat_scheduler = "tasks.beat.scheduler:Scheduler"
beat_schedule = {
    "prune failed jobs": {"task": "tasks.prune", "schedule": _crontab(hour="3", minute="0")},
}
