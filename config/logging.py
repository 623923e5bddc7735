"""One log line looks alike wherever it comes from: web, worker, beat or a library.

Every line carries the fields that are bound at that moment: `request_id` in a web request, and in a
job also `job_id` and `task`. `tasks/tracing.py` carries the request's id along with the job, so
one search finds all that a click has caused.
"""

import logging
import logging.config
from typing import Any

import structlog

from config.bound import add_bound
from config.masking import rules
from config.settings import Settings

# What these say at INFO is said better elsewhere: Celery's lines on a job show what it returned and
# lack the request's id (tasks/tracing.py has its own), and httpx's show whole addresses.
_QUIET = (
    "celery.app.trace",
    "celery.worker.strategy",
    "httpcore",
    "httpx",
    "kombu",
    "mail.log",
)


def configure(settings: Settings) -> None:
    """Send everything that is logged in this process to standard error, in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_bound,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(_dict_config(settings, shared))


def _dict_config(settings: Settings, shared: list[structlog.typing.Processor]) -> dict[str, Any]:
    # A traceback is text only when it is laid out, which the console's renderer does by itself.
    last: list[structlog.typing.Processor] = (
        [
            structlog.processors.format_exc_info,
            _mask_values,
            structlog.processors.JSONRenderer(),
        ]
        if settings.log_format == "json"
        else [
            _mask_values,
            structlog.dev.ConsoleRenderer(
                colors=False,
                pad_event_to=0,
                exception_formatter=structlog.dev.plain_traceback,
            ),
            _mask_line,
        ]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": settings.log_level, "handlers": ["stderr"]},
        "loggers": {name: {"level": "WARNING"} for name in _QUIET},
    }


def _mask_values(
    _: object, __: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {name: rules().value({name: value})[name] for name, value in line.items()}


def _mask_line(_: object, __: str, line: structlog.typing.EventDict) -> str:
    # What comes after the renderer gets what it has made.
    return rules().text(str(line))
