"""`python -m benchmarks.peers huey`: serve the protocol for this peer."""

import importlib
import sys

from benchmarks.peers.protocol import serve

if __name__ == "__main__":
    # Imported by its own name, as its workers do: some systems write a job's module into its data.
    serve(importlib.import_module(f"benchmarks.peers.{sys.argv[1]}").PEER)
