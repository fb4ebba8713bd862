# make run: serve on http://127.0.0.1:5000      make test: lint, types, all tests
# Settings are environment variables: docs/reference/configuration.md

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

PARTS := test-live test-trouble test-browser test-web test-core test-rest

.PHONY: run test test-live test-trouble test-browser test-web test-core test-rest test-long benchmark benchmark-long lint lock clean

run: export HOST ?= 127.0.0.1
run: $(VENV)/installed
	@exec $(BIN)/http-bucket serve

# Six at a time keep two cores busy, because much of it waits for the disk and for each other; each
# tells what it found when it is through.
test: lint
	@$(MAKE) --no-print-directory -j6 --output-sync=target $(PARTS)

# What kills servers, fills disks and damages files.
TROUBLE := $(wildcard $(addprefix tests/live/test_, crash*.py damaged*.py delet*.py fail*.py \
	full*.py hostile*.py slow*.py soak.py trouble.py write*.py))

test-live: $(VENV)/installed-for-tests
	$(BIN)/python -X dev -m pytest -q -m "not long" -p no:cacheprovider tests/live \
		$(addprefix --ignore=,$(TROUBLE))

test-trouble: $(VENV)/installed-for-tests
	$(BIN)/python -X dev -m pytest -q -m "not long" -p no:cacheprovider $(TROUBLE)

test-browser: $(VENV)/installed-for-tests
	$(BIN)/python -X dev -m pytest -q -m "not long" -p no:cacheprovider tests/browser

test-web: $(VENV)/installed-for-tests
	$(BIN)/python -X dev -m pytest -q -m "not long" -p no:cacheprovider tests/web tests/server

test-core: $(VENV)/installed-for-tests
	$(BIN)/python -X dev -m pytest -q -m "not long" -p no:cacheprovider \
		$(addprefix tests/,domain content services storage)

test-rest: $(VENV)/installed-for-tests
	$(BIN)/python -X dev -m pytest -q -m "not long" \
		$(addprefix --ignore=tests/,live browser web server domain content services storage)

test-long: $(VENV)/installed-for-tests
	$(BIN)/python -X dev -m pytest

benchmark: $(VENV)/installed-for-tests
	$(BIN)/python -m tests.benchmark

benchmark-long: $(VENV)/installed-for-tests
	$(BIN)/python -m tests.benchmark --long --write-docs

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

lock: $(VENV)/installed-for-tests
	$(BIN)/python tests/lock.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build/npm

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "http-bucket needs Python 3.11 or later; name one: make PYTHON=python3.13")'
	@echo "Making $(VENV) and installing what http-bucket needs (once, about half a minute)."
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: assets/requirements.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install -r assets/requirements.txt
	$(PIP) install --no-deps -e .
	@touch $@

$(VENV)/installed-for-tests: requirements-dev.lock tests/debian-packages.txt tests/install-debian-packages $(VENV)/installed
	$(PIP) install -r requirements-dev.lock
	tests/install-debian-packages
	@touch $@
