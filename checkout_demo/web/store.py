"""What the views work with: the settings and the database."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from checkout_demo.database import Database
from checkout_demo.settings import StoreSettings


@dataclass(frozen=True)
class Store:
    """One store: where it keeps its orders, and how it is set up."""

    settings: StoreSettings
    database: Database

    @property
    def flower(self) -> str:
        """The address of Flower."""
        return f"http://127.0.0.1:{self.settings.flower_port}"


def _of(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


TheStore = Annotated[Store, Depends(_of)]
