"""The Celery app. `celery -A tasks worker -Q default` finds it here."""

from celery import signals

from config.logging import configure
from config.settings import BadSettings, Settings, framework_settings, load
from tasks import enqueued, job_log, sharing, tracing
from tasks.app import App

app = App("expresslane", task_cls="tasks.job:Job")
app.config_from_object("celeryconfig")

tracing.connect()
enqueued.connect()
job_log.connect(app)
sharing.connect()


def _traces_url() -> str | None:
    """Return where spans go; None where the settings are bad: who starts reports all of them.

    Read by itself: who starts a broker first, and writes down where, loads this module before that,
    and the settings are kept once they were read.
    """
    try:
        return load(Settings).traces_url
    except BadSettings:
        return None


if _url := _traces_url():
    # OpenTelemetry is an extra, and takes a while to load.
    from tasks import traces

    traces.start(_url)


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    """Take logging over from Celery: a receiver of this signal replaces what it would do."""
    configure(framework_settings())
