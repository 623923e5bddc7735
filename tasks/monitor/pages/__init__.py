"""The pages, in the order of their tabs. A new page is a file here, and a line below."""

from tasks.monitor.pages import (
    audit,
    failed,
    history,
    job,
    outbox,
    pending,
    quarantine,
    queues,
    schedule,
)
from tasks.monitor.tabs import Tab

TABS: tuple[Tab, ...] = (
    failed.TAB,
    pending.TAB,
    queues.TAB,
    schedule.TAB,
    history.TAB,
    quarantine.TAB,
    outbox.TAB,
    audit.TAB,
    job.TAB,
)
