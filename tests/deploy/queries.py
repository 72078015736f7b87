"""The PromQL expressions of rules and dashboard, and the selectors in an expression."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import promql_parser

from deploy.grafana.generate.dashboard import PATH as DASHBOARD
from tests.deploy.kubernetes import parsed

RULES = DASHBOARD.parents[2] / "prometheus/rules.yml"


@dataclass(frozen=True, slots=True)
class Selector:
    """A vector selector in an expression."""

    name: str
    """Name of the metric."""
    text: str
    """The selector as a query."""
    labels: frozenset[str]
    """Labels in its matchers and in the groupings of the aggregations around it."""


@cache
def rules() -> list[dict[str, Any]]:
    """Returns recording and alerting rules, in the order of the file."""
    (content,) = parsed(RULES.read_text("utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def panel_queries() -> list[tuple[str, str]]:
    """Returns title and expression of each panel, with the defaults of the variables."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [
        (panel["title"], _with_defaults(target["expr"]))
        for panel in panels
        for target in panel.get("targets", ())
    ]


def _with_defaults(expression: str) -> str:
    expression = expression.replace("$__rate_interval", "1m")
    for variable in ("job", "instance", "topic"):
        expression = expression.replace(f"${variable}", ".*")
    return expression


def selectors(expression: str) -> list[Selector]:
    """Returns the selectors in an expression. Raises `ValueError` if it is not PromQL."""
    return list(_walk(promql_parser.parse(expression), frozenset()))


def _walk(node: Any, grouping: frozenset[str]) -> Iterator[Selector]:
    """Yields the selectors below a node. `grouping` are the labels of aggregations around it."""
    if isinstance(node, promql_parser.MatrixSelector):
        node = node.vector_selector
    if isinstance(node, promql_parser.VectorSelector):
        assert node.name is not None, node
        matched = {matcher.name for matcher in node.matchers.matchers}
        # Without an offset: a test's Prometheus is younger than that.
        yield Selector(node.name, str(node).split(" offset ")[0], grouping | matched)
        return
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
        grouping = grouping | set(node.modifier.labels)
    children = [getattr(node, name, None) for name in ("lhs", "rhs", "expr")]
    for child in (*children, *getattr(node, "args", ())):
        if child is not None:
            yield from _walk(child, grouping)
