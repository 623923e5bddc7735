"""What the ERP sandbox keeps, and how it does a call once, whoever kills it and when.

The effect of a call and the answer to it are written in one transaction, under the call's key. So
there is no moment at which one of them is there without the other.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE = 30.0
"""Seconds a call waits for its turn to write; a write takes a few milliseconds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS stock (
    sku      TEXT PRIMARY KEY,
    quantity INTEGER NOT NULL CHECK (quantity >= 0)
);
CREATE TABLE IF NOT EXISTS sale (
    sale_id     INTEGER PRIMARY KEY,
    order_id    TEXT NOT NULL,
    total       TEXT NOT NULL,
    currency    TEXT NOT NULL,
    customer    TEXT NOT NULL,
    items       TEXT NOT NULL,
    recorded_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
CREATE TABLE IF NOT EXISTS answered (
    key    TEXT PRIMARY KEY,
    call   TEXT NOT NULL,
    status INTEGER NOT NULL,
    body   TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Answer:
    """What a call is answered: an HTTP status and a JSON text."""

    status: int
    body: str


class KeyReused(Exception):
    """The key came before with another call. Nothing was done."""


class Ledger:
    """One SQLite file. Any number of threads and processes may use it at once."""

    def __init__(self, file: Path, stock: Mapping[str, int]) -> None:
        """Open the file, made when missing, and stock what it has never had."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        with self._connection() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_SCHEMA)
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR IGNORE INTO stock VALUES (?, ?)", stock.items())
            db.execute("COMMIT")

    def record_sale(self, key: str, call: str, sale: Mapping[str, Any]) -> Answer:
        """Record a sale, once for this key.

        Raises:
            KeyReused: if the key stands for another `call`.

        """
        return self._once(key, call, lambda db: _record_sale(db, sale))

    def decrease(self, key: str, call: str, sku: str, quantity: int) -> Answer:
        """Take pieces from the stock, once for this key.

        Raises:
            KeyReused: if the key stands for another `call`.

        """
        return self._once(key, call, lambda db: _decrease(db, sku, quantity))

    def sales(self) -> list[dict[str, Any]]:
        """Return all sales, oldest first."""
        with self._connection() as db:
            rows = [dict(row) for row in db.execute("SELECT * FROM sale ORDER BY sale_id")]
        parsed = ("customer", "items")
        return [{**row, **{name: json.loads(row[name]) for name in parsed}} for row in rows]

    def inventory(self) -> list[dict[str, Any]]:
        """Return `{"sku", "quantity"}` of everything in stock."""
        with self._connection() as db:
            return [dict(row) for row in db.execute("SELECT * FROM stock ORDER BY sku")]

    def _once(self, key: str, call: str, act: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with self._connection() as db:
            # Taking the write lock before the look makes others with the same key wait here.
            db.execute("BEGIN IMMEDIATE")
            row = db.execute("SELECT * FROM answered WHERE key = ?", (key,)).fetchone()
            if row is None:
                answer = act(db)
                values = (key, call, answer.status, answer.body)
                db.execute("INSERT INTO answered VALUES (?, ?, ?, ?)", values)
                db.execute("COMMIT")
                return answer
        if row["call"] != call:
            raise KeyReused
        return Answer(row["status"], row["body"])

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Open a connection; what is not committed when it closes has not happened."""
        db = sqlite3.connect(self._file, timeout=_PATIENCE, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            # An answer promises that the effect outlives even a loss of power.
            db.execute("PRAGMA synchronous = FULL")
            yield db
        finally:
            db.close()


def _record_sale(db: sqlite3.Connection, sale: Mapping[str, Any]) -> Answer:
    cursor = db.execute(
        "INSERT INTO sale (order_id, total, currency, customer, items) VALUES (?, ?, ?, ?, ?)",
        (
            *(sale["order_id"], sale["total"], sale["currency"]),
            *(json.dumps(sale["customer"]), json.dumps(sale["items"])),
        ),
    )
    facts = {"order_id": sale["order_id"], "total": sale["total"]}
    return Answer(201, json.dumps({"sale_id": cursor.lastrowid, **facts}))


def _decrease(db: sqlite3.Connection, sku: str, quantity: int) -> Answer:
    row = db.execute("SELECT quantity FROM stock WHERE sku = ?", (sku,)).fetchone()
    if row is None:
        return Answer(404, json.dumps({"detail": f"no product has the sku {sku!r}", "sku": sku}))
    left = row["quantity"] - quantity
    if left < 0:
        detail = f"{quantity} of {sku!r} were asked for and {row['quantity']} are left"
        refusal = {"detail": detail, "sku": sku, "available": row["quantity"]}
        return Answer(409, json.dumps(refusal))
    db.execute("UPDATE stock SET quantity = ? WHERE sku = ?", (left, sku))
    return Answer(201, json.dumps({"sku": sku, "quantity": left}))
