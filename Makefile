# Everything that is done to this tree is done by these targets; .ci/run calls the same ones.
# A fresh clone needs Python 3.11 or newer with pip, and make. Environments are made in .venv* on first use.

# The first python3 that runs and is new enough: a pyenv shim may stand in the PATH and not run.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
    "$$p" -c 'import tomllib' 2>/dev/null && echo "$$p" && break; done)
# The versions that `make test` runs on: all that this machine has. make test PYTHONS="3.11 3.13"
PYTHONS ?= $(shell $(PYTHON) tools/environment.py found)
# More words for pytest: make test ARGS="-k redact tests/model"
ARGS ?=

# Prints the directory of the environment, which is made if need be; given a version, that of this version.
environment = $(if $(PYTHON),$(PYTHON),$(error no Python 3.11 or newer was found: give one as PYTHON=/path/to/python3)) \
    tools/environment.py
# A recipe line starts with it: from here on the environment's own programs come first.
enter = set -e; env=$$($(environment) ready); PATH="$$env/bin:$$PATH"; export PATH;

.DEFAULT_GOAL := help
.PHONY: help demo test test-as-user postgres pythons lint format types contracts bench incidents check changelog docs
.PHONY: clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z%.-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## the incident, staged for real, and what pgusher says of it
	@$(enter) pgusher demo

check: lint types contracts test ## everything that must hold before a commit (not bench)

test: ## the tests, on each Python found here; PYTHONS=3.13 ARGS="-k redact" narrow it
	@set -e; for version in $(PYTHONS); do $(MAKE) --no-print-directory "test-$$version"; done

test-%: ## the same on one version of Python: make test-3.12
	@set -e; env=$$($(environment) ready $*); PATH="$$env/bin:$$PATH"; export PATH; \
	    echo "== pytest on $$(python -V), as $$(id -un)"; \
	    python tools/fetch_postgres.py; \
	    python tools/run_tests.py $(ARGS)

test-as-user: ## the tests as an ordinary user that it makes, in a copy (needs root)
	@tools/test_as_user.sh

postgres: ## fetch the older PostgreSQL servers that the tests run against
	@$(enter) python tools/fetch_postgres.py

pythons: ## the versions of Python here that `make test` runs on
	@$(environment) found

lint: ## ruff, its formatting, and the changelog fragments
	@$(enter) ruff check; ruff format --check; \
	    said=$$(towncrier build --draft --version lint 2>&1) || { echo "$$said"; exit 1; }

format: ## let ruff put the code into its format
	@$(enter) ruff check --fix; ruff format

types: ## mypy, strict
	@$(enter) mypy

contracts: ## which package may import which
	@$(enter) lint-imports --cache-dir .cache/import-linter

bench: ## the measurements of docs/benchmarks.md
	@$(environment) add bench >/dev/null
	@$(enter) python -m bench $(ARGS)

docs: ## write the completions, the manual page, docs/commands.md and the golden screens
	@$(enter) PYTHONPATH=. python -m tests.surfaces.screens; PYTHONPATH=. python -m tests.surfaces.tui.pictures; python tools/write_docs.py

incidents: ## what pgusher says of each seeded incident, as a table
	@$(enter) PYTHONPATH=. python -m tests.incidents $(ARGS)

changelog: ## what the next release would say
	@$(enter) towncrier build --draft --version next

clean: ## remove the environments and everything fetched or cached
	rm -rf .venv .venv-* .cache .hypothesis build dist
