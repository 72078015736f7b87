"""`python -m deploy.grafana.generate`: writes deploy/grafana/dashboards/qa-worker.json."""

from deploy.grafana.generate.dashboard import PATH, text

PATH.write_text(text(), "utf-8")
