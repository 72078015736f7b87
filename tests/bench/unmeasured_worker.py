"""`python -m tests.bench.unmeasured_worker`: `qa-worker run` without metrics, to compare with.

There is no setting for that: this takes them out from the outside.
"""

from prometheus_client import Counter, Gauge, Histogram

from worker.cli import main


def _nothing(*_: object) -> None:
    pass


if __name__ == "__main__":
    for kind, methods in {
        Counter: ("inc",),
        Gauge: ("set", "inc"),
        Histogram: ("observe",),
    }.items():
        for method in methods:
            assert callable(getattr(kind, method))
            setattr(kind, method, _nothing)
    main(["run"])
