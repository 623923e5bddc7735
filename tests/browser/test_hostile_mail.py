"""A mail is written by anybody. Whatever stands in it, the inbox shows it and obeys none of it."""

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from tests.browser.visitor import Visitor
from tests.support.demo import Demo
from tests.support.pages import Pages, page

pytestmark = pytest.mark.browser

KEY = "hostile@example.com"
SUBJECT = "<script>document.title='owned'</script>"
HTML = """<!doctype html>
<html><head>
  <base href="{spy}/">
  <meta http-equiv="refresh" content="0; url={spy}/refresh">
  <link rel="stylesheet" href="{spy}/style.css">
  <style>@import "{spy}/import.css"; body {{ background: url({spy}/background.png) }}</style>
  <script>top.document.title = "owned"; fetch("{spy}/fetch")</script>
  <script src="{spy}/script.js"></script>
</head><body onload="fetch('{spy}/onload')">
  <p id="words">Dear reader</p>
  <img src="{spy}/pixel.png" onerror="fetch('{spy}/onerror')">
  <svg onload="document.getElementById('words').textContent = 'owned'"></svg>
  <iframe src="javascript:top.document.title='owned'"></iframe>
  <iframe src="{spy}/frame"></iframe>
  <object data="{spy}/object"></object>
  <form action="{spy}/form" target="_top"><button>Send</button></form>
  <a class="script" href="javascript:top.document.title='owned'">Run</a>
  <a class="top" href="{spy}/top" target="_top">Go</a>
</body></html>"""

BLOCKED = ("Content Security Policy", "sandbox", "Unsafe attempt to initiate navigation")
"""What the browser says when it keeps the mail from doing something."""


@pytest.fixture
def spy() -> Iterator[Pages]:
    """A server that notes each visit. Nothing in a mail may reach it."""
    with Pages() as pages:
        yield pages


@pytest.fixture
def reader(browser: Visitor, demo: Demo, spy: Pages) -> Visitor:
    """A visitor whose inbox has the hostile mail."""
    mail = EmailMessage()
    mail["From"], mail["To"] = "mallory@example.com", "reader@example.com"
    mail["Subject"], mail["Message-ID"] = SUBJECT, f"<{KEY}>"
    mail.set_content("Dear reader")
    mail.add_alternative(HTML.format(spy=spy.url), subtype="html")
    with smtplib.SMTP("127.0.0.1", int(demo.env["SMTP_PORT"])) as server:
        server.send_message(mail)
    for complaint in BLOCKED:
        browser.expect_complaint(complaint)
    return browser


def click_everything(visitor: Visitor) -> None:
    for selector in (".script", ".top", "form button"):
        visitor.click(selector)


def test_the_mail_would_do_harm_where_nothing_held_it_back(browser: Visitor, spy: Pages) -> None:
    spy.pages["/mail"] = page(HTML.format(spy=spy.url).replace('"refresh"', '"none"'))
    browser.expect_complaint(spy.url)
    browser.driver.get(f"{spy.url}/mail")
    browser.wait_for(lambda: browser.driver.title == "owned", "the mail's title")
    assert browser.text("#words") == "owned"
    wanted = {
        f"/{name}" for name in ("style.css", "import.css", "background.png", "fetch", "frame")
    }
    wanted |= {f"/{name}" for name in ("script.js", "onload", "pixel.png", "onerror", "object")}
    browser.wait_for(lambda: wanted <= set(spy.paths), f"visits of {wanted}")


def test_a_hostile_mail_in_the_inbox_runs_no_script_and_fetches_nothing(
    reader: Visitor, spy: Pages
) -> None:
    reader.open("/inbox")
    assert SUBJECT in reader.text(".mails")
    reader.click(f'a[href*="{KEY.partition("@")[0]}"]')
    reader.driver.switch_to.frame(reader.find(".mail-html"))
    assert reader.text("#words") == "Dear reader"
    click_everything(reader)
    assert reader.text("#words") == "Dear reader"
    reader.driver.switch_to.default_content()
    assert reader.text("h1") == SUBJECT
    assert "owned" not in reader.driver.title.replace(SUBJECT, "")
    assert spy.visits == []


def test_a_hostile_mail_on_a_page_of_its_own_runs_no_script_and_fetches_nothing(
    reader: Visitor, spy: Pages
) -> None:
    reader.open(f"/inbox/{KEY}/html")
    assert reader.text("#words") == "Dear reader"
    reader.click(".script")
    reader.click("form button")
    assert reader.path == f"/inbox/{KEY}/html"
    assert (reader.text("#words"), reader.driver.title) == ("Dear reader", "")
    assert spy.visits == []
