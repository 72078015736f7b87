"""Settings, limits and scaling in the manifests match the worker and the measured figures."""

import inspect
import os
from pathlib import Path

import pytest

from tests.deploy.kubernetes import (
    OVERLAYS,
    RENDERS,
    Resource,
    only_resource,
    pod,
    quantity,
    resources,
    selects,
    settings,
    worker,
    workload,
)
from tests.deploy.measured import figures
from worker.cli.topics import create
from worker.inference.cpu_quota import available_cores
from worker.settings.environment import find_doubtful, load

pytestmark = [pytest.mark.process, pytest.mark.tools]

SASL = {
    "PLAIN": "plaintext",
    "SCRAM-SHA-256": "scram_sha256",
    "SCRAM-SHA-512": "scram_sha512",
    "AWS_MSK_IAM": "oauthbearer",
}
"""The worker's mechanism to KEDA's name."""

# By name, so that collecting the tests renders nothing; a test compares them with the overlays.
KEDA = [overlay for overlay in OVERLAYS if overlay.startswith("overlays/keda")]
SCALED = [*KEDA, *(overlay for overlay in OVERLAYS if overlay.startswith("overlays/hpa"))]


@pytest.fixture
def secret(tmp_path: Path) -> dict[str, str]:
    """Maps the paths of the Secret's files in the pod to local files."""
    password = tmp_path / "password"
    password.write_text("hunter2\n")
    return {"/etc/qa-worker/kafka/password": str(password)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_worker_accepts_the_settings(overlay: str, secret: dict[str, str]) -> None:
    loaded = load(settings(overlay, secret))
    assert loaded.kafka.bootstrap_servers
    assert loaded.qa.log_format == "json"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_grace_period_fits_the_shutdown_budget(overlay: str, secret: dict[str, str]) -> None:
    qa = load(settings(overlay, secret)).qa
    assert qa.drain_seconds < qa.shutdown_seconds < qa.termination_grace_period_seconds
    period = pod(overlay)["terminationGracePeriodSeconds"]
    assert qa.termination_grace_period_seconds == period


def test_too_short_grace_period_is_an_error() -> None:
    environment = {**settings("base"), "QA_TERMINATION_GRACE_PERIOD_SECONDS": "20"}
    with pytest.raises(Exception, match=r"QA_SHUTDOWN_SECONDS .* must be less than QA_TERMINATION"):
        load(environment)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_cpu_limit_is_the_number_of_threads(overlay: str, tmp_path: Path) -> None:
    limit = quantity(worker(overlay)["resources"]["limits"]["cpu"])
    # The kubelet writes the limit as quota and period in microseconds.
    group = tmp_path / "sys/fs/cgroup/pod"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text(f"{int(limit * 100_000)} 100000\n")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/pod\n")
    assert "QA_THREADS" not in settings(overlay)
    assert available_cores(tmp_path) == min(limit, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_memory_request_is_at_least_a_quarter_above_the_measured_peak(overlay: str) -> None:
    measured = figures("peak_memory")["base_size"]
    request = quantity(worker(overlay)["resources"]["requests"]["memory"]) / 2**20
    assert 1.25 * measured <= request <= 1.5 * measured


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_memory_limit_exceeds_the_peak_of_the_largest_records(overlay: str) -> None:
    measured = figures("peak_memory")
    # The figure is of the default model; add what a model of DistilBERT-base's size takes more.
    larger_model = measured["base_size"] - measured["default_model"]
    limit = quantity(worker(overlay)["resources"]["limits"]["memory"])
    assert limit > 1.25 * (measured["largest_records"] + larger_model) * 2**20
    assert "QA_MAX_RECORD_BYTES" not in settings(overlay), "measured with the default"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_selector_selects_the_worker(overlay: str) -> None:
    deployment = workload(overlay)["spec"]
    spread = [c["labelSelector"] for c in pod(overlay)["topologySpreadConstraints"]]
    monitor, service = (
        only_resource(overlay, "PodMonitor")["spec"],
        only_resource(overlay, "Service")["spec"],
    )
    selectors = [deployment["selector"], *spread, monitor["selector"]]
    assert all(selects(selector, overlay) for selector in selectors)
    assert selects({"matchLabels": service["selector"]}, overlay)
    (port,) = worker(overlay)["ports"]
    (endpoint,), (served,) = monitor["podMetricsEndpoints"], service["ports"]
    assert port["name"] == endpoint["port"] == served["targetPort"]
    assert port["containerPort"] == load({}).qa.http_port
    assert endpoint["path"] == "/metrics"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_network_policy_allows_the_brokers_ports(overlay: str) -> None:
    servers = settings(overlay)["KAFKA_BOOTSTRAP_SERVERS"].split(",")
    ports = [
        range(port["port"], port.get("endPort", port["port"]) + 1)
        for rule in only_resource(overlay, "NetworkPolicy")["spec"]["egress"]
        if "to" not in rule
        for port in rule["ports"]
    ]
    for server in servers:
        assert any(int(server.rpartition(":")[2]) in allowed for allowed in ports)


def test_only_overlays_with_a_scaler_omit_replicas() -> None:
    without = {overlay for overlay in OVERLAYS if "replicas" not in workload(overlay)["spec"]}
    by_kind = {
        kind: {overlay for overlay in OVERLAYS if resources(overlay, kind)}
        for kind in ("ScaledObject", "HorizontalPodAutoscaler")
    }
    assert by_kind["ScaledObject"] == set(KEDA)
    assert by_kind["ScaledObject"] | by_kind["HorizontalPodAutoscaler"] == without == set(SCALED)
    assert {"overlays/keda", "overlays/hpa"} <= without


@pytest.mark.parametrize("overlay", SCALED)
def test_maximum_of_replicas_is_the_number_of_partitions(overlay: str) -> None:
    partitions = inspect.signature(create).parameters["partitions"].default
    maxima = [scaler["spec"]["maxReplicaCount"] for scaler in resources(overlay, "ScaledObject")]
    autoscalers = resources(overlay, "HorizontalPodAutoscaler")
    maxima += [scaler["spec"]["maxReplicas"] for scaler in autoscalers]
    assert maxima == [partitions]


@pytest.mark.parametrize("overlay", RENDERS)
def test_only_pods_that_keep_their_name_and_number_are_static_members(
    overlay: str, secret: dict[str, str]
) -> None:
    loaded = load(settings(overlay, secret))
    is_static = loaded.kafka.group_instance_id is not None
    assert is_static == overlay.endswith("/static-members")
    if is_static:
        stateful = workload(overlay)
        assert stateful["kind"] == "StatefulSet"
        assert (
            stateful["spec"]["serviceName"] == only_resource(overlay, "Service")["metadata"]["name"]
        )
        assert overlay not in SCALED
    assert list(find_doubtful(loaded)) == []


def trigger(overlay: str) -> Resource:
    """Returns the only trigger of the ScaledObject."""
    (only,) = only_resource(overlay, "ScaledObject")["spec"]["triggers"]
    return dict(only)


@pytest.mark.parametrize("overlay", KEDA)
def test_the_lag_threshold_is_throughput_times_delay(overlay: str) -> None:
    annotations = only_resource(overlay, "ScaledObject")["metadata"]["annotations"]
    throughput = int(annotations["qa-worker/questions-per-second"])
    delay = int(annotations["qa-worker/target-delay-seconds"])
    assert int(trigger(overlay)["metadata"]["lagThreshold"]) == throughput * delay
    # The figure was measured on two cores, which is the CPU limit.
    assert throughput == figures("throughput")["default_model"]
    assert quantity(worker(overlay)["resources"]["limits"]["cpu"]) == 2


@pytest.mark.parametrize("overlay", KEDA)
def test_the_scaler_watches_the_topic_and_group_of_the_worker(
    overlay: str, secret: dict[str, str]
) -> None:
    metadata, environment = trigger(overlay)["metadata"], settings(overlay)
    loaded = load(settings(overlay, secret))
    assert metadata["bootstrapServers"] == loaded.kafka.bootstrap_servers
    assert metadata["consumerGroup"] == loaded.kafka.group_id
    assert metadata["topic"] == loaded.qa.questions_topic
    assert metadata["offsetResetPolicy"] == loaded.kafka.auto_offset_reset
    assert metadata["ensureEvenDistributionOfPartitions"] == "true"
    # KEDA rejects the two options together.
    assert "limitToPartitionsWithLag" not in metadata
    if environment.get("KAFKA_SECURITY_PROTOCOL") == "SASL_SSL":
        assert metadata["tls"] == "enable"
        assert metadata["sasl"] == SASL[loaded.kafka.sasl_mechanism]
    if loaded.kafka.sasl_mechanism == "AWS_MSK_IAM":
        assert metadata["saslTokenProvider"] == "aws_msk_iam"
        assert metadata["awsRegion"] == environment["AWS_REGION"]


@pytest.mark.parametrize("overlay", KEDA)
def test_the_scaler_and_the_worker_share_one_secret(overlay: str) -> None:
    authentications = resources(overlay, "TriggerAuthentication")
    if "authenticationRef" not in trigger(overlay):
        assert authentications == []
        return
    (authentication,) = authentications
    assert trigger(overlay)["authenticationRef"]["name"] == authentication["metadata"]["name"]
    if "podIdentity" in authentication["spec"]:
        # The worker's own role, in place of a Secret.
        identity = authentication["spec"]["podIdentity"]
        assert identity == {"provider": "aws", "identityOwner": "workload"}
        annotations = only_resource(overlay, "ServiceAccount")["metadata"]["annotations"]
        assert annotations["eks.amazonaws.com/role-arn"].startswith("arn:aws:iam::")
        assert "volumes" not in pod(overlay)
        return
    mounted = {
        (volume["secret"]["secretName"], item["key"])
        for volume in pod(overlay)["volumes"]
        for item in volume["secret"]["items"]
    }
    references = [variable["valueFrom"]["secretKeyRef"] for variable in worker(overlay)["env"]]
    used = mounted | {(reference["name"], reference["key"]) for reference in references}
    targets = authentication["spec"]["secretTargetRef"]
    assert {(target["name"], target["key"]) for target in targets} == used
    authority = {"ca"} if "KAFKA_SSL_TRUSTSTORE_LOCATION" in settings(overlay) else set()
    assert {target["parameter"] for target in targets} == {"username", "password", *authority}


def test_event_hubs_settings_are_within_the_ranges_that_microsoft_recommends(
    secret: dict[str, str],
) -> None:
    """https://learn.microsoft.com/azure/event-hubs/apache-kafka-configurations"""
    loaded = load(settings("overlays/keda-event-hubs", secret))
    kafka = loaded.kafka
    assert loaded.qa.delivery == "at_least_once"
    assert kafka.request_timeout_ms >= 60_000
    assert 30_000 <= kafka.session_timeout_ms <= 300_000
    assert kafka.heartbeat_interval_ms == 3_000
    assert kafka.metadata_max_age_ms < 240_000
    assert kafka.connections_max_idle_ms < 240_000
    assert kafka.max_request_size is not None
    assert kafka.max_request_size < 1_046_528
    assert kafka.compression_type == "none"
