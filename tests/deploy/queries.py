"""PromQL taken apart, and where ours stands: in the rules and in the dashboard."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser
import yaml

from deploy.grafana.generate.dashboard import PATH as DASHBOARD

RULES = DASHBOARD.parents[2] / "prometheus/rules.yml"


@dataclass(frozen=True, slots=True)
class Selector:
    """`text` is a query by itself; `labels` are those that it, or a grouping around it, names."""

    name: str
    text: str
    labels: frozenset[str]


def rules() -> list[dict[str, Any]]:
    """Recording and alerting rules, in their order."""
    content = yaml.safe_load(RULES.read_text("utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def panel_queries() -> list[tuple[str, str]]:
    """Title and expression, with what a viewer sees who has chosen nothing."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [
        (panel["title"], _seen(target["expr"]))
        for panel in panels
        for target in panel.get("targets", ())
    ]


def _seen(expression: str) -> str:
    expression = expression.replace("$__rate_interval", "1m")
    for variable in ("job", "instance", "topic"):
        expression = expression.replace(f"${variable}", ".*")
    return expression


def selectors(expression: str) -> list[Selector]:
    """Raises `ValueError` where it is no PromQL."""
    return list(_walk(promql_parser.parse(expression), frozenset()))


def _walk(node: Any, grouping: frozenset[str]) -> Iterator[Selector]:
    """`grouping` holds the labels that an aggregation around this node sorts by."""
    if isinstance(node, promql_parser.MatrixSelector):
        node = node.vector_selector
    if isinstance(node, promql_parser.VectorSelector):
        assert node.name is not None, node
        named = {matcher.name for matcher in node.matchers.matchers}
        # Without an offset: a test's Prometheus is younger than that.
        yield Selector(node.name, str(node).split(" offset ")[0], grouping | named)
        return
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
        grouping = grouping | set(node.modifier.labels)
    parts = [getattr(node, part, None) for part in ("lhs", "rhs", "expr")]
    for part in (*parts, *getattr(node, "args", ())):
        if part is not None:
            yield from _walk(part, grouping)
