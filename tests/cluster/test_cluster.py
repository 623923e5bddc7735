"""The framework in pytest-celery's clusters."""

from celery.canvas import signature
from pytest_celery import CeleryTestSetup


def test_a_job_goes_through_the_cluster(celery_setup: CeleryTestSetup) -> None:
    assert celery_setup.ready(ping=False, control=True)
    result = signature("tests.add", kwargs={"first": 2, "second": 3}, app=celery_setup.app).delay()
    assert result.get(timeout=30) == 5
    assert celery_setup.worker is not None
    celery_setup.worker.assert_log_exists("task=tests.add")


def test_a_job_outlives_a_worker_that_is_killed(celery_setup: CeleryTestSetup) -> None:
    worker = celery_setup.worker
    assert worker is not None
    worker.kill("SIGKILL")
    result = signature("tests.add", kwargs={"first": 2, "second": 3}, app=celery_setup.app).delay()
    worker.restart()
    assert result.get(timeout=30) == 5
