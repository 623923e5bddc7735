"""The mail sandbox: an SMTP server that takes every mail and delivers none.

    python -m checkout_demo.sandbox.mail

What it accepts is in a Maildir, on disk, before the client hears 250.
"""

import asyncio
import contextlib
import logging
import mailbox
import os
import signal
from email import policy
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Final

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from checkout_demo.settings import store_settings
from config.logging import configure

MAX_SIZE: Final = 10 * 1024 * 1024
"""Bytes of the largest mail that is taken; a larger one gets 552."""

_LONGEST_LOGGED_ID = 200

_logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Keeper:
    """What aiosmtpd asks when a mail has come: it keeps each one in a Maildir."""

    def __init__(self, directory: Path, *, latency_ms: int = 0) -> None:
        """Open the Maildir, made when missing or left half-made by a kill."""
        self._latency_ms = latency_ms
        for part in ("tmp", "new", "cur"):
            (directory / part).mkdir(parents=True, exist_ok=True)
        self._arrivals = directory / "new"
        self._mailbox = mailbox.Maildir(directory)

    async def handle_DATA(  # noqa: N802 (aiosmtpd looks for this name)
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep the mail and return the SMTP answer: 250, or 451 when it could not be kept."""
        content = envelope.original_content or b""
        # Others are served meanwhile; a session that is cut here has not been told 250.
        await asyncio.sleep(self._latency_ms / 1_000)
        try:
            # Written here and not in a thread: nothing may come between the file and its 250.
            self._mailbox.add(content)
            _sync_directory(self._arrivals)
        except (OSError, mailbox.Error) as error:
            _logger.warning("mail not stored", reason=str(error))
            return "451 4.3.0 the mail could not be stored; send it again later"
        message_id = _message_id(content)
        _logger.info("mail stored", message_id=message_id, recipients=len(envelope.rcpt_tos))
        return "250 2.0.0 stored"


async def serve(directory: Path, port: int, *, latency_ms: int = 0) -> None:
    """Take mail on this port of the loopback interface until SIGTERM or SIGINT.

    Raises:
        OSError: if the port is taken.

    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    server = await open_server(Keeper(directory, latency_ms=latency_ms), port)
    _logger.info("mail sandbox ready", port=port)
    await stop.wait()
    # Sessions that are still open are cut: their clients have no 250 yet and will come again.
    server.close()
    _logger.info("mail sandbox stopped")


async def open_server(handler: object, port: int) -> asyncio.Server:
    """Listen on this port of the loopback interface and hand the mails to `handler`."""
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        # Without a name of its own, each session would ask the DNS for this machine's.
        return SMTP(
            handler,
            data_size_limit=MAX_SIZE,
            enable_SMTPUTF8=True,
            hostname="localhost",
            loop=loop,
        )

    return await loop.create_server(session, "127.0.0.1", port)


def _sync_directory(directory: Path) -> None:
    """Write the directory's own entries to disk; a file's content alone would not be found."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _message_id(content: bytes) -> str:
    """Return what the Message-ID has before its @; the whole is hidden in logs, like an address."""
    with contextlib.suppress(Exception):  # the parser raises all kinds of errors on hostile mail
        header = BytesHeaderParser(policy=policy.compat32).parsebytes(content)["Message-ID"]
        return str(header or "").strip().strip("<>").partition("@")[0][:_LONGEST_LOGGED_ID]
    return ""


def main() -> None:
    """Serve the mail sandbox at `SMTP_PORT`."""
    settings = store_settings()
    configure(settings)
    # Its warnings quote what the client sent, which may be a part of a mail.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    try:
        latency = settings.mail_latency_ms
        asyncio.run(serve(settings.mail_dir, settings.smtp_port, latency_ms=latency))
    except OSError as error:
        raise SystemExit(f"SMTP_PORT={settings.smtp_port} cannot be used: {error}") from None


if __name__ == "__main__":
    main()
