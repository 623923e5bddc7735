"""Records that a plain job begins and has succeeded, with what is the same for all made once."""

import json
import os
from collections.abc import Callable
from datetime import datetime
from typing import Any

from celery import states
from celery.app.task import Context
from kombu.utils.encoding import bytes_to_str

from tasks.broker.wire import Words, number, word
from tasks.failed.message import RERUNS
from tasks.failed.record import OUTCOME
from tasks.recording import may_be_left
from tasks.result_scripts import RECORD_ARGUMENTS
from tasks.results import CLAIMED_AT, JobResults

_ANY_ID, _ANY_RESULT, _ANY_TIME = "any-id", "any-result", "any-time"
"""Stand for what differs from job to job in what is prepared."""

_TO_JSON = json.JSONEncoder().encode
_QUOTED = json.encoder.encode_basestring_ascii
_SCALARS = (type(None), bool, int, str)
_PLAIN = (*_SCALARS, float, list, dict)
_MOST_BITS = 2_000
"""Python writes no number of more than 640 digits, or of more if so set; kombu says so its way."""


class States:
    """The states of plain jobs, kept by one result backend for one worker."""

    def __init__(self, backend: JobResults, worker: str, *, is_alone: bool = False) -> None:
        self._backend = backend
        if is_alone:
            backend.recorder.look_for_answers()
        self._who = {"pid": os.getpid(), "hostname": worker}
        self._worker = word(worker)
        self._zone = backend.app.timezone
        self._task_key, self._job_key = (
            str(bytes_to_str(key)).removesuffix(_ANY_ID) for key in backend.keys_of(_ANY_ID)
        )
        self._started = self._pieces(states.STARTED, self._who, _ANY_ID)
        self._succeeded = self._pieces(states.SUCCESS, _ANY_RESULT, _ANY_RESULT, _ANY_TIME, _ANY_ID)

    @staticmethod
    def are_possible(backend: JobResults) -> bool:
        """Tell whether the backend stores nothing of a job but what is stored here."""
        return backend.serializer == "json" and not backend.app.conf.result_extended

    def start(self, job_id: str, context: Context) -> Callable[[bool], None]:
        """Record that the job begins.

        Returns what is to be called before it does, soon, and with nothing recorded in between;
        with False if it shall not begin after all. What was found on record instead is in the
        context then.
        """
        started: Callable[[], Any] | None = None
        if not _has_more(context):
            before, after = self._started
            meta = f"{before}{_QUOTED(job_id)}{after}"
            words = self._words(job_id, context, states.STARTED, meta)
            started = self._backend.recorder.ask_for(*words)

        def wait(begins: bool) -> None:
            try:
                answer = started() if started is not None else None
            except self._backend.connection_errors:
                answer = None
            if answer == b"recorded":
                vars(context)[OUTCOME] = "recorded"
            elif begins:
                # It tries for longer, and knows what to do with every answer.
                self._backend.store_result(job_id, self._who, states.STARTED, request=context)

        return wait

    def succeed(self, job_id: str, context: Context, result: Any) -> None:  # noqa: ANN401 (any body's)
        """Record that the job has succeeded, perhaps a little later: see `tasks/recording.py`.

        Raises:
            EncodeError: when what the body returned cannot be written as JSON.

        """
        if context.ignore_result:
            return  # its body wants it so
        recorder = self._backend.recorder
        if (
            type(result) not in _PLAIN
            or _has_more(context)
            or not may_be_left(recorder, context.properties)
        ):
            self._backend.store_result(job_id, result, states.SUCCESS, request=context)
            return
        before, between, then, after = self._succeeded
        is_scalar = type(result) in _SCALARS and (
            type(result) is not int or result.bit_length() < _MOST_BITS
        )
        text = _TO_JSON(result) if is_scalar else self._encoded(result)
        done = datetime.now(self._zone).isoformat()
        meta = f'{before}{text}{between}"{done}"{then}{_QUOTED(job_id)}{after}'
        recorder.leave_for(*self._words(job_id, context, states.SUCCESS, meta))

    def _words(self, job_id: str, context: Context, state: str, meta: str) -> tuple[Words, Words]:
        """Return keys and arguments of the script that `JobResults` runs."""
        fields = vars(context)
        seconds = self._backend.seconds_to_keep(state)
        arguments = (
            f"{word(meta)}{word(state)}{number(fields['retries'] + 1)}{_ZERO}{number(seconds)}"
            f"{number(fields.get(RERUNS, 0))}{_time(fields.get('enqueued_at'))}"
            f"{_time(fields[CLAIMED_AT])}{self._worker}{_EMPTY}"
        )
        keys = word(self._task_key + job_id) + word(self._job_key + job_id)
        return Words(2, keys.encode()), Words(RECORD_ARGUMENTS, arguments.encode())

    def _pieces(self, state: str, result: Any, *gaps: str) -> list[str]:  # noqa: ANN401 (JSON)
        """Return Celery's JSON of a job in this state, cut where the gaps are."""
        meta = self._backend.meta_of(result, state, Context())
        if meta["date_done"]:
            meta["date_done"] = _ANY_TIME
        rest = str(bytes_to_str(self._backend.encode({**meta, "task_id": _ANY_ID})))
        pieces = []
        for gap in gaps:
            piece, rest = rest.split(json.dumps(gap))
            pieces.append(piece)
        return [*pieces, rest]

    def _encoded(self, result: Any) -> str:  # noqa: ANN401 (any body's)
        return str(bytes_to_str(self._backend.encode(result)))


def _has_more(context: Context) -> bool:
    """Tell whether more is stored of the job than of most: its parent, or what it has sent."""
    fields = vars(context)
    return bool(fields.get("parent_id")) or fields.get("_children") is not None


def _time(seconds: object) -> str:
    return _EMPTY if seconds is None else word(str(seconds))


_EMPTY, _ZERO = word(""), number(0)
