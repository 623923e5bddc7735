"""The mails that the mail sandbox has got, read from its Maildir."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

import structlog

_logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class ReceivedMail:
    """One mail, its headers decoded. `html` and `text` are empty where the mail has none."""

    to: str
    subject: str
    message_id: str
    html: str
    text: str
    received_at: datetime


def received(directory: Path, *, limit: int | None = None) -> list[ReceivedMail]:
    """Return the mails of this Maildir, or only the `limit` newest, newest first.

    A directory that is not there holds none. A file that is no mail is left out and logged.
    """
    mails = (_read(file) for file in _newest_first(directory)[:limit])
    return [mail for mail in mails if mail is not None]


def _newest_first(directory: Path) -> list[Path]:
    files = []
    for file in (*directory.glob("new/*"), *directory.glob("cur/*")):
        try:
            files.append((file.stat().st_mtime_ns, _numbers(file.name), file))
        except OSError:
            continue
    return [file for *_, file in sorted(files, reverse=True)]


def _numbers(name: str) -> list[int]:
    """Order the names of a Maildir: second, microsecond, process, count.

    They tell apart what came within one tick of the file system's clock.
    """
    return [int(number) for number in re.findall(r"\d+", name)]


def _read(file: Path) -> ReceivedMail | None:
    try:
        parsed = BytesParser(EmailMessage, policy=policy.default).parsebytes(file.read_bytes())
        mail = _received(parsed, datetime.fromtimestamp(file.stat().st_mtime, UTC))
    except Exception as error:  # noqa: BLE001 (the parser raises anything; one mail hides no other)
        _logger.warning("mail not readable", file=file.name, reason=type(error).__name__)
        return None
    if not (mail.to or mail.subject or mail.message_id):
        _logger.warning("mail not readable", file=file.name, reason="no headers")
        return None
    return mail


def _received(message: EmailMessage, received_at: datetime) -> ReceivedMail:
    return ReceivedMail(
        to=str(message["To"] or ""),
        subject=str(message["Subject"] or ""),
        message_id=str(message["Message-ID"] or "").strip(),
        html=_body(message, "html"),
        text=_body(message, "plain"),
        received_at=received_at,
    )


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    return "" if part is None else str(part.get_content())
