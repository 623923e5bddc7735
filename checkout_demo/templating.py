"""Jinja, set up once for pages and mails."""

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from checkout_demo.catalogue import SHOP
from checkout_demo.money import for_people

HERE = Path(__file__).parent


def moment(value: datetime, *, seconds: bool = False) -> str:
    """Write a moment for people: `23 November 2026, 18:59 UTC`, or `18:59:07`."""
    return f"{value.astimezone(UTC):{'%-d %B %Y, %H:%M:%S' if seconds else '%-d %B %Y, %H:%M'}} UTC"


def plural(count: int, one: str, many: str) -> str:
    """Write a count with its noun: `1 piece`, `3 pieces`."""
    return f"{count} {one if count == 1 else many}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        # Everything is HTML that is escaped, but for the text alternative of a mail.
        autoescape=select_autoescape(default=True, disabled_extensions=["txt"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(money=for_people, moment=moment)
    environment.globals.update(shop=SHOP, plural=plural)
    return environment


TEMPLATES = _environment()
