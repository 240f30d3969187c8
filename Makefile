# Commands for developers. Each target creates the environment first; it needs Python 3.11 or newer.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.made-from-pyproject
# `make test TESTS=tests/state` tests one package.
TESTS  ?=
# Test files that run in parallel: they mostly wait for real processes.
JOBS   ?= 4

.PHONY: help env demo stack test coverage check check-js format-js prove bench clean
.DEFAULT_GOAL := help

help:
	@echo "make env       create the environment in $(VENV)"
	@echo "make demo      start a collector, a shop with four workers and traffic; prints the page's address"
	@echo "make stack     start Elasticsearch, Kibana, Fluent Bit and a shop with traffic in containers"
	@echo "make check     ruff, mypy, unused names, spelling and prose rules, and the page's JavaScript where npm is installed"
	@echo "make test      make check, then the quick test suite"
	@echo "make coverage  branch coverage of the packages that tests run in their own process, with its floor"
	@echo "make prove     the full-size tests, with measurements (long)"
	@echo "make bench     the benchmarks, as ratios within one run"
	@echo "make clean     remove the environment and the files of tools"

env: $(STAMP)

# The stamp is written last, so that an interrupted installation is repeated.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "logship needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version 2>&1); try make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "creating $(VENV): about a minute, once"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all,dev]'
	@touch $@

demo: env
	@$(BIN)/logship demo

# Passwords are generated once. This target needs only Docker, not the environment.
stack:
	@$(PYTHON) compose/write_env.py
	@docker compose up --build --detach
	@echo "Kibana: http://localhost:5601 in a few minutes, user elastic, password: grep ELASTIC_PASSWORD .env"

check: env check-js
	@$(BIN)/ruff check .
	@$(BIN)/codespell
	@$(BIN)/python tests/prose.py
	@$(BIN)/mypy
	@$(BIN)/vulture

# The formatter and the type checker of the page's JavaScript come from npm, at the versions of tests/page/package.json.
JS_TOOLS := $(VENV)/js
STATIC   := logship/page/static
SCRIPTS  := "$(STATIC)/*.js"
PRETTIER := $(JS_TOOLS)/node_modules/.bin/prettier --config tests/page/package.json --log-level warn
check-js: $(JS_TOOLS)/.made
	@command -v npx > /dev/null && test -e $(JS_TOOLS)/.made || exit 0; \
	  { $(PRETTIER) --cache --check $(SCRIPTS) || { echo "run: make format-js"; exit 1; }; } \
	  && $(JS_TOOLS)/node_modules/.bin/tsc -p tests/page/jsconfig.json

format-js: $(JS_TOOLS)/.made
	@$(PRETTIER) --write $(SCRIPTS)

$(JS_TOOLS)/.made: tests/page/package.json | env
	@mkdir -p $(@D) && cp $< $(@D); if ! command -v npx > /dev/null; then \
	  echo "npm is not installed: the page's JavaScript is not checked"; \
	elif npm install --silent --no-package-lock --no-fund --no-audit --prefix $(@D); then touch $@; \
	else echo "npm cannot install the tools of $<: the page's JavaScript is not checked"; fi

# First the tests that need the CPU cores for themselves (marked `quiet`), in one process; then all others in parallel. Nothing is
# repeated: a failing test fails the run. pytest exits with 5 if no test was selected, which one of the two runs may do.
test: check
	@$(BIN)/pytest -q -m quiet $(TESTS); first=$$?; [ $$first -ne 2 ] || exit 2; \
	  $(BIN)/pytest -q -n $(JOBS) --dist loadfile -m "not quiet" $(TESTS); second=$$?; \
	  [ "$$first $$second" != "5 5" ] || exit 5; \
	  for status in $$first $$second; do [ $$status -eq 0 ] || [ $$status -eq 5 ] || exit $$status; done

# Separate from `make test`, because measuring takes a third more CPU time. Other packages mostly run in separate processes,
# which tests kill: their coverage is not measured.
COVERED := event wire state search forensics
coverage: env
	@$(BIN)/pytest -q -n $(JOBS) --dist loadfile -m "not quiet" --timeout 300 --cov-branch --cov-report=term:skip-covered \
	  $(COVERED:%=--cov=logship.%) $(COVERED:%=tests/%)

prove: env
	@LOGSHIP_PROVE=1 $(BIN)/pytest -q -s $(TESTS)

bench: env
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage build dist
