# The commands of this project. They install nothing outside its own folder, but for package managers' caches.

PYTHON ?= python3
ARGS ?=
# tests wait more than they compute: one process more than two cores have (0: one after the other)
JOBS ?= 3
VENV := .venv
BIN := $(VENV)/bin
STACK := $(or $(TEST_STACK_DIR),.stack)

.DEFAULT_GOAL := help
.PHONY: help run test lint format simulate simulate-origins browser-origins fuzz model torture bench bench-all bench-revocation retention-days retention-doubt soak stack stack-down clean

help:  ## what can be done here
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "make %-16s %s\n", $$1, $$2}'

run: $(VENV)/run.stamp  ## archive sample events on a Kafka and an S3 that come with it (ARGS go to `strongroom demo`)
	@$(BIN)/strongroom demo $(ARGS)

test: lint stack  ## everything that must hold: lint, types, and all tests on the best real Kafka to be had here
	@$(BIN)/pytest --numprocesses $(JOBS) --maxschedchunk 1 $(ARGS)

lint: $(VENV)/dev.stamp  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict

format: $(VENV)/dev.stamp  ## mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

simulate: $(VENV)/dev.stamp  ## break the archive in simulated schedules (SEEDS=n, SEED=n for one again, PLAN=file)
	@$(BIN)/python -m tests.simulation.run $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seed $(SEED)) $(if $(PLAN),--plan $(PLAN))

simulate-origins: $(VENV)/dev.stamp  ## copies, and what looks like one: what the judge catches and spares (SEEDS=n)
	@$(BIN)/python -m tests.simulation.origins.report $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

fuzz: $(VENV)/dev.stamp  ## what reads sealed objects' headers and the keystore's rows, on bytes of all kinds (SECONDS=n)
	@$(BIN)/python -m tests.fuzz.headers --seconds $(or $(SECONDS),60) $(ARGS)

model: $(VENV)/dev.stamp stack  ## search the ledger's protocol for a way to break it, in full (ARGS go to pytest)
	@$(BIN)/pytest tests/model tests/model/longer.py -s $(ARGS)

torture: $(VENV)/dev.stamp stack  ## break real workers, Kafka and S3 (KILLS=n RECORDS=n SEED=n), and judge what is archived
	@$(BIN)/python -m tests.torture.run $(if $(KILLS),--kills $(KILLS)) $(if $(RECORDS),--records $(RECORDS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: $(VENV)/dev.stamp stack  ## Strongroom beside its peers and its floor: a table of one run (needs Maven and Go)
	@$(BIN)/python -m tests.benchmarks.bench_peers $(ARGS)

bench-all: $(VENV)/dev.stamp stack  ## all benchmarks of tests/benchmarks, one after the other; fails at the end if one did
	@failed=; for file in tests/benchmarks/bench_*.py; do \
	  echo "== $$file"; $(BIN)/python -m "tests.benchmarks.$$(basename "$$file" .py)" || failed="$$failed $$file"; \
	done; [ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

bench-revocation: $(VENV)/dev.stamp stack  ## how soon 8 workers under full load refuse a revoked key (ARGS go to it)
	@$(BIN)/python -m tests.benchmarks.bench_revocation $(ARGS)

browser-origins: $(VENV)/dev.stamp stack  ## copies of a shop in a real Chromium with Segment's SDK: caught, released, blocked (needs npm)
	@$(BIN)/python -m tests.system.browser.origins

retention-days: $(VENV)/dev.stamp stack  ## days of retention in a row, workers killed on the way (DAYS=n CUSTOMERS=n SEED=n)
	@$(BIN)/python -m tests.integration.retention.many_days $(if $(DAYS),--days $(DAYS)) $(if $(CUSTOMERS),--customers $(CUSTOMERS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

retention-doubt: $(VENV)/dev.stamp stack  ## retention by a policy in doubt, and beside a worker that wakes up late (ARGS go to pytest)
	@$(BIN)/pytest -n 0 tests/integration/retention/policy_in_doubt.py tests/system/zombie.py $(ARGS)

soak: $(VENV)/dev.stamp stack  ## the worker for MINUTES at half of its peak (or RATE records/s): does anything of it grow?
	@$(BIN)/python -m tests.benchmarks.soak --minutes $(or $(MINUTES),45) $(if $(RATE),--rate $(RATE)) $(ARGS)

stack:  ## a real Kafka and S3 for the tests: in Docker if an engine answers, else with Java and Maven
	@[ -n "$$TEST_KAFKA_BOOTSTRAP" ] || tests/stack/up.sh --no-install

stack-down:  ## stop whatever the test stack left running
	@tests/stack/down.sh

clean: stack-down  ## remove everything that was made here
	@rm -rf $(VENV) $(STACK) .strongroom .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist ./*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment, made anew when a lock changed. Every package is pinned by version and hash.
$(VENV)/%.stamp: deploy/locks/%.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Strongroom needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is missing (Debian: apt-get install python3-venv)"; exit 1; }
	@echo "installing what deploy/locks/$*.lock pins into $(VENV)"
	@install() { $(BIN)/python -m pip install -q --disable-pip-version-check "$$@"; }; \
	 install --require-hashes -r deploy/locks/$*.lock || { echo "trying once more"; sleep 5; install --require-hashes -r deploy/locks/$*.lock; } && \
	 { install --no-deps -e . || { sleep 5; install --no-deps -e .; }; }
	@touch $@

# dev.lock holds the same versions as run.lock and more: what serves the tests serves `make run`
ifneq ($(wildcard $(VENV)/dev.stamp),)
$(VENV)/run.stamp: $(VENV)/dev.stamp
	@touch $@
endif
