"""Changing a job's data in a form: what is hidden stays as it is, and a fault is named."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.masking import HIDDEN, restored, rules
from tasks.envelopes import refuse_envelopes

MOST_DATA = 1_000_000
"""Characters of JSON that somebody may send."""


@dataclass(frozen=True)
class Draft:
    """What somebody wrote, and what is wrong with it."""

    text: str
    fault: str


def read_data(text: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """Read what somebody has made of a job's masked data; what is hidden still is restored.

    Args:
        text: JSON.
        before: the data as they are.

    Raises:
        ValueError: saying what is wrong with it, and where.

    """
    data: dict[str, Any] = restored(_object(text), before, rules().value)
    if HIDDEN in json.dumps(data) and HIDDEN not in json.dumps(before, default=str):
        raise ValueError(
            f"{HIDDEN} stands for a hidden value where there was none before; write the value"
        )
    refuse_envelopes(data, "these data")
    return data


def _object(text: str) -> dict[str, Any]:
    if len(text) > MOST_DATA:
        raise ValueError(f"these data are longer than {MOST_DATA:,} characters")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"this is no JSON: {error.msg}, at {where}") from error
    except RecursionError:
        raise ValueError("these data are nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(  # noqa: TRY004 (of the two, it is what the form shows)
            'a job\'s data are a JSON object, such as {"order": 4}'
        )
    return found
