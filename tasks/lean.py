"""A worker without what it has no use for.

Libraries load others where those happen to be installed. Here they go on as where they are not,
which each of them is made for. It stays installed: a job that imports it has it. So in a worker
that was started the light way

- redis-py has no metrics of its own for OpenTelemetry (TRACES_URL's spans are made elsewhere),
- kombu cannot read messages in YAML, which `accept_content` refuses anyway,
- `celery inspect memdump` does not tell the worker's memory,
- `celery amqp` has no prompt, and nothing prints Python or tracebacks in colours.

What stays in memory is not looked through for garbage again: see tasks/sharing.py.
"""

import gc
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType, ModuleType

_LOADED = (
    *("celery.bin.celery", "celery.utils.debug", "kombu.matcher"),
    *("redis", "config.logging"),
)


def load() -> None:
    """Load Celery's command and what the app stands on."""
    # To look through all of it for garbage would take a tenth of the time.
    gc.disable()
    try:
        with _as_if_not_installed():
            for name in _LOADED:
                importlib.import_module(name)
        gc.freeze()
    finally:
        gc.enable()


def _click_repl() -> ModuleType:
    """Return a stand-in: Celery cannot do without, but uses it for the prompt of one command."""
    module = ModuleType("click_repl")
    module.__dict__["register_repl"] = lambda group: group
    return module


_UNUSED: Mapping[str, ModuleType | None] = MappingProxyType(
    {
        # Celery's command, in MB: a terminal's input line 7.
        "click_repl": _click_repl(),
        # Likewise, 2; and a terminal's pages for structlog, another 2, which config/logging.py
        # does not use.
        "pygments": None,
        "rich": None,
        # redis-py, 3.
        "opentelemetry": None,
        # kombu, 1.
        "yaml": None,
        # Celery's debugging, 1.
        "psutil": None,
    }
)


@contextmanager
def _as_if_not_installed() -> Iterator[None]:
    hidden = {name: module for name, module in _UNUSED.items() if name not in sys.modules}
    # None is how Python notes that there is no such module.
    sys.modules.update(hidden)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
