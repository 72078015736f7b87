"""How much memory the largest records take, for the worst kinds that `worst_records` found.

    python -m tests.bench.largest [--bytes 1040000] [--records 32] [--kind KIND ...]

Sends records of one kind at a time to a new worker with two threads, on Apache Kafka with four
partitions, and prints the peak of its resident memory. Most of these texts are too long for an
answer, which is known only when they are tokens.
"""

import argparse
import asyncio
from functools import partial

from tests.bench.process import peak_rss_mib
from tests.bench.worst_records import KINDS
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import Topics, until
from tests.streaming.worker_process import WorkerProcess


async def measure(kinds: list[str], size: int, records: int) -> None:
    # Nearly all of them are rejected, which must not stop the worker.
    environment = {"QA_THREADS": "2", "QA_DEAD_LETTER_LIMIT_RECORDS": "0"}
    highest = 0.0
    with ApacheKafka() as kafka:
        for kind in kinds:
            topics = Topics(kafka.bootstrap_servers, environment, partitions=4)
            await topics.create()
            async with WorkerProcess(topics.environment) as worker:
                before = peak_rss_mib(worker.process.pid)
                await topics.send([KINDS[kind].record(size)] * records)
                # One after the other: each within `until`'s patience, however slow the machine.
                for done in range(records):
                    await until(partial(_more, worker, done), "the next is rejected")
                peak = peak_rss_mib(worker.process.pid)
            highest = max(highest, peak)
            print(f"{kind}: {before:.0f} MiB before, {peak:.0f} MiB at the peak", flush=True)
    print(f"{records} records of {size} bytes of each kind: {highest:.0f} MiB at the peak")


async def _more(worker: WorkerProcess, than: int) -> bool:
    return await worker.metric("qa_consumed_records_total") > than


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1_040_000)
    parser.add_argument("--records", type=int, default=32)
    parser.add_argument("--kind", nargs="+", default=list(KINDS), choices=KINDS)
    asked = parser.parse_args()
    asyncio.run(measure(asked.kind, asked.bytes, asked.records))
