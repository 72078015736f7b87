"""The dashboard as JSON, in Grafana's dashboard schema.

Its rows follow the order of an operator's questions: does it work, how far behind is it, how fast
is it, and why.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.grafana.generate.causes import CAUSES
from deploy.grafana.generate.panels import Panel, Row
from deploy.grafana.generate.symptoms import SYMPTOMS

PATH = Path(__file__).parents[1] / "dashboards" / "qa-worker.json"

COLUMNS = 24
"""Of Grafana's grid."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> dict[str, Any]:
    """As Grafana's dashboard schema has it."""
    return {
        "uid": "qa-worker",
        "title": "qa-worker",
        "description": "Rates, lag, latency, batches and deliveries of qa-worker.",
        "tags": ["kafka", "qa-worker"],
        "schemaVersion": 41,
        "editable": True,
        "graphTooltip": 1,  # one crosshair for all
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "15s",
        "timezone": "browser",
        "annotations": {"list": [_alerts()]},
        "templating": {"list": _variables()},
        "panels": list(_laid_out((*SYMPTOMS, *CAUSES))),
    }


def _alerts() -> dict[str, Any]:
    return {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "red",
        "target": {"refId": "A", "expr": 'ALERTS{alertstate="firing", alertname=~"Qa.+"}'},
        "titleFormat": "{{alertname}}",
        "textFormat": "{{instance}} {{topic}} {{partition}}",
    }


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        _labels("job", "Deployment", "label_values(qa_worker_info, job)"),
        _labels("instance", "Worker", 'label_values(qa_worker_info{job=~"$job"}, instance)'),
        _labels("topic", "Topic", 'label_values(qa_consumed_records_total{job=~"$job"}, topic)'),
    ]


def _labels(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": query,
        "refresh": 2,  # with the time range: workers come and go
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",  # also what has no series yet
        "current": {"text": "All", "value": "$__all"},
    }


def _laid_out(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Rows with their panels, from left to right and from the top down."""
    number = y = 0
    for row in rows:
        number += 1
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "gridPos": place,
            "collapsed": False,
            "panels": [],
        }
        y, x, height = y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                y, x, height = y + height, 0, 0
            number += 1
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            yield _drawn(panel, number, place)
            x, height = x + panel.width, max(height, panel.height)
        y += height


def _drawn(panel: Panel, number: int, place: Mapping[str, int]) -> dict[str, Any]:
    table, over_time = panel.kind == "table", panel.kind == "timeseries"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": DATASOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": not over_time,
                "range": over_time,
                "format": "table" if table else "time_series",
            }
            for at, (legend, expression) in enumerate(panel.series)
        ],
        "transformations": [_SHOWN] if table else [],
    }


def _field(panel: Panel) -> dict[str, Any]:
    """How values look: unit, bounds, colours, lines."""
    below, above = "green", panel.thresholds
    if panel.good_from is not None:
        below, above = "red", ((panel.good_from, "green"),)
    steps: list[dict[str, Any]] = [{"color": below, "value": None}]
    steps += [{"color": color, "value": value} for value, color in above]
    look: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "noValue": "–",  # of nothing there is no share, and no quantile
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.most is not None:
        look["max"] = panel.most
    if panel.kind == "timeseries":
        look["custom"] = {
            "fillOpacity": 30 if panel.stacked else 0,
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "showPoints": "never",
            "thresholdsStyle": {"mode": "line" if panel.thresholds else "off"},
        }
    return look


_OPTIONS: dict[str, dict[str, Any]] = {
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "values": False},
        "colorMode": "value",
        "graphMode": "none",
    },
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "table": {"showHeader": True},
}

# Of the labels of qa_worker_info, those that say something, in this order.
_SHOWN = {
    "id": "filterFieldsByName",
    "options": {
        "include": {
            "names": ["instance", "version", "model", "precision", "provider", "sha256"],
        }
    },
}


def text() -> str:
    """The file's."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"
