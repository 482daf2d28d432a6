# Every target sets up what it needs in .venv; nothing else on the machine is touched.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help setup setup-dev serve play test check crash bench bench-sessions conformance lock clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: .venv/runtime ## Install what the server needs
setup-dev: .venv/dev ## Install what the tests and checks need, too

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv

.venv/runtime: .venv/bin/python requirements.lock pyproject.toml
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: .venv/bin/python requirements-dev.lock pyproject.toml
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@ .venv/runtime

serve: .venv/runtime ## Run the server on this machine, for you alone
	TURNKEEPER_AUTH=off $(BIN)/turnkeeper serve

play: .venv/runtime ## Play the adventure in the terminal
	$(BIN)/turnkeeper play adventure

test: .venv/dev ## Run the tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: .venv/dev ## Lint, types, layers, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	export TURNKEEPER_DATABASE_URL=sqlite:///$$folder/check.db; \
	$(BIN)/alembic upgrade head; $(BIN)/alembic check

crash: .venv/dev ## Kill servers a thousand times a store, and search long histories for anomalies
	CRASH_KILLS=1000 ISOLATION_OPERATIONS=100000 $(BIN)/python -m pytest -n 2 --dist worksteal tests/crash tests/isolation

bench: .venv/dev ## Compare speed with other servers, side by side
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.processes
	$(BIN)/python -m benchmarks.hooks
	$(BIN)/python -m benchmarks.feed
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.wordnet

bench-sessions: .venv/dev ## See what 1,000,000 stored sessions cost
	$(BIN)/python -m benchmarks --sessions 1000000

conformance: .venv/dev ## Run the official MCP conformance suite
	$(BIN)/python tests/conformance/run.py

lock: .venv/dev ## Bring the lock files up to pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra build --extra postgres --extra rdf $(LOCK) -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra build --extra dev $(LOCK) -c requirements.lock -o requirements-dev.lock
	$(BIN)/uv pip compile benchmarks/requirements.in $(LOCK) -o benchmarks/requirements.lock

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url

clean: ## Remove what the targets made
	rm -rf .venv .venv-bench tests/conformance/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
