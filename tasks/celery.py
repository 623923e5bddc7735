"""The Celery app. `celery -A tasks worker -Q default` finds it here."""

from celery import signals

from config.logging import configure
from config.settings import framework_settings
from tasks import enqueued, job_log, tracing
from tasks.app import App

app = App("expresslane", task_cls="tasks.job:Job")
app.config_from_object("celeryconfig")

tracing.connect()
enqueued.connect()
job_log.connect(app)

if _traces_url := framework_settings().traces_url:
    # OpenTelemetry is an extra, and takes a while to load.
    from tasks import traces

    traces.start(_traces_url)


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    """Take logging over from Celery: a receiver of this signal replaces what it would do."""
    configure(framework_settings())
