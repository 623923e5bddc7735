"""Debian's chromium, started by Debian's chromedriver. Nothing is looked up, nothing downloaded."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.support.requirements import require_programs

DESKTOP = (1280, 900)
"""Width and height of the window, in CSS pixels."""

PAGE_LOAD_SECONDS = 30

_ARGUMENTS = (
    *("--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--no-proxy-server"),
    # Whatever a page or the browser itself asks for, it reaches this machine only.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    f"--window-size={DESKTOP[0]},{DESKTOP[1]}",
)
_NO_JAVASCRIPT = {"profile.managed_default_content_settings.javascript": 2}


@contextmanager
def chromium(profile: Path, *, javascript: bool = True) -> Iterator[Chrome]:
    """Run a browser with a new profile in this directory; skip the test where there is none."""
    browser, driver = require_programs(
        "chromium", "chromedriver", package="chromium chromium-driver"
    )
    options = _options(browser, profile)
    if not javascript:
        options.add_experimental_option("prefs", _NO_JAVASCRIPT)
    running = Chrome(options, Service(executable_path=driver))
    try:
        running.set_page_load_timeout(PAGE_LOAD_SECONDS)
        yield running
    finally:
        running.quit()


def _options(browser: str, profile: Path) -> ChromeOptions:
    options = ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        # Chromium refuses to run its sandbox as root.
        options.add_argument("--no-sandbox")
    return options
