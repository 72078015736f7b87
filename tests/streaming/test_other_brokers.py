"""The worker on brokers without transactions, played by a proxy in front of Apache Kafka.

Exactly once does not start there and says what to set; at least once works from end to end.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.brokers import other_brokers as others
from tests.brokers.apache import ApacheKafka, Listener
from tests.brokers.fixtures import StartApacheKafka
from tests.brokers.kafka_proxy import KafkaProxy
from tests.brokers.other_brokers import OtherBroker
from tests.dead_letters.records import dead_letter, post
from tests.forked import run_forked
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess
from worker.client import QuestionClient
from worker.kafka.cluster_support import require_delivery
from worker.kafka.errors import StreamingError
from worker.kafka.kafka_node import free_ports
from worker.settings.environment import load

pytestmark = [pytest.mark.broker, pytest.mark.process]

WITHOUT_TRANSACTIONS = {
    others.EVENT_HUBS_STANDARD: "ApiVersions lacks AddPartitionsToTxn, EndTxn, AddOffsetsToTxn, "
    "TxnOffsetCommit",
    others.EVENT_HUBS_COORDINATOR: "FindCoordinator for a transactional id: "
    f"[Error 42] InvalidRequestError: {others.EVENT_HUBS_WORDS}",
    others.REDPANDA_WITHOUT_TRANSACTIONS: "ApiVersions lacks AddPartitionsToTxn, EndTxn, "
    "AddOffsetsToTxn, TxnOffsetCommit",
    others.REDPANDA_WITHOUT_IDEMPOTENCE: "ApiVersions lacks InitProducerId, AddPartitionsToTxn, "
    "EndTxn, AddOffsetsToTxn, TxnOffsetCommit",
    others.PULSAR: "ApiVersions lacks TxnOffsetCommit version 3 (the brokers have 2), OffsetFetch "
    "version 7 (the brokers have 5)",
    others.CLOSES: "the brokers close the connection at FindCoordinator for a transactional id",
}
"""Each with the reason in the worker's last line."""

WITHOUT_IDEMPOTENCE = {others.REDPANDA_WITHOUT_IDEMPOTENCE, others.PULSAR, others.CLOSES}


class Endpoints:
    """Apache Kafka with a listener for each of the other brokers."""

    def __init__(self) -> None:
        brokers = [*WITHOUT_TRANSACTIONS, others.REFUSES_PRODUCER_IDS, others.STARTING]
        self.ports = dict(zip(brokers, free_ports(len(brokers)), strict=True))
        self.listeners = {broker: f"OTHER{index}" for index, broker in enumerate(brokers)}
        self.kafka = ApacheKafka(
            listeners=[Listener(self.listeners[each], [self.ports[each]]) for each in brokers]
        )

    @asynccontextmanager
    async def serve(self, broker: OtherBroker) -> AsyncIterator[KafkaProxy]:
        proxy = KafkaProxy(self.ports[broker], broker.announce, broker.answer)
        proxy.target = self.kafka.port(self.listeners[broker], 0)
        async with proxy:
            yield proxy


@pytest.fixture(scope="module")
def endpoints() -> Iterator[Endpoints]:
    endpoints = Endpoints()
    with endpoints.kafka:
        yield endpoints


@pytest.fixture
async def topics(endpoints: Endpoints) -> AsyncIterator[Topics]:
    async with Topics(endpoints.kafka.bootstrap_servers) as topics:
        await topics.create()
        yield topics


def environment(topics: Topics, proxy: KafkaProxy, **more: str) -> dict[str, str]:
    return {
        **topics.environment,
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{proxy.port}",
        **more,
    }


async def last_line(environment: dict[str, str], *, exit_code: int = 1) -> str:
    """The last line of a worker that cannot start."""
    worker = WorkerProcess(environment)
    try:
        assert await worker.ended() == exit_code
        assert "Traceback" not in worker.output
        assert not worker.events("assigned")
        return worker.output.splitlines()[-1]
    finally:
        await worker.__aexit__(None, None, None)


