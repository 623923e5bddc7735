"""How jobs are marked as waiting, in the results' own form."""

from typing import NamedTuple

from tasks.broker.jsontext import quote


class Marks(NamedTuple):
    """What makes a mark of a job's id. It is to be set where nothing is stored."""

    prefix: str
    """What stands before the id in the mark's key."""
    before: str
    """The mark's JSON up to the id."""
    after: str
    """And behind it."""
    seconds: int
    """How long it is kept."""

    def key(self, job_id: str) -> str:
        """Return the mark's key."""
        return self.prefix + job_id

    def value(self, job_id: str) -> str:
        """Return what is stored there."""
        return f"{self.before}{quote(job_id)}{self.after}"
