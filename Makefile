# make serve | make test | make help

# the CUDA libraries (1.8 GB) are installed only beside an NVIDIA driver
SERVE_LOCK := $(if $(wildcard /proc/driver/nvidia/version),serve-cuda.txt,$(if $(shell command -v nvidia-smi 2>/dev/null),serve-cuda.txt,serve.txt))
DEV := .venv/dev/bin
SOURCES := clipserve.py clips training app tests benchmarks

.PHONY: help serve test fuzz check train-env peers-env servers-env format bench lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "make %-10s %s\n", $$1, $$2}'

serve: .venv/serve/.ready  ## set up what the server needs, and serve the models in models/ (ARGS="--port 8080")
	@.venv/serve/bin/clipserve serve $(ARGS)

test: .venv/dev/.ready  ## set up what the tests need, and run all checks and tests
	$(DEV)/ruff format --check $(SOURCES)
	$(DEV)/ruff check $(SOURCES)
	$(DEV)/mypy
	$(DEV)/pytest $(ARGS)

fuzz: .venv/dev/.ready  ## every night: 10,000 broken videos against a server, others each day (ARGS="--start 0"); 1,000 lives of a queue, 1,000 requests a route
	$(DEV)/pytest -q --hypothesis-profile nightly tests/unit/app/inference/test_batcher_machine.py
	$(DEV)/python -m benchmarks.schema
	$(DEV)/python -m benchmarks.fuzz $(ARGS)

check: .venv/dev/.ready  ## format, lint, types, unit and quick contract tests: before every commit
	$(DEV)/ruff format --check $(SOURCES)
	$(DEV)/ruff check $(SOURCES)
	$(DEV)/mypy
	$(DEV)/pytest -q tests/unit tests/contract --ignore tests/contract/test_conformance.py --ignore tests/contract/test_generated_client.py

train-env: .venv/dev/.ready  ## set up what training needs (torch: several GB)
	@echo "ready: .venv/dev/bin/clipserve train --help"

format: .venv/dev/.ready  ## format the code
	$(DEV)/ruff format $(SOURCES)
	$(DEV)/ruff check --fix $(SOURCES)

peers-env: .venv/peers/.ready  ## set up the decoders that decoding is compared with (needs the ffmpeg package)
	@echo "ready: .venv/peers/bin/python -m benchmarks.decode --help"

servers-env: .venv/dev/.ready .venv/servers/.ready  ## set up the servers that ours is compared with (1.2 GB)
	@echo "ready: $(DEV)/python -m benchmarks.peers --help"

bench: .venv/dev/.ready .venv/peers/.ready  ## measure decoding, the engine and the server; results under benchmarks/results
	.venv/peers/bin/python -m benchmarks.decode
	$(DEV)/python -m benchmarks.engine
	$(DEV)/python -m benchmarks.serve

lock:  ## write the lock files anew (needs uv)
	requirements/lock

clean:  ## remove the virtual environments and caches
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build *.egg-info

.venv/serve/.ready: requirements/serve.txt requirements/serve-cuda.txt requirements/install pyproject.toml
	@PYTHON="$(PYTHON)" requirements/install .venv/serve $(SERVE_LOCK)

.venv/peers/.ready: benchmarks/requirements-decode.txt benchmarks/install_peers .venv/dev/.ready
	benchmarks/install_peers

.venv/servers/.ready: benchmarks/requirements-servers.txt benchmarks/install_servers .venv/dev/.ready
	benchmarks/install_servers

.venv/dev/.ready: requirements/dev.txt requirements/install pyproject.toml
	@PYTHON="$(PYTHON)" requirements/install .venv/dev dev.txt