def expected_line(proxy: KafkaProxy, why: str) -> str:
    return (
        f"127.0.0.1:{proxy.port} has no transactions, which QA_DELIVERY=exactly_once (the default) "
        f"needs ({why}); set QA_DELIVERY=at_least_once; see deploy/clusters.md"
    )


@pytest.mark.parametrize("broker", WITHOUT_TRANSACTIONS, ids=str)
async def test_exactly_once_names_the_setting(
    endpoints: Endpoints, topics: Topics, broker: OtherBroker
) -> None:
    async with endpoints.serve(broker) as proxy:
        settings = load(environment(topics, proxy))
        with pytest.raises(StreamingError) as error:
            await require_delivery(settings)
    print(f"\n{broker.name}: {error.value}")
    assert str(error.value) == expected_line(proxy, WITHOUT_TRANSACTIONS[broker])


@pytest.mark.parametrize("broker", [others.EVENT_HUBS_STANDARD, others.CLOSES], ids=str)
async def test_the_worker_exits_with_1_before_it_joins_the_group(
    endpoints: Endpoints, topics: Topics, broker: OtherBroker
) -> None:
    async with endpoints.serve(broker) as proxy:
        line = await last_line(environment(topics, proxy))
    assert line == f"qa-worker: {expected_line(proxy, WITHOUT_TRANSACTIONS[broker])}"
    assert not proxy.asked[others.JOIN_GROUP]


async def test_a_coordinator_that_refuses_producer_ids(
    endpoints: Endpoints, topics: Topics
) -> None:
    async with endpoints.serve(others.REFUSES_PRODUCER_IDS) as proxy:
        worker = WorkerProcess(environment(topics, proxy))
        async with _started(worker):
            assert await worker.ended() == 1
            line = worker.output.splitlines()[-1]
    print(f"\n{line}")
    assert "the transaction coordinator refuses InitProducerId for" in line
    assert line.endswith("if the cluster has no transactions, set QA_DELIVERY=at_least_once")


@pytest.mark.parametrize(
    "broker",
    [others.EVENT_HUBS_STANDARD, others.REDPANDA_WITHOUT_IDEMPOTENCE, others.PULSAR],
    ids=str,
)
async def test_at_least_once_works_from_end_to_end(
    endpoints: Endpoints, topics: Topics, broker: OtherBroker
) -> None:
    questions = [event(n) for n in range(40)] + [b"no JSON"]
    async with endpoints.serve(broker) as proxy:
        await topics.send(questions, key=None)
        settings = environment(topics, proxy, QA_DELIVERY="at_least_once")
        async with WorkerProcess(settings) as worker:
            await until(lambda: topics.has(40), "all are answered")
            await topics.committed_are(await topics.ends())
            warned = worker.events("idempotence_unavailable")
            assert bool(warned) == (broker in WITHOUT_IDEMPOTENCE), worker.output
            worker.signal(signal.SIGTERM)  # it leaves the group, which need not miss it first
            assert await worker.ended() == 0
        # Another member of the group goes on at the committed offsets.
        await topics.send([event(40)])
        async with WorkerProcess(settings):
            await until(lambda: topics.has(41), "the next one is answered")
            # As `qa-worker ask` and the console do.
            async with asyncio.timeout(60), QuestionClient.open(load(settings)) as client:
                asked = await client.send(event(41))
                result = await client.wait_for_result(asked, timeout_seconds=30)
            assert result.reason == ""
        assert not {key for key in proxy.asked if key in others.TRANSACTIONS}
    assert Counter(await topics.ids()) == Counter(f"q-{n}" for n in range(42))
    assert len(await topics.dead_letters()) == 1


