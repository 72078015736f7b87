# make demo    a broker, a worker and about twenty questions, from nothing   (KEEP=1 leaves it on)
# make up      Kafka, topics, workers, Prometheus, Grafana and kafka-ui in Docker   (WORKERS=1 REGISTRY=1)
# make down    stops them and keeps their data   (VOLUMES=1 throws it away)
# make setup   .venv with the package and what developing needs
# make test-fast  the short tests that need Python only, a tenth of the examples
# make test    all tests, on Apache Kafka 4.4   (TEST_BROKER=apache|docker|external JOBS=4)
# make test-kafka-3.9   contract, delivery and fault tests on Apache Kafka 3.9, the last before 4
# make lint    style, types, and which folder imports which
# make generate    schemas/published, the Grafana dashboard, the settings table, the chart's schema and
#              README (by helm-docs), PrometheusRule and Strimzi's resources, from the code
# make audit   build/sbom.cdx.json, what the worker ships with, and what is known against it
# make release dist/: wheel, sdist, SBOM, checksums, release notes; prints what needs an account   (TESTS=test-fast|test|none)
# make image   the image with its labels   (IMAGE=qa-worker PLATFORMS=linux/amd64,linux/arm64 PUSH=1 EXTRAS=tracing,msk)
# make faults  300 faults over 100,000 questions   (SEED=1 ROUNDS=12 DELIVERY=at_least_once)
# make bench   SQUAD=dev-v1.1.json: the file through Kafka, beside the reader alone
# make parity  our answers beside those of Hugging Face's pipeline   (RUN="converted DIR SQUAD.json")
# make train   the default model on from given weights   (ROWS="a.gz b.gz" FROM=DIR TO=DIR OPTIONS=--help)
# make wheels  whether every pinned package has wheels for Python 3.11 to 3.14, x86-64 and ARM

# Images often set it. Without bytecode every run of the tests rewrites their asserts again, and each of the
# hundreds of processes that they start compiles the worker.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Python compiles what it imports; pip would compile all, on one core, for a third of the install's time.
# Python 3.11 brings pip 23, which takes half a minute longer to choose among the published wheels.
PIP_VERSION := pip==26.3
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile
PINS := --constraint deploy/constraints.txt
INPUTS := pyproject.toml deploy/constraints.txt

# docker-compose.yml's registry, as its workers reach it.
REGISTRY_URL := http://registry:8080/apis/ccompat/v7

# Files in the order of tests/markers.py: xdist would leave those with one long test to the end.
BY_FILE := --dist=loadfile --no-loadscope-reorder
# More processes than there are cores, as most tests wait for a broker more than they compute. The tests marked
# alone have a process of their own meanwhile.
JOBS ?= 4
SLOW := broker or process or browser or tools
# As tests/markers.py has it.
COVERED := tests/inference/ tests/streaming/test_offset_tracker.py
ALONE = $(shell grep --files-with-matches --recursive --include='test_*.py' 'pytest\.mark\.alone' tests)

# Known by their versions, in an environment of their own: their dependencies are none of ours.
AUDIT := pip-audit==2.10.1 cyclonedx-bom==7.5.0
AUDIT_TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/qa-worker/tools/audit/$(subst $() ,-,$(AUDIT))

RELEASE := twine==7.0.0
RELEASE_TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/qa-worker/tools/release/$(RELEASE)
comma := ,
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

# transformers cannot be installed beside the extra `models`; 5 GB with torch, so never in CI.
PARITY := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/qa-worker/tools/parity

.PHONY: demo up down setup test test-shared test-alone test-fast test-kafka-3.9 lint generate audit release image faults bench parity train wheels clean

demo: $(VENV)/.runtime
	$(BIN)/qa-worker demo $(if $(KEEP),--keep)

setup: $(VENV)/.dev

up:
	$(if $(REGISTRY),SCHEMA_REGISTRY_URL=$(REGISTRY_URL)) docker compose $(if $(REGISTRY),--profile registry) \
		up --build --detach --wait --scale worker=$(or $(WORKERS),1)
	@echo
	@echo "Grafana     http://localhost:3000"
	@echo "Prometheus  http://localhost:9090/alerts"
	@echo "kafka-ui    http://localhost:8081"
	@echo "Kafka       localhost:9092"
	$(if $(REGISTRY),@echo "registry    http://localhost:8082/apis/ccompat/v7")
	@echo "a worker    http://$$(docker compose port worker 8080)/metrics"
	@echo "a console   http://$$(docker compose port worker 8080)/console/#token=only-on-this-machine"

down:
	docker compose --profile registry down --remove-orphans $(if $(VOLUMES),--volumes)

