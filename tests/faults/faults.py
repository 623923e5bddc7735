"""What is done to workers and servers."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.faults.arena import Worker
from tests.support.programs import GRACE
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.faults.campaign import Campaign


def kill_group(campaign: "Campaign", victim: Worker) -> None:
    """Kill the whole worker, as the end of a machine or a container does."""
    victim.stop()
    campaign.replace(victim)


def kill_parent(campaign: "Campaign", victim: Worker) -> None:
    """Kill the main process only, as the kernel does when memory is short."""
    victim.process.kill()
    victim.process.wait(GRACE)
    campaign.replace(victim)


def kill_child(campaign: "Campaign", victim: Worker) -> None:
    """Kill one process of the pool; the worker lives on."""
    children = victim.children()
    if children:
        with suppress(ProcessLookupError):
            os.kill(campaign.chance.choice(children), signal.SIGKILL)
    else:
        kill_group(campaign, victim)


def terminate(campaign: "Campaign", victim: Worker) -> None:
    """Ask it to stop, as a deploy does, and start another when it has."""
    victim.process.terminate()
    wait_for(lambda: victim.process.poll() is not None, "the worker's end")
    campaign.crew[campaign.crew.index(victim)] = campaign.hire()


def freeze(campaign: "Campaign", victim: Worker) -> None:
    """Stop it for longer than its lease, then let it go on as if nothing had been."""
    victim.signal_group(signal.SIGSTOP)
    time.sleep(campaign.arena.until_given_back + 1)  # the length of the fault
    victim.signal_group(signal.SIGCONT)


def restart_server(campaign: "Campaign", victim: Worker) -> None:  # noqa: ARG001 (one signature)
    """Kill the broker and start it again."""
    campaign.arena.restart_broker()


def cut(campaign: "Campaign", victim: Worker) -> None:  # noqa: ARG001
    """Cut every connection to the broker, the producer's too."""
    campaign.arena.cut_connections()


def forget_scripts(campaign: "Campaign", victim: Worker) -> None:  # noqa: ARG001
    """Make the broker forget its scripts, as a failover does."""
    campaign.arena.broker.client.script_flush()


FAULTS: dict[str, Callable[["Campaign", Worker], None]] = {
    "kill group": kill_group,
    "kill parent": kill_parent,
    "kill child": kill_child,
    "terminate": terminate,
    "freeze": freeze,
    "restart server": restart_server,
    "cut connections": cut,
    "forget scripts": forget_scripts,
}
