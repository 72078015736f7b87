"""The options that select dead letters."""

import re
from typing import Annotated

import typer

from schemas.rejection import Reason
from worker.cli.topic_reading import parse_time
from worker.dead_letters.dead_letter import DeadLetterFilter

Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", help="only dead letters with this reason; repeatable"),
]
Since = Annotated[
    str | None,
    typer.Option(help="only dead letters from this time on: ISO 8601, in UTC without a zone"),
]
Until = Annotated[str | None, typer.Option(help="only dead letters before this time")]
Partition = Annotated[
    int | None, typer.Option(min=0, help="only this partition of the dead-letter topic")
]
Offsets = Annotated[
    str | None,
    typer.Option(
        "--offset",
        metavar="A|A:B",
        help="only offset A of the partition, or offsets A to B, both included",
    ),
]

_OFFSETS = re.compile(r"(\d{1,18})?(:)?(\d{1,18})?", re.ASCII)


def build_filter(
    reasons: list[str] | None,
    since: str | None,
    until: str | None,
    partition: int | None,
    offsets: str | None,
) -> DeadLetterFilter:
    """Raises `typer.BadParameter`."""
    if offsets is not None and partition is None:
        raise typer.BadParameter("an offset needs its partition: add --partition")
    first, last = (0, None) if offsets is None else _parse_offsets(offsets)
    return DeadLetterFilter(
        reasons=frozenset(_parse_reason(name) for name in reasons or ()),
        since=parse_time(since, "--since"),
        until=parse_time(until, "--until"),
        partition=partition,
        first=first,
        last=last,
    )


def _parse_reason(name: str) -> Reason:
    try:
        return Reason(name)
    except ValueError:
        raise typer.BadParameter(
            f"{name!r} is not one of {', '.join(Reason)}", param_hint="--reason"
        ) from None


def _parse_offsets(text: str) -> tuple[int, int | None]:
    match = _OFFSETS.fullmatch(text)
    if match is None or match[1] is match[3] is None:
        raise typer.BadParameter(
            f"{text!r} is neither an offset A nor a range A:B", param_hint="--offset"
        )
    first = int(match[1] or 0)
    if match[2] is None:
        return first, first
    last = None if match[3] is None else int(match[3])
    if last is not None and last < first:
        raise typer.BadParameter(f"{text!r} ends before it begins", param_hint="--offset")
    return first, last
