"""The sample jobs that a visitor may schedule: the allow list, and the forms of `/demo`.

A form is made of what is written here, so the page knows no job by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from checkout_demo.faults import Fault

LONGEST_VALUE = 2000
LONGEST_WAIT = 60


@dataclass(frozen=True)
class Field:
    """One value that a job is given. `kind` is also the type of the form's input."""

    name: str
    label: str
    hint: str
    kind: Literal["text", "number", "url", "email"] = "text"


@dataclass(frozen=True)
class SampleJob:
    """One sample job, as the page offers it."""

    task: str
    title: str
    does: str
    fields: tuple[Field, ...]
    icon: str

    def read(self, form: Mapping[str, str]) -> tuple[dict[str, Any], list[Fault]]:
        """Return the job's data out of a form, and what is wrong with it."""
        data: dict[str, Any] = {}
        faults: list[Fault] = []
        for field in self.fields:
            text = form.get(field.name, "").strip()
            sentence = _fault_in(field, text)
            if sentence:
                faults.append(Fault(field.name, sentence))
            else:
                data[field.name] = int(text) if field.kind == "number" else text
        return data, faults


SAMPLE_JOBS: Mapping[str, SampleJob] = {
    job.task: job
    for job in (
        SampleJob(
            "work.test_job",
            "Wait a while",
            "Waits a random while, writes your words down and gives them back.",
            (
                Field("payload", "Words to carry", "Anything you like."),
                Field(
                    "wait_at_most",
                    "Longest wait in seconds",
                    f"A whole number from 0 to {LONGEST_WAIT}.",
                    "number",
                ),
            ),
            "clock",
        ),
        SampleJob(
            "work.email_job",
            "Mail a page",
            "Fetches a web page and mails it. The mail sandbox keeps it in the inbox here.",
            (
                Field("url", "Page to fetch", "An address that begins with http or https.", "url"),
                Field("to", "Recipient", "Where the page is mailed to.", "email"),
                Field("subject", "Subject", "What the mail is called."),
            ),
            "mail",
        ),
        SampleJob(
            "work.data_miner_job",
            "Mine links",
            "Fetches a web page and returns the links that a CSS selector finds.",
            (
                Field("url", "Page to read", "An address that begins with http or https.", "url"),
                Field("selector", "CSS selector", "Such as: nav a"),
            ),
            "links",
        ),
    )
}


def _fault_in(field: Field, text: str) -> str:
    if not text:
        return f"{field.label}: fill this in."
    if len(text) > LONGEST_VALUE:
        return f"{field.label}: at most {LONGEST_VALUE} characters."
    if field.kind == "number" and not _is_wait(text):
        return f"{field.label}: write a whole number from 0 to {LONGEST_WAIT}."
    if field.kind == "url" and not text.startswith(("http://", "https://")):
        return f"{field.label}: write an address that begins with http:// or https://."
    if field.kind == "email" and "@" not in text:
        return f"{field.label}: write an e-mail address such as ada@example.com."
    return ""


def _is_wait(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 4 and int(text) <= LONGEST_WAIT
