"""The component with several questions topics: the worker's settings and KEDA's triggers agree."""

import os
from pathlib import Path

import pytest
import yaml

from tests.deploy.kubernetes import ROOT, Resource, parsed, rendered
from tests.deploy.measured import figures
from worker.settings.environment import load

pytestmark = [pytest.mark.process, pytest.mark.tools]


@pytest.fixture(params=["hpa", "keda", "keda-sasl-tls"])
def overlay(request: pytest.FixtureRequest, tmp_path: Path) -> list[Resource]:
    """The resources of an overlay of one's own with the component."""
    above = os.path.relpath(ROOT, tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": [f"{above}/overlays/{request.param}"],
                "components": [f"{above}/components/question-topics"],
            }
        )
    )
    return parsed(rendered(tmp_path))


def test_each_questions_topic_has_a_trigger(overlay: list[Resource]) -> None:
    (config,) = [each for each in overlay if each["kind"] == "ConfigMap"]
    names = ("QA_QUESTIONS_TOPIC", "QA_QUESTIONS_TOPICS", "KAFKA_GROUP_ID")
    qa = load({name: config["data"][name] for name in names}).qa
    assert len(qa.question_topics) == 2
    scaled = [each for each in overlay if each["kind"] == "ScaledObject"]
    for each in scaled:
        triggers = each["spec"]["triggers"]
        assert [trigger["metadata"]["topic"] for trigger in triggers] == list(qa.question_topics)
        first, second = triggers
        assert (
            int(second["metadata"]["lagThreshold"]) == 600 * figures("throughput")["default_model"]
        )
        second["metadata"] |= {name: first["metadata"][name] for name in ("topic", "lagThreshold")}
        assert first == second
    assert len(scaled) in (0, 1)
