"""Every way an effect can fail, in one tree. Only `MayPass` and `WillNotPass` decide on a retry.

EffectError
+-- MayPass              try again, with the same idempotency key
|   +-- ErpUnavailable   no usable answer from the ERP; the call may have taken effect all the same
|   +-- MailUnavailable  the mail server could not be reached, or asked to try later
+-- WillNotPass          trying again would give the same; a person has to look
    +-- OrderRefused     the ERP refused the order, and nothing was done
    +-- MailRefused      the mail server, or the address itself, refused the mail

All of them carry the same facts, and only those are their `args`: so `cls(*error.args)` makes an
equal error, which Celery's JSON results and pickling both rely on.
"""

import re
from typing import ClassVar

_LONGEST_REASON = 200
# Bounded lengths (RFC 5321's) and a bounded text: an answer may be a megabyte of anything, and an
# unbounded search took 40 seconds for a tenth of that.
_READ = 4_000
_ADDRESS = re.compile(r"[^\s<>@]{1,64}@[^\s<>@]{1,255}")


class EffectError(Exception):
    """An effect of an order failed.

    `order_id` is None where the order is not known. `status` is the HTTP status or the SMTP code
    of the answer, None when there was none. `reason` is one short line for the operator; mail
    addresses in it are masked, because it is shown in logs and in Flower.
    """

    what: ClassVar[str] = "an effect failed"
    advice: ClassVar[str] = "Look at the logs of this job."

    def __init__(
        self, order_id: str | None = None, status: int | None = None, reason: str = ""
    ) -> None:
        self.order_id = order_id
        self.status = status
        one_line = " ".join(reason[:_READ].split())
        self.reason = _ADDRESS.sub("<address>", one_line)[:_LONGEST_REASON]
        super().__init__(self.order_id, self.status, self.reason)

    def __str__(self) -> str:
        order = f"order {self.order_id}: " if self.order_id else ""
        facts = [str(self.status)] if self.status else []
        facts += [self.reason] if self.reason else []
        return f"{order}{self.what} ({', '.join(facts) or 'no answer'}). {self.advice}"


class MayPass(EffectError):
    """The same call may succeed later: retry it, with the same idempotency key."""


class WillNotPass(EffectError):
    """The same call would fail again: do not retry it, tell a person."""


class ErpUnavailable(MayPass):
    """The ERP gave no usable answer. It may have done the call: its key makes a retry safe."""

    what = "the ERP gave no usable answer"
    advice = "It is safe to try again; if it lasts, check the service at ERP_URL."


class MailUnavailable(MayPass):
    """The mail server could not be reached, or could not take the mail now."""

    what = "the mail server did not take the mail"
    advice = "Try again; if it lasts, check the server and the login at SMTP_URL."


class OrderRefused(WillNotPass):
    """The ERP refused the call and did nothing."""

    what = "the ERP refused the order"
    advice = "Settle it with the ERP, then retry the job from the failed jobs."


class MailRefused(WillNotPass):
    """The mail server refused this mail for good, or its address is none."""

    what = "the mail was refused"
    advice = "Correct the address or MAIL_FROM, then retry the job from the failed jobs."
