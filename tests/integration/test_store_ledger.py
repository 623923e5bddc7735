"""The ledger of effects, and the pages on which an operator reads it and replays one effect."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from checkout_demo import ledger
from checkout_demo.catalogue import CATALOGUE
from checkout_demo.ledger import EffectState, Entry, Shown
from tasks.outbox import OutboxRow
from tests.integration.erp_calls import left, sales_of, take
from tests.integration.store_fixtures import Shop, shop
from tests.integration.store_pages import Page, act, look
from tests.support.store import ADA, item
from tests.support.waiting import wait_for

__all__ = ["shop"]

SCARCE = CATALOGUE[-2].sku


@pytest.fixture
def http(shop: Shop) -> Iterator[httpx.Client]:
    with shop.store.client() as client:
        yield client


@pytest.fixture
def browser(shop: Shop) -> Iterator[httpx.Client]:
    with shop.store.client(Accept="text/html", Origin=shop.store.url) as client:
        yield client


@pytest.fixture
def erp(shop: Shop) -> Iterator[httpx.Client]:
    with shop.erp.client() as client:
        yield client
        client.put("/faults", json={"down": False})


def order(http: httpx.Client, sku: str = "press-pot", quantity: int = 1) -> dict[str, Any]:
    body = {"customer": ADA, "items": [item(sku, quantity)]}
    found: dict[str, Any] = http.post("/api/orders", json=body).raise_for_status().json()
    return found


def entries(shop: Shop, placed: dict[str, Any]) -> list[Entry]:
    return [ledger.entry(shop.store.database, job["job_id"]) for job in placed["jobs"]]


def states(shop: Shop, placed: dict[str, Any]) -> list[EffectState]:
    return [entry.state for entry in entries(shop, placed)]


def done(shop: Shop, placed: dict[str, Any]) -> list[Entry]:
    wait_for(lambda: states(shop, placed) == [EffectState.DONE] * 3, "three effects to be done")
    return entries(shop, placed)


def path_of(placed: dict[str, Any], place: int) -> str:
    return f"/operator/effects/{placed['jobs'][place]['job_id']}"


def replay(browser: httpx.Client, placed: dict[str, Any], place: int) -> Page:
    return act(browser, f"{path_of(placed, place)}/replays")


def mails(http: httpx.Client, placed: dict[str, Any]) -> list[dict[str, str]]:
    key = placed["jobs"][0]["job_id"]
    return [mail for mail in http.get("/api/inbox").json() if key in mail["message_id"]]


def test_each_effect_is_on_record_with_its_key_attempts_answer_and_times(
    shop: Shop, http: httpx.Client, browser: httpx.Client, erp: httpx.Client
) -> None:
    placed = order(http)
    receipt, sale, inventory = done(shop, placed)
    (sold,) = sales_of(erp, placed["order_id"])
    assert sale.response == {"sale_id": sold["sale_id"]}
    assert inventory.response == {"inventory": {"press-pot": left(erp)}}
    for entry in (receipt, sale, inventory):
        assert entry.row is not None
        assert entry.effect.done_at is not None
        assert (entry.row.attempts, entry.row.error) == (1, None)
        assert entry.row.first_started_at == entry.row.started_at
        assert entry.order.created_at <= entry.row.created_at
        assert entry.row.started_at is not None
        assert entry.row.started_at <= entry.effect.done_at
    words = look(browser, path_of(placed, 0)).words
    assert placed["jobs"][0]["job_id"] in words
    assert f"<{placed['jobs'][0]['job_id']}@expresslane.example>" in words
    page = look(browser, placed["url"])
    assert "All 3 jobs are complete." in page.words
    assert page.words.count("1 attempt") == 3


def test_an_effect_that_is_tried_again_is_listed_with_its_error(
    shop: Shop, http: httpx.Client, browser: httpx.Client, erp: httpx.Client
) -> None:
    erp.put("/faults", json={"down": True})
    placed = order(http)

    def tried() -> bool:
        sale = entries(shop, placed)[1]
        return sale.row is not None and sale.row.attempts > 1 and sale.row.error is not None

    wait_for(tried, "a second attempt")
    assert states(shop, placed)[1:] == [EffectState.TRYING] * 2
    words = look(browser, "/operator/effects").words
    assert "the ERP is switched off" in words
    erp.put("/faults", json={"down": False})
    sale = done(shop, placed)[1]
    assert sale.row is not None
    assert sale.row.first_started_at is not None
    assert sale.row.started_at is not None
    assert sale.row.first_started_at < sale.row.started_at
    # The error of an attempt stays on record, and off the list of what is left to do.
    assert "the ERP is switched off" in look(browser, path_of(placed, 1)).words
    assert "Every effect of every order is done." in look(browser, "/operator/effects").words


def test_a_refused_effect_is_found_and_a_replay_asks_once_more(
    shop: Shop, http: httpx.Client, browser: httpx.Client, erp: httpx.Client
) -> None:
    take(erp, left(erp, SCARCE) - 1, key="all-but-one", sku=SCARCE)
    placed = order(http, SCARCE, 2)
    wait_for(lambda: states(shop, placed)[2] is EffectState.FAILED, "a failed effect")
    listed = look(browser, "/operator/effects?show=failed").words
    assert "2 of 'wall-calendar' were asked for and 1 are left" in listed
    assert "OrderRefused" not in look(browser, placed["url"]).words
    page = replay(browser, placed, 2)
    number = entries(shop, placed)[2].order.number
    said = f"Its job runs once more, with the same key: Stock in the warehouse of order {number}."
    assert said in page.words

    def has_failed_twice() -> bool:
        row = entries(shop, placed)[2].row
        return row is not None and (row.attempts, row.outcome) == (2, "failed")

    # The ERP answers a key as the first time, a refusal too.
    wait_for(has_failed_twice, "the same refusal")
    assert left(erp, SCARCE) == 1


@pytest.mark.parametrize("place", [1, 2])
def test_a_replay_of_what_the_erp_has_done_changes_nothing_there(
    place: int, shop: Shop, http: httpx.Client, browser: httpx.Client, erp: httpx.Client
) -> None:
    placed = order(http)
    first = done(shop, placed)[place]
    stock = left(erp)
    replay(browser, placed, place)

    def ran_twice() -> bool:
        row = entries(shop, placed)[place].row
        return row is not None and row.attempts == 2 and row.outcome == "complete"

    wait_for(ran_twice, "the replay to end")
    again = entries(shop, placed)[place]
    assert again.state is EffectState.DONE
    assert (again.effect.done_at, again.response) == (first.effect.done_at, first.response)
    assert len(sales_of(erp, placed["order_id"])) == 1
    assert left(erp) == stock
    assert http.get(placed["jobs"][place]["status_url"]).json()["status"] == "Complete"
    assert "All 3 jobs are complete." in look(browser, placed["url"]).words


def test_a_replay_of_a_mail_sends_the_same_one_and_the_page_says_so(
    shop: Shop, http: httpx.Client, browser: httpx.Client
) -> None:
    placed = order(http)
    done(shop, placed)
    assert (
        "the same mail again, with the same Message-ID" in look(browser, path_of(placed, 0)).words
    )
    (first,) = mails(http, placed)
    replay(browser, placed, 0)
    wait_for(lambda: len(mails(http, placed)) == 2, "the mail once more")
    assert mails(http, placed) == [first, first]


def test_a_replay_that_fails_leaves_what_is_done_done(
    shop: Shop, http: httpx.Client, browser: httpx.Client
) -> None:
    placed = order(http)
    done(shop, placed)
    with shop.store.database.writing() as session:
        row = session.get_one(OutboxRow, placed["jobs"][1]["job_id"])
        row.data = '{"order_id": "no-such-order"}'
    replay(browser, placed, 1)
    wait_for(lambda: states(shop, placed)[1] is EffectState.REPLAY_FAILED, "the replay to fail")
    assert "It is done, and stays so." in look(browser, path_of(placed, 1)).words
    assert "All 3 jobs are complete." in look(browser, placed["url"]).words
    assert "no-such-order" in look(browser, "/operator/effects?show=failed").words


def test_an_effect_whose_row_is_forgotten_keeps_its_answer_and_can_be_replayed(
    shop: Shop, http: httpx.Client, browser: httpx.Client, erp: httpx.Client
) -> None:
    placed = order(http)
    first = done(shop, placed)[1]
    with shop.store.database.writing() as session:
        session.execute(delete(OutboxRow).where(OutboxRow.id == first.effect.job_id))
    found = entries(shop, placed)[1]
    assert (found.state, found.response) == (EffectState.DONE, first.response)
    assert "not known: the outbox has no row" in look(browser, path_of(placed, 1)).words
    replay(browser, placed, 1)
    wait_for(lambda: entries(shop, placed)[1].row is not None, "another row")
    done(shop, placed)
    assert len(sales_of(erp, placed["order_id"])) == 1


def test_an_order_is_found_by_its_number_whatever_the_case(
    shop: Shop, http: httpx.Client, browser: httpx.Client
) -> None:
    placed = order(http)
    number = done(shop, placed)[0].order.number
    page = look(browser, f"/operator/effects?show=all&order=%20{number.lower()}")
    found = [link["href"] for link in page.all("a") if "/operator/effects/" in link["href"]]
    assert sorted(found) == sorted(path_of(placed, place) for place in range(3))
    empty = look(browser, f"/operator/effects?show=failed&order={number}")
    assert f"Order {number} has none of these." in empty.words


def test_pages_hold_fifty_and_lead_on(
    shop: Shop, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "PAGE", 2)
    first = ledger.entries(shop.store.database, Shown.ALL)
    second = ledger.entries(shop.store.database, Shown.ALL, page=2)
    assert len(first) == 3
    assert first[2].effect.job_id == second[0].effect.job_id
    assert "begin at the first" in look(browser, "/operator/effects?page=200&show=all").words


@pytest.mark.parametrize("query", ["show=everything", "page=0", "page=x", "page=9999"])
def test_a_page_that_there_is_not_is_refused(browser: httpx.Client, query: str) -> None:
    assert browser.get(f"/operator/effects?{query}").status_code == 422


def test_an_effect_never_seen_is_not_there(browser: httpx.Client) -> None:
    for answer in (
        browser.get("/operator/effects/no-such-job"),
        browser.post("/operator/effects/no-such-job/replays"),
    ):
        assert answer.status_code == 404
        assert "No effect of any order has this job." in answer.text


def test_looking_replays_nothing_and_another_site_cannot_either(
    shop: Shop, http: httpx.Client
) -> None:
    placed = order(http)
    done(shop, placed)
    path = f"{path_of(placed, 0)}/replays"
    assert http.get(path).status_code == 405
    with closing(shop.store.client(Origin="https://elsewhere.example")) as stranger:
        assert stranger.post(path).status_code == 403
    assert states(shop, placed) == [EffectState.DONE] * 3
    assert len(mails(http, placed)) == 1
