"""Bring the store's database up to date: `python -m checkout_demo.migrate`.

It may be run at any time and by several programs at once: the second one finds nothing to do.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config

from checkout_demo.catalogue import seed
from checkout_demo.database import Database, store_database
from checkout_demo.settings import store_settings
from config.logging import configure

_CONFIG = Path(__file__).with_name("alembic.ini")


def upgrade(database: Database | None = None) -> None:
    """Bring the schema to its newest version. By default, in the store's own database."""
    config = Config(_CONFIG)
    config.attributes["database"] = database
    command.upgrade(config, "head")


def prepare(database: Database) -> None:
    """Make the database ready for the store: newest schema, all products of the catalogue."""
    upgrade(database)
    seed(database)


if __name__ == "__main__":
    configure(store_settings())
    prepare(store_database())
