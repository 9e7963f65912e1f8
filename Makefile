# Every target works from a bare checkout: it creates .venv first, and does nothing there when it is up to date.
PYTHON ?= python3.11
export PYTHON
# Every process would compile the program anew, and a test starts hundreds.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin

.PHONY: help install dev demo demo-mcp test test-slow test-nights llm test-llm coverage aa-night check format lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

install:  ## create .venv with what a session needs
	@$(PYTHON) install/install.py

dev:
	@$(PYTHON) install/install.py --dev

demo: install  ## an agent trains four configs for real, reports on each and stages the next (a few minutes)
	@$(BIN)/autopilot start --env puffer_cartpole --preset quick --max-runs 8 --seeds 1 --model offline --approve auto \
		--set train.total_timesteps=1_000_000

demo-mcp: dev  ## an agent from outside drives a night of three runs over MCP (about two minutes)
	@$(BIN)/python docs/demo_mcp.py

# Where there is room the fast tests' workspaces are in memory: a session flushes every line of its record to the disk.
ROOM = $(shell [ "$$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print $$4}')" -gt 8000000 ] 2>/dev/null && echo /dev/shm)

# A test that hangs fails by its name, with where it hung: without this all that is said is that time ran out.
HANGS = -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true

CHECK = $(BIN)/python -m ruff check . && $(BIN)/python -m ruff format --check . && $(BIN)/python -m mypy

test: dev  ## lint, types, and the fast tests: side by side, since types are worked out on one core
	@($(CHECK)) & checked=$$!; \
		$(if $(ROOM),PYTEST_DEBUG_TEMPROOT=$(ROOM)) $(BIN)/python -m pytest -n 2 $(HANGS) \
			-m "not slow and not nights and not llm" --durations 25; \
		tested=$$?; wait $$checked && exit $$tested

test-slow: dev  ## the tests that take minutes
	@$(BIN)/python -m pytest -n 3 $(HANGS) -m "slow and not nights" --durations 10

test-nights: dev  ## whole nights whose truth is known, searches where noise rules, a thousand hostile calls: chances, as a benchmark asks
	@$(BIN)/python -m pytest -n 2 -m nights --durations 10

aa-night: install  ## two nights whose truth is known: nothing is better in one, something is in the other (10 minutes)
	@$(BIN)/python -m benchmarks.aa_night --plot docs/aa-night.png

llm:
	@$(PYTHON) install/install.py --dev --llm

test-llm: llm  ## a session with a real language model on this machine
	@$(BIN)/python -m pytest -m llm --durations 3 tests/agent/model

coverage: dev  ## which lines the fast tests reach
	@$(BIN)/python -m pytest -n 2 -m "not slow and not nights and not llm" --cov --cov-report=term

check: dev  ## lint and types
	@$(CHECK)

format: dev  ## rewrite the code in the project's format
	@$(BIN)/python -m ruff check --fix .
	@$(BIN)/python -m ruff format .

lock:  ## resolve the dependencies again
	@$(PYTHON) install/lock.py

clean:  ## remove .venv and caches; never runs or proposals
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
