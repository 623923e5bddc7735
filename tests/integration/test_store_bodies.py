import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.store_fixtures import faults, http, store, untouched
from tests.support.store import ADA, StoreProcess, item

__all__ = ["http", "store", "untouched"]

ORDER = {"customer": ADA, "items": [item("press-pot"), item("desk-mug", 2)]}
JSON = {"Content-Type": "application/json"}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", "body"),
        (b"not json", "body"),
        (b'{"customer": ', "body"),
        (b"\xff\xfe", "body"),
        (b"[" * 60_000, "body"),
        (b"1" * 60_000, "body"),
        (b'{"items": NaN}', "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b"{}", "items"),
        (b'{"customer": null, "items": null}', "customer"),
        (b'{"customer": {"name": "\\ud800", "email": "a@example.com"}, "items": []}', "items"),
    ],
)
@pytest.mark.parametrize("path", ["/api/orders", "/api/jobs"])
def test_json_that_is_none_is_a_fault(
    http: httpx.Client, path: str, content: bytes, field: str
) -> None:
    answer = http.post(path, content=content, headers=JSON)
    assert answer.status_code == 422
    assert set(faults(answer)) & {field, "task"}


@pytest.mark.usefixtures("untouched")
def test_a_body_that_says_it_is_no_json_is_refused(http: httpx.Client) -> None:
    answer = http.post(
        "/api/orders", content=json.dumps(ORDER), headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 415
    assert "application/json" in answer.text


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", ["/api/orders", "/api/jobs", "/checkout", "/cart", "/nowhere"])
def test_a_body_of_ten_megabytes_is_refused(http: httpx.Client, path: str) -> None:
    answer = http.post(path, content=b"x" * 10_000_000, headers=JSON)
    assert answer.status_code == 413


@pytest.mark.usefixtures("untouched")
def test_a_body_without_its_length_is_counted(http: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield b"x" * 10_000

    answer = http.post("/api/orders", content=endless(), headers=JSON)
    assert answer.status_code == 413
    assert "64 KiB" in faults(answer)["body"]


def test_a_client_that_closes_at_once_still_reads_the_refusal(store: StoreProcess) -> None:
    """It sends all, and only then reads: a connection cut in between would hide the answer."""
    head = b"POST /api/orders HTTP/1.0\r\nContent-Length: 10000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(store.url.rpartition(":")[2]))) as connection:
        connection.settimeout(30)
        connection.sendall(head + b"x" * 10_000_000)
        assert b" 413 " in connection.recv(1000).partition(b"\r\n")[0]


def test_a_body_just_below_the_limit_is_read(http: httpx.Client) -> None:
    body = {**ORDER, "comment": "x" * 60_000}
    assert http.post("/api/orders", json=body).status_code == 201
