"""What nobody should read by the way: a job's secrets, in Flower, in logs, in events, in lists.

    rules().value({"order": 4, "email": "ada@example.com"})   # {"order": 4, "email": "***"}
    rules().text("no answer from smtp://ada:pa55@mail.example.com")  # ... smtp://ada:***@mail...

Three rules hold everywhere:

- A value is hidden when its name has one of the words of `MASK` in it, in any case.
- In text, what follows such a name (`token=...`, `"token": "..."`) is hidden.
- In text, the name in a mail address and the password in a URL are hidden.

They change what is shown, never what is sent: a job gets its data as they are.
"""

import re
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

HIDDEN = "***"
"""What is shown in the place of a value."""

LONGEST = 100_000
"""Characters of one text that are looked through; of a longer one, the rest is left out."""

MOST_NAMES = 1_000
"""Names that are remembered, with whether their values are hidden."""

_MAIL = re.compile(r"[\w.+%'-]{1,64}@((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})")
_URL = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s/:@'\"]{0,200}):([^\s/@'\"]{1,500})@")
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"


class Masking:
    """The rules, with these words for names."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(word.lower() for word in words)
        some = "|".join(map(re.escape, self._words))
        # `"token": "..."`, as in JSON and in what Python prints of a dict; the quotes stay.
        self._entry = re.compile(
            rf"((?P<q>['\"])[\w .\-]{{0,64}}(?:{some})[\w .\-]{{0,64}}(?P=q)\s{{0,3}}:\s{{0,3}})"
            rf"(?P<value>{_QUOTED}|[^\s,}}\]]+)",
            re.IGNORECASE,
        )
        # `token=...`, as in a query, in key=value logs and in a call.
        self._assignment = re.compile(
            rf"(\b[\w.\-]{{0,64}}(?:{some})[\w.\-]{{0,64}}\s{{0,3}}=\s{{0,3}})"
            rf"(?P<value>{_QUOTED}|[^\s,;&)\]}}]+)",
            re.IGNORECASE,
        )
        # "Authorization: Bearer ...": a header takes all of its line.
        self._header = re.compile(
            rf"(^[\w\-]{{0,64}}(?:{some})[\w\-]{{0,64}}:[ \t]{{1,3}})(?P<value>\S.*)$",
            re.IGNORECASE | re.MULTILINE,
        )
        self.hides_text: Callable[[str], bool] = lru_cache(MOST_NAMES)(self._has_word)
        """As `hides`. Jobs have few names, and each of them again and again."""
        # A worker is named like a mail address, after its machine.
        self._own_host = socket.gethostname().lower()

    def hides(self, name: object) -> bool:
        """Tell whether a value of this name is hidden."""
        return self.hides_text(str(name))

    def _has_word(self, text: str) -> bool:
        lowered = text.lower()
        return any(word in lowered for word in self._words)

    def value(self, value: Any) -> Any:  # noqa: ANN401 (any JSON, of the same shape)
        """Return the value with what must be hidden replaced, inside of mappings and lists too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                name: HIDDEN if self.hides(name) and part is not None else self.value(part)
                for name, part in value.items()
            }
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.value, value)) if _is_plain(value) else _listed(self, value)
        return value

    def text(self, text: str) -> str:
        """Return the text with what must be hidden replaced."""
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]} ... {len(text) - LONGEST} characters left out"
        if "://" in text:
            text = _URL.sub(rf"\1:{HIDDEN}@", text)
        if "@" in text:
            text = _MAIL.sub(self._mail, text)
        if self._words and (":" in text or "=" in text) and self._has_word(text):
            text = self._entry.sub(_with_its_quotes, text)
            text = self._assignment.sub(_with_its_quotes, text)
            text = self._header.sub(_with_its_quotes, text)
        return text

    def _mail(self, found: re.Match[str]) -> str:
        host = found[1].lower()
        return found[0] if host == self._own_host else f"{HIDDEN}@{found[1]}"


@cache
def rules() -> Masking:
    """Return the rules that `MASK` makes, for the whole process."""
    # Every `celery` command loads this module, and most need no settings.
    from config.settings import framework_settings  # noqa: PLC0415 (see above)

    return Masking(framework_settings().masked_names)


def restored(shown: Any, original: Any, rule: Callable[[Any], Any]) -> Any:  # noqa: ANN401 (JSON)
    """Return what somebody has made of masked data, the hidden values in their places again.

    Args:
        shown: what `rule(original)` was before somebody changed parts of it.
        original: the data as they are.
        rule: `Masking.value`.

    """
    if shown == rule(original):
        return original
    if isinstance(shown, Mapping) and isinstance(original, Mapping):
        masked = rule(original)
        return {
            name: original[name]
            if name in original and part == masked[name]
            else restored(part, original.get(name), rule)
            for name, part in shown.items()
        }
    if isinstance(shown, list) and isinstance(original, (list, tuple)):
        rest = [None] * max(0, len(shown) - len(original))
        pairs = zip(shown, [*original, *rest], strict=False)
        return [restored(part, before, rule) for part, before in pairs]
    return shown


def _is_plain(value: object) -> bool:
    return type(value) in (list, tuple)


def _listed(rule: Masking, value: Sequence[Any]) -> list[Any]:
    """Return a named tuple or the like as a list: it may not be made of its parts alone."""
    return [rule.value(part) for part in value]


def _with_its_quotes(found: re.Match[str]) -> str:
    value = found["value"]
    quote = value[0] if value[0] in "'\"" else ""
    return f"{found[1]}{quote}{HIDDEN}{quote}"
