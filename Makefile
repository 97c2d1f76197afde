# Everything a newcomer or a machine needs. `make` alone explains the targets.
# PYTHON=... on the command line names the interpreter of .venv.

BIN := .venv/bin
# Tests wait for engines and guests more than they compute.
JOBS ?= 3
# Debian's names of the generations of engines to test.
SUITES ?= bookworm trixie sid

# What breaks stubs of the frozen contract. Imports are protobuf's own files.
BREAKING = $(BIN)/buf breaking --exclude-imports --against protos/frozen.binpb

# Where Go and Rust install themselves, if the caller's PATH leaves that out.
export PATH := $(PATH):/usr/local/go/bin:$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help setup tools engines workloads services generate freeze lint types test test-engines demo serve bench soak clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv with the daemon, the client and the commands proa and proad
	@deploy/environment.sh

tools: ## Add the tools for development to .venv: pytest, ruff, mypy, buf …
	@deploy/environment.sh --dev

engines: ## See to it that Docker and libvirt answer here; install and start them if need be
	@deploy/engines.sh

workloads: ## Build the small guest and the container image for demo and tests
	@deploy/workloads.sh

services: ## Install what the tests need besides the engines
	@deploy/test-services.sh
	@deploy/toolchains.sh

generate: tools ## Generate the Python stubs from protos/
	@$(BIN)/python protos/generate.py
	@echo "generate: client/proa/v1 is up to date"

freeze: tools ## Freeze what the contract has gained; refuse if it lost something
	@$(BREAKING)
	@$(BIN)/buf build --exclude-source-info --output protos/frozen.binpb
	@PROA_UPDATE_GOLDEN=1 $(BIN)/pytest --quiet tests/unit/contract/test_options.py
	@echo "freeze: commit protos/frozen.binpb and tests/golden/contract-options.txt"

lint: tools ## Check style, layers and the contract
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@layers=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$layers"; exit 1; }
	@$(BIN)/buf lint
	@$(BREAKING)
	@echo "lint: clean"

types: tools ## Check types
	@$(BIN)/mypy

test: lint types ## Set up, then test everything
	@# Where the engines cannot run, their tests skip and say why; CI refuses that.
	@deploy/workloads.sh || [ -z "$(PROA_REQUIRE_ENGINES)" ]
	@deploy/toolchains.sh || [ -z "$(PROA_REQUIRE_ENGINES)" ]
	@deploy/test-services.sh || [ -z "$(PROA_REQUIRE_ENGINES)" ]
	@$(BIN)/pytest --quiet --numprocesses $(JOBS) --dist loadscope

test-engines: tools ## Test the drivers on other engines, not installed; SUITES="bookworm trixie sid"
	@JOBS=$(JOBS) deploy/generations.sh $(SUITES)

demo: setup ## Set up, then show the main job: a real container and a real VM
	@# With one engine it shows one kind, and says what it leaves out.
	@deploy/workloads.sh || true
	@$(BIN)/python deploy/demo

serve: setup ## Serve this host's engines on 127.0.0.1:50051
	@$(BIN)/proad serve

bench: setup workloads ## Measure what calls cost over the bare engines; ARGS=--quick, --json FILE
	@PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

soak: tools workloads ## Keep on at engines of its own for half an hour; ARGS=PART …
	@PYTHONPATH=tests $(BIN)/python -m soak $(ARGS)

clean: ## Remove what was built here; guest and engines in /var/tmp, which all your clones share, stay
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
