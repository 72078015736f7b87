"""The manifests agree with the worker and with the measured figures: settings, limits, scaling."""

import inspect
from pathlib import Path

import pytest

from tests.deploy.kubernetes import (
    OVERLAYS,
    Resource,
    pod,
    quantity,
    resources,
    selects,
    settings,
    the,
    worker,
)
from tests.deploy.measured import figures
from worker.cli.topics import create
from worker.inference.cpu_quota import available_cores
from worker.settings.environment import load

pytestmark = [pytest.mark.process, pytest.mark.tools]

KEDA = [overlay for overlay in OVERLAYS if resources(overlay, "ScaledObject")]
SCALED = [overlay for overlay in OVERLAYS if "replicas" not in the(overlay, "Deployment")["spec"]]


@pytest.fixture
def secret(tmp_path: Path) -> dict[str, str]:
    """Paths in the pod to files here, as the Secret would have them."""
    password = tmp_path / "password"
    password.write_text("hunter2\n")
    return {"/etc/qa-worker/kafka/password": str(password)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_worker_accepts_the_settings(overlay: str, secret: dict[str, str]) -> None:
    its = load(settings(overlay, secret))
    assert its.kafka.bootstrap_servers
    assert its.qa.log_format == "json"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_grace_period_fits_the_shutdown_budget(overlay: str, secret: dict[str, str]) -> None:
    its = load(settings(overlay, secret)).qa
    given = pod(overlay)["terminationGracePeriodSeconds"]
    assert its.drain_seconds < its.shutdown_seconds < its.termination_grace_period_seconds == given


def test_a_shorter_grace_period_would_stop_the_start() -> None:
    environment = {**settings("base"), "QA_TERMINATION_GRACE_PERIOD_SECONDS": "20"}
    with pytest.raises(Exception, match=r"QA_SHUTDOWN_SECONDS .* must be less than QA_TERMINATION"):
        load(environment)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_cpu_limit_is_the_number_of_threads(overlay: str, tmp_path: Path) -> None:
    limit = quantity(worker(overlay)["resources"]["limits"]["cpu"])
    # What the kubelet writes for it.
    group = tmp_path / "sys/fs/cgroup/pod"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text(f"{int(limit * 100_000)} 100000\n")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/pod\n")
    assert "QA_THREADS" not in settings(overlay)
    assert available_cores(tmp_path) == min(limit, available_cores())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_memory_request_is_a_quarter_more_than_was_measured(overlay: str) -> None:
    measured = figures("peak_memory")["base_size"]
    asked = quantity(worker(overlay)["resources"]["requests"]["memory"]) / 2**20
    assert 1.25 * measured <= asked <= 1.5 * measured


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_memory_limit_is_more_than_the_largest_records_took(overlay: str) -> None:
    measured = figures("peak_memory")
    # The figure is of the default model; add what a model of DistilBERT-base's size takes more.
    larger_model = measured["base_size"] - measured["default_model"]
    limit = quantity(worker(overlay)["resources"]["limits"]["memory"])
    assert limit > 1.25 * (measured["largest_records"] + larger_model) * 2**20
    assert "QA_MAX_RECORD_BYTES" not in settings(overlay), "the figure is of the default"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_selector_selects_the_worker(overlay: str) -> None:
    deployment = the(overlay, "Deployment")["spec"]
    spread = [one["labelSelector"] for one in pod(overlay)["topologySpreadConstraints"]]
    monitor, service = the(overlay, "PodMonitor")["spec"], the(overlay, "Service")["spec"]
    found = [deployment["selector"], *spread, monitor["selector"]]
    assert all(selects(one, overlay) for one in found)
    assert selects({"matchLabels": service["selector"]}, overlay)
    (port,) = worker(overlay)["ports"]
    (endpoint,), (served,) = monitor["podMetricsEndpoints"], service["ports"]
    assert port["name"] == endpoint["port"] == served["targetPort"]
    assert port["containerPort"] == load({}).qa.http_port
    assert endpoint["path"] == "/metrics"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_brokers_can_be_reached(overlay: str) -> None:
    servers = settings(overlay)["KAFKA_BOOTSTRAP_SERVERS"].split(",")
    ports = [
        range(port["port"], port.get("endPort", port["port"]) + 1)
        for rule in the(overlay, "NetworkPolicy")["spec"]["egress"]
        if "to" not in rule
        for port in rule["ports"]
    ]
    for server in servers:
        assert any(int(server.rpartition(":")[2]) in some for some in ports)


def test_only_overlays_with_a_scaler_leave_out_replicas() -> None:
    scalers = ("ScaledObject", "HorizontalPodAutoscaler")
    scaled = [one for one in OVERLAYS if any(resources(one, kind) for kind in scalers)]
    assert scaled == SCALED
    assert {"overlays/keda", "overlays/hpa"} <= set(scaled)


@pytest.mark.parametrize("overlay", SCALED)
def test_no_more_workers_than_partitions(overlay: str) -> None:
    partitions = inspect.signature(create).parameters["partitions"].default
    most = [scaler["spec"]["maxReplicaCount"] for scaler in resources(overlay, "ScaledObject")]
    its = resources(overlay, "HorizontalPodAutoscaler")
    most += [scaler["spec"]["maxReplicas"] for scaler in its]
    assert most == [partitions]


def trigger(overlay: str) -> Resource:
    (found,) = the(overlay, "ScaledObject")["spec"]["triggers"]
    return dict(found)


@pytest.mark.parametrize("overlay", KEDA)
def test_the_lag_threshold_is_throughput_times_delay(overlay: str) -> None:
    notes = the(overlay, "ScaledObject")["metadata"]["annotations"]
    speed = int(notes["qa-worker/questions-per-second"])
    delay = int(notes["qa-worker/target-delay-seconds"])
    assert int(trigger(overlay)["metadata"]["lagThreshold"]) == speed * delay
    # Measured on as many cores as the limit has.
    assert speed == figures("throughput")["default_model"]
    assert quantity(worker(overlay)["resources"]["limits"]["cpu"]) == 2


@pytest.mark.parametrize("overlay", KEDA)
def test_the_scaler_watches_the_topic_and_group_of_the_worker(
    overlay: str, secret: dict[str, str]
) -> None:
    its, environment = trigger(overlay)["metadata"], settings(overlay)
    known = load(settings(overlay, secret))
    assert its["bootstrapServers"] == known.kafka.bootstrap_servers
    assert its["consumerGroup"] == known.kafka.group_id
    assert its["topic"] == known.qa.questions_topic
    assert its["offsetResetPolicy"] == known.kafka.auto_offset_reset
    assert its["ensureEvenDistributionOfPartitions"] == "true"
    # KEDA refuses both of them together.
    assert "limitToPartitionsWithLag" not in its
    if environment.get("KAFKA_SECURITY_PROTOCOL") == "SASL_SSL":
        assert its["tls"] == "enable"
        mechanism = known.kafka.sasl_mechanism.lower()
        assert its["sasl"] == mechanism.replace("scram-sha-", "scram_sha")


@pytest.mark.parametrize("overlay", KEDA)
def test_the_scaler_and_the_worker_share_one_secret(overlay: str) -> None:
    logins = resources(overlay, "TriggerAuthentication")
    if "authenticationRef" not in trigger(overlay):
        assert logins == []
        return
    (login,) = logins
    assert trigger(overlay)["authenticationRef"]["name"] == login["metadata"]["name"]
    mounted = {
        (volume["secret"]["secretName"], item["key"])
        for volume in pod(overlay)["volumes"]
        for item in volume["secret"]["items"]
    }
    refers = [variable["valueFrom"]["secretKeyRef"] for variable in worker(overlay)["env"]]
    mounted |= {(ref["name"], ref["key"]) for ref in refers}
    targets = login["spec"]["secretTargetRef"]
    assert {(one["name"], one["key"]) for one in targets} == mounted
    assert {one["parameter"] for one in targets} == {"username", "password", "ca"}
