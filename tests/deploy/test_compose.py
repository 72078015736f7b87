"""docker-compose.yml, loaded by the compose specification's reference library.

Docker is not needed: the test of the broker's settings runs Apache Kafka from its jars.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.forked import run_forked
from tests.tools import tool
from worker.kafka.dev_broker import KAFKA_VERSION, kafka_distribution
from worker.kafka.java_runtime import find_java
from worker.kafka.kafka_node import KafkaNode, free_ports
from worker.settings import Settings
from worker.settings.environment import load

pytestmark = [pytest.mark.process, pytest.mark.tools]

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"

Service = dict[str, Any]


def _loaded(path: Path, **environment: str) -> dict[str, Any]:
    """Returns the model that compose uses: merged, with all short forms expanded.

    Raises `AssertionError` if the file is invalid.
    """
    result = subprocess.run(
        [tool("compose-load"), str(path)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    model: dict[str, Any] = json.loads(result.stdout)
    return model


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    """All services, those of profiles included."""
    services: dict[str, Service] = _loaded(COMPOSE, COMPOSE_PROFILES="*")["services"]
    return services


@pytest.fixture(scope="module")
def settings(services: dict[str, Service]) -> Settings:
    """The worker's settings in its container. Fails if a variable is unknown."""
    return load(services["worker"]["environment"])


def test_compose_file_is_valid(services: dict[str, Service]) -> None:
    without_profiles = {"kafka", "topics", "worker", "prometheus", "grafana", "kafka-ui"}
    assert set(_loaded(COMPOSE)["services"]) == without_profiles
    assert set(services) == {*without_profiles, "registry"}


@pytest.mark.parametrize(
    ("valid", "invalid", "error"),
    [
        ("cap_drop: [ALL]", "cap_drop: ALL", "must be a array"),
        ("stop_grace_period:", "stop_grace:", "stop_grace false schema"),
        ("topics: {condition", "topic: {condition", "undefined service"),
        ("[kafka:/var/lib", "[kafkas:/var/lib", "undefined volume"),
    ],
)
def test_mistake_is_an_error(tmp_path: Path, valid: str, invalid: str, error: str) -> None:
    text = COMPOSE.read_text("utf-8")
    assert valid in text
    (tmp_path / "docker-compose.yml").write_text(text.replace(valid, invalid), "utf-8")
    with pytest.raises(AssertionError, match=error):
        _loaded(tmp_path / "docker-compose.yml")


