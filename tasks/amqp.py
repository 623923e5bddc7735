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

from config.masking import HIDDEN, rules
from tasks.along import headers_along
from tasks.broker.pattern import Draft
from tasks.broker.sender import Sender

_PLAIN = frozenset({int, float, bool, type(None)})


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
    ) -> tuple[str, str]:
        """Return the texts that are shown of the arguments, where the caller has none."""
        levels = self.app.conf.task_repr_maxlevels
        if argsrepr is None:
            shown = self._shown_arguments(name, args) if args else ()
            argsrepr = short_repr(shown, self.argsrepr_maxsize, levels)
        if kwargsrepr is None:
            shown = rules().value(kwargs) if kwargs else {}
            kwargsrepr = short_repr(shown, self.kwargsrepr_maxsize, levels)
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


def short_repr(value: object, longest: int, levels: int) -> str:
    """Return what Celery's `saferepr` returns.

    It takes its time even for a few numbers and short texts, which is what jobs are called with.
    """
    texts: list[str] | None
    if type(value) is dict:
        names, parts = _plain_texts(value), _plain_texts(value.values())
        texts = (
            [f"{n}: {p}" for n, p in zip(names, parts, strict=True)] if names and parts else None
        )
        opened, closed = "{", "}"
    elif type(value) is tuple:
        texts = _plain_texts(value)
        opened, closed = "(", ",)" if len(value) == 1 else ")"
    elif type(value) is list:
        texts = _plain_texts(value)
        opened, closed = "[", "]"
    else:
        texts = None
    if texts is not None and levels > 0:
        found = f"{opened}{', '.join(texts)}{closed}"
        if len(found) < longest:
            return found
    return str(saferepr(value, longest, maxlevels=levels))


def _plain_texts(values: Any) -> list[str] | None:  # noqa: ANN401 (any iterable)
    """Return the texts of the values; None if one of them is neither a number nor a text."""
    texts = []
    for value in values:
        kind = type(value)
        if kind is str:
            texts.append("'" + value.replace("'", "\\'") + "'")
        elif kind in _PLAIN:
            texts.append(str(value))
        else:
            return None
    return texts
