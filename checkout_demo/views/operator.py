"""The ledger of effects, for whoever runs the store: what is not done, why, and once more.

Nothing here asks the broker, so it works while that is away. In the demo these pages are open to
all of this machine; in a store of your own they belong behind a login.
"""

import json
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from checkout_demo.effects.receipt import message_id
from checkout_demo.ledger import (
    LAST_PAGE,
    PAGE,
    EffectState,
    Entry,
    Shown,
    entries,
    entry,
    replay,
)
from checkout_demo.models import EffectKind
from checkout_demo.order_cards import TITLES
from checkout_demo.web.pages import page, see_other
from checkout_demo.web.store import TheStore

router = APIRouter(prefix="/operator/effects", include_in_schema=False)

_TABS: Mapping[Shown, str] = {
    Shown.OPEN: "Not done",
    Shown.FAILED: "Failed",
    Shown.ALL: "All",
}
_EMPTY: Mapping[Shown, str] = {
    Shown.OPEN: "Every effect of every order is done.",
    Shown.FAILED: "No effect has failed.",
    Shown.ALL: "No order has been placed yet.",
}
_MEANINGS: Mapping[EffectState, str] = {
    EffectState.WAITING: "Its job is stored, and was not begun yet.",
    EffectState.TRYING: "Its job was begun: it runs now, or waits for its next attempt.",
    EffectState.DONE: "Nothing is left to do.",
    EffectState.FAILED: "Its job gave up. Mend the cause that the error names, and replay it.",
    EffectState.NO_JOB: "The outbox has no job that would do it. A replay makes one.",
    EffectState.REPLAYING: "It is done. Its job was asked to run once more, and has not ended yet.",
    EffectState.REPLAY_FAILED: "It is done, and stays so. Running its job once more has failed.",
}
_REPLAYS: Mapping[EffectKind, str] = {
    EffectKind.RECEIPT: (
        "If the mail was sent already, the buyer gets the same mail again, with the same "
        "Message-ID. Many mail programs show it once; none has to."
    ),
    EffectKind.SALE: (
        "The call carries the same key. If the ERP has the sale, it changes nothing and answers as "
        "it did the first time. An ERP may repeat a refusal to the same key as well; the sandbox "
        "does."
    ),
    EffectKind.INVENTORY: (
        "Each line's call carries the same key as before. What the ERP has taken from the stock it "
        "does not take again. An ERP may repeat a refusal to the same key as well; the sandbox "
        "does."
    ),
}
_ASKED = "Its job runs once more, with the same key: {} of order {}."

Page = Annotated[int, Query(ge=1, le=LAST_PAGE)]
Number = Annotated[str, Query(max_length=16)]


@router.get("")
def effects(
    request: Request,
    store: TheStore,
    show: Shown = Shown.OPEN,
    order: Number = "",
    page_number: Annotated[Page, Query(alias="page")] = 1,
) -> Response:
    """List effects: those that are not done, that have failed, or all; of one order or of all."""
    number = order.strip().upper()
    found = entries(store.database, show, number=number, page=page_number)
    return page(
        request,
        "effects.html",
        current="effects",
        entries=found[:PAGE],
        has_more=len(found) > PAGE and page_number < LAST_PAGE,
        page_number=page_number,
        show=show,
        order_number=number,
        tabs=_TABS,
        empty=f"Order {number} has none of these." if number else _EMPTY[show],
        titles=TITLES,
    )


def _found(job_id: str, store: TheStore) -> Entry:
    return entry(store.database, job_id)


TheEntry = Annotated[Entry, Depends(_found)]


@router.get("/{job_id}")
def effect(request: Request, store: TheStore, found: TheEntry) -> Response:
    """Show all that is known of one effect, and offer to run its job once more."""
    kind = found.effect.kind
    return page(
        request,
        "effect.html",
        current="effects",
        entry=found,
        title=TITLES[kind],
        meaning=_MEANINGS[found.state],
        message_id=message_id(found.effect.job_id) if kind is EffectKind.RECEIPT else "",
        response=_for_people(found.response),
        replay=_REPLAYS[kind],
        inline=store.settings.checkout_mode == "inline",
    )


@router.post("/{job_id}/replays")
def replay_effect(request: Request, store: TheStore, found: TheEntry) -> Response:
    """Run the effect's job once more, with the same key."""
    path = f"/operator/effects/{found.effect.job_id}"
    if store.settings.checkout_mode == "inline":
        return see_other(request, path, "Nothing was replayed: this shop runs no jobs.")
    replay(store.database, found)
    sentence = _ASKED.format(TITLES[found.effect.kind], found.order.number)
    return see_other(request, path, sentence)


def _for_people(response: object) -> str:
    return "" if response is None else json.dumps(response, ensure_ascii=False, indent=2)
