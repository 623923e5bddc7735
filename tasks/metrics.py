"""Metrics for Prometheus: queues, jobs, workers, quarantine, outbox.

    celery -A tasks metrics                  prints them once
    celery -A tasks metrics --serve 9808     answers on this machine's port 9808
    Flower's /metrics                        has them after Flower's own

Everything comes from the broker (and the outbox's database) when it is asked for, in a handful of
trips whose size does not grow with the number of jobs. So it does not matter who asks, nor how
many do, and nothing is lost when a process restarts. When the broker does not answer,
`expresslane_up` is 0 and the rest is left out.
"""

from collections.abc import Iterable, Iterator, Mapping

from celery import Celery
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from tasks.broker.access import reachable, server_of
from tasks.errors import Unreachable
from tasks.failures import FailedJobs
from tasks.history import BOUNDS, Histogram, History, Series, Tally
from tasks.liveness import workers_of
from tasks.outbox_counts import outbox_counts
from tasks.quarantine import Quarantine
from tasks.queues import Queues
from tasks.schedule import Schedule

_JOBS = {
    "claimed": "Times that a worker took a job in order to run it.",
    "redelivered": "Times that a job was taken again after a worker had died over it.",
    "succeeded": "Jobs that ended with a result.",
    "failed": "Jobs that have failed for good.",
    "retried": "Attempts that ended with another one to come.",
    "cancelled": "Jobs that ended without a result: cancelled, expired, ignored.",
    "timed_out": "Jobs that were killed at their hard time limit.",
}

_WORKERS = {
    "processes_recycled": "Pool processes that ended because of memory or number of jobs.",
    "processes_lost": "Pool processes that ended by themselves or were killed.",
    "jobs_without_events": "Jobs whose events were left out under load (EVENT_JOBS_MAX).",
}


class ExpresslaneCollector(Collector):
    """All of the metrics of one app."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        up = 1
        try:
            found = [*self._queues(), *self._jobs(), *self._workers(), *self._kept(), *self._beat()]
        except Unreachable:
            up, found = 0, []
        yield GaugeMetricFamily("expresslane_up", "Whether the broker answered.", value=up)
        yield from found
        yield from self._outbox()

    def _queues(self) -> Iterable[Metric]:
        names = ["queue"]
        length = GaugeMetricFamily("expresslane_queue_length", "Jobs that wait.", labels=names)
        age = GaugeMetricFamily(
            "expresslane_queue_oldest_job_age_seconds", "How long the next one waits.", labels=names
        )
        held = GaugeMetricFamily(
            "expresslane_queue_held_jobs", "Jobs that workers have claimed.", labels=names
        )
        paused = GaugeMetricFamily("expresslane_queue_paused", "1 when it is paused.", labels=names)
        consumers = GaugeMetricFamily(
            "expresslane_queue_consumers", "Workers that take jobs from it.", labels=names
        )
        for queue in Queues(self._app).list():
            length.add_metric([queue.name], queue.length)
            age.add_metric([queue.name], queue.age or 0)
            if queue.held is not None:
                held.add_metric([queue.name], queue.held)
            paused.add_metric([queue.name], int(queue.is_paused))
            consumers.add_metric([queue.name], len(queue.consumers))
        return length, age, held, paused, consumers

    def _jobs(self) -> Iterable[Metric]:
        totals = History(self._app).totals()
        for name, text in _JOBS.items():
            family = CounterMetricFamily(f"expresslane_jobs_{name}", text, labels=Series._fields)
            for series, tally in totals.items():
                family.add_metric(series, getattr(tally, name))
            yield family
        yield _times("wait", "Seconds from when it could run until it started.", totals)
        yield _times("run", "Seconds that one attempt took.", totals)

    def _workers(self) -> Iterable[Metric]:
        states = GaugeMetricFamily(
            "expresslane_workers",
            "Workers that consume, are stuck, or are lost: gone without a word, for a day.",
            labels=["state"],
        )
        found = [worker.state for worker in workers_of(self._app)]
        for state in ("consuming", "stuck", "lost"):
            states.add_metric([state], found.count(state))
        yield states
        counted = History(self._app).of_workers()
        for name, text in _WORKERS.items():
            family = "jobs_without_events" if name == "jobs_without_events" else f"worker_{name}"
            yield CounterMetricFamily(f"expresslane_{family}", text, value=counted.get(name, 0))

    def _kept(self) -> Iterable[Metric]:
        quarantine = Quarantine(self._app)
        yield GaugeMetricFamily(
            "expresslane_failed_jobs", "Failed jobs that are kept.", FailedJobs(self._app).count()
        )
        yield GaugeMetricFamily(
            "expresslane_delayed_jobs",
            "Jobs that wait for their time, retries among them.",
            _delayed(self._app),
        )
        yield GaugeMetricFamily(
            "expresslane_quarantine_messages", "Messages in quarantine.", quarantine.count()
        )
        yield CounterMetricFamily(
            "expresslane_quarantined", "Messages that were ever quarantined.", quarantine.total()
        )

    def _beat(self) -> Iterable[Metric]:
        schedule = Schedule(self._app)
        yield GaugeMetricFamily(
            "expresslane_schedule_entries", "Entries of beat's schedule.", len(schedule.list())
        )
        yield GaugeMetricFamily(
            "expresslane_beat_running",
            "1 when a beat was heard of in the last 15 seconds.",
            int(schedule.is_running()),
        )

    def _outbox(self) -> Iterable[Metric]:
        """Yield nothing where no outbox is set up."""
        found = outbox_counts(self._app)
        if found is None:
            return
        gauges = {
            "up": ("Whether the outbox's database answered.", int(found.is_up)),
            "unfinished_rows": ("Rows whose job is not finished.", found.unfinished),
            "unpublished_rows": ("Rows whose job was not published yet.", found.unpublished),
            "failed_rows": ("Rows whose job has failed for good.", found.failed),
            "lag_seconds": ("Age of the oldest row that was not published.", found.lag),
            "oldest_unfinished_seconds": ("Age of the oldest unfinished row.", found.oldest),
        }
        for name, (text, value) in gauges.items():
            if found.is_up or name == "up":
                yield GaugeMetricFamily(f"expresslane_outbox_{name}", text, value=value)


def registry_of(app: Celery) -> CollectorRegistry:
    """Return a registry with the metrics of this app, and nothing else."""
    found = CollectorRegistry(auto_describe=False)
    found.register(ExpresslaneCollector(app))
    return found


def text_of(app: Celery) -> bytes:
    """Return the metrics of this app as Prometheus reads them."""
    return bytes(generate_latest(registry_of(app)))


def _delayed(app: Celery) -> int:
    with reachable("ask again later"):
        server = server_of(app)
        return int(server.client.zcard(server.keys.delayed))


def _times(name: str, text: str, totals: Mapping[Series, Tally]) -> Metric:
    family = HistogramMetricFamily(f"expresslane_job_{name}_seconds", text, labels=Series._fields)
    for series, tally in totals.items():
        histogram: Histogram = getattr(tally, name)
        family.add_metric(series, _cumulative(histogram), sum_value=histogram.sum)
    return family


def _cumulative(histogram: Histogram) -> list[tuple[str, float]]:
    bounds, total, found = (*map(str, BOUNDS), "+Inf"), 0, []
    for bound, number in zip(bounds, histogram.classes, strict=True):
        total += number
        found.append((bound, float(total)))
    return found
