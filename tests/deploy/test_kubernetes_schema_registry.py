"""The component with a schema registry: settings, Secret and network policy agree."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.deploy.kubernetes import ROOT, Resource, parsed, rendered, template
from tests.deploy.test_kubernetes_hardening import problems
from worker.settings.environment import load, variables

pytestmark = [pytest.mark.process, pytest.mark.tools]

FILES = "/etc/qa-worker/schema-registry"
SECRETS = {"user-info": "worker:hunter2\n", "ca.crt": "certificate"}


@pytest.fixture(
    scope="module", params=["overlays/keda-sasl-tls", "overlays/static-members", "chart"]
)
def text(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The component on an overlay whose pods have a Secret, a name, or in the chart."""
    if request.param == "chart":
        return template("keda-sasl-tls", "schema-registry")
    directory = tmp_path_factory.mktemp("overlay").resolve()
    above = os.path.relpath(ROOT, directory)
    own = {
        "resources": [f"{above}/{request.param}"],
        "components": [f"{above}/components/schema-registry"],
    }
    (directory / "kustomization.yaml").write_text(yaml.safe_dump(own))
    return rendered(directory)


def only(text: str, *kinds: str) -> Resource:
    (found,) = (each for each in parsed(text) if each["kind"] in kinds)
    return dict(found)


def settings(text: str) -> dict[str, str]:
    names = [variable.name for variable in variables() if variable.name.startswith("SCHEMA_")]
    names += [f"{name}_FILE" for name in names]
    data = only(text, "ConfigMap")["data"]
    return {name: data[name] for name in names if name in data}


def test_the_worker_reads_url_login_and_authority(text: str, tmp_path: Path) -> None:
    local = {f"{FILES}/{name}": tmp_path / name for name in SECRETS}
    for name, content in SECRETS.items():
        (tmp_path / name).write_text(content)
    environment = {name: str(local.get(value, value)) for name, value in settings(text).items()}
    registry = load(environment).schema_registry
    assert registry.url == ("https://schema-registry:8081",)
    assert registry.basic_auth_user_info is not None
    assert registry.basic_auth_user_info.get_secret_value() == "worker:hunter2"
    assert registry.ssl_truststore_location == tmp_path / "ca.crt"


def test_every_file_of_the_settings_is_mounted_from_the_secret(text: str) -> None:
    pod = only(text, "Deployment", "StatefulSet")["spec"]["template"]["spec"]
    (volume,) = (each for each in pod["volumes"] if each["name"] == "schema-registry")
    (worker,) = (each for each in pod["containers"] if each["name"] == "worker")
    (mount,) = (each for each in worker["volumeMounts"] if each["name"] == "schema-registry")
    assert mount["readOnly"] is True
    mounted = {f"{mount['mountPath']}/{item['path']}" for item in volume["secret"]["items"]}
    paths = {value for value in settings(text).values() if value.startswith("/")}
    assert paths == mounted == {f"{FILES}/{name}" for name in SECRETS}
    # No rights for other users of the node.
    assert oct(volume["secret"]["defaultMode"]) == "0o440"


def test_the_network_policy_allows_the_registrys_port(text: str) -> None:
    url = urlsplit(settings(text)["SCHEMA_REGISTRY_URL"])
    egress = only(text, "NetworkPolicy")["spec"]["egress"]
    ports = [port["port"] for rule in egress for port in rule["ports"]]
    assert ports.count(url.port) == 1


def test_kube_score_finds_nothing_in_the_component(text: str) -> None:
    assert problems(text) == []


def test_secrets_stay_out_of_the_configmap(text: str) -> None:
    secret = {variable.name for variable in variables() if variable.secret}
    assert secret.isdisjoint(only(text, "ConfigMap")["data"])
    assert not re.search(r"^kind: Secret$", text, re.MULTILINE)
