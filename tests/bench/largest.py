"""Measures the worker's peak memory for records of the maximum size.

    python -m tests.bench.largest [--bytes 1040000] [--records 64]

The records consist of one-letter words, which have the most tokens for their size. The worker
rejects them as too long, but only after it has tokenized them. Prints the peak resident memory of a
worker with two threads and four partitions.
"""

import argparse
import asyncio
from functools import partial

from tests.bench.process import peak_rss_mib
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess


async def measure(size: int, records: int) -> None:
    # Disables the dead-letter limit, since the worker rejects all records.
    environment = {"QA_THREADS": "2", "QA_DEAD_LETTER_LIMIT_RECORDS": "0"}
    with ApacheKafka() as kafka:
        topics = Topics(kafka.bootstrap_servers, environment, partitions=4)
        await topics.create()
        async with WorkerProcess(topics.environment) as worker:
            before = peak_rss_mib(worker.process.pid)
            await topics.send([event(n, context="a " * (size // 2)) for n in range(records)])
            # Waits for one record at a time, so that the timeout of `until` applies to one record.
            for consumed in range(records):
                await until(partial(_consumed_more, worker, consumed), "the next is rejected")
            peak = peak_rss_mib(worker.process.pid)
    print(f"{records} records of {size} bytes: {before:.0f} MiB before, {peak:.0f} at the peak")


async def _consumed_more(worker: WorkerProcess, count: int) -> bool:
    return await worker.metric("qa_consumed_records_total") > count


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=1_040_000)
    parser.add_argument("--records", type=int, default=64)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.bytes, arguments.records))
