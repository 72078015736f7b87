"""Outages of the schema registry under load: what is lost, and the time to go on.

`python -m tests.bench.registry_outage [--seconds 8] [--faults killed hangs] [--kill-worker]`

A worker process on Apache Kafka, with a stub in place of the model. Two of four partitions need new
schemas all the time. With --kill-worker the worker is also killed and replaced in each outage.
"""

import argparse
import asyncio
import os

from rich.console import Console
from rich.table import Table

from tests.brokers.apache import ApacheKafka
from tests.schema_registry.faulty_registry import Fault
from tests.schema_registry.outages import run_outage
from worker.observability import logging_setup

FAULTS = [each.value for each in Fault if each is not Fault.NONE]


async def measure(seconds: float, faults: list[str], deliveries: list[str], kill: bool) -> None:
    table = Table(
        "Delivery",
        "Registry",
        "Sent",
        "Lost",
        "Repeated",
        "Disordered",
        "Dead letters",
        "Others answered",
        "Waited",
        "Goes on, s",
        "Caught up, s",
    )
    with ApacheKafka() as kafka:
        for delivery in deliveries:
            for fault in faults:
                result = await run_outage(
                    kafka.bootstrap_servers,
                    delivery,
                    Fault(fault),
                    seconds=seconds,
                    kill_worker=kill,
                )
                table.add_row(
                    delivery,
                    fault,
                    str(result.sent),
                    str(result.lost),
                    str(result.repeated),
                    str(result.disordered),
                    str(result.dead_letters),
                    str(result.other_partitions),
                    str(result.waited),
                    f"{result.go_on_seconds:.1f}",
                    f"{result.caught_up_seconds:.1f}",
                )
    Console(width=150).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=FAULTS)
    deliveries = ["exactly_once", "at_least_once"]
    parser.add_argument("--deliveries", nargs="+", choices=deliveries, default=deliveries)
    parser.add_argument("--kill-worker", action="store_true")
    given = parser.parse_args()
    logging_setup.configure("error", "console")
    asyncio.run(measure(given.seconds, given.faults, given.deliveries, given.kill_worker))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
