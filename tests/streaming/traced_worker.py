"""A worker process that exports traces and metrics, and questions of every outcome."""

import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.observability.collector import Collector
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01".encode()
CONTEXT = [("traceparent", SAMPLED), ("tracestate", b"a=b")]


@asynccontextmanager
async def traced_topics(
    servers: str, collector: Collector, **environment: str
) -> AsyncIterator[Topics]:
    async with Topics(
        servers,
        {
            "QA_TRACING": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            # One thread: while it runs the first question, the others queue up for one batch.
            "QA_THREADS": "1",
            **environment,
        },
        partitions=1,
    ) as topics:
        await topics.create()
        yield topics


async def answered_by_a_worker(topics: Topics, count: int) -> list[Any]:
    """The answers. The worker has ended and exported its spans when this returns."""
    async with WorkerProcess(topics.environment) as worker:
        await until(lambda: topics.has(count), "the answers")
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
        assert "opentelemetry" not in worker.output
    return await topics.answers()


@asynccontextmanager
async def every_outcome(
    servers: str, collector: Collector, **environment: str
) -> AsyncIterator[tuple[Topics, str]]:
    """The topics of a worker that has read a record for each way out, and the topic to which one
    asked for its reply. The worker has ended inside.

    By offset: (0) a question with a trace and a correlation id; (1) a record that is not JSON,
    without a trace; (2) a tombstone with a trace; (3) a question that asks for a reply, which is
    published beside its answer.
    """
    prefix = f"replies-{uuid.uuid4().hex[:8]}."
    replies = f"{prefix}client-1"
    environment = {"QA_REPLY_TOPICS": f"{prefix}*", "QA_REPLY_ALSO": "true", **environment}
    async with traced_topics(servers, collector, **environment) as topics:
        admin = AIOKafkaAdminClient(bootstrap_servers=servers)
        await admin.start()
        await admin.create_topics([NewTopic(replies, 1, 1)])
        await admin.close()
        correlation = ("correlation-id", b"c-0")
        await topics.send([event(0)], headers=[*CONTEXT, correlation])
        await topics.send([b"{"], key=b"\xff")
        await topics.send([None], headers=CONTEXT)
        await topics.send([event(3)], key=None, headers=[("reply_to", replies.encode())])
        async with WorkerProcess(topics.environment) as worker:
            await topics.committed_are({0: 4})
            worker.signal(signal.SIGTERM)
            assert await worker.ended() == 0, worker.output
        yield topics, replies
