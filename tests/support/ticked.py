"""What beat's entry of `ticking.py` runs, for a worker that is to know it: `-I` this module."""

from tasks.celery import app
from tasks.job import Job


@app.task(name="tests.tick", base=Job)
def tick(word: str) -> str:
    """Do what is due."""
    return word
