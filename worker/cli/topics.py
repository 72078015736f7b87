"""`qa-worker topics create|check`: creates the worker's topics, or checks that they exist."""

import asyncio
from typing import Annotated

import typer
from aiokafka.errors import InvalidReplicationFactorError

from worker.cli.errors import CommandError
from worker.cli.terminal import Table, print_line
from worker.kafka.topics import create_topics, describe_topics
from worker.settings.environment import load

app = typer.Typer(help="Create the topics, or check that they exist.")


@app.command()
def create(
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of each topic.")] = 12,
    replication_factor: Annotated[
        int, typer.Option(min=1, help="Replicas of each partition; at most the number of brokers.")
    ] = 3,
) -> None:
    """Create the missing topics."""
    try:
        results = asyncio.run(
            create_topics(load(), partitions=partitions, replication=replication_factor)
        )
    except InvalidReplicationFactorError as error:
        raise CommandError(f"{error.args[0]} Use a smaller --replication-factor") from None
    for name, result in results.items():
        print_line(f"{name}: {result}")


@app.command()
def check() -> None:
    """Check that the topics exist; exit with 1 if one is missing."""
    topics = asyncio.run(describe_topics(load()))
    table = Table("Topic", "Partitions", "max.message.bytes")
    for topic in topics:
        if topic.partitions:
            assumed = " (assumed)" if topic.max_message_bytes_unknown else ""
            limit = f"{topic.max_message_bytes:,}{assumed}"
            table.add_row(topic.name, str(topic.partitions), limit)
        else:
            table.add_row(topic.name, "missing", "", style="red")
    table.print()
    if not all(topic.partitions for topic in topics):
        raise typer.Exit(1)
