# What a person types. `make help` lists it.
# Only Rust, Python 3, Node and git are expected to be there; `make test` brings the rest.

.NOTPARALLEL:
.DEFAULT_GOAL := help
SHELL := /bin/bash

TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
PYTHON := .venv/tests/bin/python
DATA   ?= ./maskline-data
SEED   ?= 1

# One profile (dev) for the binary, its tests and its lints, so that nothing is built twice.
DEBUG_BIN   := $(TARGET)/debug/maskline
RELEASE_BIN := $(TARGET)/release/maskline

.PHONY: help
help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the release binary
	cargo build --release --locked --bin maskline

.PHONY: run
run: build ## Serve with demo data on the default ports; data in ./maskline-data (DATA=...)
	exec $(RELEASE_BIN) serve --demo --data $(DATA)

.PHONY: tools
tools: ## Install what the tests need: sipp, baresip, PJSIP, linphone, Kamailio, Python and Node clients
	scripts/install-test-tools

.PHONY: lint
lint: ## Format, clippy and documentation, warnings refused
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

.PHONY: unit
unit: ## The Rust tests of every crate
	cargo test --workspace --locked

.PHONY: outside
outside: ## The tests from outside, on the real binary (ARGS="-k word" to choose)
	cargo build --locked --bin maskline --bin maskline-sim
	MASKLINE_TEST_BIN=$(DEBUG_BIN) $(PYTHON) -m pytest tests $(ARGS)

.PHONY: test
test: tools lint unit outside ## Everything that must hold before a change lands

.PHONY: campaign
campaign: build ## The long counts: 10^6 simulated steps and as many with carriers, 10^5 simulated calls, 10^4 explained states, looks at 10^6 numbers, 200 kills, 10^5 operations with a carrier, 24,000 calls (SEED=...)
	MASKLINE_TEST_BIN=$(RELEASE_BIN) scripts/campaign $(SEED)

.PHONY: bench
bench: build ## The benchmarks behind docs/performance.md
	-scripts/install-bench-tools
	cargo bench --locked -p maskline-domain --bench routing
	cargo bench --locked -p maskline-store --bench forms
	cargo bench --locked -p maskline-store --bench start
	cargo bench --locked -p maskline-store --bench lists
	cargo bench --locked -p maskline-server --bench writer
	cargo bench --locked -p maskline-server --bench http
	cargo bench --locked -p maskline-server --bench beside
	cargo bench --locked -p maskline-server --bench carriers
	$(MAKE) bench-calls

.PHONY: bench-calls
bench-calls: build ## Those of calls in one run, beside Kamailio, Sippy and rtpengine (ARGS="--only bridged")
	scripts/install-bench-tools
	MASKLINE_TEST_BIN=$(RELEASE_BIN) PATH=$(CURDIR)/.venv/bench/bin:$$PATH python3 tests/bench/calls.py $(ARGS)
