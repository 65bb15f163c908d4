# Dropzone. `make run` starts it with an example, `make test` runs every test, and `make help` lists the rest.
# Both install what they need: uv (into .uv/, if it is missing), and Python packages from the lock (into .venv/).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export SAM_CLI_TELEMETRY := 0

# If HOME isn't writable, uv and pip keep their caches here.
ifneq ($(shell cache="$${XDG_CACHE_HOME:-$$HOME/.cache}"; mkdir -p "$$cache" 2>&1 && { test -w "$$cache" || echo no; }),)
export XDG_CACHE_HOME := $(CURDIR)/.uv/cache
export UV_PYTHON_INSTALL_DIR := $(CURDIR)/.uv/python
endif
# Many processes are started here, and each would compile its imports.
unexport PYTHONDONTWRITEBYTECODE

UV := $(if $(shell command -v uv),uv,.uv/bin/uv)
RUN := $(UV) run --locked --no-sync
LOCAL := $(RUN) python -m dropzone_local
# For targets that install nothing: if nothing is installed, nothing can be running.
INSTALLED := test -x .venv/bin/python || { echo "Nothing is installed here yet, so nothing runs: make up"; exit 0; }; .venv/bin/python -m dropzone_local
SOURCES := layers functions cli local openapi contracts tools/cfn_rules tools/mutants.py tools/mutants_run.py tests benchmarks
# Relative to tools/page.
PAGE_SOURCES := ../../page ../../tests/unit/page build.mjs ../../functions/web/dropzone_web/static/docs.js
# Only if the lock has changed.
NPM_INSTALL := { cmp -s package-lock.json node_modules/.installed || ! command -v npm >/dev/null \
    || { npm ci --silent --no-audit --no-fund && cp package-lock.json node_modules/.installed; }; }
ARGS ?=
# `make test` lists the files with a lower coverage, in percent.
LEAST_COVERAGE := 95

##@ Use it

# Lists the targets that have a text after ##, under the heading of the preceding ##@.
.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^##@ / { group = substr($$0, 5) } \
	    /^[a-z][a-z-]*:.*## / { listed[group] = listed[group] sprintf("  make %-14s %s\n", $$1, $$2) } \
	    END { count = split("Use it,Change it,Run it on AWS", groups, ","); \
	          for (i = 1; i <= count; i++) printf "%s%s\n%s", (i > 1 ? "\n" : ""), groups[i], listed[groups[i]] }' \
	    $(firstword $(MAKEFILE_LIST))

# ---- set-up ----------------------------------------------------------------------------------------------------------

##@ Change it

.uv/bin/uv:
	@command -v python3 >/dev/null || { echo "Dropzone needs uv, or a python3 to install it with: neither is on the PATH." >&2; exit 1; }
	@echo "uv is missing: installing it into .uv/" >&2
	@python3 -m venv .uv && .uv/bin/python -m pip install --quiet --disable-pip-version-check uv || { rm -rf .uv; \
	    echo "uv could not be installed: check the network and the proxy, or install uv yourself." >&2; exit 1; }

.PHONY: install
install: $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv) ## install Python packages from the lock
	@[ -d .venv ] || echo "Installing Python packages, once. This can take a minute." >&2
	@$(UV) sync --locked --quiet || { echo "Dropzone needs Python 3.13, which uv fetches where it is missing, and the package index: see uv's error above, and check the network and the proxy." >&2; exit 1; }
	@$(UV) sync --locked --quiet --project local/emulator

# ---- the local stack ---------------------------------------------------------------------------------------------------

##@ Use it

.PHONY: run
run: install ## start everything, send one event, show its row, serve until Ctrl-C
	@$(LOCAL) run $(ARGS)

.PHONY: demo
demo: install ## send a day of data from seven sensors, then live data until Ctrl-C; starts the stack if needed
	@$(LOCAL) demo $(ARGS) || [ $$? = 130 ] # Ctrl-C is how it ends

.PHONY: up
up: install ## start everything in the background; .local/stack.json has the addresses
	@$(LOCAL) up $(ARGS)

.PHONY: down
down: ## stop it; data stays under .local/
	@$(INSTALLED) down

.PHONY: status
status: ## show what runs, and where
	@$(INSTALLED) status

