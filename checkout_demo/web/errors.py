"""Errors as answers: `{"detail": [{"field", "message"}]}` for programs, a page for people."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from checkout_demo.faults import BadOrder, Fault
from checkout_demo.ledger import NoSuchEffect
from checkout_demo.orders import OrderNotFound
from checkout_demo.web.pages import page
from tasks.errors import Unreachable

_logger = structlog.stdlib.get_logger(__name__)

_SENTENCES: Mapping[int, str] = {
    403: "This is not allowed.",
    404: "There is nothing at this address. It may have been copied in part.",
    405: "This address does not take that kind of request.",
    413: "That was more than the store reads.",
    500: "The store made a mistake. It is written down; nothing is lost that was confirmed.",
    503: "A part of the store is away for the moment. Try again shortly.",
}
_FOR_PROGRAMS = ("/api/", "/jobs/", "/healthz", "/readyz")
_RETRY_AFTER_SECONDS = "3"


def connect(app: FastAPI) -> None:
    """Turn the errors that views let through into answers."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(BadOrder, _bad_order)
    app.add_exception_handler(OrderNotFound, _not_found)
    app.add_exception_handler(NoSuchEffect, _no_effect)
    app.add_exception_handler(Unreachable, _away)
    app.add_exception_handler(OperationalError, _away)
    app.add_exception_handler(NoConnection, _away)


def error_answer(
    scope: Scope, status: int, message: str | None = None, *, field: str = "request"
) -> Response:
    """Answer with one error, in the form that the caller reads."""
    sentence = message or _SENTENCES.get(status, HTTPStatus(status).phrase)
    if _reads_json(scope):
        return faults_answer([Fault(field, sentence)], status)
    title = HTTPStatus(status).phrase
    return page(
        Request(scope), "error.html", status=status, code=status, title=title, sentence=sentence
    )


def faults_answer(faults: Iterable[Fault], status: int = 422, **more: str) -> JSONResponse:
    """Answer with every fault, for programs."""
    detail = [{"field": fault.field, "message": fault.message} for fault in faults]
    return JSONResponse({"detail": detail, **more}, status)


def _reads_json(scope: Scope) -> bool:
    if scope["path"].startswith(_FOR_PROGRAMS):
        return True
    return "text/html" not in Headers(scope=scope).get("accept", "")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (Starlette's types do not say it)
    stock = HTTPStatus(error.status_code).phrase
    message = None if error.detail == stock else str(error.detail)
    answer = error_answer(request.scope, error.status_code, message)
    answer.headers.update(error.headers or {})
    return answer


async def _invalid(request: Request, error: Exception) -> Response:
    return error_answer(request.scope, 422, str(error))


async def _bad_order(_: Request, error: Exception) -> Response:
    return faults_answer(getattr(error, "faults", ()))


async def _not_found(request: Request, _: Exception) -> Response:
    return error_answer(request.scope, 404, "There is no such order.", field="order_id")


async def _no_effect(request: Request, _: Exception) -> Response:
    return error_answer(request.scope, 404, "No effect of any order has this job.", field="job_id")


async def _away(request: Request, error: Exception) -> Response:
    _logger.error("dependency away", error=str(error))
    answer = error_answer(request.scope, 503, _what_is_away(error))
    answer.headers["Retry-After"] = _RETRY_AFTER_SECONDS
    return answer


def _what_is_away(error: Exception) -> str:
    if isinstance(error, Unreachable):
        return "The job queue does not answer at the moment. Try again shortly."
    return (
        "The store's database does not answer at the moment. Try again shortly: the same form, or "
        "the same Idempotency-Key, never makes a second order."
    )
