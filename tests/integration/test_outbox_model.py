"""Whatever is done to the outbox, its broker and its workers, in any order: nothing is lost."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from tests.integration.outbox_fixtures import engine, postgres, url
from tests.integration.outbox_machine import OutboxMachine

__all__ = ["engine", "postgres", "url"]

SHORT = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_no_committed_job_is_forgotten_run_twice_at_once_or_stored_twice(engine: Engine) -> None:
    OutboxMachine.engine = engine
    run_state_machine_as_test(OutboxMachine, settings=SHORT)
