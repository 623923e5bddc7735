"""Alembic's entry: run the migrations on the store's database."""

from alembic import context
from sqlalchemy import Connection, text

from checkout_demo.database import Database, store_database
from checkout_demo.models import Base
from checkout_demo.settings import store_settings
from tasks import outbox

# Any number that nobody else locks on this server: "orders" read as an integer.
_LOCK = 0x6F7264657273


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=[Base.metadata, outbox.metadata],
        # SQLite rolls DDL back like any other statement, once BEGIN is sent as database.py does.
        transactional_ddl=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Two programs that start together migrate one after the other. SQLite's writer
            # lock, which the transaction holds from its beginning, does the same there.
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        context.run_migrations()


def _online() -> None:
    given: Database | None = context.config.attributes.get("database")
    database = given or store_database()
    with database.for_writing().connect() as connection:
        _migrate(connection)
        connection.commit()


def _offline() -> None:
    context.configure(
        url=store_settings().database,
        target_metadata=[Base.metadata, outbox.metadata],
        literal_binds=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _offline()
else:
    _online()
