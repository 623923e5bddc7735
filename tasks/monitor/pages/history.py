"""History: how many jobs were processed and failed, and how long they waited and ran."""

from collections.abc import Sequence

from celery import Celery
from tornado.web import HTTPError, url

from tasks.history import HOUR, PERIODS, Bucket, Histogram, History, Period, Tally, total
from tasks.monitor import charts
from tasks.monitor.page import Page
from tasks.monitor.tabs import Tab

LABELS = 8
"""Times below a chart, more or less."""


class HistoryView(Page):
    """What became of jobs over a period."""

    tab = "history"

    async def get(self) -> None:
        """Show it."""
        name = self.asked("last") or HOUR.name
        if name not in PERIODS:
            raise HTTPError(400, f"last must be one of {', '.join(PERIODS)}")
        period, task, queue = PERIODS[name], self.asked("task"), self.asked("queue")

        def look(app: Celery) -> tuple[Bucket, ...]:
            return History(app).read(period)

        buckets = await self.of_app(look)
        known = sorted({series for bucket in buckets for series in bucket.counts})
        fitting = [s for s in known if task in (None, s.task) and queue in (None, s.queue)]
        steps = [(bucket.at, bucket.total(task=task, queue=queue)) for bucket in buckets]
        self.show(
            "history.html",
            period=period,
            periods=PERIODS.values(),
            task=task,
            queue=queue,
            tasks=sorted({series.task for series in known}),
            queues=sorted({series.queue for series in known}),
            rows=[(s, total(buckets, task=s.task, queue=s.queue)) for s in fitting],
            steps=steps,
            pictures=pictures(steps_of(buckets, period), [tally for _, tally in steps]),
            seconds=seconds,
        )


def steps_of(buckets: Sequence[Bucket], period: Period) -> list[str]:
    """Return what to write below each step of a chart: times, in UTC, and most of them nothing."""
    form = "%H:%M" if period.step.total_seconds() * period.buckets <= 86_400 else "%d %b"
    every = max(len(buckets) // LABELS, 1)
    return [
        bucket.at.strftime(form) if i % every == every // 2 else ""
        for i, bucket in enumerate(buckets)
    ]


def pictures(times: Sequence[str], tallies: Sequence[Tally]) -> list[tuple[str, str]]:
    """Return the charts: the title of each, and its SVG."""
    jobs = [
        charts.Line("succeeded", "good", [tally.succeeded for tally in tallies]),
        charts.Line("failed", "bad", [tally.failed for tally in tallies]),
        charts.Line("retried", "fair", [tally.retried for tally in tallies]),
    ]
    return [
        ("Jobs", charts.bars("Jobs that succeeded, failed, were retried", "jobs", jobs, times)),
        ("Seconds they waited", _times("waited", [tally.wait for tally in tallies], times)),
        ("Seconds they ran", _times("ran", [tally.run for tally in tallies], times)),
    ]


def seconds(value: float | None) -> str:
    """Return a time for people; a dash for none."""
    if value is None:
        return "—"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:,.1f} s"


def _times(verb: str, found: Sequence[Histogram], times: Sequence[str]) -> str:
    lines = [
        charts.Line("half", "good", [one.percentile(0.5) for one in found]),
        charts.Line("95 of 100", "fair", [one.percentile(0.95) for one in found]),
    ]
    title = f"Seconds that half of the jobs, and 95 of 100, {verb} at most"
    return charts.curves(title, "seconds", lines, times)


TAB = Tab("history", "History", [url(r"/history", HistoryView, name="history")])
