"""Since when a message waits: what its headers say, or nothing at all."""

import pytest

from tasks.enqueued import HEADER, waiting_since


def test_a_job_waits_since_it_was_put_into_its_queue() -> None:
    assert waiting_since({HEADER: 1_000.5, "eta": None}) == 1_000.5


def test_a_job_for_later_waits_since_it_was_due() -> None:
    headers = {HEADER: 1_000.0, "eta": "1970-01-01T01:00:00+00:00"}
    assert waiting_since(headers) == 3_600
    assert waiting_since({**headers, HEADER: 4_000.0}) == 4_000


@pytest.mark.parametrize(
    "noted", [None, "1000", True, -1, 1e12, float("nan"), float("inf"), [], {}]
)
def test_what_is_no_time_is_unknown(noted: object) -> None:
    assert waiting_since({HEADER: noted}) is None
    assert waiting_since({}) is None


@pytest.mark.parametrize("eta", ["tomorrow", 7, [], "0001-01-01T00:00:00+23:00"])
def test_an_eta_that_is_no_time_is_not_counted(eta: object) -> None:
    assert waiting_since({HEADER: 1_000.0, "eta": eta}) == 1_000
