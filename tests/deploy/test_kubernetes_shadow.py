"""The overlay `shadow` stands beside production in one namespace and shares only its questions."""

import pytest

from tests.deploy.kubernetes import OVERLAYS, all_resources, only_resource, pod, selects, settings
from worker.settings.environment import load

pytestmark = [pytest.mark.process, pytest.mark.tools]

SHADOW = "overlays/shadow"
PRODUCTION = [overlay for overlay in OVERLAYS if overlay != SHADOW]


def names(overlay: str) -> set[tuple[str, str]]:
    return {(each["kind"], each["metadata"]["name"]) for each in all_resources(overlay)}


@pytest.mark.parametrize("overlay", PRODUCTION)
def test_no_resource_of_production_has_the_same_name(overlay: str) -> None:
    assert names(SHADOW).isdisjoint(names(overlay))


def test_neither_selects_the_pods_of_the_other() -> None:
    for own, other in ((SHADOW, "base"), ("base", SHADOW)):
        selectors = [
            only_resource(own, "Deployment")["spec"]["selector"],
            only_resource(own, "PodDisruptionBudget")["spec"]["selector"],
            only_resource(own, "PodMonitor")["spec"]["selector"],
            {"matchLabels": only_resource(own, "Service")["spec"]["selector"]},
            only_resource(own, "NetworkPolicy")["spec"]["podSelector"],
            *(each["labelSelector"] for each in pod(own)["topologySpreadConstraints"]),
        ]
        assert all(selects(selector, own) for selector in selectors)
        assert not any(selects(selector, other) for selector in selectors)


def test_the_shadow_reads_productions_questions_and_writes_nowhere_else() -> None:
    shadow, production = load(settings(SHADOW)), load(settings("base"))
    assert shadow.qa.questions_topic == production.qa.questions_topic
    assert shadow.kafka.bootstrap_servers == production.kafka.bootstrap_servers
    assert shadow.kafka.group_id != production.kafka.group_id
    assert set(shadow.qa.topics[1:]).isdisjoint(production.qa.topics)
    assert (shadow.qa.unsure_topic, shadow.qa.reply_topics) == (None, ())
    assert 0 < shadow.qa.sample < 1
    assert shadow.qa.model != production.qa.model
