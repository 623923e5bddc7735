"""A real Flower, as a user starts it, and somebody who uses its pages without a browser."""

import html
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx

from tests.support.programs import Program, free_port
from tests.support.valkey import Valkey

OPERATOR = ("ada", "difference, engine: 1")
READER = ("ben", "p%ss")
LOGINS = {
    "MONITOR_OPERATORS": "ada:difference%2C engine: 1",
    "MONITOR_READERS": "ben:p%25ss",
}


class Flower(Program):
    """A running Flower, on a port of its own."""

    def __init__(
        self,
        log: Path,
        broker: Valkey | str,
        *options: str,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.broker = broker if isinstance(broker, str) else broker.url
        self.settings = dict(env or {})
        super().__init__(
            Flower.command(*options),
            log=log,
            env={"BROKER_URL": self.broker, "FLOWER_PORT": str(self.port), **self.settings},
        )

    @staticmethod
    def command(*options: str) -> list[str]:
        """Return the command that starts it."""
        return [sys.executable, "-m", "celery", "-A", "tasks", "flower", *options]

    def wait_until_open(self) -> Self:
        """Wait until it answers."""
        return self.wait_until_listening(self.port)

    def visitor(self, login: tuple[str, str] | None = None) -> "Caller":
        """Return somebody who uses it, logged in or not."""
        return Caller(self.url, login)


class Caller(httpx.Client):
    """Somebody who uses Flower's pages: looks at them, and sends their forms."""

    def __init__(self, url: str, login: tuple[str, str] | None) -> None:
        super().__init__(base_url=url, auth=login, timeout=30, trust_env=False)

    def see(self, path: str, status: int = 200) -> str:
        """Return the text of a page, without its tags."""
        answer = self.get(path)
        assert answer.status_code == status, f"{path}: {answer.status_code}\n{answer.text}"
        return text_of(answer.text)

    def submit(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of ours, as the browser would; a redirect is not followed."""
        if "_xsrf" not in self.cookies:
            self.get("/audit")
        token = self.cookies.get("_xsrf", "")
        return self.post(path, data={"_xsrf": token, **fields})

    def do(self, path: str, **fields: str) -> str:
        """Send a form of ours, and return the text of the page that it leads to."""
        answer = self.submit(path, **fields)
        assert answer.status_code == 303, f"{path}: {answer.status_code}\n{answer.text}"
        return self.see(answer.headers["Location"])


def text_of(page: str) -> str:
    """Return what one reads on a page: no tags, each run of spaces as one."""
    body = page[page.index("<main") :] if "<main" in page else page
    body = re.sub(r"(?s)<(script|style).*?</\1>", " ", body)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def tabs_of(page: str) -> str:
    """Return what one reads in the tabs."""
    navigation = page[page.index('<ul class="app-nav') : page.index("<main")]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", navigation)).split())
