# Everything a developer runs. Each target makes the environment first; python3 of 3.11 or newer is all it asks for.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.made-from-pyproject
# With `make test TESTS=tests/state` one room alone.
TESTS  ?=
# Test files beside each other: most of their time is waiting for real processes.
JOBS   ?= 4

.PHONY: help env demo stack test check check-js format-js prove bench clean
.DEFAULT_GOAL := help

help:
	@echo "make env    the environment, in $(VENV)"
	@echo "make demo   a collector, a shop under four workers and traffic; says where to look"
	@echo "make stack  Elasticsearch, Kibana, Fluent Bit and a shop with customers, by docker compose"
	@echo "make test   ruff, mypy, and all tests in their short form"
	@echo "make check  ruff and mypy alone, and the page's JavaScript where npm is installed"
	@echo "make prove  the tests in full size, with their numbers (long)"
	@echo "make bench  the benchmarks, as ratios of one run"
	@echo "make clean  removes the environment and what tools left behind"

env: $(STAMP)

# The stamp is written last: an environment that was interrupted is made again.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "logship needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version 2>&1); try make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "making $(VENV): about a minute, once"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all,dev]'
	@touch $@

demo: env
	@$(BIN)/logship demo

# Passwords are made once. What is asked for here is Docker alone; the environment is not needed.
stack:
	@$(PYTHON) compose/write_env.py
	@docker compose up --build --detach
	@echo "Kibana: http://localhost:5601 in some minutes, user elastic, password: grep ELASTIC_PASSWORD .env"

check: env check-js
	@$(BIN)/ruff check .
	@$(BIN)/mypy

# The formatter and the type checker of the page's JavaScript come from npm, at the versions of tests/page/package.json.
# TODO: the files after "!" are formatted when they have been rewritten.
JS     := tests/page
SCRIPTS := "../../logship/page/static/*.js"
check-js format-js: SHELL := /bin/bash
check-js: $(JS)/node_modules/.made
	@command -v npx > /dev/null && test -d $(JS)/node_modules/prettier || exit 0; cd $(JS) \
	  && { node_modules/.bin/prettier --cache --config package.json --log-level warn --check $(SCRIPTS) || { echo "run: make format-js"; exit 1; }; } \
	  && node_modules/.bin/tsc -p jsconfig.json

format-js: $(JS)/node_modules/.made
	@cd $(JS) && node_modules/.bin/prettier --config package.json --log-level warn --write $(SCRIPTS)

$(JS)/node_modules/.made: $(JS)/package.json
	@mkdir -p $(@D); if ! command -v npx > /dev/null; then \
	  echo "npm is not installed: the page's JavaScript is not checked"; \
	elif (cd $(JS) && npm install --silent --no-package-lock --no-fund --no-audit); then touch $@; \
	else echo "npm cannot install the tools of $(JS)/package.json: the page's JavaScript is not checked"; fi

# First the tests that need the cores for themselves (marked `quiet`), in one process; then all others beside each other. Nothing
# is repeated: a test that fails fails the run. pytest ends with 5 where no test was selected, which one of the two may say.
test: check
	@$(BIN)/pytest -q -m quiet $(TESTS); first=$$?; [ $$first -ne 2 ] || exit 2; \
	  $(BIN)/pytest -q -n $(JOBS) --dist loadfile -m "not quiet" $(TESTS); second=$$?; \
	  [ "$$first $$second" != "5 5" ] || exit 5; \
	  for status in $$first $$second; do [ $$status -eq 0 ] || [ $$status -eq 5 ] || exit $$status; done

prove: env
	@LOGSHIP_PROVE=1 $(BIN)/pytest -q -s $(TESTS)

bench: env
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
