"""What a run leaves behind: all samples as JSON, a page in Markdown, and a chart."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from shlex import join
from statistics import median

from benchmarks import machine
from benchmarks.chart import Bar, bars
from benchmarks.measures import Measure
from benchmarks.sides import Side
from benchmarks.table import HEADINGS, Row, Samples, markdown, summary

RESULTS = Path(__file__).parent / "results"


@dataclass
class Report:
    """How a run was made, and where."""

    name: str
    seed: int
    rounds: int
    jobs: int
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    machine: Mapping[str, str] = field(default_factory=machine.describe)
    loads: list[float] = field(default_factory=lambda: [machine.load()])

    def note_load(self) -> None:
        """Keep how busy the machine is."""
        self.loads.append(machine.load())

    @property
    def facts(self) -> Mapping[str, str]:
        """What belongs beside the figures."""
        loads = f"{self.loads[0]:.1f} before; {median(self.loads):.1f} (median) in the run itself"
        return {
            "date": f"{self.began:%Y-%m-%d %H:%M} UTC",
            **self.machine,
            "load average": loads,
            "seed, rounds, jobs": f"{self.seed}, {self.rounds}, {self.jobs:,}",
        }


def write(
    report: Report,
    sides: Sequence[Side],
    measures: Sequence[Measure],
    samples: Samples,
    found: Sequence[Row],
    directory: Path,
) -> list[Path]:
    """Write the files, and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = {
        f"{report.name}.json": _json(report, sides, samples),
        f"{report.name}.md": _page(report, sides, measures, found),
        f"{report.name}.svg": _chart(found),
    }
    for name, text in texts.items():
        (directory / name).write_text(text)
    return [directory / name for name in texts]


def write_page(
    report: Report, page: str, pictures: Mapping[str, str], directory: Path
) -> list[Path]:
    """Write a page of tables with the facts above them, and its pictures; return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    facts = markdown(("", ""), report.facts.items())
    shown = "".join(f"\n![{name}]({name}.svg)\n" for name in pictures)
    texts = {f"{report.name}.md": f"# {report.name}\n\n{facts}\n{page}{shown}"}
    texts |= {f"{name}.svg": picture for name, picture in pictures.items()}
    for name, text in texts.items():
        (directory / name).write_text(text)
    return [directory / name for name in texts]


def _json(report: Report, sides: Sequence[Side], samples: Samples) -> str:
    taken = [
        {
            "measure": measure.title,
            "side": side,
            "rounds": [{figure.key: value for figure, value in one.items()} for one in rounds],
        }
        for (measure, side), rounds in samples.items()
    ]
    about = {side.name: dict(side.described) for side in sides}
    return (
        json.dumps({"facts": dict(report.facts), "sides": about, "samples": taken}, indent=1) + "\n"
    )


def _page(
    report: Report, sides: Sequence[Side], measures: Sequence[Measure], found: Sequence[Row]
) -> str:
    facts = markdown(("", ""), report.facts.items())
    short = markdown(*summary(found))
    table = markdown(HEADINGS, (row.cells for row in found))
    about = "\n".join(_about(side, {one.load.workers for one in measures}) for side in sides)
    title = (
        f"# `make {report.name}`\n\nWritten by `benchmarks/bench.py`; each job ran exactly once.\n"
    )
    chart = f"![Ratios]({report.name}.svg)\n"
    every = f"## All figures\n\n{table}\n## Settings\n\n{about}"
    return f"{title}\n{facts}\n{short}\n{chart}\n{every}"


def _about(side: Side, kinds: set[str]) -> str:
    described = side.described
    versions = ", ".join(f"{name} {number}" for name, number in described["versions"].items())
    lines = [f"**{side.name}** ({versions}): {described['settings']}. From {described['source']}"]
    for kind in sorted(kinds & set(described["workers"])):
        lines += [f"- `{kind}`: `{join(argv)}`" for argv in described["workers"][kind]]
    return "\n".join(lines) + "\n"


def _chart(found: Sequence[Row]) -> str:
    """Draw the first figure of each measure, turned so that more is better."""
    groups: dict[str, list[Bar]] = {}
    firsts: dict[str, str] = {}
    for row in found:
        title = row.measure.title
        if firsts.setdefault(title, row.figure.key) == row.figure.key:
            good = row.ratios if row.figure.more_is_better else [1 / each for each in row.ratios]
            bar = Bar(row.side, median(good), min(good), max(good), row.cells[3])
            groups.setdefault(f"{title}, {row.figure.unit}", []).append(bar)
    title = "Against Expresslane (1): green is better, red is worse"
    return bars(title, groups, reference=1.0)
