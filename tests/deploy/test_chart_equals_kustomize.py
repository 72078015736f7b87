"""The chart renders the resources that kustomize does: every overlay, every component on the base,
and on every overlay all that can be together.

What is not compared, since the two do it in different ways:

- a changed setting replaces the pods: kustomize by a hash in the ConfigMap's name, the chart by an
  annotation of the pods;
- the order of lists that Kubernetes reads as maps by name, or as a set: environment, volumes, and
  rules of egress.
"""

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.kubernetes import CHART, OVERLAYS, ROOT, Resource, parsed, rendered, template

pytestmark = [pytest.mark.process, pytest.mark.tools]

COMPONENTS = sorted(f"components/{path.name}" for path in (ROOT / "components").iterdir())
VALUES = CHART / "values"
CHECKSUM = "checksum/settings"
BY_NAME = ("env", "volumes", "volumeMounts")
IN_TRIGGERS = re.compile(
    r"KAFKA_(BOOTSTRAP_SERVERS|GROUP_ID|SECURITY_PROTOCOL|SASL_MECHANISM|AUTO_OFFSET_RESET)|"
    r"QA_QUESTIONS_TOPICS?"
)
"""Settings that a trigger of KEDA repeats."""

Resources = dict[tuple[str, str], Resource]


def values_name(directory: str) -> str:
    """The values file of a directory below deploy/kubernetes, as `keda` of `overlays/keda`."""
    return Path(directory).name


def normal(text: str) -> Resources:
    """Kind and name to resource."""
    for each in parsed(text):
        if each["kind"] == "ConfigMap":
            name = each["metadata"]["name"]
            text = text.replace(name, re.sub("-[a-z0-9]{10}$", "", name))
    found = [dict(_normal(each)) for each in parsed(text)]
    by_name = {(each["kind"], each["metadata"]["name"]): each for each in found}
    assert len(by_name) == len(found), "a resource occurs twice"
    return by_name


def _normal(value: Any) -> Any:
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if not isinstance(value, dict):
        return value
    normal = {key: _normal(item) for key, item in value.items()}
    for key in BY_NAME:
        if isinstance(normal.get(key), list):
            normal[key].sort(key=lambda item: item["name"])
    if isinstance(normal.get("egress"), list):
        normal["egress"].sort(key=json.dumps)
    if CHECKSUM in normal.get("annotations", {}):
        del normal["annotations"][CHECKSUM]
        if not normal["annotations"]:
            del normal["annotations"]
    return normal


def combined(directory: Path, overlay: str, *components: str) -> str:
    """Renders an overlay with components, as a user's own overlay does."""
    relative = {name: os.path.relpath(ROOT / name, directory) for name in (overlay, *components)}
    own = {
        "resources": [relative[overlay]],
        "components": [relative[component] for component in components],
    }
    (directory / "kustomization.yaml").write_text(yaml.safe_dump(own))
    return rendered(directory)


def _directories(overlay: str) -> Iterator[tuple[str, Resource]]:
    """Yields an overlay and those that it is built on, each with its kustomization."""
    content = _content(overlay)
    yield overlay, content
    for each in content.get("resources", []):
        if not each.endswith(".yaml"):
            yield from _directories(str((ROOT / overlay / each).resolve().relative_to(ROOT)))


def _includes(overlay: str, component: str) -> bool:
    return any(
        Path(each).name == values_name(component)
        for _, content in _directories(overlay)
        for each in content.get("components", [])
    )


def _is_scaled_by_lag(overlay: str) -> bool:
    return any("scaledobject.yaml" in content["resources"] for _, content in _directories(overlay))


@cache
def _content(directory: str) -> Resource:
    (content,) = parsed((ROOT / directory / "kustomization.yaml").read_text("utf-8"))
    return content


def _is_login(component: str) -> bool:
    return any(name.startswith("KAFKA_SASL_") for name in _settings(component))


def _patches_triggers(component: str) -> bool:
    targets = [each.get("target", {}) for each in _content(component).get("patches", [])]
    return any(target.get("kind") == "ScaledObject" for target in targets)


def _changes_triggers(component: str) -> bool:
    return any(IN_TRIGGERS.fullmatch(name) for name in _settings(component))


def _settings(component: str) -> list[str]:
    return [
        literal.partition("=")[0]
        for each in _content(component).get("configMapGenerator", [])
        for literal in each.get("literals", [])
    ]


def _compatible(overlay: str) -> list[str]:
    """Components. One that changes what KEDA's triggers repeat needs a patch of the ScaledObject:
    its own, or that of an overlay made for it; the chart needs none.
    """
    return [
        component
        for component in COMPONENTS
        if not _includes(overlay, component)
        and (
            not _is_scaled_by_lag(overlay)
            or not _changes_triggers(component)
            or _patches_triggers(component)
        )
    ]


def _together() -> Iterator[tuple[str, list[str]]]:
    """Overlays and the components that can be together on each: all, with one of the logins."""
    for overlay in OVERLAYS:
        compatible = _compatible(overlay)
        logins = [component for component in compatible if _is_login(component)]
        others = [component for component in compatible if component not in logins]
        yield from ((overlay, [login, *others]) for login in logins)
        if not logins:
            yield overlay, others


@pytest.mark.parametrize("directory", [*OVERLAYS, *COMPONENTS])
def test_every_overlay_and_component_has_a_values_file(directory: str) -> None:
    path = VALUES / f"{values_name(directory)}.yaml"
    assert path.exists(), f"add {path.relative_to(ROOT.parent)}, which renders {directory}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_chart_equals_overlay(overlay: str) -> None:
    assert normal(template(values_name(overlay))) == normal(rendered(overlay))


@pytest.mark.parametrize("component", COMPONENTS)
def test_chart_equals_base_with_component(component: str, tmp_path: Path) -> None:
    chart = template("base", values_name(component))
    assert normal(chart) == normal(combined(tmp_path, "base", component))


@pytest.mark.parametrize(("overlay", "components"), [*_together()])
def test_chart_equals_overlay_with_components(
    overlay: str, components: list[str], tmp_path: Path
) -> None:
    assert len(components) >= 4
    chart = template(values_name(overlay), *map(values_name, components))
    assert normal(chart) == normal(combined(tmp_path, overlay, *components))


def test_another_value_is_found(tmp_path: Path) -> None:
    other = template("keda", options=("--set=scaler.keda.cooldownPeriod=301",))
    assert normal(other) != normal(rendered("overlays/keda"))
    assert normal(other).keys() == normal(rendered("overlays/keda")).keys()
