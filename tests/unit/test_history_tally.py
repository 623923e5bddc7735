"""Histograms and their percentiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.history.tally import BOUNDS, RUN, Counts, observe, tally_of


def observed(*seconds: float) -> Counts:
    counts: Counts = {}
    for one in seconds:
        observe(counts, RUN, one)
    return counts


def test_of_nothing_there_is_no_percentile_and_no_mean() -> None:
    run = tally_of([]).run
    assert (run.count, run.percentile(0.95), run.mean) == (0, None, None)


def test_what_took_longer_than_the_last_bound_is_said_to_be_at_it() -> None:
    assert tally_of([observed(90_000.0)]).run.percentile(0.5) == BOUNDS[-1]


def test_counts_of_several_workers_are_added() -> None:
    run = tally_of([observed(0.1, 0.2), observed(0.3)]).run
    assert run.count == 3
    assert run.mean == pytest.approx(0.2)


@given(st.lists(st.floats(0, BOUNDS[-1]), min_size=1), st.sampled_from([0.1, 0.5, 0.95, 1.0]))
def test_a_percentile_is_right_to_within_its_class(seconds: list[float], share: float) -> None:
    found = tally_of([observed(*seconds)]).run.percentile(share)
    assert found is not None
    ordered = sorted(seconds)
    exact = next(one for i, one in enumerate(ordered, 1) if i >= share * len(ordered))
    upper = next(bound for bound in BOUNDS if exact <= bound)
    lower = max((bound for bound in BOUNDS if bound < upper), default=0.0)
    assert lower <= found <= upper
