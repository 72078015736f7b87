"""`python -m deploy.helm.generate`: writes the chart's schema and rules, the PrometheusRule of
deploy/kubernetes, and the chart's README, for which it needs helm-docs.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.helm.generate.files import CHART, files


def main() -> None:
    for path, text in files().items():
        path.write_text(text, "utf-8")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    tools = Path(cache, "qa-worker/tools/bin")
    helm_docs = shutil.which("helm-docs") or shutil.which("helm-docs", path=tools)
    if helm_docs is None:
        sys.exit(
            "README.md of the chart is not generated: helm-docs is missing; run .ci/tools chart"
        )
    subprocess.run([helm_docs, "--chart-search-root", CHART, "--log-level", "warning"], check=True)


if __name__ == "__main__":
    main()
