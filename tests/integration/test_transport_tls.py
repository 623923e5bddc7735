"""TLS: `rediss://` with a certificate that is checked."""

from pathlib import Path

import pytest
import redis

from tests.support.servers import Party, start_tls_server


def test_a_message_goes_its_whole_way_over_tls(tmp_path: Path) -> None:
    program, port, certificate = start_tls_server(tmp_path)
    url = f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={certificate}"
    with program, Party(url, "q") as party:
        party.publish("q", 1)
        assert party.take(1) == [1]
        party.got[0].ack()
        assert party.channel.basic_get("q") is None


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    program, port, _ = start_tls_server(tmp_path)
    url = f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=required"
    with program, pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        Party(url, max_retries=0)
