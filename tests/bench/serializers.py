"""Which formats of questions and answers Confluent's serializers for Python and a worker exchange.

python -m tests.bench.serializers

Through Apache Kafka and Apicurio Registry; the schemas are those of
`tests/schema_registry/foreign_schemas.py`.
"""

import asyncio
from collections import defaultdict

from rich.console import Console
from rich.table import Table

from tests.brokers.apache import ApacheKafka
from tests.registries.apicurio import Apicurio
from tests.registries.guid_proxy import guid_proxy
from tests.schema_registry.exchange import exchange

ANSWER_FORMATS = ("json", "avro", "json_schema", "protobuf")
DELIVERIES = ("exactly_once", "at_least_once")


async def measure(servers: str, registry_url: str) -> Table:
    problems: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for delivery in DELIVERIES:
        for answer_format in ANSWER_FORMATS:
            for asked, problem in await exchange(servers, registry_url, answer_format, delivery):
                problems[delivery, asked.format, asked.id_place].append(problem or "read")
    table = Table("delivery", "question", "its schema", *ANSWER_FORMATS)
    for row, results in problems.items():
        table.add_row(*row, *results)
    return table


def main() -> None:
    with ApacheKafka() as kafka, Apicurio() as registry, guid_proxy(registry.url) as url:
        table = asyncio.run(measure(kafka.bootstrap_servers, url))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
