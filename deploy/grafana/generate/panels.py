"""What a dashboard is made of, and the shapes that its queries have. Times in seconds."""

from dataclasses import dataclass

MINUTE = 60.0

OF = 'job=~"$job", instance=~"$instance"'
HERE = f'{OF}, topic=~"$topic"'


@dataclass(frozen=True, slots=True)
class Panel:
    """`series` is legend and expression; `unit` is one of Grafana's."""

    title: str
    description: str
    unit: str
    series: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    thresholds: tuple[tuple[float, str], ...] = ()
    """From this value on, this colour; below, green."""
    good_from: float | None = None
    """Instead: green from this value on, below it red."""
    stacked: bool = False
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A question, and the panels that answer it."""

    title: str
    panels: tuple[Panel, ...]


def stat(
    title: str,
    description: str,
    unit: str,
    expression: str,
    *thresholds: tuple[float, str],
    good_from: float | None = None,
) -> Panel:
    return Panel(
        title,
        description,
        unit,
        (("", expression),),
        kind="stat",
        width=4,
        height=4,
        thresholds=thresholds,
        good_from=good_from,
    )


def rate(metric: str, labels: str = OF) -> str:
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


def quantiles(metric: str, labels: str = OF) -> tuple[tuple[str, str], ...]:
    buckets = f"sum by (le) ({rate(f'{metric}_bucket', labels)})"
    return tuple(
        (f"p{round(share * 100)}", f"histogram_quantile({share}, {buckets})")
        for share in (0.5, 0.95, 0.99)
    )


def mean(metric: str) -> str:
    return f"sum({rate(f'{metric}_sum')}) / sum({rate(f'{metric}_count')})"
