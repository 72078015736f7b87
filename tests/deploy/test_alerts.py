"""The alert rules: promtool accepts them, their scenarios pass, the metrics and labels in them
exist, and the runbook has a section for each alert.
"""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from tests.deploy.kubernetes import parsed
from tests.deploy.queries import RULES, Selector, alerts, panel_queries, rules, selectors
from tests.tools import tool
from worker.observability import metrics
from worker.settings.environment import variables

RUNBOOK = RULES.parents[1] / "runbook.md"
TARGET = {"job", "instance", "namespace"}
"""Labels that Prometheus adds at a scrape."""

each_alert = pytest.mark.parametrize("alert", alerts(), ids=[rule["alert"] for rule in alerts()])


def _promtool(*arguments: str, directory: Path = RULES.parent) -> str:
    """Returns promtool's output. Raises `AssertionError` with the output if it fails."""
    result = subprocess.run(
        [tool("promtool"), *arguments], cwd=directory, check=False, capture_output=True, text=True
    )
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    return output


@pytest.mark.process
@pytest.mark.tools
def test_promtool_accepts_the_configuration() -> None:
    assert "1 rule files found" in _promtool("check", "config", "prometheus.yml")


@pytest.mark.process
@pytest.mark.tools
def test_promtool_accepts_the_rules() -> None:
    output = _promtool("check", "rules", "--lint=all", "--lint-fatal", RULES.name)
    assert f"{len(rules())} rules found" in output


@pytest.mark.process
@pytest.mark.tools
def test_scenarios_pass() -> None:
    assert "SUCCESS" in _promtool("test", "rules", "rules_test.yml")


@pytest.mark.process
@pytest.mark.tools
@pytest.mark.parametrize(
    ("threshold", "changed", "name"),
    [
        ("> 60)", "> 6000)", "all brokers are down for ten minutes"),
        ("for: 15m", "for: 0m", "all brokers are down for ten minutes"),
        ("unless on", "or on", "all brokers are down for ten minutes"),
        (":max[5m]) > 0", ":max[5m]) > 9999", "a poison record stops one worker after the other"),
        ("- 2 * sum", "- 0 * sum", "a rolling restart of three workers"),
        (">= partition", "< partition", "a stalled partition with an open transaction behind"),
        ("increase(qa_expired", "0 * increase(qa_expired", "retention overtakes the group"),
    ],
)
def test_scenario_fails_for_a_changed_rule(
    tmp_path: Path, threshold: str, changed: str, name: str
) -> None:
    text = RULES.read_text("utf-8")
    assert threshold in text
    (tmp_path / RULES.name).write_text(text.replace(threshold, changed), "utf-8")
    content = _scenarios()
    content["tests"] = [scenario for scenario in content["tests"] if scenario["name"] == name]
    assert content["tests"]
    (tmp_path / "rules_test.yml").write_text(yaml.dump(content, Dumper=yaml.CSafeDumper), "utf-8")
    with pytest.raises(AssertionError, match="FAILED"):
        _promtool("test", "rules", "rules_test.yml", directory=tmp_path)


def _scenarios() -> dict[str, Any]:
    """Returns the content of rules_test.yml."""
    content: dict[str, Any]
    (content,) = parsed(RULES.with_name("rules_test.yml").read_text("utf-8"))
    return content


def test_every_alert_fires_in_a_scenario_and_three_scenarios_have_no_alert() -> None:
    fired: set[str] = set()
    without_alert = 0
    for scenario in _scenarios()["tests"]:
        queries = [q for q in scenario.get("promql_expr_test", ()) if "ALERTS" in q["expr"]]
        names = {
            name
            for query in queries
            for sample in query["exp_samples"]
            for name in re.findall(r'alertname="(\w+)"', sample["labels"])
        }
        names |= {
            test["alertname"] for test in scenario.get("alert_rule_test", ()) if test["exp_alerts"]
        }
        fired |= names
        without_alert += not names
    assert fired == {alert["alert"] for alert in alerts()}
    assert without_alert >= 3


@cache
def _series() -> dict[str, set[str]]:
    """Returns the labels of each series that workers, scrapes and recording rules create."""
    known = {"up": TARGET, "ALERTS": {"alertname", "alertstate"}}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            for family in metric.describe():
                for name in _names(family.name, family.type):
                    known[name] = {*metric._labelnames, *TARGET}
                    if name.endswith("_bucket"):
                        known[name].add("le")
    for family in REGISTRY.collect():
        if family.name.startswith("process_"):
            known.update({sample.name: TARGET for sample in family.samples})
    known["qa_worker_info"] = {*TARGET, "version", "model", "sha256", "precision", "provider"}
    for rule in rules():
        if "record" in rule:
            (grouping,) = re.findall(r"by \(([^)]*)\)", rule["expr"])[:1] or ["namespace, job"]
            known[rule["record"]] = set(grouping.split(", ")) - {"le"}
    return known


