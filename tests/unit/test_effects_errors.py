import pickle

import pytest
from celery import Celery

from checkout_demo.effects.errors import (
    EffectError,
    ErpUnavailable,
    MailRefused,
    MailUnavailable,
    MayPass,
    OrderRefused,
    WillNotPass,
)

KINDS = [ErpUnavailable, MailUnavailable, OrderRefused, MailRefused]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_same_after_pickling_and_when_made_anew_from_its_args(
    kind: type[EffectError],
) -> None:
    error = kind("7", 503, "busy")
    for again in (kind(*error.args), pickle.loads(pickle.dumps(error))):  # noqa: S301 (own bytes)
        assert type(again) is kind
        assert (again.order_id, again.status, again.reason) == ("7", 503, "busy")
        assert str(again) == str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_back_whole_from_celerys_json_results(kind: type[EffectError]) -> None:
    with Celery(set_as_current=False, backend="cache+memory://") as app:
        stored = app.backend.decode(app.backend.encode(app.backend.prepare_exception(kind("7"))))
        again = app.backend.exception_to_python(stored)
    assert type(again) is kind
    assert (again.order_id, again.status, again.reason) == ("7", None, "")


def test_every_error_either_may_pass_or_will_not() -> None:
    assert [kind for kind in KINDS if issubclass(kind, MayPass)] == KINDS[:2]
    assert [kind for kind in KINDS if issubclass(kind, WillNotPass)] == KINDS[2:]


def test_a_message_tells_the_facts_and_what_to_do_next() -> None:
    assert str(OrderRefused("7", 409, "2 left")) == (
        "order 7: the ERP refused the order (409, 2 left). "
        "Settle it with the ERP, then retry the job from the failed jobs."
    )
    assert str(ErpUnavailable()).startswith("the ERP gave no usable answer (no answer).")


def test_a_reason_is_one_short_line_without_mail_addresses() -> None:
    error = MailRefused("7", 550, "<bob.b@example.com>:\r\n  unknown;\tsee " + "x" * 1_000_000)
    assert error.reason.startswith("<<address>>: unknown; see xxx")
    assert len(error.reason) == 200
