"""`qa-worker topics create|check`."""

import asyncio
from typing import Annotated

import typer
from rich.table import Table

from worker.cli.terminal import out
from worker.kafka.topics import create_topics, describe
from worker.settings.environment import load

app = typer.Typer(help="Create the topics, or check that they are there.")


@app.command()
def create(
    partitions: Annotated[int, typer.Option(min=1, help="partitions of each topic")] = 12,
    replication_factor: Annotated[
        int, typer.Option(min=1, help="copies of each; at most as many as there are brokers")
    ] = 3,
) -> None:
    """Create the topics that are missing."""
    outcome = asyncio.run(
        create_topics(load(), partitions=partitions, replication=replication_factor)
    )
    for name, what in outcome.items():
        out.print(f"{name}: {what}")


@app.command()
def check() -> None:
    """Check that the topics are there; exits 1 if one is missing."""
    topics = asyncio.run(describe(load()))
    table = Table("Topic", "Partitions", "max.message.bytes")
    for topic in topics:
        if topic.partitions:
            assumed = " (assumed)" if topic.max_message_bytes_unknown else ""
            limit = f"{topic.max_message_bytes:,}{assumed}"
            table.add_row(topic.name, str(topic.partitions), limit)
        else:
            table.add_row(topic.name, "missing", "", style="red")
    out.print(table)
    if not all(topic.partitions for topic in topics):
        raise typer.Exit(1)
