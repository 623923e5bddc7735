"""Settings out of texts: every type that a field may have, and every way in which it is wrong."""

import pickle
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Literal

import pytest

from config.reading import BadSettings, Readable, above, at_least, at_most, read, setting
from config.secret import SecretStr


def shouted(value: str) -> str:
    if not value.isascii():
        raise ValueError("write ASCII")
    return value.upper()


@dataclass(frozen=True, kw_only=True)
class Sample(Readable):
    name: str = setting("nobody", "a name", shouted)
    count: int = setting(-1, "a count", at_least(0), at_most(10))
    wait: float = setting(1, "seconds", above(0), at_most(60))
    is_on: bool = setting(False, "a switch")
    folder: Path = setting(Path("here"), "a folder")
    word: SecretStr | None = setting(None, "a secret")
    form: Literal["a", "b", "c"] = setting("a", "a form")

    def check_together(self) -> None:
        if self.count and self.is_on:
            raise ValueError("COUNT and IS_ON do not go together")


@dataclass(frozen=True, kw_only=True)
class More(Sample):
    name: str = setting("somebody", "another default")


def faults(texts: dict[str, str]) -> dict[str, str]:
    with pytest.raises(BadSettings) as caught:
        read(Sample, texts)
    first, *lines, last = str(caught.value).splitlines()
    assert first == "These settings cannot be used:"
    assert last == "Change or unset them in the environment, and start again."
    return dict(line.strip().split(": ", 1) for line in lines)


def test_each_type_is_read() -> None:
    found = read(
        Sample,
        {
            "NAME": "ada",
            "COUNT": "3",
            "WAIT": "0.5",
            "FOLDER": "/there",
            "WORD": "s3cret",
            "FORM": "c",
        },
    )
    assert found == Sample(
        name="ADA",
        count=3,
        wait=0.5,
        folder=Path("/there"),
        word=SecretStr("s3cret"),
        form="c",
        given=frozenset({"name", "count", "wait", "folder", "word", "form"}),
    )
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize("text", ["1", "true", "True", "yes", "on", "t", "Y"])
def test_a_switch_is_on_in_the_usual_words(text: str) -> None:
    assert read(Sample, {"IS_ON": text, "COUNT": "0"}).is_on


@pytest.mark.parametrize("text", ["0", "false", "FALSE", "no", "off", "f", "n"])
def test_a_switch_is_off_in_the_usual_words(text: str) -> None:
    assert not read(Sample, {"IS_ON": text}).is_on


def test_what_is_empty_or_of_another_name_is_as_if_it_were_not_there() -> None:
    assert read(Sample, {"NAME": "", "COUNT": "", "count": "soon", "GIVEN": "name"}) == Sample()


def test_a_default_is_not_checked() -> None:
    assert (read(Sample, {}).count, read(Sample, {}).name) == (-1, "nobody")


def test_a_subclass_has_its_own_defaults_and_the_fields_of_its_base() -> None:
    found = read(More, {"COUNT": "5"})
    assert (found.name, found.count, [*found.given]) == ("somebody", 5, ["count"])


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = faults(
        {
            "NAME": "Zoë",
            "COUNT": "s3cret",
            "WAIT": "s3cret",
            "IS_ON": "s3cret",
            "FORM": "s3cret",
            "FOLDER": "/right",
        }
    )
    assert found == {
        "NAME": "write ASCII",
        "COUNT": "Input should be a valid integer",
        "WAIT": "Input should be a valid number",
        "IS_ON": "Input should be a valid boolean, such as true or false",
        "FORM": "Input should be 'a', 'b' or 'c'",
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("COUNT", "-1", "greater than or equal to 0"),
        ("COUNT", "11", "less than or equal to 10"),
        ("COUNT", "1.5", "a valid integer"),
        ("WAIT", "0", "greater than 0"),
        ("WAIT", "nan", "greater than 0"),
        ("WAIT", "inf", "less than or equal to 60"),
    ],
)
def test_a_number_is_within_its_bounds(name: str, text: str, message: str) -> None:
    assert faults({name: text}) == {name: f"Input should be {message}"}


def test_values_that_do_not_fit_together_are_refused() -> None:
    assert faults({"COUNT": "1", "IS_ON": "1"}) == {
        "SETTINGS": "COUNT and IS_ON do not go together"
    }


def test_what_was_read_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        read(Sample, {}).count = 2  # type: ignore[misc] # which is the point


def test_a_secret_shows_itself_only_when_it_is_asked_to() -> None:
    secret = SecretStr("s3cret")
    assert "s3cret" not in f"{secret} {secret!r}"
    assert secret.get_secret_value() == "s3cret"
    assert (secret, bool(secret), bool(SecretStr(""))) == (SecretStr("s3cret"), True, False)
    assert pickle.loads(pickle.dumps(secret)) == secret  # noqa: S301 (its own)