.PHONY: logs
logs: ## follow the functions' logs
	@$(INSTALLED) logs --follow || [ $$? = 130 ] # Ctrl-C is how it ends

.PHONY: clean
clean: ## stop it and delete its data
	@$(INSTALLED) clean

# ---- the gates ---------------------------------------------------------------------------------------------------------

##@ Change it

.PHONY: check
check: install ## the gate: format, lint, types, architecture, template, lock
	@$(MAKE) --jobs 2 check-types check-template policies check-documents check-code check-page check-lock workflows

.PHONY: check-types check-template check-documents check-code check-page check-lock
check-types:
	@$(RUN) mypy
	@$(RUN) mypy --python-version 3.11 --no-error-summary cli

# This runs SAM's transform. `sam validate --lint` would run cfn-lint again, with fewer rules.
check-template:
	@$(RUN) cfn-lint template.yaml monitoring.yaml .github/deploy-role.yaml

check-documents:
	@$(RUN) python -m dropzone_openapi --check
	@$(RUN) python -m dropzone_contracts --check

check-code:
	@$(RUN) ruff format --check --quiet $(SOURCES)
	@$(RUN) ruff check --quiet $(SOURCES)
	@$(RUN) lint-imports --no-logo

check-page: page-tools
	@command -v npm >/dev/null || { echo "npm is missing: the page's modules are NOT checked" >&2; exit 0; }; \
	    cd tools/page && node_modules/.bin/biome check --error-on-warnings --config-path=. $(PAGE_SOURCES) && node build.mjs --check

check-lock:
	@for project in . local/emulator tools/checkov tools/clients tools/workflows; do $(UV) lock --check --quiet --project $$project; done
	@$(MAKE) requirements && git diff --exit-code -- $(REQUIREMENTS)

# checkov has its own environment, because it pins many packages. It asks no registry when it runs.
.PHONY: policies
policies: ## check the template against checkov's policies
	@$(UV) sync --locked --quiet --project tools/checkov
	@CKV_SKIP_PACKAGE_UPDATE_CHECK=true $(UV) run --quiet --locked --no-sync --project tools/checkov \
	    checkov -f template.yaml monitoring.yaml --framework cloudformation --quiet --compact --skip-download

# These have their own environment, like checkov.
.PHONY: workflows
workflows: ## lint GitHub's workflows
	@$(UV) sync --locked --quiet --project tools/workflows
	@tools/workflows/.venv/bin/actionlint
	@tools/workflows/.venv/bin/zizmor --offline --quiet --no-progress .github

.PHONY: test
test: install browser clients ## run every test, and show coverage (ARGS="tests/unit -k name" for some, without)
	@$(RUN) pytest --numprocesses 4 --dist loadscope --randomly-seed 1 $(or $(ARGS),--cov --cov-report=)
	@$(if $(ARGS),true,$(RUN) coverage report | awk 'NR == 1 { print $$0, "(files below $(LEAST_COVERAGE)%)" } /^TOTAL/ || /%$$/ && $$NF + 0 < $(LEAST_COVERAGE)')

# The browser tests need Chromium (here Debian's package); without it they are skipped, with a message.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && echo "Chromium is missing: installing Debian's package, for the tests of the pages" >&2 \
	    && apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || true

# Client generators and linters for the API's document, in their own environments; without them their tests are skipped.
.PHONY: clients
clients: npm ## install client generators and linters for the API's document
	@$(UV) sync --locked --quiet --project tools/clients
	@cd tools/clients && $(NPM_INSTALL)

# Bundles, lints and formats the page's modules (page/); without npm, the committed bundles are served.
.PHONY: page-tools
page-tools: npm
	@cd tools/page && $(NPM_INSTALL)

.PHONY: npm
npm:
	@command -v npm >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && echo "npm is missing: installing Debian's package" \
	    && apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; } || true

.PHONY: screenshots
screenshots: install browser ## take the documents' screenshots again
	@DROPZONE_SCREENSHOTS=docs/images $(RUN) pytest tests/e2e/test_screenshots.py -p no:randomly

# For reviewing changes of the page: at both widths, in both themes.
.PHONY: every-screenshot
every-screenshot: install browser ## take a picture of every state of the page (ARGS=folder)
	@DROPZONE_SCREENSHOTS_ALL=$(or $(ARGS),.local/screenshots) $(RUN) pytest tests/e2e/test_every_state.py -p no:randomly

