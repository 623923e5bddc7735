"""Schedule: what beat puts into queues by the clock. Pause an entry, resume it, run it now."""

from collections.abc import Callable

from celery import Celery
from tornado.web import url

from tasks.monitor.page import Deed, Page
from tasks.monitor.tabs import Tab
from tasks.schedule import Entry, Schedule


class ScheduleList(Page):
    """All entries."""

    tab = "schedule"

    async def get(self) -> None:
        """Show them."""

        def look(app: Celery) -> tuple[tuple[Entry, ...], bool]:
            schedule = Schedule(app)
            return schedule.list(), schedule.is_running()

        entries, is_running = await self.of_app(look)
        self.show("schedule.html", entries=entries, is_running=is_running)


class Change(Page):
    """Pauses an entry, resumes it, or runs it now."""

    tab = "schedule"

    async def post(self, name: str, verb: str) -> None:
        """Do it."""
        calls: dict[str, Callable[[Schedule], bool]] = {
            "pause": lambda schedule: schedule.pause(name),
            "resume": lambda schedule: schedule.resume(name),
            "run": lambda schedule: schedule.run_now(name),
        }
        done = {
            "pause": f"{name} is paused.",
            "resume": f"{name} is resumed.",
            "run": f"{name} runs in a moment, as soon as beat looks.",
        }
        nothing = {
            "pause": f"{name} was paused already.",
            "resume": f"{name} was not paused.",
            "run": f"{name} is to run in a moment already.",
        }
        said = await self.act(
            Deed(f"{verb} an entry of the schedule", name),
            lambda app: int(calls[verb](Schedule(app))),
            lambda count: done[verb] if count else nothing[verb],
        )
        self.leave(said, self.link("schedule"))


TAB = Tab(
    "schedule",
    "Schedule",
    [
        url(r"/schedule", ScheduleList, name="schedule"),
        url(r"/schedule/(.+)/(pause|resume|run)", Change, name="schedule-change"),
    ],
)
