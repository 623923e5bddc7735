"""Schedules jobs with plain `delay`, and writes down which of the calls have returned.

    python -m tests.faults.producer tests.faults.jobs FIRST_NUMBER

It keeps some jobs waiting at any time, and ends when the book says so.
"""

import importlib
import random
import sys
import time

from tests.faults.bodies import ACCEPTED, EFFECTS, REFUSED, STOP, book

BACKLOG = 120
"""Jobs that are accepted and not executed, at most. Every worker finds some at any time."""

SECONDS = (0, 0, 0, 0.01, 0.1)
"""How long the jobs run: most are over at once, so that claims are many."""


def main() -> int:
    """Produce until told to stop."""
    module, first = sys.argv[1:]
    work = importlib.import_module(module).work
    chance, number = random.Random(first), int(first)  # noqa: S311 (no secret)
    while not book().exists(STOP):
        if book().llen(ACCEPTED) - book().hlen(EFFECTS) >= BACKLOG:
            time.sleep(0.01)
            continue
        number += 1
        # One in twelve asks for another attempt: it is then held with a time to come, which is
        # what makes a worker's room for further messages grow and shrink.
        again = int(chance.random() < 1 / 12)
        try:
            job_id = work.delay(number, chance.choice(SECONDS), again).id
        except Exception as error:  # noqa: BLE001 (whatever it is, the job was not accepted)
            book().rpush(REFUSED, f"{number} {error!r}")
        else:
            book().rpush(ACCEPTED, f"{number} {job_id}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
