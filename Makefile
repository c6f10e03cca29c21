# Everything a person or CI runs. `make` lists it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Tests often wait for servers, so one more than there are cores.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test coverage test-fast nightly lint bench docs format requirements image licenses sbom audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: .venv/.run ## create .venv with the headwater command in it

demo: .venv/.run ## run the whole product once, explained step by step
	$(BIN)/headwater demo

serve: .venv/.run ## a server to play with: data in ./data, files and two images under ./data/files
	@mkdir -p data/files/cameras/front
	@cp docs/example.png data/files/cameras/front/0001.png && cp docs/example.png data/files/cameras/front/0002.png
	HEADWATER_DATA_DIR=data HEADWATER_LOCAL_ROOT=data/files $(BIN)/headwater serve

test: .venv/.dev ## run all tests, in parallel
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

coverage: .venv/.dev ## run all tests with coverage as information, which takes half as long again
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term:skip-covered $(ARGS)

test-fast: .venv/.dev ## run the tests that need no external server, in under two minutes
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m 'not slow' $(ARGS)

nightly: .venv/.dev ## play 10,000 histories, 1,000 kills and 10,000 generated requests for each operation (hours)
	$(BIN)/python -m pytest -m nightly -s $(ARGS)

lint: .venv/.dev ## check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy client/src tests benchmarks docs/generate.py client/docs/client_pages.py \
		requirements/licenses.py requirements/sbom.py deploy/docker/healthcheck.py
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
	uv pip compile $(COMPILE) --no-deps -c requirements/dev.txt requirements/postgresql.in -o requirements/postgresql.txt
	uv pip compile $(COMPILE) requirements/audit.in -o requirements/audit.txt
	for file in requirements/published-*.in requirements/generator.in; do uv pip compile $(COMPILE) --no-deps $$file -o $${file%.in}.txt || exit; done
COMPILE := -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	--no-emit-find-links

image: ## build the container image headwater:VERSION, with docker or DOCKER=podman
	$(DOCKER) build -f deploy/docker/Dockerfile --build-arg REVISION=$$(git rev-parse HEAD) -t headwater:$(VERSION) .
DOCKER ?= docker
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' src/headwater/__init__.py)

licenses: .venv/.dev ## check the licenses of the run-time dependencies
	$(BIN)/python requirements/licenses.py

sbom: .venv/.dev ## write the bill of materials (CycloneDX) to dist/sbom.cdx.json
	$(BIN)/python requirements/sbom.py dist/sbom.cdx.json

audit: .venv/.audit ## look for known vulnerabilities of the pins (asks the internet)
	.venv/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements/run.txt -r requirements/postgresql.txt

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

# In an environment of its own: tests do not need it, and it needs a version of pip.
.venv/.audit: .venv/.run requirements/audit.txt
	test -x .venv/audit/bin/python || $(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip --disable-pip-version-check -q install --no-deps --require-hashes -r requirements/audit.txt
	@touch $@
