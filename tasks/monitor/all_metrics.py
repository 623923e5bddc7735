"""Flower's `/metrics`, with ours after its own."""

import prometheus_client
from celery import Celery
from flower.views.monitor import Metrics

from tasks.errors import Unreachable
from tasks.metrics import text_of
from tasks.monitor.background import in_background

SECONDS = 5.0
"""How long a scrape waits for the broker; Prometheus itself gives up after ten by default."""

AWAY = b"""# HELP expresslane_up Whether the broker answered.
# TYPE expresslane_up gauge
expresslane_up 0.0
"""


class AllMetrics(Metrics):
    """What Prometheus scrapes."""

    async def get(self) -> None:
        """Answer with all of them; without ours when the broker does not answer in time."""
        self.application.purge_offline_worker_metrics()
        app: Celery = self.application.capp
        try:
            ours = await in_background(lambda: text_of(app), seconds=SECONDS)
        except Unreachable:
            ours = AWAY
        self.write(prometheus_client.generate_latest() + ours)
        self.set_header("Content-Type", prometheus_client.CONTENT_TYPE_LATEST)
