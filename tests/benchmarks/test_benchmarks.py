"""Each benchmark at its smallest, for this project's own side: it runs, and it counts."""

import asyncio
import json
import xml.etree.ElementTree as ET
from argparse import Namespace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import bench, measures
from benchmarks.burst import burst, opened
from benchmarks.chart import Axis, Bar, Panel, Series, bars, lines
from benchmarks.customers import open_loop, schedule
from benchmarks.growth import Size, measure
from benchmarks.machine import describe
from benchmarks.results import Report, write
from benchmarks.sides import EXPRESSLANE, STOCK
from benchmarks.table import rows
from benchmarks.tally import RECORD, Tally, WrongCount


def tally_of(directory: Path, *numbers: int) -> Tally:
    tally = Tally(directory / "tally")
    tally.file.write_bytes(b"".join(RECORD.pack(number, 10 - number, 7) for number in numbers))
    return tally


def test_the_tally_leaves_out_what_only_warmed_up_and_has_the_first_run_first(
    tmp_path: Path,
) -> None:
    tally = tally_of(tmp_path, -1, 0, 1, 2)
    assert [ran.number for ran in tally.check(range(3))] == [2, 1, 0]
    assert len(tally) == 4


@pytest.mark.parametrize(
    ("ran", "complaint"),
    [
        ((0, 1), "of 3 jobs 1 did not run; there were 0 runs too many, and 0 of jobs that nobody"),
        ((0, 1, 1, 2), "of 3 jobs 0 did not run; there were 1 runs too many, and 0"),
        ((0, 1, 2, 3), "of 3 jobs 0 did not run; there were 0 runs too many, and 1"),
    ],
)
def test_a_job_that_did_not_run_once_ends_the_run(
    ran: tuple[int, ...], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(WrongCount, match=complaint):
        tally_of(tmp_path, *ran).check(range(3))


def test_a_run_leaves_a_table_a_chart_and_all_samples(tmp_path: Path) -> None:
    titles = {"no-op jobs drained, prefork, results stored", "idle worker, prefork 2"}
    chosen = [one for one in measures.BENCH if one.title in titles or one.key == "latency"]
    report = Report("bench", seed=1, rounds=1, jobs=600)
    samples = bench.measure([EXPRESSLANE], chosen, report, Console(quiet=True))
    found = rows(samples, [EXPRESSLANE.name])
    page, samples_file, chart = (tmp_path / f"bench.{ending}" for ending in ("md", "json", "svg"))
    assert {page, samples_file, chart} == set(
        write(report, [EXPRESSLANE], chosen, samples, found, tmp_path)
    )
    text = page.read_text()
    assert all(one.title in text for one in chosen)
    assert "--pool prefork" in text, "the settings are shown"
    assert len(json.loads(samples_file.read_text())["samples"]) == len(chosen) == 3
    assert elements(chart.read_text())[0][0] == "svg"
    assert all(row.median > 0 for row in found)


def test_jobs_on_celerys_own_transport_are_measured_in_the_same_way() -> None:
    (many,) = [one for one in measures.BENCH if one.key == "bulk"]
    values = many.of(STOCK, measures.Sizes(50), seed=1)
    assert values[measures.RATE] > 0


def test_what_a_job_costs_is_told_for_each_size() -> None:
    cost = measure(Size(queued=100, run=100, queues=2, payload=1_000))
    assert cost.memory > 1_000
    assert cost.wire > 2_000, "the data go to the server, and from there to the worker"
    assert 0 < cost.commands < 30


def test_a_burst_is_counted_down_to_the_last_effect() -> None:
    asked = Namespace(threads=5, erp_ms=20, mail_ms=10, seconds=1.0, seed=1)
    with opened("sqlite", "deferred", asked) as shop:
        found = burst(shop, "deferred", 20, asked)
    assert len(found.bought) == len(schedule(20, 1.0, 1))
    assert found.orders >= len(found.served) + 1, "the one who came last is among them"
    assert found.refused + len(found.served) == len(found.bought)


def test_a_buyer_who_meets_nobody_is_refused(unused_port: int) -> None:
    (bought,) = asyncio.run(open_loop(unused_port, [0.0], seed=1))
    assert (bought.status, bought.is_served) == (0, False)


def test_buyers_come_at_the_same_moments_for_the_same_seed() -> None:
    moments = schedule(100, 10, seed=3)
    assert moments == schedule(100, 10, seed=3) != schedule(100, 10, seed=4)
    assert moments == sorted(moments)
    assert 800 < len(moments) < 1_200


def test_charts_are_drawn_to_scale_and_take_any_name() -> None:
    axis = Axis(1, 100, 0, 200, logarithmic=True)
    assert [axis(number) for number in (0.1, 1, 10, 100, 1_000)] == [0, 0, 100, 200, 200]
    drawn = bars("a < b", {"group": [Bar("x & y", 2, 1, 3, "2.0")]}, reference=1.0)
    assert "x & y" in [text for _, text in elements(drawn)]
    kinds = [Series("s", [(0, 1), (5, 2)], 0), Series("d", [(1, 1)], 1, dots=True)]
    drawn = lines("t", [Panel("p", kinds, 0, 2)], across="s", least=0, most=5)
    assert {"polyline", "circle"} <= {tag for tag, _ in elements(drawn)}


def elements(drawn: str) -> list[tuple[str, str | None]]:
    root = ET.fromstring(drawn)  # noqa: S314 (our own)
    return [(each.tag.rpartition("}")[2], each.text) for each in root.iter()]


def test_the_machine_and_the_versions_are_told() -> None:
    facts = describe()
    assert {"cores", "CPU", "RAM", "kernel", "Python", "Valkey", "Expresslane"} == set(facts)
    assert all(facts.values())
