# Everything a newcomer needs: `make demo` shows the product, `make test` proves it.
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DURATION ?=
ONLY ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test-faults kafka-up kafka-down test lint types imports unit bench-ingest bench-proxy system-needs format constraints clean

help: ## say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/' | sort

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "meshscope needs Python 3.11 or newer; name one with: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --group dev -e .
	@touch $@

setup: $(VENV)/.ready ## create .venv with pinned dependencies

demo: setup ## run the demo mesh and its dashboard (DURATION=60 stops by itself and checks what was seen)
	@$(BIN)/meshscope demo $(if $(DURATION),--duration $(DURATION))

test: setup system-needs lint types imports unit ## lint, types, import contracts and all tests

test-faults: setup system-needs ## all faults in full: 25 kills of each part, 60 s without a store or with a full disk, 30 s without Kafka, 1 M attribute keys
	@MESHSCOPE_TEST_ALL_FAULTS=1 $(BIN)/pytest -s tests/e2e/test_kafka_faults.py tests/e2e/test_embedded_faults.py tests/integration/test_embedded_bus.py tests/integration/test_proxy_tls_rotation.py

kafka-up: ## start one Apache Kafka node on 127.0.0.1:9092 (data in data/kafka)
	@deploy/kafka/kafka up

kafka-down: ## stop it; its data stays
	@deploy/kafka/kafka down

bench-ingest: setup ## measure what ingest and storage cost, beside others; writes docs/performance.md (ONLY="cost bakeoff growth": some of it)
	@$(BIN)/python -m benchmarks.ingest $(if $(ONLY),--only $(ONLY))

bench-proxy: setup system-needs ## measure what the companion proxy costs, with Envoy beside it; writes docs/performance.md
	@$(BIN)/python -m benchmarks.proxy

system-needs:
	@bash tests/system-needs.sh

lint: setup
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .

types: setup
	@$(BIN)/mypy

imports: setup
	@$(BIN)/lint-imports

unit: setup
	@$(BIN)/pytest -n 2 --dist loadfile

format: setup ## format the code
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

constraints: ## pin the newest versions that fit together
	@$(BIN)/uv pip compile pyproject.toml --group dev --no-emit-index-url --no-header --no-annotate --upgrade --quiet -o constraints.txt
	@$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url - -c constraints.txt <<< uv >> constraints.txt && sort -u -o constraints.txt constraints.txt

clean: ## remove the virtual environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist .kafka
