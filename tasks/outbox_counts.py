"""How the outbox is, for who can do without knowing: it may not be set up, or not answer."""

from dataclasses import dataclass

from celery import Celery


@dataclass(frozen=True)
class OutboxCounts:
    """How the outbox is. Ages in seconds."""

    is_up: bool
    """Whether its database answered; the rest is 0 when it did not."""
    unpublished: int = 0
    unfinished: int = 0
    failed: int = 0
    lag: float = 0.0
    oldest: float = 0.0


def outbox_counts(app: Celery) -> OutboxCounts | None:
    """Return how the outbox is; None where none is set up, or not for this app."""
    try:
        # SQLAlchemy is an extra, and not everybody's.
        from tasks.celery import app as own  # noqa: PLC0415 (see above)
        from tasks.errors import NoOutbox, Unreachable  # noqa: PLC0415 (likewise)
        from tasks.outbox import database, operating  # noqa: PLC0415 (likewise)
    except ImportError:
        return None
    if app is not own:
        return None
    # The modules with the tasks say which database it is.
    app.loader.import_default_modules()
    if not database.is_used():
        return None
    try:
        found = operating.stats()
    except (Unreachable, NoOutbox):
        return OutboxCounts(is_up=False)
    return OutboxCounts(
        *(True, found.unpublished, found.unfinished, found.failed),
        *(found.lag, found.oldest_unfinished),
    )