def _names(name: str, kind: str) -> list[str]:
    suffixes = {
        "counter": ("_total", "_created"),
        "histogram": ("_bucket", "_count", "_sum", "_created"),
        "info": ("_info",),
    }
    return [f"{name}{suffix}" for suffix in suffixes.get(kind, ("",))]


@pytest.mark.parametrize(
    "rule", rules(), ids=[rule.get("alert", rule.get("record")) for rule in rules()]
)
def test_series_and_labels_in_a_rule_exist(rule: dict[str, Any]) -> None:
    used = selectors(rule["expr"])
    assert used
    _assert_known(used)


@pytest.mark.parametrize(("title", "expression"), panel_queries())
def test_series_and_labels_in_a_panel_exist(title: str, expression: str) -> None:
    used = selectors(expression)
    assert used
    _assert_known(used)


def _assert_known(used: list[Selector]) -> None:
    series = _series()
    for selector in used:
        assert selector.name in series, f"unknown metric {selector.name}"
        assert selector.labels <= series[selector.name], selector


def test_unknown_metric_or_label_fails() -> None:
    with pytest.raises(AssertionError, match="unknown metric qa_answer_total"):
        _assert_known(selectors("rate(qa_answer_total[5m])"))
    with pytest.raises(AssertionError, match="reason"):
        _assert_known(selectors("sum by (reason) (rate(qa_answers_total[5m]))"))


def test_every_metric_is_used_by_a_panel_or_a_rule() -> None:
    used = {selector.name for rule in rules() for selector in selectors(rule["expr"])}
    used |= {selector.name for _, query in panel_queries() for selector in selectors(query)}
    series = {
        metric: {name for family in metric.describe() for name in _names(family.name, family.type)}
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
    }
    assert [names for names in series.values() if not names & used] == []


@each_alert
def test_alert_has_severity_summary_description_and_runbook_url(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    annotations = alert["annotations"]
    assert annotations["summary"]
    assert not annotations["summary"].endswith(".")
    assert annotations["description"].endswith(".")
    # The command in the runbook replaces this prefix by the address of the operator's copy.
    assert annotations["runbook_url"] == f"deploy/runbook.md#{alert['alert'].lower()}"


@pytest.mark.process
@pytest.mark.tools
def test_the_runbooks_command_replaces_every_runbook_url(tmp_path: Path) -> None:
    section = RUNBOOK.read_text("utf-8").split("\n## Install the rules\n")[1]
    command = section.split("```sh\n")[1].split("```")[0]
    (tmp_path / "deploy").symlink_to(RULES.parents[1])
    subprocess.run(["bash", "-euc", command], cwd=tmp_path, check=True)
    _promtool("check", "rules", "rules.yml", directory=tmp_path)
    groups = yaml.safe_load((tmp_path / "rules.yml").read_text("utf-8"))["groups"]
    urls = [
        rule["annotations"]["runbook_url"] for g in groups for rule in g["rules"] if "alert" in rule
    ]
    assert len(urls) == len(alerts())
    assert all(re.fullmatch(r"https://\S+/deploy/runbook\.md#qa[a-z]+", url) for url in urls)


def test_runbook_sections_are_the_alerts_in_order() -> None:
    sections = re.findall(r"^## (Qa\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)
    assert sections == [alert["alert"] for alert in alerts()]


@each_alert
def test_a_runbook_section_has_its_four_parts(alert: dict[str, Any]) -> None:
    text = RUNBOOK.read_text("utf-8")
    section = text.split(f"\n## {alert['alert']}\n")[1].split("\n## ")[0]
    for part in ("**Meaning.**", "**Impact.**", "**Diagnosis.**", "**Mitigation.**"):
        assert part in section
    assert f"({alert['labels']['severity']})" in section.splitlines()[0]


def test_metrics_and_settings_in_the_runbook_exist() -> None:
    text = RUNBOOK.read_text("utf-8")
    series = _series()
    names = set(re.findall(r"\b(?:qa|process)_[a-z_]+\b", text))
    assert names
    assert {name for name in names if name not in series} == set()
    settings = set(re.findall(r"\b(?:QA|KAFKA)_[A-Z_]+\b", text))
    assert settings
    assert settings <= {variable.name for variable in variables()}
