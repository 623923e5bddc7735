"""Jobs that carry what nobody should read, and tell it wherever a job can tell something."""

import logging
import time
from pathlib import Path

from tasks.celery import app
from tasks.job import Job

logger = logging.getLogger(__name__)

SECRETS = {
    "email": "ada.lovelace@example.com",
    "api_token": "t0ken-of-ada",
    "password": "pa55-of-ada",
    "creditCard": "4111 1111 1111 1111",
    "note": "call ada.lovelace@example.com",
}

TELLTALES = ("ada.lovelace", "t0ken-of-ada", "pa55-of-ada", "4111 1111")
"""What must be read nowhere."""


class Refused(Exception):
    """An error that will not pass."""


@app.task(name="telltale.tell", base=Job, bind=True)
def tell(self: Job, /, fails: bool, **secrets: str) -> dict[str, str]:
    """Log the data, publish them, and return them or fail with them."""
    logger.info("data of %s: %s", secrets["email"], secrets)
    self.set_data(secrets)
    if fails:
        raise Refused(f"{secrets['email']} was refused with {secrets!r}")
    return secrets


@app.task(name="telltale.tell_by_place", base=Job)
def tell_by_place(email: str, api_token: str) -> str:
    """Get the data by their places, and return one."""
    return f"{email}, token={api_token}"


@app.task(name="telltale.hold", base=Job)
def hold(running: str, go_on: str, **secrets: str) -> None:  # noqa: ARG001 (monitors tell of them)
    """Make one file, and wait for the other."""
    Path(running).touch()
    while not Path(go_on).exists():
        time.sleep(0.02)
