"""What the chart has beyond kustomize's overlays: its schema, files, and values of its own."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.helm.generate.files import files
from deploy.release.checks import version_of
from tests.deploy.kubernetes import CHART, OVERLAYS, ROOT, ChartError, parsed, template
from tests.tools import tool
from worker.settings.environment import load, variables

SCHEMA = CHART / "values.schema.json"

needs_helm = [pytest.mark.process, pytest.mark.tools]


def set_json(**values: Any) -> tuple[str, ...]:
    """Options of helm; `__` separates the keys."""
    return tuple(
        f"--set-json={name.replace('__', '.')}={json.dumps(value)}"
        for name, value in values.items()
    )


def rendered(*names: str, **values: Any) -> dict[str, dict[str, Any]]:
    """Kind to resource."""
    documents = parsed(template(*names, options=set_json(**values)))
    return {each["kind"]: each for each in documents}


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_the_file_is_generated(path: Path) -> None:
    assert path.read_text("utf-8") == files()[path], "run: make generate"


def test_versions_of_chart_and_worker_are_one() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["version"] == chart["appVersion"] == version_of(ROOT.parents[1])


def test_the_schema_takes_every_setting_and_no_secret() -> None:
    settings = json.loads(SCHEMA.read_text("utf-8"))["properties"]["settings"]["properties"]
    assert settings.keys() == {
        f"{variable.name}_FILE" if variable.secret else variable.name for variable in variables()
    }


class TestReadme:
    pytestmark = needs_helm

    def test_readme_is_generated(self, tmp_path: Path) -> None:
        for name in ("Chart.yaml", "values.yaml", "README.md.gotmpl"):
            (tmp_path / name).write_text((CHART / name).read_text("utf-8"), "utf-8")
        command = [tool("helm-docs"), "--chart-search-root", str(tmp_path)]
        subprocess.run(command, check=True, capture_output=True)
        readme = (CHART / "README.md").read_text("utf-8")
        assert readme == (tmp_path / "README.md").read_text("utf-8"), "run: make generate"

    def test_every_value_is_explained(self) -> None:
        rows = re.findall(
            r"^\| (\S+) \| .* \| (.*) \|$", (CHART / "README.md").read_text(), re.MULTILINE
        )
        assert len(rows) > 30
        assert [name for name, meaning in rows[2:] if not meaning.strip()] == []


class TestLint:
    pytestmark = needs_helm

    @pytest.mark.parametrize("overlay", OVERLAYS)
    def test_helm_lint_finds_nothing(self, overlay: str) -> None:
        values = CHART / "values" / f"{Path(overlay).name}.yaml"
        command = [tool("helm"), "lint", "--strict", f"--values={values}", str(CHART)]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "0 chart(s) failed" in result.stdout

    def test_notes_name_group_topics_and_brokers(self) -> None:
        command = [tool("helm"), "install", "mine", str(CHART), "--dry-run=client"]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        _, _, notes = result.stdout.partition("NOTES:\n")
        assert "the group qa-worker read qa.questions from kafka:9092" in notes
        assert (
            "exec deployment/mine-qa-worker --container worker -- qa-worker topics check" in notes
        )
        assert "this release's is default/mine-qa-worker" in notes


class TestSchema:
    pytestmark = needs_helm

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"replicas": 3}, "additional properties 'replicas' not allowed"),
            ({"workload__kind": "DaemonSet"}, "value must be one of 'Deployment', 'StatefulSet'"),
            ({"settings__QA_THREAD": 2}, "additional properties 'QA_THREAD' not allowed"),
            ({"settings__KAFKA_SASL_PASSWORD": "hunter2"}, "'KAFKA_SASL_PASSWORD' not allowed"),
            ({"image__digest": "sha256:12"}, "does not match pattern"),
            ({"scaler__keda__pollingInterval": "5s"}, "got string, want integer"),
            ({"networkPolicy__egress__all": {"to": []}}, "missing property 'ports'"),
            ({"networkPolicy__metricsFrom": []}, "minItems: got 0, want 1"),
            ({"volumes__kafka": {"mountPath": "/x"}}, "missing property 'source'"),
        ],
    )
    def test_a_mistake_is_refused(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(ChartError, match=re.escape(message)):
            rendered(**values)

    def test_variables_of_libraries_and_of_a_parent_chart_are_taken(self) -> None:
        values = {"settings__OTEL_SERVICE_NAME": "a", "settings__AWS_REGION": "b", "enabled": True}
        found = rendered(**values, **{"global": {"domain": "example.com"}})
        assert (
            found["ConfigMap"]["data"].items()
            >= {"OTEL_SERVICE_NAME": "a", "AWS_REGION": "b"}.items()
        )


class TestValues:
    pytestmark = needs_helm

    def test_numbers_and_flags_are_written_as_the_worker_reads_them(self) -> None:
        data = rendered(
            settings__QA_MAX_BATCH_BYTES=16_777_216,
            settings__QA_MAX_PADDING=0.05,
            settings__QA_CONSOLE=True,
            settings__QA_LOG_FORMAT=None,
        )["ConfigMap"]["data"]
        assert data["QA_MAX_BATCH_BYTES"] == "16777216"
        assert data["QA_MAX_PADDING"] == "0.05"
        assert data["QA_CONSOLE"] == "true"
        assert "QA_LOG_FORMAT" not in data

    def test_port_and_grace_period_follow_the_settings(self) -> None:
        found = rendered(
            settings__QA_HTTP_PORT=9000, settings__QA_TERMINATION_GRACE_PERIOD_SECONDS=60
        )
        pod = found["Deployment"]["spec"]["template"]["spec"]
        assert pod["containers"][0]["ports"] == [{"name": "http", "containerPort": 9000}]
        assert pod["terminationGracePeriodSeconds"] == 60

    def test_several_topics_replace_the_one_and_have_a_trigger_each(self) -> None:
        found = rendered(
            "keda",
            settings__QA_QUESTIONS_TOPICS="fast:8, slow.ones:1",
            scaler__keda__topicTargetDelaySeconds={"slow.ones": 600},
        )
        variables = ("QA_QUESTIONS_TOPIC", "QA_QUESTIONS_TOPICS")
        qa = load({name: found["ConfigMap"]["data"][name] for name in variables}).qa
        triggers = [each["metadata"] for each in found["ScaledObject"]["spec"]["triggers"]]
        assert [each["topic"] for each in triggers] == list(qa.question_topics)
        assert [each["lagThreshold"] for each in triggers] == ["740", "44400"]

    def test_a_changed_setting_replaces_the_pods(self) -> None:
        def annotations(threads: int) -> Any:
            found = rendered(settings__QA_THREADS=threads)["Deployment"]
            return found["spec"]["template"]["metadata"]["annotations"]

        assert annotations(1) == annotations(1) != annotations(2)

    def test_releases_in_one_namespace_select_their_own_pods(self) -> None:
        found = rendered("hpa", fullnameOverride="other")
        pod = found["Deployment"]["spec"]["template"]
        labels = pod["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "other"
        selectors = [
            found["Deployment"]["spec"]["selector"]["matchLabels"],
            found["Service"]["spec"]["selector"],
            found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
            found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
            found["PodMonitor"]["spec"]["selector"]["matchLabels"],
        ]
        assert all(each == {"app.kubernetes.io/name": "other"} for each in selectors)
        assert "qa-worker" not in {each["metadata"]["name"] for each in found.values()}
        assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "other"
        assert pod["spec"]["serviceAccountName"] == "other"

    def test_a_chart_may_have_it_twice_as_a_dependency(self, tmp_path: Path) -> None:
        shutil.copytree(CHART, tmp_path / "charts/qa-worker")
        version = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["version"]
        dependencies = [
            {
                "name": "qa-worker",
                "version": version,
                "alias": alias,
                "condition": f"{alias}.enabled",
            }
            for alias in ("batch", "interactive", "unused")
        ]
        parent = {"apiVersion": "v2", "name": "app", "version": "1.0.0"}
        (tmp_path / "Chart.yaml").write_text(
            yaml.safe_dump({**parent, "dependencies": dependencies})
        )
        values = {
            "global": {"domain": "example.com"},
            "batch": {"settings": {"KAFKA_GROUP_ID": "batch"}},
            "unused": {"enabled": False},
        }
        (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
        command = [tool("helm"), "template", "app", str(tmp_path)]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        found = parsed(result.stdout)
        names = [each["metadata"]["name"] for each in found if each["kind"] == "Deployment"]
        assert sorted(names) == ["app-batch", "app-interactive"]
        assert len({(each["kind"], each["metadata"]["name"]) for each in found}) == len(found)

    @pytest.mark.parametrize("version", ["v1.32.0", "v1.33.5-gke.1080000", "v1.34.1-eks-113cf36"])
    def test_versions_of_managed_kubernetes_are_taken(self, version: str) -> None:
        assert template(options=(f"--kube-version={version}",))

    def test_an_older_kubernetes_is_refused(self) -> None:
        with pytest.raises(ChartError, match=r"requires kubeVersion: >=1\.32"):
            template(options=("--kube-version=v1.31.9",))

    def test_a_digest_takes_the_tags_place(self) -> None:
        digest = f"sha256:{'0' * 64}"
        pod = rendered(image__digest=digest)["Deployment"]["spec"]["template"]["spec"]
        assert pod["containers"][0]["image"] == f"qa-worker@{digest}"

    def test_keda_scales_a_stateful_set(self) -> None:
        target = rendered("keda", workload__kind="StatefulSet")["ScaledObject"]["spec"]
        assert target["scaleTargetRef"] == {"kind": "StatefulSet", "name": "qa-worker"}

    def test_each_topic_of_questions_has_a_trigger(self) -> None:
        options = ("--skip-schema-validation", '--set-json=settings.QA_QUESTIONS_TOPICS="a:8, b:1"')
        documents = parsed(template("keda", options=options))
        (scaler,) = (each for each in documents if each["kind"] == "ScaledObject")
        triggers = [trigger["metadata"] for trigger in scaler["spec"]["triggers"]]
        assert [metadata.pop("topic") for metadata in triggers] == ["a", "b"]
        assert triggers[0] == triggers[1]

    def test_keda_without_the_mechanism_is_refused_in_one_line(self) -> None:
        with pytest.raises(ChartError, match="KAFKA_SASL_MECHANISM is GSSAPI, which KEDA does not"):
            rendered(
                "keda",
                settings__KAFKA_SECURITY_PROTOCOL="SASL_SSL",
                settings__KAFKA_SASL_MECHANISM="GSSAPI",
            )

    def test_alerts_point_to_the_copy_of_the_runbook(self) -> None:
        prefix = "https://git.example.com/qa-worker/blob/main/"
        rules = rendered("prometheus-rule", prometheusRule__runbookPrefix=prefix)["PrometheusRule"]
        alerts = [
            rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule
        ]
        assert len(alerts) > 10
        for alert in alerts:
            assert alert["annotations"]["runbook_url"].startswith(f"{prefix}deploy/runbook.md#")
