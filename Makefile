# Everything a developer does, in the checkout's own environment. `make help` lists it.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# A Python to make the environment with; the first of these that is 3.11 or newer is taken.
PYTHON ?=
CANDIDATES := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python

VENV := .venv
PY := $(VENV)/bin/python
KLING := $(VENV)/bin/kling
INSTALLED := $(VENV)/installed
PIP := $(PY) -m pip -qq --disable-pip-version-check --no-input
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

DEMO := out/demo

# What the tests drive besides Python: the programs we are measured against, and fal's client for JavaScript.
PEERS := benchmarks/.venv/requirements.txt
FAL_JS := out/fal-js
WITH_FAL_JS = if [ -d $(FAL_JS)/node_modules/@fal-ai/client ]; then KLING_FAL_JS="$$(pwd)/$(FAL_JS)"; export KLING_FAL_JS; fi;

export PIP_ROOT_USER_ACTION := ignore

# The tests start hundreds of processes; one that may not keep what it compiled takes twice as long to start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List what can be made.
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-15s %s\n", $$1, $$2 }'

.PHONY: demo
demo: $(INSTALLED) ## Check, compile, plan and render an example film in the sandbox: nothing is paid.
	@rm -rf $(DEMO) && mkdir -p out && cp -R specs/examples/lantern $(DEMO)
	@echo '$$ kling check lantern.kling'
	@cd $(DEMO) && ../../$(KLING) check lantern.kling
	@echo
	@echo '$$ kling compile lantern.kling > requests.json'
	@cd $(DEMO) && ../../$(KLING) compile lantern.kling > requests.json
	@echo
	@echo '$$ kling render lantern.kling --sandbox'
	@cd $(DEMO) && ../../$(KLING) render lantern.kling --sandbox
	@echo
	@echo 'The film is in $(DEMO): its exact requests in requests.json, and a clip to open:'
	@echo '  $(DEMO)/out/sandbox/lantern/door.mp4'
	@echo 'Nothing left this machine, and nothing was paid. A film of your own: $(KLING) init my-film'

# In a new checkout each worker would compile all the tests for itself; once is enough.
.PHONY: test
test: $(INSTALLED) $(PEERS) $(FAL_JS)/package.json ## Run everything: lint, types, import contracts, tests.
	@$(MAKE) --no-print-directory lint & lint=$$!; \
	[ -d tests/__pycache__ ] || $(PY) -m pytest --collect-only -qq -n 0 >/dev/null 2>&1; \
	$(WITH_FAL_JS) $(PY) -m pytest -n auto -q; tests=$$?; \
	wait $$lint && exit $$tests

.PHONY: lint
lint: $(INSTALLED) ## Check style, layout and types.
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet . || { echo 'run: make format'; exit 1; }
	@$(PY) -m mypy

.PHONY: format
format: $(INSTALLED) ## Lay the code out, and mend what ruff can.
	@$(PY) -m ruff check --fix --quiet . || true
	@$(PY) -m ruff format .

.PHONY: coverage
coverage: $(INSTALLED) $(PEERS) $(FAL_JS)/package.json ## Run the tests and show how much of each room they run, with what they leave out.
	@rm -rf out/coverage && mkdir -p out/coverage
	@$(WITH_FAL_JS) $(PY) -m coverage run -m pytest -n auto -q
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage json --quiet --fail-under=0 -o out/coverage/report.json
	@$(PY) -m coverage report; together=$$?; $(PY) tests/coverage_rooms.py out/coverage/report.json && exit $$together

# Without SECONDS it goes on until it finds something or is interrupted; without a TARGET every door has its turn.
TARGET ?= all
SEED ?=
REPLAY ?=
FUZZ = cd tests && ../$(PY) -m fuzz --out ../out/fuzz --target $(TARGET) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

.PHONY: fuzz
fuzz: $(INSTALLED) ## Try broken input at every door without end; TARGET=film SECONDS=60 SEED=7, REPLAY=FILE tries one again.
	@$(FUZZ) $(if $(REPLAY),--replay $(abspath $(REPLAY)))