def test_versions_are_pinned(services: dict[str, Service]) -> None:
    for name, service in services.items():
        if "build" not in service:
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name
    assert services["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"  # the tests' version


def test_ports_are_bound_to_loopback(services: dict[str, Service]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 6
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    fixed = [port["published"] for port in ports if "published" in port]
    assert len(set(fixed)) == len(fixed) == 5


def test_workers_can_be_scaled(services: dict[str, Service]) -> None:
    worker = services["worker"]
    assert "container_name" not in worker
    assert all("published" not in port for port in worker["ports"])
    assert "--scale worker=3" in _make_up("WORKERS=3")


def _make_up(*variables: str) -> str:
    """Returns the commands of `make up`."""
    command = ["make", "--dry-run", "up", *variables]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_the_workers_have_a_schema_registry_with_its_profile_only(
    services: dict[str, Service], settings: Settings
) -> None:
    assert settings.schema_registry.url == ()
    commands = _make_up("REGISTRY=1")
    assert "docker compose --profile registry" in commands
    assert "registry" not in _make_up()
    (url,) = re.findall(r"^SCHEMA_REGISTRY_URL=(\S+) docker", commands, re.MULTILINE)
    model = _loaded(COMPOSE, COMPOSE_PROFILES="registry", SCHEMA_REGISTRY_URL=url)
    assert load(model["services"]["worker"]["environment"]).schema_registry.url == (url,)
    (port,) = services["registry"]["ports"]
    assert url == f"http://registry:{port['target']}/apis/ccompat/v7"
    on_host = url.replace(f"registry:{port['target']}", f"localhost:{port['published']}")
    assert on_host in commands


def test_the_schemas_are_stored_in_kafka(services: dict[str, Service]) -> None:
    environment = services["registry"]["environment"]
    assert environment["APICURIO_STORAGE_KIND"] == "kafkasql"
    servers = services["topics"]["environment"]["KAFKA_BOOTSTRAP_SERVERS"]
    assert environment["APICURIO_KAFKASQL_BOOTSTRAP_SERVERS"] == servers
    assert services["registry"]["depends_on"]["kafka"]["condition"] == "service_healthy"


def test_containers_have_limits_and_no_privileges(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        # Kafka's image writes its configuration to the directory of its programs.
        assert service.get("read_only", False) == (name != "kafka"), name
        if name != "topics":
            limits = service["deploy"]["resources"]["limits"]
            assert limits.keys() == {"cpus", "memory"}, name
            assert service["restart"] == "unless-stopped", name


def test_stop_grace_period_covers_the_shutdown_budget(
    services: dict[str, Service], settings: Settings
) -> None:
    period = services["worker"]["stop_grace_period"]
    assert period.endswith("s")
    assert (
        float(period[:-1])
        >= settings.qa.termination_grace_period_seconds
        > settings.qa.shutdown_seconds
    )


def test_worker_waits_for_broker_and_topics(services: dict[str, Service]) -> None:
    assert services["kafka"]["healthcheck"]["test"]
    dependencies = services["worker"]["depends_on"]
    conditions = {name: service["condition"] for name, service in dependencies.items()}
    assert conditions == {"kafka": "service_healthy", "topics": "service_completed_successfully"}
    assert services["topics"]["image"] == services["worker"]["image"]
    assert services["topics"]["depends_on"]["kafka"]["condition"] == "service_healthy"


def test_mounted_directories_exist(services: dict[str, Service]) -> None:
    mounts = [mount for service in services.values() for mount in service.get("volumes", ())]
    binds = [mount for mount in mounts if mount["type"] == "bind"]
    assert len(binds) == 4
    for mount in binds:
        assert mount["read_only"]
        assert Path(mount["source"]).is_dir(), mount["source"]


def test_prometheus_scrapes_the_workers(services: dict[str, Service], settings: Settings) -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    (discovery,) = job["dns_sd_configs"]
    assert discovery["names"] == ["worker"]
    assert discovery["port"] == settings.qa.http_port
    (port,) = services["worker"]["ports"]
    assert port["target"] == settings.qa.http_port
    (mount,) = (v for v in services["prometheus"]["volumes"] if v["type"] == "bind")
    assert mount["source"] == str(ROOT / "deploy/prometheus")
    assert mount["target"] == "/etc/prometheus"  # the image's directory of prometheus.yml


@pytest.fixture
def kafka(services: dict[str, Service]) -> Iterator[tuple[str, str]]:
    """A broker with compose's settings, except for host names, ports and directories.

    Yields the addresses of its listeners for containers and for the host.
    """
    environment = services["kafka"]["environment"]
    inside, outside, controller = free_ports(3)
    local_addresses = {
        "kafka:29093": f"127.0.0.1:{controller}",
        "kafka:19092": f"127.0.0.1:{inside}",
        "localhost:9092": f"127.0.0.1:{outside}",
        "CONTROLLER://:29093": f"CONTROLLER://127.0.0.1:{controller}",
        "INSIDE://:19092": f"INSIDE://127.0.0.1:{inside}",
        "OUTSIDE://:9092": f"OUTSIDE://127.0.0.1:{outside}",
    }
    properties = {}
    for name, value in environment.items():
        if not name.startswith("KAFKA_") or name in ("KAFKA_HEAP_OPTS", "KAFKA_LOG_DIRS"):
            continue
        for address, local_address in local_addresses.items():
            value = value.replace(address, local_address)
        # The image converts names of variables in the same way.
        properties[name.removeprefix("KAFKA_").lower().replace("_", ".")] = value
    node = KafkaNode(inside, find_java().program, kafka_distribution().class_path())
    try:
        node.format(environment["CLUSTER_ID"], properties)
        node.launch()
        node.wait_until_serving({int(environment["KAFKA_NODE_ID"])})
        yield f"127.0.0.1:{inside}", f"127.0.0.1:{outside}"
    finally:
        node.remove()


@pytest.mark.broker
def test_broker_starts_and_topics_are_created(
    kafka: tuple[str, str], services: dict[str, Service]
) -> None:
    inside, outside = kafka
    topics = services["topics"]
    assert set(topics["environment"]) == {"KAFKA_BOOTSTRAP_SERVERS"}
    assert (
        "INSIDE://" + topics["environment"]["KAFKA_BOOTSTRAP_SERVERS"]
        in (services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"])
    )
    output = _qa_worker(inside, *topics["command"])
    assert output.count("created") == 3, output
    # `make up` runs the command again.
    assert "created" not in _qa_worker(inside, *topics["command"])
    assert _qa_worker(outside, "topics", "check").count("│ 12 ") == 3


def _qa_worker(servers: str, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QA_")}
    done = run_forked(*arguments, environment={**environment, "KAFKA_BOOTSTRAP_SERVERS": servers})
    assert done.code == 0, done.out + done.err
    return done.out


def test_console_is_on_and_make_up_prints_its_address(settings: Settings) -> None:
    assert settings.qa.console
    assert settings.qa.console_token is not None
    address = f"/console/#token={settings.qa.console_token.get_secret_value()}"
    assert address in (ROOT / "Makefile").read_text("utf-8")
