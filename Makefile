# Two commands are enough: `make book` and `make test`. Both prepare .venv first.
# Needs: Python 3.11-3.13, make, git. Nothing else has to be installed.

# A shim may be on PATH and yet start nothing, so each candidate is tried, not only looked for.
PYTHON ?= $(firstword $(foreach v,python3.11 python3.12 python3.13 python3,$(shell $(v) -c "" 2>/dev/null && echo $(v))))
UV     := $(or $(shell uv --version >/dev/null 2>&1 && command -v uv),.uv/bin/uv)
BIN    := .venv/bin
# uv is brought into a private environment of its own only where it is missing and needed.
BRING_UV = test -x $(UV) || { $(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet --disable-pip-version-check uv; }
STAMP  := .venv/.emolib-installed
JOBS   ?= 2
MODE   ?= quick

.DEFAULT_GOAL := help
.PHONY: help env book test lint format lock archive clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make book DATA=path   also runs the paper chapters on the real corpora in that folder"

env: $(STAMP) ## Create .venv from requirements.lock (nothing to do when it is up to date)

# The stamp is written last, so that an interrupted installation is taken up again.
$(STAMP): requirements.lock pyproject.toml
	@$(BRING_UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m emolib.features.precompile
	@touch $@

book: env ## Execute every notebook, build the book: _build/html/index.html
	@$(if $(DATA),EMOLIB_DATA="$(abspath $(DATA))") $(BIN)/emolib book --mode $(MODE) --jobs $(JOBS) $(if $(DATA),--data "$(DATA)") $(if $(ONLY),--only $(ONLY))

test: env ## Run the tests (with EMOLIB_DATA set, those on real recordings too)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

lint: env ## Check style, formatting, types, and that imports go one way
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy

format: env ## Put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Renew requirements.lock from pyproject.toml
	@$(BRING_UV)
	$(UV) pip compile pyproject.toml --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url --no-emit-find-links --quiet -o requirements.lock

archive: env ## Write ledger and results in the formats of archives: dist/archive
	rm -rf dist/archive
	$(BIN)/emolib claims --export dist/archive

clean: ## Remove what was built (keeps .venv, downloads and features)
	rm -rf _build dist .coverage .mypy_cache .pytest_cache .ruff_cache
	find emolib tests -name __pycache__ -type d -exec rm -rf {} +