async def test_event_hubs_gets_no_request_that_closes_its_connection(
    endpoints: Endpoints, topics: Topics
) -> None:
    """A dead letter is larger than its question: the topic would take it, the endpoint does not."""
    largest = b"x" * (others.EVENT_HUBS_REQUEST_BYTES - 300)
    async with endpoints.serve(others.EVENT_HUBS_STANDARD) as proxy:
        await topics.send([largest, event(1)], partition=0)
        settings = environment(
            topics, proxy, QA_DELIVERY="at_least_once", KAFKA_MAX_REQUEST_SIZE="1000000"
        )
        async with WorkerProcess(settings):
            await topics.committed_are({0: 2, 1: 0})
    (dead,) = await topics.dead_letters()
    assert dead.value is None
    assert await topics.ids() == ["q-1"]


async def test_a_replay_says_that_it_needs_transactions(
    endpoints: Endpoints, topics: Topics
) -> None:
    await post(topics, dead_letter(topics))
    async with endpoints.serve(others.EVENT_HUBS_STANDARD) as proxy:
        done, listed = [
            await asyncio.to_thread(
                run_forked,
                "dead-letters",
                command,
                environment={**os.environ, **environment(topics, proxy)},
            )
            for command in ("replay", "list")
        ]
    print(f"\n{done.err}")
    assert done.code == 1
    assert done.err == (
        f"qa-worker: 127.0.0.1:{proxy.port} has no transactions, by which the replay sends each "
        f"dead letter once (ApiVersions lacks AddPartitionsToTxn, EndTxn); send the questions with "
        f"a client of your own; see deploy/clusters.md\n"
    )
    assert listed.code == 0
    assert "1" in listed.out


async def test_reply_topics_need_newer_metadata(endpoints: Endpoints, topics: Topics) -> None:
    async with endpoints.serve(others.EVENT_HUBS_STANDARD) as proxy:
        line = await last_line(
            environment(topics, proxy, QA_DELIVERY="at_least_once", QA_REPLY_TOPICS="replies-*")
        )
    print(f"\n{line}")
    assert line == (
        f"qa-worker: QA_REPLY_TOPICS cannot be used with 127.0.0.1:{proxy.port}: ApiVersions lacks "
        f"Metadata version 10 (the brokers have 5); see deploy/clusters.md"
    )


async def test_a_coordinator_that_is_not_there_yet_is_waited_for(
    endpoints: Endpoints, topics: Topics
) -> None:
    await topics.send([event(n) for n in range(4)])
    others.STARTING_ANSWERS.clear()
    async with (
        endpoints.serve(others.STARTING) as proxy,
        WorkerProcess(environment(topics, proxy)),
    ):
        await until(lambda: topics.has(4), "all are answered")
    assert others.STARTING_ANSWERS == [others.COORDINATOR_NOT_AVAILABLE] * 4


async def test_a_coordinator_that_never_comes_is_named(
    start_apache_kafka: StartApacheKafka,
) -> None:
    """Kafka's default for one broker: the topic of the transactions cannot be created."""
    kafka = start_apache_kafka(properties={"transaction.state.log.replication.factor": "3"})
    topics = Topics(kafka.bootstrap_servers)
    await topics.create()
    line = await last_line(
        {
            **topics.environment,
            "QA_DRAIN_SECONDS": "1",
            "KAFKA_REBALANCE_TIMEOUT_MS": "2000",
            "KAFKA_REQUEST_TIMEOUT_MS": "5000",
        }
    )
    print(f"\n{line}")
    assert line == (
        f"qa-worker: cannot start with {topics.servers}: no answer to FindCoordinator for a "
        "transactional id within 5 s: [Error 15] GroupCoordinatorNotAvailableError: The "
        "coordinator is not available; can the "
        "brokers create __transaction_state (its transaction.state.log.replication.factor, 3 by "
        "default, needs as many brokers)? QA_DELIVERY=at_least_once needs no coordinator"
    )


@asynccontextmanager
async def _started(worker: WorkerProcess) -> AsyncIterator[None]:
    """A worker that ends by itself."""
    try:
        yield
    finally:
        await worker.__aexit__(None, None, None)
