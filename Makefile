# Everything a person does in this repository, one target each. `make` alone prints them.
#
# Only Python >= 3.11, make and git need to be on the machine; the rest goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-order demo-clean test faults bench bench-peers check format lock

help: ## Print this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo

##@ See it work
demo: setup ## Start the store, its worker, Flower and the rest; Ctrl-C stops them
	@$(RUN) checkout_demo.demo

demo-order: setup ## Place an order in the running demo and watch its jobs
	@$(RUN) checkout_demo.order_from_terminal

demo-clean: setup ## Forget the demo's orders, queues, mail and logs
	@$(RUN) checkout_demo.demo --clean

##@ Work on it
setup: $(VENV)/.complete ## Make .venv from the lock file (does nothing when nothing changed)

$(VENV)/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Expresslane needs Python 3.11 or newer; '$(PYTHON)' is" \
	       "$$($(PYTHON) --version 2>&1). Name another one: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo "Making $(VENV) from requirements.lock (about a minute the first time) ..."
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "The venv module is missing. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(RUN) pip install --disable-pip-version-check --quiet --progress-bar on \
	  --require-hashes --requirement requirements.lock
	@$(RUN) pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

export REQUIRE_ALL

BENCH = $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(JOBS),--jobs $(JOBS)) $(foreach key,$(ONLY),--only $(key))

# Most tests wait for real programs most of the time, so several fit on a core. A file's tests stay
# together: they share servers, workers, the demo.
TEST_PROCESSES ?= 4

test: setup ## Run the tests: unit, integration, and the browser flow where chromium is present
	@$(RUN) pytest --numprocesses $(TEST_PROCESSES) --dist loadfile

faults: setup ## Kill workers, broker, the whole store under load; 40 minutes; count (SEED=1)
	@$(RUN) tests.faults $(if $(SEED),--seed $(SEED))
	@$(RUN) tests.storefaults $(if $(SEED),--seed $(SEED))

bench: setup ## Measure speed, latency and memory beside Celery's own transport (ROUNDS=3 JOBS=10000 ONLY=drain)
	@$(RUN) benchmarks.bench $(BENCH)

bench-peers: setup ## The same beside Celery, dramatiq, huey, taskiq, rq, arq, Sidekiq; half an hour
	@$(RUN) benchmarks.bench --peers $(BENCH)

check: setup ## The one gate: format, lint, strict types, lock file fresh
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@./.ci/lock --check

format: setup ## Let ruff lay out the code and mend what it can
	@$(RUN) ruff format .
	@$(RUN) ruff check --fix .

lock: setup ## Write requirements.lock anew from pyproject.toml
	@./.ci/lock --upgrade
