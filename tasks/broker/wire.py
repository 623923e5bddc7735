"""One connection to the server that is kept for one script after the other.

redis-py's client takes a connection out of its pool for each command, prepares it and puts it back.
That costs several times what the command itself does.
"""

import hashlib
import os
import select
import socket
from collections.abc import Sequence
from time import monotonic
from typing import Any, NamedTuple

import redis

Word = str | bytes | int | float


def word(text: str) -> str:
    """Return a text as one word of a command."""
    size = len(text) if text.isascii() else len(text.encode())
    return f"${size}\r\n{text}\r\n"


_MOST_READ = 65_536
"""Bytes of an answer that are read at once."""

_NUMBERS = [word(str(number)) for number in range(1_100)]


def number(value: int) -> str:
    """Return a count as one word of a command."""
    return _NUMBERS[value] if value < len(_NUMBERS) else word(str(value))


class Text:
    """The text of a script, and the digest that the server knows it by."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.called = word("EVALSHA") + word(self.digest)
        """The first two words of a command that runs it."""
        self._given = (word("EVAL") + word(text)).encode()

    def given(self, command: bytes) -> bytes:
        """Return the command with the script itself in it, for a server that does not know it."""
        return command.replace(self.called.encode(), self._given, 1)


class Words(NamedTuple):
    """Some words of a command, as they go to the server."""

    number: int
    text: bytes

    @classmethod
    def of(cls, words: Sequence[Word]) -> "Words":
        """Return these words."""
        known = [one if isinstance(one, bytes) else str(one).encode() for one in words]
        return cls(len(known), b"".join([b"$%d\r\n%b\r\n" % (len(one), one) for one in known]))

    @classmethod
    def together(cls, many: "Sequence[Words]") -> "Words":
        """Return one after the other."""
        if len(many) == 1:
            return many[0]
        return cls(sum([one.number for one in many]), b"".join([one.text for one in many]))


class Wire:
    """A kept connection. Each belongs to one thread at a time; after a fork, to the child too."""

    def __init__(self, pool: redis.ConnectionPool, unchecked: float = 0.0) -> None:
        """Make one.

        Args:
            pool: where its connection comes from.
            unchecked: seconds after an answer in which it is not looked whether the server has
                closed the connection. It is for those who try again after an error: the look is two
                calls of the system.

        """
        self.pool = pool
        self._unchecked = unchecked
        self._used = 0.0
        self._connection: Any = None
        self._asked: tuple[Text, bytes]
        self._socket: Any = None
        self._poll = select.poll()
        self._plain: _Plain | None = None
        self._awaits = False
        """Whether there are, or will be, answers that nobody has taken."""
        self.looks = 0
        """How often `answer` looks whether there is one, before it sleeps until there is."""

    def run(self, script: Text, keys: Sequence[str | bytes], arguments: Sequence[Word]) -> Any:  # noqa: ANN401 (a script's)
        """Run the script, and return its answer. It is sent once: nothing is tried again.

        Raises:
            redis.RedisError: when the server refused it or did not answer in time.

        """
        self.ask(script, Words.of(keys), Words.of(arguments))
        return self.answer()

    def ask(self, script: Text, keys: Words, arguments: Words) -> None:
        """Have the script run; `answer` is to be called next.

        Raises as `run`.
        """
        words = f"*{3 + keys.number + arguments.number}\r\n{script.called}{number(keys.number)}"
        self._asked = script, b"".join((words.encode(), keys.text, arguments.text))
        self.begin([self._asked[1]])

    def answer(self) -> Any:  # noqa: ANN401 (a script's)
        """Return the answer to what was asked.

        Raises as `run`.
        """
        script, command = self._asked
        try:
            return self._take()
        except redis.exceptions.NoScriptError:
            # Nothing was done. This runs it, and has the server keep it.
            self._connection.send_packed_command([script.given(command)], check_health=False)
            return self._connection.read_response()

    def send(self, script: Text, commands: Sequence[bytes]) -> None:
        """Send commands that run the script, in one trip and once: nothing is tried again.

        The server does each of them or refuses it, whatever becomes of the others.

        Raises:
            redis.RedisError: when the server refused one, or did not answer in time.

        """
        self.begin(commands)
        self.finish(script, commands)

    def begin_at_once(self, command: bytes) -> None:
        """Do as `begin` with one command, with less around it where all is as it was before."""
        connection = self._connection
        if (
            self._plain is not None
            and not self._awaits
            and connection._sock is self._socket  # noqa: SLF001 (see below)
            and connection.pid == os.getpid()
            and not self._poll.poll(0)
        ):
            self._awaits = True
            if self._wrote(connection, command):
                return
            self._awaits = False
        self.begin([command])

    def begin(self, commands: Sequence[bytes]) -> None:
        """Do the first half of `send`: leave the answers for `finish`.

        The server works meanwhile. Raises as `send`.
        """
        connection = self._ready()
        self._awaits = True
        if len(commands) > 1 or not self._wrote(connection, commands[0]):
            connection.send_packed_command(commands, check_health=False)

    def finish(self, script: Text, commands: Sequence[bytes]) -> None:
        """Take the answers to `begin`. Raises as `send`."""
        if len(commands) == 1 and self._took_a_number():
            self._awaits = False
            return
        unknown: list[bytes] = []
        refused: redis.exceptions.ResponseError | None = None
        for command in commands:
            try:
                self._connection.read_response()
            except redis.exceptions.NoScriptError:
                # Nothing has been done yet.
                unknown.append(script.given(command))
            except redis.exceptions.ResponseError as error:
                refused = refused or error
        self._awaits = False
        if unknown:
            # This runs it, and has the server keep it.
            self.send(script, unknown)
        if refused is not None:
            raise refused

    def _ready(self) -> Any:  # noqa: ANN401 (any of redis-py's connections)
        """Return the connection. One that the server has closed meanwhile is made again first.

        So is one whose answers nobody took: they must not be taken for later ones.
        """
        connection = self._connection
        if connection is None or connection.pid != os.getpid():
            connection = self._connection = self.pool.get_connection()
            self._awaits = False
            self._look_at(connection._sock)  # noqa: SLF001 (see below)
            return connection
        before, self._used = self._used, monotonic()
        if connection.is_connected and not self._awaits:
            if self._used - before < self._unchecked:
                return connection
            if not self._has_news(connection._sock):  # noqa: SLF001 (redis-py's own way asks more)
                return connection
        connection.disconnect()
        connection.connect()
        self._awaits = False
        return connection

    def _has_news(self, used: Any) -> bool:  # noqa: ANN401 (with or without TLS)
        """Tell whether there is something to read that nobody has asked for: its end, mostly."""
        if used is not self._socket:
            self._look_at(used)
        return bool(self._poll.poll(0))

    def _look_at(self, used: Any) -> None:  # noqa: ANN401 (with or without TLS)
        """Use this socket from now on."""
        self._socket, self._poll = used, select.poll()
        self._poll.register(used, select.POLLIN)
        self._plain = _Plain.of(self._connection)

    def _wrote(self, connection: Any, command: bytes) -> bool:  # noqa: ANN401 (redis-py's)
        """Write the command, if that can be done with one call of the system.

        False: nothing is written yet.
        """
        plain = self._plain
        if plain is None or connection._sock is not self._socket:  # noqa: SLF001 (see above)
            return False
        try:
            written = os.write(plain.file, command)
        except OSError:
            # Full, or broken: redis-py waits, or says what is wrong.
            return False
        if written < len(command):
            rest = memoryview(command)[written:]
            connection.send_packed_command([rest], check_health=False)
        return True

    def _take(self) -> Any:  # noqa: ANN401 (any answer)
        """Take one answer. Raises as `run`."""
        plain, connection = self._plain, self._connection
        if plain is None or connection._sock is not self._socket:  # noqa: SLF001 (see above)
            found = connection.read_response()
            self._awaits = False
            return found
        try:
            plain.reader.feed(self._seen() or self._socket.recv(_MOST_READ))
            found = plain.reader.gets()
        except TimeoutError:
            connection.disconnect()
            raise redis.TimeoutError("Timeout reading from socket") from None
        except OSError as error:
            connection.disconnect()
            raise redis.ConnectionError(str(error)) from error
        if type(found) not in _ANSWERS and not isinstance(found, redis.ResponseError):
            # Half of it, or the end: redis-py reads on, or says what is wrong.
            found = connection.read_response()
        self._awaits = False
        if isinstance(found, redis.RedisError):
            raise found
        return found

    def _seen(self) -> bytes:
        """Return what comes while it is looked for; b"" if nothing does, or that is the end."""
        for _ in range(self.looks):
            try:
                return os.read(self._socket.fileno(), _MOST_READ)
            except BlockingIOError:
                os.sched_yield()
        return b""

    def _took_a_number(self) -> bool:
        """Take the answer, if it is a number, as that of a script that went well mostly is.

        False: redis-py is to read it.

        Raises:
            redis.TimeoutError: when there is no answer in time.

        """
        plain, connection = self._plain, self._connection
        if plain is None or connection._sock is not self._socket:  # noqa: SLF001 (see above)
            return False
        try:
            answer = self._socket.recv(_MOST_READ)
        except TimeoutError:
            connection.disconnect()
            raise redis.TimeoutError("Timeout reading from socket") from None
        except OSError:
            return False
        if answer.startswith(b":") and answer.find(b"\r\n") == len(answer) - 2:
            return True
        if answer:
            plain.reader.feed(answer)
        return False


_ANSWERS = (list, bytes, int, type(None))


class _Plain:
    """A connection whose bytes can be written and read past redis-py: without TLS, with hiredis.

    A socket of Python's that has a timeout asks the system whether it is ready before each call,
    and redis-py goes through five functions.
    """

    __slots__ = ("file", "reader")

    def __init__(self, file: int, reader: Any) -> None:  # noqa: ANN401 (hiredis's)
        self.file = file
        self.reader = reader

    @classmethod
    def of(cls, connection: Any) -> "_Plain | None":  # noqa: ANN401 (any of redis-py's)
        """Return it; None if it is none."""
        used, reader = connection._sock, getattr(connection._parser, "_reader", None)  # noqa: SLF001 (see above)
        if type(used) is not socket.socket or not hasattr(reader, "feed"):
            return None
        return cls(used.fileno(), reader)


def server_of(pool: Any) -> tuple[object, ...]:  # noqa: ANN401 (redis-py's, Sentinel's included)
    """Return what says where the pool's connections lead, and as whom. Equal: the same."""
    options = pool.connection_kwargs
    watched = getattr(pool, "sentinel_manager", None)
    if watched is not None:
        sentinels = [one.connection_pool.connection_kwargs for one in watched.sentinels]
        hosts = sorted((one["host"], int(one["port"])) for one in sentinels)
        place: tuple[object, ...] = (pool.service_name, *hosts)
    else:
        host, port = options.get("host", "localhost"), int(options.get("port", 6379))
        place = (options["path"],) if "path" in options else (host, port)
    provider = options.get("credential_provider")
    pair = (options.get("username"), options.get("password"))
    credentials = provider.get_credentials() if provider else tuple(one for one in pair if one)
    return (*place, int(options.get("db") or 0), credentials)
