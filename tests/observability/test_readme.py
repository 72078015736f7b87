"""worker/observability/README.md lists exactly the metrics and the log events of the code."""

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

import worker
from worker.observability import metrics

CODE = Path(worker.__file__).parent
README = (CODE / "observability/README.md").read_text("utf-8")
LOG_CALL = re.compile(r'\blog\.(debug|info|warning|error|exception)\(\s*"(\w+)"')
SUFFIX = {"counter": "_total", "info": "_info"}


def _table(heading: str) -> list[list[str]]:
    """Returns the cells of the tables below a heading, by row, without markup."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*) \|$", section, re.MULTILINE)
    return [[cell.strip("`") for cell in row.split(" | ")] for row in rows]


def test_metrics_table_equals_the_declared_metrics() -> None:
    declared = [
        [
            family.name + SUFFIX.get(family.type, ""),
            family.type,
            ", ".join(metric._labelnames) or "–",
            family.documentation,
        ]
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
    ]
    assert _table("Metrics") == declared


def test_events_table_equals_the_logged_events() -> None:
    logged = {
        (event, "error" if level == "exception" else level)
        for path in CODE.rglob("*.py")
        for level, event in LOG_CALL.findall(path.read_text("utf-8"))
    }
    listed = [(event, level) for event, level, *_ in _table("Log events")]
    assert set(listed) == logged
    assert len(listed) == len(logged)
