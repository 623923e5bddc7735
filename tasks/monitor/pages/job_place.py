"""Where a job is that has not ended, what it was sent with, and what it belongs to."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from celery import Celery

from config.masking import rules
from tasks.errors import NoOutbox, Unreachable
from tasks.monitor.pages.outbox import operating_of
from tasks.pending import Pending, Sighting
from tasks.queues import Queues
from tasks.states import JobState

if TYPE_CHECKING:
    from tasks.outbox.table import OutboxRow


@dataclass(frozen=True)
class Link:
    """A page of the application that a job belongs to."""

    name: str
    """The argument that says so, such as `order_id`."""
    value: str
    url: str


@dataclass(frozen=True)
class Place:
    """What is known of a job besides its state."""

    sighting: Sighting | None
    row: "OutboxRow | None"
    """Its row in the outbox, if it has one."""
    task: str | None
    data: Mapping[str, Any] | None
    """What it was sent with, where that is still known."""
    queues: tuple[str, ...]
    """The queues that one may look further into, if it waits and was not found."""


def place_of(app: Celery, job_id: str, state: JobState) -> Place:
    """Look for the job.

    Raises:
        Unreachable: when the broker did not answer. An outbox that does not is left out.

    """
    names: tuple[str, ...] = ()
    sighting = None if state.is_final else Pending(app).locate(job_id)
    if sighting is None and state is JobState.WAITING:
        names = tuple(queue.name for queue in Queues(app).list() if queue.length)
    row = None
    with suppress(NoOutbox, Unreachable):
        row = operating_of(app).find(job_id)
    if sighting is not None and sighting.job.is_job:
        return Place(sighting, row, sighting.job.task, sighting.job.data, names)
    if row is not None:
        return Place(sighting, row, row.task, json.loads(row.data), names)
    return Place(sighting, row, None, None, names)


def links_of(data: Mapping[str, Any] | None, addresses: Mapping[str, str]) -> list[Link]:
    """Return the pages that these data name.

    Args:
        data: what the job was sent with.
        addresses: by the name of an argument, an address that has `{}` in the place of its value.

    """
    return [
        Link(name, str(value), address.replace("{}", quote(str(value), safe="")))
        for name, address in addresses.items()
        if isinstance(value := (data or {}).get(name), (str, int)) and not rules().hides(name)
    ]
