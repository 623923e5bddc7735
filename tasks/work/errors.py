"""Every error that the sample jobs raise on purpose, in one tree.

WorkError
+-- PageUnavailable   the page could not be had now; it may pass, so the job is retried
+-- PageRefused       the page, or what was asked of it, is not acceptable; it will not pass
+-- MailUnavailable   the mail server did not take the mail now; it may pass
+-- MailRefused       the mail, its address or the settings are not acceptable; it will not pass

`args` are plain strings, and `cls(*error.args)` makes the same error again: Celery keeps errors as
JSON and builds them anew when somebody asks for the result.
"""

import re

_USER_INFO = re.compile(r"^([^/?#]*//)[^/?#]*@")
_SHOWN = 200
"""Characters of a URL that a message repeats: enough to know it again in a log line."""


class WorkError(Exception):
    """Something that one of the sample jobs could not do, and why."""

    def __init__(self, subject: str, why: str) -> None:
        self.subject = subject
        self.why = why
        super().__init__(subject, why)

    def __str__(self) -> str:
        return f"{self.subject}: {self.why}"


class _PageError(WorkError):
    """An error about a page; `url` never holds a user name or a password."""

    def __init__(self, url: str, why: str) -> None:
        self.url = shown(url)
        super().__init__(self.url, why)


class PageUnavailable(_PageError):
    """The page could not be had now: no address, no connection, no time, 5xx, 408 or 429."""


class PageRefused(_PageError):
    """The page will not be fetched or read, however often it is tried."""


class MailUnavailable(WorkError):
    """The mail server cannot be reached or is busy (a 4xx reply, RFC 5321 section 4.2.1)."""


class MailRefused(WorkError):
    """The mail server said no for good (a 5xx reply), or the mail cannot be sent as it is."""


def shown(url: str) -> str:
    """Return the URL as messages repeat it: without user name and password, and not too long."""
    clean = _USER_INFO.sub(r"\1", url)
    return clean if len(clean) <= _SHOWN else clean[: _SHOWN - 1] + "…"
