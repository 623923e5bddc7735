"""The store's own parts for its tests: a database, and the whole web application as a process."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from checkout_demo.database import Database
from checkout_demo.migrate import prepare
from checkout_demo.models import Order, OrderEffect, OrderProduct
from tests.support.programs import Program, free_port

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


def item(sku: str, quantity: Any = 1) -> dict[str, Any]:  # noqa: ANN401 (tests send anything)
    """Return a line of a cart."""
    return {"sku": sku, "quantity": quantity}


@contextmanager
def store_in(directory: Path) -> Iterator[Database]:
    """Make a database with the newest schema and the catalogue; close it at the end."""
    database = Database(f"sqlite:///{directory / 'store.db'}")
    prepare(database)
    try:
        yield database
    finally:
        database.close()


def rows(database: Database) -> dict[str, int]:
    """Count what is stored of orders."""
    tables = {"order": Order, "order_product": OrderProduct, "order_effect": OrderEffect}
    with database.reading() as session:
        return {
            name: session.scalars(select(func.count()).select_from(table)).one()
            for name, table in tables.items()
        }


NOTHING = {"order": 0, "order_product": 0, "order_effect": 0}


class StoreProcess(Program):
    """The store's web application, with its data in this directory."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.database = Database(f"sqlite:///{directory / 'store.db'}")
        super().__init__(
            [sys.executable, "-m", "checkout_demo.app"],
            log=directory / "web.log",
            env={
                "STATE_DIR": str(directory),
                "STORE_PORT": str(port),
                "LOG_FORMAT": "json",
                **env,
            },
        )
        self.wait_until_listening(port)

    def client(self, **headers: str) -> httpx.Client:
        """Return an HTTP client for it, which keeps cookies; to be closed by the caller."""
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30)

    def stop(self) -> int:
        """End the process, and close the test's own connections to its database."""
        self.database.close()
        return super().stop()
