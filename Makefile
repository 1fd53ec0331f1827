# Two commands do everything: `make run` and `make test`. `make` alone lists the others.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test browser speed check fix bench quality fuzz docs clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: $(VENV)/.run ## install into .venv, run the BeeBone demo, print the verdict, serve the dashboard
	$(BIN)/remnant demo beebone

test: $(VENV)/.dev ## install what the tests need, run all of them
	$(BIN)/python -m pytest -n auto --dist loadfile -q $(TESTS)

browser: $(VENV)/.dev ## the dashboard in browsers (Chromium, Firefox): every page, mouse, keyboard, axe, no scripts
	$(BIN)/python -m pytest -m "browser and not speed" -n auto --dist loadfile -q tests/web/browser

speed: $(VENV)/.dev ## how soon pages open, the map moves, and what a sinkhole saw is stored; on a machine that does nothing else
	$(BIN)/python -m pytest -m speed -p no:randomly -q -s tests/web tests/story

check: $(VENV)/.dev ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: $(VENV)/.dev ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

quality: $(VENV)/.dev ## try every estimator on hidden truth (under 90 minutes), write docs/quality.md
	$(BIN)/python -m campaigns

fuzz: $(VENV)/.dev ## the long fuzzing campaigns (an hour), compiled kernels with bounds checks
	NUMBA_BOUNDSCHECK=1 REMNANT_FUZZ_ROUNDS=200000 $(BIN)/python -m pytest tests/fuzz -q -s

bench: $(VENV)/.dev ## compare with what a user would pick instead; prints ratios
	$(BIN)/python bench/ingest_dnstap.py
	$(BIN)/python bench/ingest_pcap.py
	$(BIN)/python bench/dnstap_stages.py
	$(BIN)/python bench/dnstap_kernel.py
	$(BIN)/python bench/text_logs.py
	$(BIN)/python bench/json_logs.py
	$(BIN)/python bench/reports_and_flows.py
	$(BIN)/python bench/sink_udp.py
	$(BIN)/python bench/sink_keeper.py
	$(BIN)/python bench/sink_loss.py
	$(BIN)/python bench/sink_connections.py
	$(BIN)/python bench/simulate_dnstap.py
	$(BIN)/python bench/simulate_views.py
	$(BIN)/python bench/enrich_lookup.py
	$(BIN)/python bench/ranking.py
	$(BIN)/python bench/passive_dns.py
	$(BIN)/python bench/layout.py
	$(BIN)/python bench/dga.py
	$(BIN)/python bench/dashboard.py

docs: $(VENV)/.dev ## write the reference pages that are generated from code
	$(BIN)/python docs/generate.py

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	PYTHON="$(PYTHON)" .ci/venv "$(VENV)"

$(VENV)/.run: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $(VENV)/.run $@
