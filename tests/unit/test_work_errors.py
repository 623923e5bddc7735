"""The sample jobs' errors survive the trip through Celery's result backend."""

import json
import pickle

import pytest

from tasks.work.errors import (
    MailRefused,
    MailUnavailable,
    PageRefused,
    PageUnavailable,
    WorkError,
    shown,
)

KINDS = [PageUnavailable, PageRefused, MailUnavailable, MailRefused]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_can_be_made_again_from_its_args_as_json(kind: type[WorkError]) -> None:
    error = kind("http://example.com/" + "x" * 500, "it is closed; come back tomorrow")
    args = json.loads(json.dumps(error.args))
    again = kind(*args)
    assert (again.args, str(again)) == (error.args, str(error))
    assert pickle.loads(pickle.dumps(error)).args == error.args  # noqa: S301 (our own bytes)


@pytest.mark.parametrize("kind", [PageUnavailable, PageRefused])
def test_a_page_error_never_repeats_a_password(kind: type[WorkError]) -> None:
    error = kind("https://ann:secret@example.com/a?b=c@d", "no")
    assert str(error) == "https://example.com/a?b=c@d: no"


def test_a_long_url_is_cut_in_messages() -> None:
    assert len(shown("http://example.com/" + "x" * 5000)) == 200
