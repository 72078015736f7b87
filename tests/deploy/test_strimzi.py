"""Strimzi's topics and users are valid, and have what the worker creates and security.md lists."""

import re
from pathlib import Path
from typing import Any

import pytest

from deploy.documented_acls import documented_acls
from deploy.strimzi.generate.resources import DIRECTORY, USERS, files
from tests.deploy.kubernetes import parsed, rendered, template
from tests.deploy.kubernetes_schemas import VERSIONS, validate, write_schemas
from worker.kafka.acl import required_by_worker
from worker.settings.environment import load

OPTIONS = {"topic": "--topic", "group": "--group", "transactionalId": "--transactional-id"}


def user(name: str) -> dict[str, Any]:
    (found,) = (
        each
        for each in parsed((DIRECTORY / "kafkausers.yaml").read_text("utf-8"))
        if each["metadata"]["name"] == name
    )
    return dict(found)


def granted(name: str) -> set[tuple[str, str, str, bool]]:
    """Resource option, name, operation, prefixed."""
    return {
        (
            OPTIONS[acl["resource"]["type"]],
            acl["resource"]["name"],
            operation,
            acl["resource"]["patternType"] == "prefix",
        )
        for acl in user(name)["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_the_file_is_generated(path: Path) -> None:
    assert path.read_text("utf-8") == files()[path], "run: make generate"


@pytest.mark.parametrize("name", USERS)
def test_a_user_has_exactly_the_documented_acls(name: str) -> None:
    assert granted(name) == {
        (acl.resource_option, acl.name, acl.operation, acl.prefixed)
        for heading in USERS[name]
        for acl in documented_acls(heading)
    }


def test_the_worker_has_the_topic_operations_that_it_checks_at_the_start() -> None:
    for topic, operations in required_by_worker(load({})).items():
        for operation in operations:
            assert ("--topic", topic, operation.name.capitalize(), False) in granted("qa-worker")


@pytest.mark.process
@pytest.mark.tools
def test_the_charts_values_in_the_readme_log_in_as_the_user(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (block,) = re.findall(
        r"```yaml\n(.*?)```", (DIRECTORY / "README.md").read_text("utf-8"), re.DOTALL
    )
    (tmp_path / "values.yaml").write_text(block, "utf-8")
    text = template(options=(f"--values={tmp_path / 'values.yaml'}",))
    found = {each["kind"]: each for each in parsed(text)}
    kinds = {(each["apiVersion"], kind) for kind, each in found.items()}
    schemas = write_schemas(kinds, tmp_path_factory.mktemp("schemas"))
    code, output = validate(text, schemas, VERSIONS[-1])
    assert code == 0, output
    (password := tmp_path / "password").write_text("hunter2")
    environment = found["ConfigMap"]["data"]
    files = {environment["KAFKA_SASL_PASSWORD_FILE"]: str(password)}
    kafka = load({name: files.get(value, value) for name, value in environment.items()}).kafka
    assert kafka.sasl_username == user("qa-worker")["metadata"]["name"]
    assert kafka.sasl_mechanism.lower() == user("qa-worker")["spec"]["authentication"]["type"]
    mount = found["Deployment"]["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"]
    mounted = {
        (each["secret"]["name"], item["key"]) for each in mount for item in each["secret"]["items"]
    }
    targets = found["TriggerAuthentication"]["spec"]["secretTargetRef"]
    assert mounted == {(target["name"], target["key"]) for target in targets}
    assert found["ScaledObject"]["spec"]["triggers"][0]["metadata"]["sasl"] == "scram_sha512"


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> str:
    kinds = {("kafka.strimzi.io/v1", kind) for kind in ("KafkaTopic", "KafkaUser")}
    return write_schemas(kinds, tmp_path_factory.mktemp("schemas"))


@pytest.mark.process
@pytest.mark.tools
def test_the_resources_are_valid_by_strimzis_schemas(schemas: str) -> None:
    code, output = validate(rendered(DIRECTORY), schemas, VERSIONS[-1])
    assert code == 0, output
    assert "Valid: 6, Invalid: 0, Errors: 0, Skipped: 0" in output


@pytest.mark.process
@pytest.mark.tools
@pytest.mark.parametrize(
    ("valid", "invalid"),
    [
        ("patternType: prefix", "patternType: prefixed"),
        ("- DescribeConfigs", "- DescribeConfig"),
        ("partitions: 12", "partition: 12"),
        ("type: scram-sha-512", "type: scram-sha-1024"),
    ],
)
def test_a_mistake_is_found(valid: str, invalid: str, schemas: str) -> None:
    text = rendered(DIRECTORY)
    assert valid in text
    code, output = validate(text.replace(valid, invalid), schemas, VERSIONS[-1])
    assert code == 1
    assert "is invalid" in output
