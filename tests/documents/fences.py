"""The code blocks of a Markdown file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the file that it is said to be, its text and place."""

    language: str
    file: str | None
    body: str
    line: int


@dataclass(frozen=True)
class Command:
    """One command of a console block, and the output that is shown below it."""

    command: str
    shown: tuple[str, ...]


def blocks(document: Path) -> Iterator[Block]:
    """Yield the blocks of a document in their order."""
    text = document.read_text()
    for match in _FENCE.finditer(text):
        language, _, rest = match["info"].strip().partition(" ")
        file = rest.removeprefix("file=") if rest.startswith("file=") else None
        line = text.count("\n", 0, match.start()) + 1
        yield Block(language, file, match["body"], line)


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a console block: lines that begin with `$ `, a \\ joins the next."""
    joined = block.body.replace("\\\n", "")
    for part in re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield Command(command.strip(), tuple(line for line in shown.splitlines() if line.strip()))


def shows(output: str, line: str) -> bool:
    """Tell whether the output has this line; `...` in it stands for anything."""
    pattern = r"\s+".join(
        ".*?".join(re.escape(piece) for piece in word.split("...")) for word in line.split()
    )
    return re.search(pattern, output) is not None