test: $(VENV)/.dev
	$(BIN)/pytest $(BY_FILE) --numprocesses=auto -m covered $(COVERED) --cov --cov-report=
	$(BIN)/coverage report --include="worker/inference/*,worker/streaming/offset_tracker.py" --fail-under=95
	$(MAKE) --no-print-directory --jobs=2 test-shared test-alone

test-shared: $(VENV)/.dev
	$(BIN)/pytest $(BY_FILE) --numprocesses=$(JOBS) -m "not (alone or covered)"

test-alone: $(VENV)/.dev
	$(BIN)/python -m pytest -m alone $(ALONE)

test-fast: $(VENV)/.dev
	TEST_EXAMPLES_SHARE=0.1 $(BIN)/pytest --numprocesses=auto --dist=loadfile \
		-m "not (long or $(SLOW))"

test-kafka-3.9: $(VENV)/.dev
	TEST_KAFKA_VERSION=3.9 $(BIN)/pytest tests/brokers tests/streaming/test_committing.py \
		tests/streaming/test_delivery.py tests/streaming/test_fences.py \
		tests/kafka/test_transactions.py tests/faults/test_short.py

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

generate: $(VENV)/.dev
	$(BIN)/python -m schemas.generate
	$(BIN)/python -m deploy.grafana.generate
	$(BIN)/python -m worker.settings.generate_readme
	$(BIN)/python -m deploy.strimzi.generate
	$(BIN)/python -m deploy.helm.generate

audit: $(VENV)/.dev $(AUDIT_TOOLS)/.done
	AUDIT_TOOLS=$(AUDIT_TOOLS) $(BIN)/python -m deploy.audit

# `check` twice: for what was not committed, and for generated files that were not current.
release: $(VENV)/.dev $(RELEASE_TOOLS)/.done
	$(BIN)/python -m deploy.release check --tag "$(TAG)"
	$(MAKE) --no-print-directory generate
	$(BIN)/python -m deploy.release check --tag "$(TAG)"
	$(MAKE) --no-print-directory lint audit
	$(if $(filter none,$(TESTS)),@echo "tests: none here; CI has run them",$(MAKE) --no-print-directory $(or $(TESTS),test-fast))
	$(BIN)/python -m deploy.release build --tools $(RELEASE_TOOLS)/bin

image:
	docker buildx build --file deploy/Dockerfile \
		$(if $(PUSH),--push --sbom=true --provenance=mode=max,--load) \
		--platform "$(or $(PLATFORMS),$(if $(PUSH),linux/amd64$(comma)linux/arm64,local))" \
		--build-arg VERSION="$(VERSION)" --build-arg REVISION="$$(git rev-parse HEAD)" \
		$(if $(EXTRAS),--build-arg EXTRAS="$(EXTRAS)") \
		--build-arg CREATED="$$(git log -1 --format=%cI)" --build-arg SOURCE="$(RELEASE_REPOSITORY)" \
		--tag "$(or $(IMAGE),qa-worker):$(VERSION)" .

faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(DELIVERY),--delivery $(DELIVERY))

bench: $(VENV)/.dev
	$(PIP) $(PINS) --editable ".[bench]"
	$(BIN)/python -m tests.bench.through_kafka $(SQUAD)

parity: $(PARITY)/.done
	$(PARITY)/bin/python -m tests.parity.$(or $(RUN),embeddings)

# The environment of `make parity` has torch and transformers too.
train: $(PARITY)/.done
	mkdir -p $(TO)
	$(PARITY)/bin/python -m worker.model_tools.training.window_set $(ROWS) --tokenizer $(FROM)/tokenizer.json --to $(TO)/windows.npz
	$(PARITY)/bin/python -m worker.model_tools.training.recipe $(TO)/windows.npz --from $(FROM) --to $(TO) $(OPTIONS)

wheels: $(VENV)/bin/python
	$(BIN)/python deploy/check_wheels.py

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(PIP_VERSION)

$(AUDIT_TOOLS)/.done:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check $(AUDIT)
	@touch $@

$(RELEASE_TOOLS)/.done:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check $(RELEASE)
	@touch $@

$(PARITY)/.done: tests/parity/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $< --editable .
	@touch $@

$(VENV)/.runtime: $(INPUTS) | $(VENV)/bin/python
	@echo "installing (once)"
	$(PIP) $(PINS) --editable ".[demo]"
	@touch $@

# It includes what .runtime has. With `demo` in one call of make, pip must not run twice at the same time.
$(VENV)/.dev: $(INPUTS) $(if $(filter demo,$(MAKECMDGOALS)),$(VENV)/.runtime) | $(VENV)/bin/python
	$(PIP) $(PINS) --editable ".[dev]"
	@touch $(VENV)/.runtime $@
