"""A network that connects to checked addresses only, and within one time limit for all it does.

The problem: to check a host's address and then hand its *name* to an HTTP client means that the
name is looked up twice, and whoever owns the name can answer with a public address first and with
127.0.0.1 second ("DNS rebinding"). Here the check and the connection use the same answer: httpcore
asks its network backend for a connection to a name, and this one looks the name up once, checks
every address, and connects to an address. TLS and the Host header never see anything but the name.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from ssl import SSLCertVerificationError, SSLContext
from threading import Thread
from typing import Any, TypeVar

import httpcore

from tasks.work.addresses import Resolver, is_loopback_name, is_public

Answer = TypeVar("Answer")


class NotAllowed(Exception):
    """The connection must not be used. The message says why, and what to do."""


class Deadline:
    """One time limit, in seconds from now, for everything that shares it."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            httpcore.TimeoutException: when none are.

        """
        left = self._end - self._clock()
        if left <= 0:
            raise httpcore.TimeoutException("out of time")
        return left


class TimedStream(httpcore.NetworkStream):
    """A connection whose every step gets only the time that is left.

    httpcore's own timeouts begin anew with each read, so a server that sends one byte now and then
    would never meet them.
    """

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 (ours holds)
        """Read what is there, at most `max_bytes`."""
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 (ours holds)
        """Write all of it. A request fits a socket's buffer, so one time limit is enough."""
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 (ours holds)
    ) -> httpcore.NetworkStream:
        """Go on with TLS, for the name that httpcore knows the server by."""
        try:
            secure = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        except httpcore.ConnectError as error:
            if isinstance(error.__cause__, SSLCertVerificationError):
                raise NotAllowed(
                    f"its certificate is not valid ({error.__cause__.verify_message}); "
                    "its owner must renew or correct it"
                ) from error
            raise
        return TimedStream(secure, self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 (httpcore's signature)
        """Return what httpcore asks about the connection."""
        return self._stream.get_extra_info(info)


class CheckedNetwork(httpcore.NetworkBackend):
    """Looks a name up once, checks every address that comes back, and connects to one of them."""

    def __init__(
        self,
        deadline: Deadline,
        *,
        allow_private: bool,
        resolve: Resolver,
        dialer: httpcore.NetworkBackend,
    ) -> None:
        self._deadline = deadline
        self._allow_private = allow_private
        self._resolve = resolve
        self._dialer = dialer

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 (the deadline holds)
        local_address: str | None = None,  # noqa: ARG002 (httpcore's signature)
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 (httpcore's signature)
    ) -> httpcore.NetworkStream:
        """Connect to `host`.

        Raises:
            NotAllowed: when any of its addresses is not public, without connecting to any.
            httpcore.ConnectError: when it has no address, or none answers.
            httpcore.TimeoutException: when the time is up.

        """
        return TimedStream(self._dial(self._addresses(host, port), port), self._deadline)

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        if not self._allow_private and is_loopback_name(host):
            raise NotAllowed(_PRIVATE)
        try:
            addresses = _in_time(lambda: self._resolve(host, port), self._deadline.left())
        except OSError as error:
            raise httpcore.ConnectError(f"no address is known for {host}: {error}") from error
        if not addresses:
            raise httpcore.ConnectError(f"no address is known for {host}")
        # One private address among public ones is enough: the next look-up may put it first.
        if not self._allow_private and not all(map(is_public, addresses)):
            raise NotAllowed(_PRIVATE)
        return addresses

    def _dial(self, addresses: Sequence[str], port: int) -> httpcore.NetworkStream:
        for tried, address in enumerate(addresses):
            # An address that never answers must leave time for those behind it.
            untried = len(addresses) - tried
            share = self._deadline.left() / untried
            try:
                return self._dialer.connect_tcp(address, port, timeout=share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if untried == 1:
                    raise
        raise AssertionError("there is at least one address")


_PRIVATE = (
    "its host has an address that is not public; "
    "set FETCH_PRIVATE_ADDRESSES=true if jobs may fetch from this machine and its networks"
)


def _in_time(work: Callable[[], Answer], seconds: float) -> Answer:
    """Do it in a thread that is left behind when time is up: a name look-up cannot be stopped."""
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001 (raised again in the thread that waits)
            answer.set_exception(error)

    Thread(target=run, name="name look-up", daemon=True).start()
    try:
        return answer.result(timeout=seconds)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout("the name look-up takes too long") from error
