"""A file of JSON lines that many processes and threads may write to at once."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any


def append(path: Path, entry: dict[str, Any]) -> None:
    """Add one line, whole or not at all, and return when it is on the disk.

    The lock makes writers take turns, in threads too, since each of them opens the file anew. A
    line that a crash of the machine cut short is left as it is, and the next one begins below it.

    Raises:
        OSError: when it cannot be written; the file is as before.
        TypeError: when the entry cannot be written as JSON.

    """
    line = json.dumps(entry).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        _write(file, line)
        os.fsync(file)
    finally:
        os.close(file)  # which gives the lock back


def _write(file: int, line: bytes) -> None:
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        line = b"\n" + line
    written = os.write(file, line)
    if written < len(line):
        os.ftruncate(file, size)
        raise OSError(f"only {written} of {len(line)} bytes could be written; is the disk full?")
