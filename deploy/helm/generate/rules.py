"""deploy/prometheus/rules.yml, as the chart and kustomize's component need it."""

from pathlib import Path

DEPLOY = Path(__file__).parents[2]
RULES = DEPLOY / "prometheus/rules.yml"

_HEAD = """\
# Written by `make generate` from deploy/prometheus/rules.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: qa-worker
  labels:
    app.kubernetes.io/name: qa-worker
spec:
"""


def prometheus_rule() -> str:
    """The rules as a PrometheusRule."""
    _, _, groups = RULES.read_text("utf-8").partition("groups:\n")
    lines = ("groups:\n" + groups).splitlines()
    return _HEAD + "".join(f"  {line}".rstrip() + "\n" for line in lines)
