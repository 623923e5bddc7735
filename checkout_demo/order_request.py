"""What a customer asks for, checked: either all of it is good, or every fault is named.

The same sku on several lines is one line: the quantities are added up before the bounds are
checked. E-mail addresses are checked by their form alone, so `.test` and `example.com` will do.
"""

import json
import unicodedata
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Annotated, Any, NoReturn

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from checkout_demo.faults import KEY_FIELD, BadOrder, Fault, faults_of

MOST_PIECES = 99
"""Of one product in one order: more is a mistake, or a wholesale order for the telephone."""
MOST_LINES = 50
LONGEST_NAME = 100
LONGEST_KEY = 200

_NAME = "Enter your name."
_EMAIL = "Enter an e-mail address such as ada@example.com."
_QUANTITY = f"The quantity must be a whole number from 1 to {MOST_PIECES}."

# Control characters and halves of surrogate pairs: PostgreSQL, UTF-8 or mail headers refuse them.
_UNWRITABLE = frozenset({"Cc", "Cs"})


def _wrong(sentence: str) -> NoReturn:
    raise PydanticCustomError("own", "{sentence}", {"sentence": sentence})


def _name(value: object) -> str:
    name = " ".join(value.split()) if isinstance(value, str) else ""
    if not name:
        _wrong(_NAME)
    if len(name) > LONGEST_NAME:
        _wrong(f"The name may have at most {LONGEST_NAME} characters.")
    if any(unicodedata.category(letter) in _UNWRITABLE for letter in name):
        _wrong("The name holds characters that nobody can read or write.")
    return name


def _email(value: object) -> str:
    given = value.strip() if isinstance(value, str) else ""
    if not given:
        _wrong(_EMAIL)
    try:
        found = validate_email(
            given, check_deliverability=False, test_environment=True, allow_smtputf8=False
        )
    except EmailNotValidError as error:
        _wrong(f"{str(error).rstrip('.')}.")
    # With `allow_smtputf8=False` there always is one: what every mail server understands.
    return str(found.ascii_email)


def _sku(value: object, info: ValidationInfo) -> str:
    sold: Collection[str] = (info.context or {}).get("skus", ())
    if not isinstance(value, str) or value not in sold:
        _wrong(f"There is no product {_shown(value)}. GET /api/products lists them.")
    return value


def _quantity(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MOST_PIECES:
        _wrong(_QUANTITY)
    return value


def _shown(value: object) -> str:
    return ascii(value if isinstance(value, str | int | float | None) else type(value).__name__)[
        :60
    ]


class Customer(BaseModel):
    """Who orders."""

    model_config = ConfigDict(frozen=True)
    name: Annotated[str, BeforeValidator(_name), Field(json_schema_extra={"maxLength": 100})]
    email: Annotated[str, BeforeValidator(_email), Field(json_schema_extra={"format": "email"})]


class Item(BaseModel):
    """Some pieces of one product."""

    model_config = ConfigDict(frozen=True)
    sku: Annotated[str, BeforeValidator(_sku)]
    quantity: Annotated[
        int,
        BeforeValidator(_quantity),
        Field(json_schema_extra={"minimum": 1, "maximum": MOST_PIECES}),
    ]


class OrderRequest(BaseModel):
    """What a customer asks for. Each sku is on one line."""

    model_config = ConfigDict(frozen=True)
    customer: Customer
    items: Annotated[tuple[Item, ...], Field(json_schema_extra={"maxItems": MOST_LINES})]

    @field_validator("items", mode="before")
    @classmethod
    def _bounded(cls, items: object) -> object:
        if isinstance(items, list | tuple) and not items:
            _wrong("The cart is empty. Add something to it first.")
        if isinstance(items, list | tuple) and len(items) > MOST_LINES:
            _wrong(f"An order may have at most {MOST_LINES} lines.")
        return items

    @field_validator("items")
    @classmethod
    def _merged(cls, items: tuple[Item, ...]) -> tuple[Item, ...]:
        pieces: dict[str, int] = {}
        for item in items:
            pieces[item.sku] = pieces.get(item.sku, 0) + item.quantity
        for sku, quantity in pieces.items():
            if quantity > MOST_PIECES:
                _wrong(f"{sku} is on several lines, {quantity} pieces in all. {_QUANTITY}")
        return tuple(Item.model_construct(sku=sku, quantity=n) for sku, n in pieces.items())

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what is asked for; the order of the lines does not matter."""
        lines = sorted((item.sku, item.quantity) for item in self.items)
        asked = json.dumps([self.customer.name, self.customer.email, lines])
        return sha256(asked.encode()).hexdigest()


def check(
    cart: object, customer: object, idempotency_key: str | None, *, skus: Collection[str]
) -> OrderRequest:
    """Return the request as an order can be made of it.

    Args:
        cart: a list of `{"sku": str, "quantity": int}`, as it came in.
        customer: `{"name": str, "email": str}`, as it came in.
        idempotency_key: None, or up to 200 visible ASCII characters.
        skus: what the store sells.

    Raises:
        BadOrder: with every fault.

    """
    return _check({"customer": customer, "items": cart}, idempotency_key, {"skus": skus})


def _check(asked: Mapping[str, Any], key: str | None, context: Mapping[str, Any]) -> OrderRequest:
    faults = list(_faults_of_key(key))
    try:
        request = OrderRequest.model_validate(asked, context=dict(context))
    except ValidationError as error:
        raise BadOrder([*faults_of(error), *faults]) from None
    if faults:
        raise BadOrder(faults)
    return request


def _faults_of_key(key: str | None) -> list[Fault]:
    if key is None or (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        return []
    return [Fault(KEY_FIELD, f"Send 1 to {LONGEST_KEY} visible ASCII characters, or none at all.")]
