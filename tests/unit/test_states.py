"""The states: a closed set that covers all of Celery's."""

import pytest
from celery import states as celery_states

from tasks.states import FINAL, JobState, from_celery


def test_the_states_are_resques_words() -> None:
    words = {"Unknown", "Waiting", "Running", "Retrying", "Complete", "Failed", "Cancelled"}
    assert {state.value for state in JobState} == words


@pytest.mark.parametrize("name", sorted(celery_states.ALL_STATES))
def test_celerys_final_states_are_final_here_and_no_others(name: str) -> None:
    assert from_celery(name).is_final == (name in celery_states.READY_STATES)


def test_a_state_of_a_tasks_own_making_counts_as_running() -> None:
    assert from_celery("UPLOADING") is JobState.RUNNING


def test_the_final_states_are_three() -> None:
    assert {JobState.COMPLETE, JobState.FAILED, JobState.CANCELLED} == FINAL
