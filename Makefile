# Everything a person or CI runs. `make` lists it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Tests often wait for servers, so one more than there are cores.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-fast nightly lint bench docs format requirements clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: .venv/.run ## create .venv with the headwater command in it

demo: .venv/.run ## run the whole product once, explained step by step
	$(BIN)/headwater demo

serve: .venv/.run ## a server to play with: data in ./data, files and two images under ./data/files
	@mkdir -p data/files/cameras/front
	@cp docs/example.png data/files/cameras/front/0001.png && cp docs/example.png data/files/cameras/front/0002.png
	HEADWATER_DATA_DIR=data HEADWATER_LOCAL_ROOT=data/files $(BIN)/headwater serve

test: .venv/.dev ## run all tests, in parallel, with coverage as information
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term:skip-covered $(ARGS)

test-fast: .venv/.dev ## run the tests that need no external server, in under two minutes
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m 'not slow' $(ARGS)

nightly: .venv/.dev ## play 10,000 histories, 1,000 kills and 10,000 generated requests for each operation (hours)
	$(BIN)/python -m pytest -m nightly -s $(ARGS)

lint: .venv/.dev ## check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy client/src tests benchmarks docs/generate.py client/docs/client_pages.py
	$(BIN)/lint-imports

bench: .venv/.dev ## measure the figures in the README
	$(BIN)/python -m benchmarks

docs: .venv/.dev ## write the pages that are generated from the code
	$(BIN)/python docs/generate.py

format: .venv/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

requirements: .venv/.dev ## pin the newest versions that fit (needs uv)
	uv pip compile $(COMPILE) pyproject.toml client/pyproject.toml requirements/build.in -o requirements/run.txt
	uv pip compile $(COMPILE) -c requirements/run.txt pyproject.toml client/pyproject.toml requirements/build.in \
		requirements/dev.in --extra postgresql --extra tracing -o requirements/dev.txt
	for file in requirements/published-*.in requirements/generator.in; do uv pip compile $(COMPILE) --no-deps $$file -o $${file%.in}.txt || exit; done
COMPILE := -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	--no-emit-find-links

clean: ## remove the environment and what tests and tools left
	rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage*

# --no-deps: the pins are complete, and where something is wanted with an extra pip would look for a newer version of it.
.venv/.run: pyproject.toml client/pyproject.toml requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Headwater needs Python 3.11 or newer; say which with make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --no-deps --require-hashes -r requirements/run.txt
	$(PIP) --no-deps --no-build-isolation -e . -e client
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	$(PIP) --no-deps --require-hashes -r requirements/dev.txt
	@touch $@
