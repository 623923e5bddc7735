"""JSON and forms out of a request's body. What cannot be read is a fault, not an error."""

import json
from typing import Annotated, Any, NoReturn

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from checkout_demo.faults import BadOrder, Fault

_MOST_FIELDS = 20


async def _json_object(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise HTTPException(415, "Send JSON, with the header Content-Type: application/json.")
    try:
        found = json.loads(await request.body(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        what = getattr(error, "msg", None) or "it cannot be read"
        raise BadOrder([Fault("body", f"This is not JSON: {what}.")]) from None
    if not isinstance(found, dict):
        raise BadOrder([Fault("body", "The body must be a JSON object.")])
    return found


async def _form_fields(request: Request) -> dict[str, str]:
    async with request.form(max_fields=_MOST_FIELDS, max_files=0) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number in JSON")


JsonObject = Annotated[dict[str, Any], Depends(_json_object)]
"""The body as a JSON object; 415 for another type, 422 for what is not JSON."""

FormFields = Annotated[dict[str, str], Depends(_form_fields)]
"""The fields of a form, each once; files are not taken."""
