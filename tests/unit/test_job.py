"""Job: what is checked where a task is declared, and what a body may do outside a worker."""

import pytest
from celery import Celery

from tasks.job import Job
from tests.support import jobs


@pytest.fixture
def app() -> Celery:
    return Celery("unit", task_cls="tasks.job:Job", set_as_current=False)


def body() -> None:
    """Do nothing."""


def test_a_time_limit_that_could_never_come_into_force_is_refused(app: Celery) -> None:
    # Not shared: an app that is made ready later in this process would declare it as well.
    declare = app.task(name="unit.limits", soft_time_limit=60, time_limit=30, shared=False)
    with pytest.raises(ValueError, match="soft_time_limit=60 must be below time_limit=30"):
        declare(body).bind(app)


def test_every_task_of_the_app_is_a_job(app: Celery) -> None:
    assert isinstance(app.task(name="unit.plain", shared=False)(body), Job)


def test_a_body_can_be_called_directly() -> None:
    assert jobs.add(first=1, second=2) == 3
    assert jobs.publish_and_return_nothing() is None


@pytest.mark.parametrize(("done", "total"), [(-1, 2), (3, 2)])
def test_progress_beyond_its_total_is_refused(done: int, total: int) -> None:
    with pytest.raises(ValueError, match="0 <= done <= total"):
        jobs.add.progress(done, total)
