"""The job that mails a page: the seed's EmailJob."""

from datetime import UTC, datetime

from config.settings import framework_settings
from tasks.celery import app
from tasks.job import Job
from tasks.work.errors import MailUnavailable, PageUnavailable, shown
from tasks.work.fetch import fetch
from tasks.work.mail import send
from tasks.work.page_mail import checked_address, compose


@app.task(
    name="work.email_job",
    base=Job,
    bind=True,
    autoretry_for=(PageUnavailable, MailUnavailable),
)
def email_job(self: Job, url: str, to: str, subject: str | None = None) -> dict[str, str]:
    """Fetch a page and mail a harmless copy of it; without a subject, its title is taken.

    Returns `{"url", "to", "subject", "message_id"}`, the URL being the one after all redirects.
    At least once: a crash after the mail server has accepted the mail sends it again, with the same
    Message-ID, which is made from the job's id.

    Raises:
        PageUnavailable: tried again.
        MailUnavailable: tried again, from the beginning.
        PageRefused: fails the job at once.
        MailRefused: fails the job at once.

    """
    settings = framework_settings()
    recipient = checked_address(to)
    self.progress(0, 2, f"fetching {shown(url)}")
    page = fetch(url, allow_private=settings.fetch_private_addresses)
    self.progress(1, 2, f"mailing it to {recipient}")
    mail = compose(
        page,
        to=recipient,
        sender=settings.mail_from,
        subject=subject,
        job_id=self.job_id,
        now=datetime.now(UTC),
    )
    send(mail, settings.smtp)
    self.progress(2, 2, "mailed")
    return {
        "url": page.url,
        "to": recipient,
        "subject": str(mail["Subject"]),
        "message_id": str(mail["Message-ID"]),
    }
