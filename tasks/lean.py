"""What libraries load where it happens to be installed, and no worker has a use for.

It stays installed: a job that imports it has it. Only the library that tried it goes on as where it
is not installed, which each of them is made for. So in a worker that was started the light way

- redis-py has no metrics of its own for OpenTelemetry (TRACES_URL's spans are made elsewhere),
- kombu cannot read messages in YAML, which `accept_content` refuses anyway,
- `celery amqp` has no prompt, and nothing prints coloured Python.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType, ModuleType


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
    }
)
_LOADED = ("celery.bin.celery", "redis", "config.logging")


def load() -> None:
    """Load Celery's command and what the app stands on, without what they have no use for."""
    with _as_if_not_installed():
        for name in _LOADED:
            importlib.import_module(name)


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
