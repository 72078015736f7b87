"""How much memory the largest records take: one-letter words, which are the most tokens.

    python -m tests.bench.largest [--bytes 1040000] [--records 64]

They are too long for an answer, which is known only when they are tokens. Prints the peak of the
worker's resident memory, with two threads, on Apache Kafka with four partitions.
"""

import argparse
import asyncio
from functools import partial

from tests.bench.process import peak_rss_mib
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess


async def measure(size: int, records: int) -> None:
    # All of them are rejected, and none is to stop it.
    environment = {"QA_THREADS": "2", "QA_DEAD_LETTER_LIMIT_RECORDS": "0"}
    with ApacheKafka() as kafka:
        topics = Topics(kafka.bootstrap_servers, environment, partitions=4)
        await topics.create()
        async with WorkerProcess(topics.environment) as worker:
            before = peak_rss_mib(worker.process.pid)
            await topics.send([event(n, context="a " * (size // 2)) for n in range(records)])
            # One after the other: each within `until`'s patience, however slow the machine.
            for done in range(records):
                await until(partial(_more, worker, done), "the next is rejected")
            peak = peak_rss_mib(worker.process.pid)
    print(f"{records} records of {size} bytes: {before:.0f} MiB before, {peak:.0f} at the peak")


async def _more(worker: WorkerProcess, than: int) -> bool:
    return await worker.metric("qa_consumed_records_total") > than


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=1_040_000)
    parser.add_argument("--records", type=int, default=64)
    asked = parser.parse_args()
    asyncio.run(measure(asked.bytes, asked.records))