.PHONY: first-run
first-run: install ## try make up, demo and down as a new user on unusual machines; ten minutes (ARGS=--list)
	@$(RUN) python tests/first_run/first_run.py $(ARGS)

.PHONY: soak
soak: install ## minutes of faults and load on the local stack, 10,000 hostile bodies (DROPZONE_SOAK_SECONDS=300)
	@DROPZONE_BAD_INPUT_ROUNDS=500 $(RUN) pytest tests/soak/soak_load.py tests/soak/soak_oracle.py tests/soak/soak_fleet.py \
	    tests/soak/soak_largest.py tests/functional/test_bad_input.py -p no:randomly --timeout 0 $(ARGS)

.PHONY: mutants
mutants: install ## mutation testing, for hours (ARGS="domain", DROPZONE_MUTANTS_SECONDS=7200)
	@$(UV) run --locked --group mutants python tools/mutants.py $(ARGS)
	@$(UV) sync --locked --quiet

.PHONY: test-unit
test-unit: install ## run the quick tests, which only need Python, in half a minute
	@$(RUN) pytest tests/unit --ignore tests/unit/template -m "not slow" --hypothesis-profile quick $(ARGS)

# Each finding becomes an @example in its test; `make test` is the same every time.
.PHONY: explore
explore: install browser ## search at random for broken properties, with 25 times the examples of make test
	@$(RUN) pytest tests/unit tests/functional tests/integration tests/resilience tests/e2e tests/artefact -m "hypothesis or weekly" --hypothesis-profile explore --numprocesses 2 $(ARGS)

# ---- benchmarks --------------------------------------------------------------------------------------------------------

BENCH := PYTHONPATH=tests $(RUN) python -m benchmarks

.PHONY: bench
bench: install ## measure everything against its reference, in minutes (ARGS=validate for one); not a gate
	@$(BENCH) $(ARGS)

.PHONY: bench-full
bench-full: bench ## the same with five million rows as well: about ten minutes
	@$(BENCH) large gold backlog sources months

.PHONY: bench-plots
bench-plots: install ## draw the plots of docs/performance.md from benchmarks/results.json
	@$(UV) run --locked --group plots python -m benchmarks.plots
	@$(UV) sync --locked --quiet

# ---- development -------------------------------------------------------------------------------------------------------

.PHONY: format
format: install ## format, and fix what the linter can fix
	@$(RUN) ruff check --fix --quiet $(SOURCES) || true
	@$(RUN) ruff format --quiet $(SOURCES)

REQUIREMENTS := layers/common/requirements.txt functions/migrate/requirements.txt functions/archive/requirements.txt

.PHONY: page
page: install page-tools ## format the page's modules, fix what the linter can fix, and bundle them
	@cd tools/page && { node_modules/.bin/biome check --write --config-path=. $(PAGE_SOURCES) || true; node build.mjs; }

.PHONY: openapi
openapi: install ## write openapi.json from the functions' routes
	@$(RUN) python -m dropzone_openapi

.PHONY: contracts
contracts: install ## compile contracts/*.odcs.yaml into the layer
	@$(RUN) python -m dropzone_contracts

.PHONY: requirements
requirements: install ## write the artefacts' requirements from the lock
	@$(UV) export --quiet --locked --only-group layer --no-emit-project --no-hashes --no-header -o layers/common/requirements.txt
	@$(UV) export --quiet --locked --only-group migrate --no-emit-project --no-hashes --no-header -o functions/migrate/requirements.txt
	@$(UV) export --quiet --locked --only-group archive --no-emit-project --no-hashes --no-header -o functions/archive/requirements.txt

# ---- AWS --------------------------------------------------------------------------------------------------------------

##@ Run it on AWS

ARCHITECTURE ?= arm64

.PHONY: build
build: install ## build for AWS and print the template to deploy (ARCHITECTURE=arm64 or x86_64; docs/deploy.md)
	@$(RUN) python -c "from pathlib import Path; from dropzone_local.sam import Builder; print(Builder(Path.cwd(), architecture='$(ARCHITECTURE)').build().template)"
