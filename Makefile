# make demo    install into .venv and run the stream on the clip that ships with the project
# make test    install and run the tests (under 10 minutes on two cores)
# make check   lint, format check, types and tests; make ci adds the slow tests and smoke runs
# make bench   how fast the default weights are here, beside the slow reference (benchmarks/results/local.json)
# make bench-faults   how soon a camera that is killed or frozen is noticed, and found again
# make soak    an hour of the shipped clip as a camera: memory, descriptors, frames, latency
# make test-live  live sources, from real servers and sockets
# make test-gpu   the tests that need a CUDA device; they fail where there is none

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Processes that share the tests, each of up to 2 GB.
WORKERS ?= 2

.PHONY: demo bench bench-faults soak test test-slow test-live test-gpu train-smoke smoke lint format types check ci clean

demo: $(INSTALLED)
	$(BIN)/python -m streamer.demo demo

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.throughput --out benchmarks/results/local.json

soak: $(INSTALLED)
	$(BIN)/python -m benchmarks.soak --camera --frames 36000 --stride 12

bench-faults: $(INSTALLED)
	$(BIN)/python -m benchmarks.faults

test: $(INSTALLED)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not gpu" $(COVERAGE)

# Those of RTSP have the machine to themselves: who reads too late loses packets over UDP.
test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "slow and not gpu" --ignore tests/test_rtsp.py
	$(BIN)/python -m pytest -m slow tests/test_rtsp.py

# Live sources, real servers and sockets.
test-live: $(INSTALLED)
	$(BIN)/python -m pytest -m "not gpu" tests/test_rtsp.py tests/test_rtmp.py tests/test_udp.py tests/test_reconnection.py tests/test_source_opening.py tests/test_faults.py

test-gpu: $(INSTALLED)
	$(BIN)/python -m pytest -m gpu --gpu

# A fine-tuning from end to end on a tiny data set, interrupted once; part of test-slow too.
train-smoke: $(INSTALLED)
	$(BIN)/python -m pytest -m slow tests/test_train_smoke.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED)
	$(BIN)/mypy

check: lint types test

# The demo, and the same from an installed wheel in an empty folder.
smoke: demo
	tests/smoke_wheel.sh $(BIN)/python

# To measure it takes a third of the tests' time again.
ci: COVERAGE := --cov --cov-report=term
ci: check test-slow smoke

# trackeval comes without its dependencies: its opencv-python would overwrite files of our
# opencv-python-headless, and its metrics need neither.
$(INSTALLED): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11 to 3.13 is needed (make PYTHON=…), this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install --editable '.[dev]'
	$(BIN)/python -m pip install --no-deps 'trackeval>=1.3,<2'
	touch $@

clean:
	rm -rf $(VENV) build dist demo *.egg-info .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache
