"""Runs `qa-worker run` without metrics, for comparison: `python -m tests.bench.unmeasured_worker`.

The worker has no setting for that, so this module replaces the methods of prometheus_client.
"""

from prometheus_client import Counter, Gauge, Histogram

from worker.cli import main


def _no_op(*_: object) -> None:
    pass


if __name__ == "__main__":
    for metric_class, methods in {
        Counter: ("inc",),
        Gauge: ("set", "inc"),
        Histogram: ("observe",),
    }.items():
        for method in methods:
            assert callable(getattr(metric_class, method))
            setattr(metric_class, method, _no_op)
    main(["run"])
