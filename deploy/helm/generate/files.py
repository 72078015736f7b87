"""The generated files of the chart, and of kustomize the PrometheusRule of the same rules."""

from pathlib import Path

from deploy.helm.generate import schema
from deploy.helm.generate.rules import DEPLOY, RULES, prometheus_rule

CHART = DEPLOY / "helm/qa-worker"


def files() -> dict[Path, str]:
    """Path to content. The README is helm-docs' work."""
    component = DEPLOY / "kubernetes/components/prometheus-rule/prometheusrule.yaml"
    return {
        CHART / "values.schema.json": schema.text(),
        CHART / "files/rules.yml": RULES.read_text("utf-8"),
        component: prometheus_rule(),
    }
