# Everything a fresh clone needs. `make demo` and `make test` set up what they use.
PYTHON ?= python3
VENV := .venv
HONE := $(VENV)/bin/hone

.PHONY: demo docs test lint types contracts tests test-slow bench-sandbox bench-gateway bench-mining bench-gate bench-campaign setup clean

demo: setup
	@$(HONE) demo

docs: setup
	$(VENV)/bin/python -m optimizer.config.reference > docs/settings.md

test: setup lint types contracts tests

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "setting up $(VENV) (a minute, once)"
	@$(PYTHON) -c 'import sys; sys.exit("hone needs Python 3.11 or newer; set PYTHON=python3.12, say") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: setup
	$(VENV)/bin/mypy

contracts: setup
	$(VENV)/bin/lint-imports

tests: setup
	$(VENV)/bin/pytest

test-slow: setup
	$(VENV)/bin/pytest -m slow --timeout=3600

bench-sandbox: setup
	@$(VENV)/bin/python -m tests.sandbox.bench_sandbox 20

bench-gateway: setup
	@$(VENV)/bin/python -m tests.gateway.bench_gateway 10000

bench-mining: setup
	@$(VENV)/bin/python -m tests.mining.bench_mining
	@$(VENV)/bin/python -m tests.mining.bench_helpdesk

# About two minutes; GATE="--full", "--calibration" or "--knobs" for the rest of what docs/gate.md shows.
bench-gate: setup
	@$(VENV)/bin/python -m tests.gate.bench_gate $(GATE)

# Whole campaigns on helpdesk: an hour or two of CPU. CAMPAIGN="--seeds 2" for a look, "--check" against the sandbox.
bench-campaign: setup
	@$(VENV)/bin/python -m tests.gate.bench_helpdesk $(CAMPAIGN)

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
