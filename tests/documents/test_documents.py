"""Every code block and every command in the documents is run, against a real demo."""

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.documents.fences import Block, Command, blocks, commands, shows
from tests.support.demo import Demo
from tests.support.programs import ROOT, Program
from tests.support.waiting import wait_for

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
RUN = {"python", "console"}
SHOWN = {"", "text", "json", "mermaid", "ini", "yaml", "html"}
"""Languages of blocks that show something and run nothing."""

NOT_FROM_A_TEST = re.compile(r"make (setup|test|check|lock|format|faults|bench\S*|demo-clean)\b")
"""What a test cannot run because it is run by it; that make knows it is checked."""

KEEPS_RUNNING = re.compile(r"celery -A tasks (worker|beat|flower|outbox relay)\b")

PORTS = {"8000": "STORE_PORT", "8001": "ERP_PORT", "8025": "SMTP_PORT", "5555": "FLOWER_PORT"}


class Reader:
    """Somebody who does all that a document says, from top to bottom."""

    def __init__(self, demo: Demo, scratch: Path, stack: ExitStack) -> None:
        self.demo = demo
        self.scratch = scratch
        self.stack = stack
        path = os.pathsep.join([str(ROOT), str(scratch)])
        binaries = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.env = {**demo.env, "PATH": binaries, "PYTHONPATH": path}
        self.env["PYTHONWARNINGS"] = "default"

    def follow(self, block: Block) -> None:
        """Do what the block says."""
        if block.file:
            (self.scratch / block.file).write_text(block.body)
        elif block.language == "python":
            self.run([sys.executable, "-c", block.body], ())
        elif block.language == "console":
            for command in commands(block):
                self.do(command)

    def do(self, command: Command) -> None:
        """Run one command as its line says, and compare what is shown below it."""
        if command.command == "make demo":
            output = self.demo.output()
            assert [line for line in command.shown if not shows(output, self.here(line))] == []
        elif NOT_FROM_A_TEST.match(command.command):
            self.run(["make", "--dry-run", *command.command.split()[1:]], ())
        elif KEEPS_RUNNING.match(command.command):
            self.start(command)
        else:
            self.run(["bash", "-euc", self.here(command.command)], command.shown)

    def run(self, argv: list[str], shown: tuple[str, ...]) -> None:
        """Run it to its end; it must succeed and print the lines that are shown."""
        done = subprocess.run(
            argv,
            check=False,
            env={**os.environ, **self.env},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, f"{argv}:\n{output}"
        missing = [line for line in shown if not shows(output, self.here(line))]
        assert missing == [], f"{argv} printed:\n{output}"

    def start(self, command: Command) -> None:
        """Start it, wait for the lines that are shown, and stop it when the document ends."""
        argv = [sys.executable, "-m", *self.here(command.command).split()]
        argv += ["-n", f"{self.scratch.name}@%h"] if "worker" in argv else []
        log = self.scratch / f"{argv[5]}.log"
        program = self.stack.enter_context(Program(argv, log=log, env=self.env))
        for line in command.shown or (("ready.",) if "worker" in argv else ()):
            here = self.here(line)
            wait_for(lambda: shows(program.output(), here), here, doing=program.check_alive)  # noqa: B023 (called at once)

    def here(self, text: str) -> str:
        """Put the demo's own ports in the place of the usual ones."""
        return re.sub(
            r"\b(8000|8001|8025|5555)\b", lambda port: self.demo.env[PORTS[port[0]]], text
        )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_can_be_followed(document: Path, demo: Demo, tmp_path: Path) -> None:
    with ExitStack() as stack:
        reader = Reader(demo, tmp_path, stack)
        for block in blocks(document):
            assert block.language in RUN | SHOWN, f"{document.name}:{block.line}"
            reader.follow(block)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target
