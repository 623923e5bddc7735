"""Celery's making of messages, with two things done faster, and one hidden.

What events, Flower and logs show of a job's data is masked where its message is made: see
`config/masking.py`. These texts are made without Celery's `saferepr` where both say the same. And a
message goes to a `Sender` where Celery has been given one: see `tasks/broker/sender.py`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from inspect import signature
from typing import Any

from celery.app.amqp import AMQP as CeleryAMQP  # noqa: N811 (the same name, on purpose)
from celery.utils.saferepr import saferepr

from config.masking import HIDDEN, Masking, rules
from tasks.along import headers_along
from tasks.broker.pattern import Draft
from tasks.broker.sender import Sender

_PLAIN = frozenset({int, float, bool, type(None)})

_HIDDEN = f"'{HIDDEN}'"


class AMQP(CeleryAMQP):
    """What `app.amqp` is."""

    app: Any
    argsrepr_maxsize: int
    kwargsrepr_maxsize: int

    def as_task_v2(
        self,
        task_id: str,
        name: str,
        args: Any = None,  # noqa: ANN401 (Celery checks them)
        kwargs: Any = None,  # noqa: ANN401
        *more: Any,
        **options: Any,
    ) -> Any:  # noqa: ANN401 (Celery's)
        """Return a message about the job."""
        options["argsrepr"], options["kwargsrepr"] = self.reprs(
            name, args, kwargs, options.get("argsrepr"), options.get("kwargsrepr")
        )
        make: Any = super().as_task_v2
        return make(task_id, name, args, kwargs, *more, **options)

    def reprs(
        self,
        name: str,
        args: Any,  # noqa: ANN401
        kwargs: Any,  # noqa: ANN401
        argsrepr: str | None = None,
        kwargsrepr: str | None = None,
        levels: int | None = None,
    ) -> tuple[str, str]:
        """Return the texts that are shown of the arguments, where the caller has none.

        Of values inside of others, `levels` are shown, or as many as the settings say.
        """
        if levels is None:
            levels = self.app.quick.prepared.repr_levels
        if argsrepr is None:
            shown = self._shown_arguments(name, args) if args else ()
            argsrepr = short_repr(shown, self.argsrepr_maxsize, levels) if args else "()"
        if kwargsrepr is None:
            longest = self.kwargsrepr_maxsize
            kwargsrepr = short_repr(kwargs, longest, levels, rules()) if kwargs else "{}"
        return argsrepr, kwargsrepr

    def _shown_arguments(self, name: str, args: Sequence[Any]) -> object:
        """Return what is shown of positional arguments.

        Their names stand in the task's code. Where that is not known, they are all hidden.
        """
        task = self.app.tasks.get(name)
        names = _parameters(task.run) if task is not None else ()
        return tuple(
            rules().value({names[i]: value})[names[i]] if i < len(names) else HIDDEN
            for i, value in enumerate(args)
        )

    def _create_task_sender(self) -> Callable[..., Any]:
        send = super()._create_task_sender()  # type: ignore[misc] # not in the stubs
        named = frozenset(signature(send).parameters)
        conf = self.app.conf
        is_usual = not conf.task_publish_retry and conf.task_serializer == "json"
        is_usual = is_usual and not conf.task_compression

        def send_task_message(producer: object, name: str, message: Any, **options: Any) -> Any:  # noqa: ANN401
            options["headers"] = headers_along(options.get("headers"))
            if not isinstance(producer, Sender):
                return send(producer, name, message, **options)
            if is_usual and not options.get("retry") and not options.get("event_dispatcher"):
                headers, properties, body, event = message
                producer.event = event
                if producer.kind is not None:
                    own = {name: options[name] for name in options if name not in named}
                    producer.draft = Draft({**headers}, {**properties, **own}, {**body[2]}, event)
                return send(producer, name, (headers, properties, body, None), **options)
            with self.app.producer_or_acquire() as own:
                producer.mark_now()
                return send(own, name, message, **options)

        return send_task_message


@lru_cache(maxsize=1_000)
def _parameters(body: Callable[..., object]) -> tuple[str, ...]:
    return tuple(signature(body).parameters)


def short_repr(value: object, longest: int, levels: int, hiding: Masking | None = None) -> str:
    """Return what Celery's `saferepr` returns of the value, or of what `hiding` leaves of it.

    Both take their time even for a few numbers and short texts, which is what jobs are called with.
    """
    found: str | None = None
    if levels > 0:
        if type(value) is dict:
            found = _text_of_dict(value, hiding)
        elif type(value) in (tuple, list):
            found = _text_of_list(value, hiding)
    if found is not None and len(found) < longest:
        return found
    shown = value if hiding is None else hiding.value(value)
    return str(saferepr(shown, longest, maxlevels=levels))


def _text_of_dict(value: dict[Any, Any], hiding: Masking | None) -> str | None:
    """Return its text; None if there is something else in it than numbers and texts."""
    parts = []
    for name, part in value.items():
        if type(name) is not str:
            return None
        kind = type(part)
        if part is not None and hiding is not None and hiding.hides_text(name):
            text = _HIDDEN
        elif kind is str:
            text = _quoted(part if hiding is None else hiding.text(part))
        elif kind in _PLAIN:
            text = str(part)
        else:
            return None
        parts.append(f"{_quoted_name(name)}: {text}")
    return f"{{{', '.join(parts)}}}"


def _text_of_list(value: Any, hiding: Masking | None) -> str | None:  # noqa: ANN401 (a tuple or a list)
    texts = [_plain_text(part, hiding) for part in value]
    if None in texts:
        return None
    inner = ", ".join(texts)  # type: ignore[arg-type] # none is None
    if type(value) is list:
        return f"[{inner}]"
    return f"({inner},)" if len(texts) == 1 else f"({inner})"


def _plain_text(value: object, hiding: Masking | None) -> str | None:
    """Return the text of a value; None if it is neither a number nor a text."""
    if type(value) is str:
        if hiding is not None:
            value = hiding.text(value)
        return _quoted(value)
    return str(value) if type(value) in _PLAIN else None


def _quoted(text: str) -> str:
    return "'" + (text.replace("'", "\\'") if "'" in text else text) + "'"


_quoted_name = lru_cache(maxsize=1_000)(_quoted)
