"""How much memory the largest records take, for the worst kinds that `worst_records` found.

    python -m tests.bench.largest [--bytes 1040000] [--records 32] [--kind KIND ...]

Sends records of one kind at a time to a new worker with two threads, on Apache Kafka with four
partitions, and prints the peak of its resident memory. Most of these texts are too long for an
answer, which is known only when they are tokens.
"""

import argparse
import asyncio
import time

from tests.bench.process import peak_rss_mib
from tests.bench.topics import BenchTopics
from tests.bench.worst_records import KINDS
from tests.brokers.apache import ApacheKafka
from tests.streaming.worker_process import WorkerProcess

PATIENCE_SECONDS = 300


async def measure(kinds: list[str], size: int, records: int) -> None:
    # Nearly all of them are rejected, and one may take minutes: neither must stop the worker.
    environment = {
        "QA_THREADS": "2",
        "QA_DEAD_LETTER_LIMIT_RECORDS": "0",
        "QA_STALL_SECONDS": "300",
        # The records of a kind are equal, and all of them are to be read.
        "QA_CACHE_BYTES": "0",
    }
    highest = 0.0
    with ApacheKafka() as kafka:
        for kind in kinds:
            topics = BenchTopics(kafka.bootstrap_servers, environment, partitions=4)
            await topics.create()
            async with WorkerProcess(topics.environment, forked=False) as worker:
                before = peak_rss_mib(worker.process.pid)
                await topics.send([KINDS[kind].record(size)] * records)
                await _until_consumed(worker, records)
                peak = peak_rss_mib(worker.process.pid)
            highest = max(highest, peak)
            print(f"{kind}: {before:.0f} MiB before, {peak:.0f} MiB at the peak", flush=True)
    print(f"{records} records of {size} bytes of each kind: {highest:.0f} MiB at the peak")


async def _until_consumed(worker: WorkerProcess, records: int) -> None:
    """Wait for all of them; a busy machine may take minutes for one."""
    done, since = 0.0, time.monotonic()
    while done < records:
        if time.monotonic() > since + PATIENCE_SECONDS:
            raise SystemExit(
                f"{done:.0f} of {records} records after {PATIENCE_SECONDS} s without one"
            )
        await asyncio.sleep(0.1)
        if (now := await worker.metric("qa_consumed_records_total")) > done:
            done, since = now, time.monotonic()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1_040_000)
    parser.add_argument("--records", type=int, default=32)
    parser.add_argument("--kind", nargs="+", default=list(KINDS), choices=KINDS)
    asked = parser.parse_args()
    asyncio.run(measure(asked.kind, asked.bytes, asked.records))
