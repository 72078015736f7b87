"""The dashboard is what its description says, in Grafana's own types, and people can read it."""

import copy
import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.generate.dashboard import COLUMNS, PATH, dashboard, text
from tests.tools import tool, tool_file

GRAFANA = PATH.parents[1]
DASHBOARD = json.loads(PATH.read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
UNITS = {"bytes", "cps", "none", "percentunit", "s", "short"}
"""Grafana's names of those that we use; one that it does not know it shows as a text."""

each_panel = pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])


def test_the_file_is_what_the_description_gives() -> None:
    assert PATH.read_text("utf-8") == text(), "run: make generate"


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the TypeScript compiler has against our dashboard, and against one with mistakes."""
    return _compiled(tmp_path_factory.mktemp("types"), ours=dashboard(), slipped=_slipped())


@pytest.mark.process
@pytest.mark.tools
def test_it_has_the_types_that_grafana_has(complaints: dict[str, str]) -> None:
    assert complaints["ours"] == ""


@pytest.mark.process
@pytest.mark.tools
def test_mistakes_do_not_compile(complaints: dict[str, str]) -> None:
    for slip in ('"width"', "'number'", '"showHeaders"', "'expr' is missing", '"data source"'):
        assert slip in complaints["slipped"]


def _slipped() -> dict[str, Any]:
    slipped = copy.deepcopy(dashboard())
    stat, *_, table = (panel for panel in slipped["panels"] if panel["type"] != "row")
    stat["gridPos"]["width"] = 3
    stat["fieldConfig"]["defaults"]["unit"] = 1
    table["options"]["showHeaders"] = True
    del table["targets"][0]["expr"]
    slipped["templating"]["list"][0]["type"] = "data source"
    return slipped


def _compiled(place: Path, **dashboards: dict[str, Any]) -> dict[str, str]:
    """The compiler's output about each dashboard, by name."""
    node, packages = tool("node"), tool_file("node")
    shutil.copy(Path(__file__).with_name("dashboard_types.ts"), place / "types.ts")
    (place / "node_modules").symlink_to(packages / "node_modules")
    literal = 'import type { Written } from "./types";\nexport const ours: Written = '
    for name, content in dashboards.items():
        (place / f"{name}.ts").write_text(literal + json.dumps(content) + ";\n", "utf-8")
    options = ["--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "node10"]
    compiler = packages / "node_modules/typescript/bin/tsc"
    done = subprocess.run(
        [node, str(compiler), *options, *(f"{name}.ts" for name in dashboards)],
        cwd=place,
        check=False,
        capture_output=True,
        text=True,
    )
    assert bool(done.stdout) == bool(done.returncode), done.stderr
    return {
        name: "".join(re.findall(rf"^{name}\.ts.*\n(?: .*\n)*", done.stdout, re.MULTILINE))
        for name in dashboards
    }


@each_panel
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    letters = [target["refId"] for target in panel["targets"]]
    assert len(set(letters)) == len(letters)


@each_panel
def test_the_viewer_chooses_data_source_and_deployment(panel: dict[str, Any]) -> None:
    for part in (panel, *panel["targets"]):
        assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        assert 'job=~"$job"' in target["expr"] or target["expr"].startswith("count(ALERTS")


def test_numbers_are_given_once() -> None:
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_panels_do_not_overlap_and_stay_within_the_grid() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= COLUMNS for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_every_variable_that_is_used_is_there() -> None:
    known = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(DASHBOARD)))
    assert used == known


def test_grafana_finds_data_source_and_dashboards_where_compose_puts_them() -> None:
    (source,) = _provisioned("datasources/prometheus.yml")["datasources"]
    (provider,) = _provisioned("dashboards/qa-worker.yml")["providers"]
    grafana = yaml.safe_load((GRAFANA.parents[1] / "docker-compose.yml").read_text())["services"][
        "grafana"
    ]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    for ours, theirs in (
        ("provisioning/dashboards", "/etc/grafana/provisioning/dashboards"),
        ("provisioning/datasources", "/etc/grafana/provisioning/datasources"),
        ("dashboards", provider["options"]["path"]),
    ):
        assert f"./deploy/grafana/{ours}:{theirs}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{PATH.name}"


def _provisioned(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((GRAFANA / "provisioning" / name).read_text())
    return content
