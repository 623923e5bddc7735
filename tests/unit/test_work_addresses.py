"""Which addresses a fetch may connect to."""

import pytest

from tasks.work.addresses import is_loopback_name, is_public, resolve


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 (nothing is bound to it)
        *("0.1.2.3", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1"),
        *("127.255.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.9"),
        *("192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
        *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
        *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1"),
        *("64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2001:20::1"),
        *("2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1"),
        *("fe80::1%1", "fec0::1", "ff02::1", "4000::1"),
    ],
)
def test_no_special_address_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "100.63.255.255", "172.32.0.1", "2606:4700::1111"]
)
def test_an_ordinary_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "written", ["127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1"]
)
def test_every_way_to_write_loopback_resolves_to_it(written: str) -> None:
    assert resolve(written, 80) == ["127.0.0.1"]


def test_localhost_is_known_by_its_name() -> None:
    assert is_loopback_name("localhost")
    assert is_loopback_name("db.localhost")
    assert not is_loopback_name("localhost.example.com")
