"""The Grafana dashboard: up to date, valid by Grafana's types, with titled and placed panels."""

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
"""The units that the dashboard uses. Grafana shows an unknown unit as text."""

each_panel = pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])


def test_dashboard_file_is_up_to_date() -> None:
    assert PATH.read_text("utf-8") == text(), "run: make generate"


@pytest.fixture(scope="module")
def compiler_errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The TypeScript compiler's errors for the dashboard, and for a dashboard with mistakes."""
    directory = tmp_path_factory.mktemp("types")
    return _compile(directory, valid=dashboard(), invalid=_with_mistakes())


@pytest.mark.process
@pytest.mark.tools
def test_dashboard_has_grafanas_types(compiler_errors: dict[str, str]) -> None:
    assert compiler_errors["valid"] == ""


@pytest.mark.process
@pytest.mark.tools
def test_mistakes_do_not_compile(compiler_errors: dict[str, str]) -> None:
    for error in ('"width"', "'number'", '"showHeaders"', "'expr' is missing", '"data source"'):
        assert error in compiler_errors["invalid"]


def _with_mistakes() -> dict[str, Any]:
    invalid = copy.deepcopy(dashboard())
    stat, *_, table = (panel for panel in invalid["panels"] if panel["type"] != "row")
    stat["gridPos"]["width"] = 3
    stat["fieldConfig"]["defaults"]["unit"] = 1
    table["options"]["showHeaders"] = True
    del table["targets"][0]["expr"]
    invalid["templating"]["list"][0]["type"] = "data source"
    return invalid


def _compile(directory: Path, **dashboards: dict[str, Any]) -> dict[str, str]:
    """Returns the compiler's errors for each dashboard, by name."""
    node, packages = tool("node"), tool_file("node")
    shutil.copy(Path(__file__).with_name("dashboard_types.ts"), directory / "types.ts")
    (directory / "node_modules").symlink_to(packages / "node_modules")
    literal = 'import type { TypedDashboard } from "./types";\nexport const it: TypedDashboard = '
    for name, content in dashboards.items():
        (directory / f"{name}.ts").write_text(literal + json.dumps(content) + ";\n", "utf-8")
    options = ["--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "node10"]
    compiler = packages / "node_modules/typescript/bin/tsc"
    result = subprocess.run(
        [node, str(compiler), *options, *(f"{name}.ts" for name in dashboards)],
        cwd=directory,
        check=False,
        capture_output=True,
        text=True,
    )
    assert bool(result.stdout) == bool(result.returncode), result.stderr
    return {
        name: "".join(re.findall(rf"^{name}\.ts.*\n(?: .*\n)*", result.stdout, re.MULTILINE))
        for name in dashboards
    }


@each_panel
def test_panel_has_title_description_unit_and_queries(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    ref_ids = [target["refId"] for target in panel["targets"]]
    assert len(set(ref_ids)) == len(ref_ids)


@each_panel
def test_panel_uses_the_variables_for_data_source_and_job(panel: dict[str, Any]) -> None:
    for part in (panel, *panel["targets"]):
        assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        assert 'job=~"$job"' in target["expr"] or target["expr"].startswith("count(ALERTS")


def test_panel_ids_are_unique() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert sorted(ids) == list(range(1, len(ids) + 1))


def test_panels_do_not_overlap_and_stay_within_the_grid() -> None:
    positions = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(position["x"] + position["w"] <= COLUMNS for position in positions)
    for one, other in combinations(positions, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_used_variables_are_the_defined_ones() -> None:
    defined = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(DASHBOARD)))
    assert used == defined


def test_compose_mounts_data_source_and_dashboards_for_grafana() -> None:
    (source,) = _provisioned("datasources/prometheus.yml")["datasources"]
    (provider,) = _provisioned("dashboards/qa-worker.yml")["providers"]
    grafana = yaml.safe_load((GRAFANA.parents[1] / "docker-compose.yml").read_text())["services"][
        "grafana"
    ]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    for directory, mount_path in (
        ("provisioning/dashboards", "/etc/grafana/provisioning/dashboards"),
        ("provisioning/datasources", "/etc/grafana/provisioning/datasources"),
        ("dashboards", provider["options"]["path"]),
    ):
        assert f"./deploy/grafana/{directory}:{mount_path}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{PATH.name}"


def _provisioned(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((GRAFANA / "provisioning" / name).read_text())
    return content