.PHONY: fuzz-guided
fuzz-guided: $(INSTALLED) ## The same, led by what the code does with an input: with atheris, which is installed where it runs.
	@$(PY) -c 'import atheris' 2>/dev/null || $(PIP) install atheris || \
	  { echo 'atheris cannot be installed here, and make fuzz does without it' >&2; exit 2; }
	@$(FUZZ) --engine atheris

.PHONY: deletions
deletions: $(INSTALLED) ## Delete each rule, check, limit and line of the binding in turn: a test must notice; takes an hour.
	@$(PY) tests/deletions.py --processes 2 --write tests/deletions.md

.PHONY: mutation
mutation: $(INSTALLED) ## Change the code in small ways and count what the tests notice: all rooms, or make mutation ROOM=checks; takes hours.
	@$(PY) tests/mutation.py $(if $(ROOM),--room $(ROOM)) $(if $(SAMPLE),--sample $(SAMPLE))

.PHONY: bench
bench: $(INSTALLED) $(PEERS) ## Measure against what one would use instead; takes minutes.
	@$(PY) benchmarks/bench.py

.PHONY: lock
lock: $(INSTALLED) ## Choose the newest releases that pyproject.toml allows, and pin them with their hashes.
	@rm -rf out/lock && mkdir -p out/lock
	@$(PY) -m venv out/lock/tools
	@out/lock/tools/bin/python -m pip -qq --disable-pip-version-check --no-input install uv
	@cp pyproject.toml README.md LICENSE out/lock
	@cp -R kling_dsl grammar specs out/lock
	@out/lock/tools/bin/uv lock --quiet --no-config --project out/lock
	@{ echo '# What the developers of kling-dsl install, with the digests of every published file. Made by: make lock'; \
	   out/lock/tools/bin/uv export --quiet --no-config --project out/lock --frozen --no-emit-project --extra media \
	     --extra schema --extra serve --all-groups --no-annotate --no-header --format requirements.txt; } > out/lock/requirements.lock
	@mv out/lock/requirements.lock requirements.lock
	@rm -rf out/lock

.PHONY: clean
clean: ## Take away everything that was made here, the environments too.
	rm -rf $(VENV) benchmarks/.venv out dist build .coverage .coverage.* .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find kling_dsl tests benchmarks specs -name __pycache__ -prune -exec rm -rf {} +

$(PEERS): benchmarks/requirements.txt | $(INSTALLED)
	@cd benchmarks && ../$(PY) -c 'import environment; environment.peers_python()'
	@touch $(PEERS)

# Without npm, or without a way to its packages, the tests of the JavaScript programs skip and say so.
$(FAL_JS)/package.json:
	@if command -v npm >/dev/null; then \
	  mkdir -p $(FAL_JS) && \
	  npm install --silent --no-audit --no-fund --fetch-retries 1 --fetch-retry-mintimeout 1000 --prefix $(FAL_JS) @fal-ai/client@1 </dev/null \
	  || echo 'fal'"'"'s client for JavaScript could not be installed: its tests will skip' >&2; fi

# The file keeps the folder it was made in: an environment that was moved with its checkout is made anew.
ifneq ($(shell cat $(INSTALLED) 2>/dev/null),$(shell pwd -P))
.PHONY: $(INSTALLED)
endif

$(INSTALLED): pyproject.toml requirements.lock
	@set -e; \
	suitable=; \
	for candidate in $(CANDIDATES); do \
	  if "$$candidate" -c '$(SUITABLE)' 2>/dev/null; then suitable=$$candidate; break; fi; \
	done; \
	if [ -z "$$suitable" ]; then \
	  echo 'kling-dsl needs Python 3.11 or newer, with its venv module, and found none.' >&2; \
	  echo 'Install one (Debian, Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3' >&2; \
	  exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$suitable" --version) ..."; \
	"$$suitable" -m venv --clear $(VENV); \
	$(PIP) install --require-hashes --requirement requirements.lock; \
	$(PIP) install --no-deps --no-build-isolation --editable .; \
	pwd -P > $(INSTALLED)
