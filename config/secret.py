"""A text that is not shown by the way, as in a log line or a traceback."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class SecretStr:
    """A text that `print`, `repr` and logs show as stars; empty, it is false."""

    _text: str

    def get_secret_value(self) -> str:
        """Return the text."""
        return self._text

    def __len__(self) -> int:
        return len(self._text)

    def __str__(self) -> str:
        return "**********" if self._text else ""

    def __repr__(self) -> str:
        return f"SecretStr('{self}')"
