"""The pages, in the order of their tabs. A new page is a file here, and a line below."""

from tasks.monitor.pages import audit, failed, job, quarantine
from tasks.monitor.tabs import Tab

TABS: tuple[Tab, ...] = (failed.TAB, quarantine.TAB, audit.TAB, job.TAB)
