"""Audit: who changed what, and when."""

from celery import Celery
from tornado.web import url

from tasks import audit
from tasks.monitor.page import PAGE_SIZE, Page
from tasks.monitor.tabs import Tab


class AuditList(Page):
    """The changes, the newest first."""

    tab = "audit"

    async def get(self) -> None:
        """Show a page of them."""
        before = self.asked("before")

        def look(app: Celery) -> list[audit.Change]:
            return audit.newest(app, PAGE_SIZE + 1, before)

        found = await self.of_app(look)
        older = found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None
        self.show("audit.html", changes=found[:PAGE_SIZE], older=older, is_first=before is None)


TAB = Tab("audit", "Audit", [url(r"/audit", AuditList, name="audit")])
