"""What nobody should read by the way: a job's secrets, in Flower, in logs, in events, in lists.

    rules().value({"order": 4, "email": "ada@example.com"})   # {"order": 4, "email": "***"}
    rules().text("no answer from smtp://ada:pa55@mail.example.com")  # ... smtp://ada:***@mail...

Three rules hold everywhere:

- A value is hidden when its name has one of the words of `MASK` in it. The words of a name are what
  stands between `_`, `-`, `.`, spaces, digits and capitals: `card` hides `card_number`,
  `cardNumber`, `CARD` and `cards`, and neither `discarded` nor `cardnumber`, which is one word. A
  word of `MASK` may be several of a name: `api_key` hides `api_key`, `apiKey` and `APIKEY`.
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

LONGEST_NAME = 200
"""Characters of a name that are looked at for words."""

_MAIL = re.compile(r"[\w.+%'-]{1,64}@((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})")
_URL = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s/:@'\"]{0,200}):([^\s/@'\"]{1,500})@")
_VALUE = re.compile(
    r"""(?P<q>["'])(?:\\.|(?!(?P=q))[^\\])*(?P=q)"""  # quoted
    r"""|(?P<e>\\{1,8}["']).{0,4000}?(?P=e)"""  # quoted inside of what is quoted
    r"""|[^\s,;&)\]}]+"""
)
# `"token": "..."`, as in JSON and in what Python prints of a dict.
_ENTRY = re.compile(r"""(?P<q>\\{0,8}["'])(?P<name>[\w .\-]{1,128})(?P=q)\s{0,3}:\s{0,3}""")
# `token=...`, as in a query, in key=value logs and in a call.
_ASSIGNMENT = re.compile(r"\b(?P<name>[\w.\-]{1,128})\s{0,3}=\s{0,3}")
# "Authorization: Bearer ...": a header takes all of its line.
_HEADER = re.compile(r"^(?P<name>[\w\-]{1,128}):[ \t]{1,3}", re.MULTILINE)
_LINE = re.compile(r"\S.*")

_BETWEEN_WORDS = re.compile(
    r"[\W_]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=\D)(?=\d)|(?<=\d)(?=\D)"
)


class Masking:
    """The rules, with these words for names."""

    def __init__(self, words: Sequence[str]) -> None:
        joined = {"".join(_words_of(word)) for word in words}
        # One card or several of them.
        self._words = frozenset(word + end for word in joined if word for end in ("", "s"))
        self.hides_text: Callable[[str], bool] = lru_cache(4_096)(self._decide)
        """As `hides`. Names are few, and each is asked about at each publish."""
        # A worker is named like a mail address, after its machine.
        self._own_host = socket.gethostname().lower()

    def hides(self, name: object) -> bool:
        """Tell whether a value of this name is hidden."""
        return self.hides_text(str(name))

    def _decide(self, name: str) -> bool:
        words = _words_of(name[:LONGEST_NAME])
        return any(
            "".join(words[first:end]) in self._words
            for first in range(len(words))
            for end in range(first + 1, len(words) + 1)
        )

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
        if self._words and (":" in text or "=" in text):
            text = self._hide(_ENTRY, _VALUE, text)
            text = self._hide(_ASSIGNMENT, _VALUE, text)
            text = self._hide(_HEADER, _LINE, text)
        return text

    def _hide(self, names: re.Pattern[str], values: re.Pattern[str], text: str) -> str:
        """Replace the values that follow names which hide them."""
        parts, end = [], 0
        for found in names.finditer(text):
            if found.start() < end or not self.hides_text(found["name"]):
                continue
            value = values.match(text, found.end())
            if value is not None:
                parts += [text[end : found.end()], _with_its_quotes(value)]
                end = value.end()
        return "".join([*parts, text[end:]])

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


def _words_of(name: str) -> list[str]:
    """Return the words of a name: `apiKey2` has `api`, `key` and `2`."""
    return [word.lower() for word in _BETWEEN_WORDS.split(name) if word]


def _with_its_quotes(value: re.Match[str]) -> str:
    groups = value.groupdict()
    quote = groups.get("q") or groups.get("e") or ""
    return f"{quote}{HIDDEN}{quote}"
