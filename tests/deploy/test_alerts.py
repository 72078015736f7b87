"""The alert rules: Prometheus takes them, their stories come out, what they name is there, and
somebody who is woken by one finds what to do.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from tests.deploy.queries import RULES, Selector, alerts, panel_queries, rules, selectors
from tests.tools import tool
from worker.observability import metrics
from worker.settings.environment import variables

RUNBOOK = RULES.parents[1] / "runbook.md"
TARGET = {"job", "instance", "namespace"}
"""Labels that a scrape adds."""

each_alert = pytest.mark.parametrize("alert", alerts(), ids=[rule["alert"] for rule in alerts()])


def _promtool(*arguments: str, place: Path = RULES.parent) -> str:
    done = subprocess.run(
        [tool("promtool"), *arguments], cwd=place, check=False, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.mark.process
@pytest.mark.tools
def test_prometheus_takes_the_configuration() -> None:
    assert "1 rule files found" in _promtool("check", "config", "prometheus.yml")


@pytest.mark.process
@pytest.mark.tools
def test_prometheus_takes_the_rules() -> None:
    said = _promtool("check", "rules", "--lint=all", "--lint-fatal", RULES.name)
    assert f"{len(rules())} rules found" in said


@pytest.mark.process
@pytest.mark.tools
def test_the_stories_come_out() -> None:
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
def test_a_story_notices_a_change(tmp_path: Path, threshold: str, changed: str, name: str) -> None:
    text = RULES.read_text("utf-8")
    assert threshold in text
    (tmp_path / RULES.name).write_text(text.replace(threshold, changed), "utf-8")
    told = _stories()
    told["tests"] = [story for story in told["tests"] if story["name"] == name]
    assert told["tests"]
    (tmp_path / "rules_test.yml").write_text(yaml.safe_dump(told), "utf-8")
    with pytest.raises(AssertionError, match="FAILED"):
        _promtool("test", "rules", "rules_test.yml", place=tmp_path)


def _stories() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(RULES.with_name("rules_test.yml").read_text("utf-8"))
    return content


def test_every_alert_fires_in_a_story_and_stays_silent_in_the_quiet_ones() -> None:
    fired: set[str] = set()
    quiet = 0
    for story in _stories()["tests"]:
        ends = [ask for ask in story.get("promql_expr_test", ()) if "ALERTS" in ask["expr"]]
        names = {
            name
            for ask in ends
            for sample in ask["exp_samples"]
            for name in re.findall(r'alertname="(\w+)"', sample["labels"])
        }
        names |= {ask["alertname"] for ask in story.get("alert_rule_test", ()) if ask["exp_alerts"]}
        fired |= names
        quiet += not names
    assert fired == {alert["alert"] for alert in alerts()}
    assert quiet >= 3


def _series() -> dict[str, set[str]]:
    """Name to labels of all that a worker shows, and what rules and scrapes add."""
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
def test_what_a_rule_names_is_there(rule: dict[str, Any]) -> None:
    used = selectors(rule["expr"])
    assert used
    _assert_known(used)


@pytest.mark.parametrize(("title", "expression"), panel_queries())
def test_what_a_panel_names_is_there(title: str, expression: str) -> None:
    used = selectors(expression)
    assert used
    _assert_known(used)


def _assert_known(used: list[Selector]) -> None:
    series = _series()
    for selector in used:
        assert selector.name in series, f"there is no metric {selector.name}"
        assert selector.labels <= series[selector.name], selector


def test_a_metric_or_a_label_that_is_not_there_is_noticed() -> None:
    with pytest.raises(AssertionError, match="no metric qa_answer_total"):
        _assert_known(selectors("rate(qa_answer_total[5m])"))
    with pytest.raises(AssertionError, match="reason"):
        _assert_known(selectors("sum by (reason) (rate(qa_answers_total[5m]))"))


def test_what_is_shown_nowhere_is_known() -> None:
    """A metric that no panel shows and no alert reads would be one that nobody needs."""
    used = {selector.name for rule in rules() for selector in selectors(rule["expr"])}
    used |= {selector.name for _, query in panel_queries() for selector in selectors(query)}
    ours = {
        metric: {name for family in metric.describe() for name in _names(family.name, family.type)}
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
    }
    assert [names for names in ours.values() if not names & used] == []


@each_alert
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(
    alert: dict[str, Any],
) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    said = alert["annotations"]
    assert said["summary"]
    assert not said["summary"].endswith(".")
    assert said["description"].endswith(".")
    # One prefix, which the command in the runbook replaces by the address of the operator's copy.
    assert said["runbook_url"] == f"deploy/runbook.md#{alert['alert'].lower()}"


@pytest.mark.process
@pytest.mark.tools
def test_the_runbooks_command_completes_every_runbook_url(tmp_path: Path) -> None:
    section = RUNBOOK.read_text("utf-8").split("\n## Install the rules\n")[1]
    command = section.split("```sh\n")[1].split("```")[0]
    (tmp_path / "deploy").symlink_to(RULES.parents[1])
    subprocess.run(["bash", "-euc", command], cwd=tmp_path, check=True)
    _promtool("check", "rules", "rules.yml", place=tmp_path)
    groups = yaml.safe_load((tmp_path / "rules.yml").read_text("utf-8"))["groups"]
    urls = [
        rule["annotations"]["runbook_url"] for g in groups for rule in g["rules"] if "alert" in rule
    ]
    assert len(urls) == len(alerts())
    assert all(re.fullmatch(r"https://\S+/deploy/runbook\.md#qa[a-z]+", url) for url in urls)


def test_the_runbook_has_a_section_for_every_alert_and_for_no_other() -> None:
    sections = re.findall(r"^## (Qa\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)
    assert sections == [alert["alert"] for alert in alerts()]


@each_alert
def test_a_runbook_section_has_its_four_parts(alert: dict[str, Any]) -> None:
    text = RUNBOOK.read_text("utf-8")
    section = text.split(f"\n## {alert['alert']}\n")[1].split("\n## ")[0]
    for part in ("**Meaning.**", "**Impact.**", "**Diagnosis.**", "**Mitigation.**"):
        assert part in section
    assert f"({alert['labels']['severity']})" in section.splitlines()[0]


def test_metrics_and_settings_that_the_runbook_names_are_there() -> None:
    text = RUNBOOK.read_text("utf-8")
    series = _series()
    named = set(re.findall(r"\b(?:qa|process)_[a-z_]+\b", text))
    assert named
    assert {name for name in named if name not in series} == set()
    settings = set(re.findall(r"\b(?:QA|KAFKA)_[A-Z_]+\b", text))
    assert settings
    assert settings <= {variable.name for variable in variables()}
