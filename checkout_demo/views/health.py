"""Is the process up; are its database and its broker there."""

import asyncio
from collections.abc import Callable

from fastapi import APIRouter
from sqlalchemy import func, select
from starlette.responses import JSONResponse, Response

from checkout_demo.models import Product
from checkout_demo.web.store import Store, TheStore
from tasks.celery import app as celery

router = APIRouter(tags=["health"])

PATIENCE = 1.0
"""Seconds for each check. Who asks wants to know now, and asks again."""


@router.get("/healthz")
def healthz() -> Response:
    """Tell that this process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", responses={503: {}})
async def readyz(store: TheStore) -> Response:
    """Tell whether an order would go through. 503 names what is missing, and why."""
    database, broker = await asyncio.gather(
        _checked(lambda: _check_database(store)), _checked(_check_broker)
    )
    ready = database == broker == "ok"
    body = {"status": "ready" if ready else "not ready", "database": database, "broker": broker}
    return JSONResponse(body, 200 if ready else 503)


async def _checked(check: Callable[[], None]) -> str:
    try:
        await asyncio.wait_for(asyncio.to_thread(check), PATIENCE)
    except TimeoutError:
        return f"no answer within {PATIENCE:g} s"
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the answer)
        return _one_line(error)
    return "ok"


def _check_database(store: Store) -> None:
    with store.database.reading() as session:
        if not session.scalar(select(func.count()).select_from(Product)):
            raise LookupError("no products; run python -m checkout_demo.migrate")


def _check_broker() -> None:
    with celery.connection_for_write() as connection:
        # Kombu's Redis transport sends PING when it connects.
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)


def _one_line(error: Exception) -> str:
    return (
        f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
    )
