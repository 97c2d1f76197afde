# Everything a newcomer or a machine needs. `make` alone explains the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GUEST := build/guest
# Tests wait for engines and guests more than they compute.
JOBS ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup engines workloads generate lint types test demo serve bench soak clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.complete ## Make .venv with everything in it, the commands proa and proad too

$(VENV)/.complete: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=…" if sys.version_info < (3, 11) else 0)'
	@PYTHON=$(PYTHON) deploy/engines.sh --build-deps
	@echo "setup: installing the packages into $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[server,cli]' --group dev
	@touch $@

engines: ## See to it that Docker and libvirt answer here; install and start them if need be
	@deploy/engines.sh

workloads: engines ## Build the small guest and the container image for demo and tests
	@tests/guest/build_guest.sh $(GUEST)
	@tests/guest/build_image.sh $(GUEST)

generate: setup ## Generate the Python stubs from protos/
	@$(BIN)/python protos/generate.py
	@echo "generate: client/proa/v1 is up to date"

lint: setup ## Check style, layers and the contract
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@layers=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$layers"; exit 1; }
	@$(BIN)/buf lint
	@echo "lint: clean"

types: setup ## Check types
	@$(BIN)/mypy

test: setup lint types ## Set up, then test everything
	@# Where the engines cannot run, their tests skip and say why; CI refuses that.
	@$(MAKE) --no-print-directory workloads || [ -z "$(PROA_REQUIRE_ENGINES)" ]
	@deploy/test-services.sh || [ -z "$(PROA_REQUIRE_ENGINES)" ]
	@$(BIN)/pytest --quiet --numprocesses $(JOBS) --dist loadscope

demo: setup workloads ## Set up, then show the main job: a real container and a real VM
	@$(BIN)/python deploy/demo.py

serve: setup ## Serve this host's engines on 127.0.0.1:50051
	@$(BIN)/proad serve

bench: setup workloads ## Measure what calls cost over the bare engines; ARGS=--quick, --json FILE
	@PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

soak: setup workloads ## Keep on at engines of its own for half an hour; ARGS=PART …
	@PYTHONPATH=tests $(BIN)/python -m soak $(ARGS)

clean: ## Remove what was built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
