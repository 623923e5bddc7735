"""Dataclasses that are read from texts, as the environment holds them: typed, and checked.

    @dataclass(frozen=True, kw_only=True)
    class Settings(Readable):
        lease: float = setting(10, "seconds until a claim ends", at_least(1), at_most(3_600))
        log_format: Literal["console", "json"] = setting("console", "form of a log line")

    read(Settings, os.environ)   # LEASE=soon LOG_FORMAT=xml: BadSettings, with both in its message

Every worker reads its settings, so this stands on the standard library alone: a library for it
would take a fifth of an idle worker's memory.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from config.secret import SecretStr

Check = Callable[[Any], Any]
"""Returns the value that is kept; raises ValueError with what to write instead."""

_CHECKS = "checks"
_BOOLEANS = MappingProxyType(
    dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True)
    | dict.fromkeys(("0", "false", "f", "no", "n", "off"), False)
)


class BadSettings(SystemExit):
    """Some settings cannot be used. The message names each, and says what to write instead."""


@dataclass(frozen=True, kw_only=True)
class Readable:
    """What `read` can make. Its fields are made by `setting`, and each has a default."""

    given: frozenset[str] = field(default=frozenset(), repr=False)
    """Names of the fields that were read; the others have their defaults."""

    def check_together(self) -> None:
        """Raise ValueError if values that are right by themselves do not fit. Override it."""


Read = TypeVar("Read", bound=Readable)
Value = TypeVar("Value")


def setting(default: Value, description: str, *checks: Check) -> Value:
    """Return a field with this default, which is not checked. What is read goes through `checks`.

    Its type is one of str, int, float, bool, Path, SecretStr and a Literal of texts, or one of
    them `| None`.
    """
    return field(default=default, metadata={_CHECKS: checks, "description": description})


def read(kind: type[Read], texts: Mapping[str, str]) -> Read:
    """Make one of `kind` from the texts under its fields' names in capitals.

    Empty means: as if it were not there.

    Raises:
        BadSettings: when values cannot be used; its message lists all of them at once, and repeats
            none, because any may hold a password.

    """
    types = get_type_hints(kind)
    values: dict[str, Any] = {}
    faults: list[str] = []
    for entry in fields(kind):
        text = texts.get(entry.name.upper())
        if not text or _CHECKS not in entry.metadata:
            continue
        try:
            value = _as_type(types[entry.name], text)
            for check in entry.metadata[_CHECKS]:
                value = check(value)
            values[entry.name] = value
        except ValueError as error:
            faults.append(f"  {entry.name.upper()}: {error}")
    if faults:
        raise _bad(faults)
    made = kind(**values, given=frozenset(values))
    try:
        made.check_together()
    except ValueError as error:
        raise _bad([f"  SETTINGS: {error}"]) from None
    return made


def at_least(least: float) -> Check:
    """Return a check for numbers."""
    return _check(lambda n: n >= least, f"Input should be greater than or equal to {least}")


def at_most(most: float) -> Check:
    """Return a check for numbers."""
    return _check(lambda n: n <= most, f"Input should be less than or equal to {most}")


def above(limit: float) -> Check:
    """Return a check for numbers."""
    return _check(lambda n: n > limit, f"Input should be greater than {limit}")


def _check(is_right: Callable[[Any], bool], message: str) -> Check:
    def check(value: Value) -> Value:
        if not is_right(value):
            raise ValueError(message)
        return value

    return check


def _as_type(wanted: Any, text: str) -> Any:  # noqa: ANN401 (any of the types that a field may have)
    if get_origin(wanted) in (Union, UnionType):
        (wanted,) = (kind for kind in get_args(wanted) if kind is not NoneType)
    if get_origin(wanted) is Literal:
        return _one_of(get_args(wanted), text)
    if wanted is bool:
        return _boolean(text)
    if wanted in (int, float):
        return _number(wanted, text)
    if wanted in (str, Path, SecretStr):
        return wanted(text)
    raise TypeError(f"no setting can be a {wanted}: see config/reading.py")


def _one_of(choices: tuple[str, ...], text: str) -> str:
    if text in choices:
        return text
    *others, last = map(repr, choices)
    raise ValueError(f"Input should be {', '.join(others)} or {last}")


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError("Input should be a valid boolean, such as true or false") from None


def _number(wanted: type[int | float], text: str) -> float:
    try:
        return wanted(text)
    except ValueError:
        # Python's message would repeat the text.
        kind = "integer" if wanted is int else "number"
        raise ValueError(f"Input should be a valid {kind}") from None


def _bad(faults: list[str]) -> BadSettings:
    last = "Change or unset them in the environment, and start again."
    return BadSettings("\n".join(["These settings cannot be used:", *faults, last]))
