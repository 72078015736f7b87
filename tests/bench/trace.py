"""Prints a trace of a worker, attribute by attribute, beside OpenTelemetry's messaging conventions.

`python -m tests.bench.trace [--delivery at_least_once]`

A worker on Apache Kafka reads a record for every outcome (`tests/streaming/traced_worker.py`) and
exports its spans and metrics to a collector in this process. Exits with 1 if one of them does not
conform. Attributes that the conventions list and a span lacks are shown with the reason.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.brokers.apache import ApacheKafka
from tests.observability.collector import Collector, attributes, collecting, values
from tests.observability.conventions import (
    METRICS,
    SPANS,
    Level,
    Rule,
    span_problems,
    table_problems,
)
from tests.streaming.traced_worker import every_outcome

ABSENT = {
    "error.type": "the operation succeeded",
    "messaging.batch.message_count": "a single message",
    "messaging.destination.name": "the messages differ, or are of a reply topic",
    "messaging.destination.partition.id": "the messages differ, or none was taken",
    "messaging.destination.subscription.name": "Kafka has none",
    "messaging.destination.template": "the settings name the topic in full",
    "messaging.kafka.message.key": "null, not text, or the messages differ",
    "messaging.kafka.message.tombstone": "the message has a value",
    "messaging.kafka.offset": "the messages differ",
    "messaging.message.conversation_id": "no correlation header",
    "messaging.message.id": "an event's id is known once it is decoded",
    "network.peer.address": "the Kafka conventions do not list it as applicable",
    "network.peer.port": "as network.peer.address",
}


def _rows(table: Table, rules: Mapping[str, Rule], found: Mapping[str, object]) -> None:
    for name, rule in sorted(
        rules.items(), key=lambda item: (list(Level).index(item[1].level), item[0])
    ):
        if rule.level is Level.OPT_IN and name not in found:
            continue
        value = repr(found[name]) if name in found else f"[dim]– {ABSENT[name]}[/dim]"
        table.add_row(name, escape(value) if name in found else value, rule.level, rule.when)
    for name in sorted(set(found) - set(rules)):
        table.add_row(name, escape(repr(found[name])), "the worker's own", "")


def _show_span(console: Console, collector: Collector, span: Span) -> None:
    kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")
    status = Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_")
    names = {each.span_id: each.name for each in collector.spans}
    parent = names.get(span.parent_span_id, "the producer's span") if span.parent_span_id else "–"
    links = ", ".join(names.get(link.span_id, "the producer's span") for link in span.links)
    millis = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
    table = Table(
        title=escape(
            f"{span.name} · {kind} · {status} {span.status.message} · {millis:.1f} ms\n"
            f"trace {span.trace_id.hex()} span {span.span_id.hex()}\n"
            f"parent: {parent} · links: {links or '–'}"
        ),
        title_justify="left",
    )
    for column in ("attribute", "value", "requirement level", "if"):
        table.add_column(column, overflow="fold")
    rules = SPANS[str(attributes(span)["messaging.operation.type"])]
    _rows(table, rules, attributes(span))
    console.print(table)
    console.print(*(span_problems(span) or ["conforms"]), "\n")


def _show_metrics(console: Console, collector: Collector) -> int:
    problems = 0
    for name, metric in sorted(collector.metric_exports[-1].items()):
        rules = METRICS[name]
        table = Table(title=f"{name} · {rules.instrument} · {metric.unit}", title_justify="left")
        for column in ("attribute", "values", "requirement level", "if"):
            table.add_column(column, overflow="fold")
        points = [values(p.attributes) for p in getattr(metric, rules.instrument).data_points]
        merged: dict[str, object] = {}
        for point in points:
            problems += len(table_problems(rules.attributes, point))
            for attribute, value in point.items():
                merged[attribute] = (
                    f"{merged[attribute]}, {value}"
                    if (
                        attribute in merged and str(value) not in str(merged[attribute]).split(", ")
                    )
                    else merged.get(attribute, value)
                )
        _rows(table, rules.attributes, merged)
        console.print(table)
    return problems


async def show(delivery: str) -> int:
    """Prints the tables. Returns the number of problems."""
    console = Console(width=150, highlight=False)
    with ApacheKafka() as kafka:
        async with (
            collecting() as collector,
            every_outcome(kafka.bootstrap_servers, collector, QA_DELIVERY=delivery),
        ):
            spans = [each for kind in SPANS for each in collector.of_type(kind)]
    for span in sorted(spans, key=lambda each: each.start_time_unix_nano):
        _show_span(console, collector, span)
    problems = sum(len(span_problems(span)) for span in spans)
    problems += _show_metrics(console, collector)
    console.print(f"{len(spans)} messaging spans, {problems} problems")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--delivery", choices=("exactly_once", "at_least_once"), default="exactly_once"
    )
    sys.exit(bool(asyncio.run(show(parser.parse_args().delivery))))


if __name__ == "__main__":
    main()
