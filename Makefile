# Written for GNU make 3.81 (macOS) and later. Every target installs first, once.

PY := .venv/bin/python
UV ?= uv

# The environment is whole if its interpreter runs, it was made for this very
# directory, and neither the lock nor the project file changed since.
ifneq ($(shell $(PY) -c '' 2>/dev/null && cat .venv/.installed 2>/dev/null),$(CURDIR))
.venv/.installed: FORCE
endif

.PHONY: help install demo test test-real test-stack stack-up stack-down lint types check framings mutants fuzz faults providers bench soak lock clean FORCE
.DEFAULT_GOAL := help

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20

install: .venv/.installed ## make .venv with tokenproxy and everything its tests need

.venv/.installed: pyproject.toml constraints.txt
	$(eval PYTHON := $(shell scripts/find-python 2>&1 | sed 's/\.$$//'))$(if $(filter /%,$(PYTHON)),,$(error $(PYTHON)))
	@echo "Installing tokenproxy into .venv with $(PYTHON)" >&2
	@rm -rf .venv && "$(PYTHON)" -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@printf '%s\n' '$(CURDIR)' > $@

demo: install ## one recorded run of a sample agent: no key, no network
	@.venv/bin/tokenproxy demo

test: install ## unit and process tests (no clients needed)
	@$(PY) -m pytest -m 'not real and not stack' -n auto $(ARGS)

test-real: install ## tests with the real clients: CLIs, SDKs, curl, terminals
	@scripts/install-clients
	@$(PY) -m pytest -m real $(ARGS)

test-stack: install ## tests with the real Collector, Jaeger, Prometheus, ClickHouse
	@scripts/install-clients stack && scripts/install-clients
	@$(PY) -m pytest -m stack -n 2 --dist loadfile $(ARGS)

stack-up: install ## start the Collector, Jaeger and Prometheus on this machine, no containers
	@scripts/install-clients stack
	@$(PY) -m tests.real.stack up

stack-down: install ## stop them
	@$(PY) -m tests.real.stack down

lint: install ## ruff: rules and format
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .

types: install ## mypy, strict
	@$(PY) -m mypy && cd docker/dashboards && MYPYPATH=. ../../$(PY) -m mypy --strict make.py boards

check: lint types test ## lint, types and test

framings: install ## every framing, cut and compressed anyhow: 10,000 examples each
	@HYPOTHESIS_PROFILE=framings $(PY) -m pytest tests/wire/test_framings.py -n auto $(ARGS)

fuzz: install ## every parser under bytes that coverage leads to, ten minutes (ARGS="--seconds 60 ledger")
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/fuzz/requirements.txt
	@$(PY) -m tests.fuzz $(ARGS)

mutants: install ## break each rule of counting, and see that a test of its trap fails
	@$(PY) -m tests.mutants

faults: install ## kill everything at every step, and hold the account against the API's own log
	@$(PY) -m tests.faults --json tests/faults/last.json $(ARGS)

providers: install ## make the table in docs/providers.md anew
	@$(PY) -m tests.wire.provider_table --write

bench: install ## tokenproxy beside nginx, mitmdump and the direct way, in one run
	@$(PY) -m benchmarks $(ARGS)

soak: install ## an hour of 50 streams in a minute or two, with faults among them (ARGS="--hours 10")
	@$(PY) -m benchmarks.soak $(ARGS)

lock: ## resolve the dependencies anew (needs uv)
	@printf 'hatchling>=1.27\n' | $(UV) pip compile --quiet --upgrade --universal --python-version 3.12 \
	  --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	  --extra test --extra lint pyproject.toml - --output-file constraints.txt
	@echo "constraints.txt is new; run make install" >&2

clean: ## remove what can be made again
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
