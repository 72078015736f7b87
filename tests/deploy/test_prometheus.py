"""Rules and dashboard on a real Prometheus that looks at a real worker."""

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.brokers.apache import ApacheKafka
from tests.deploy.prometheus_process import PrometheusProcess
from tests.deploy.queries import panel_queries, rules, selectors
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess
from tests.tools import tool

pytestmark = [pytest.mark.process, pytest.mark.tools]

OF_RULES = {rule["record"] for rule in rules() if "record" in rule}


@pytest.fixture
async def topics(apache_kafka: ApacheKafka) -> AsyncIterator[Topics]:
    async with Topics(apache_kafka.bootstrap_servers) as topics:
        await topics.create()
        yield topics


async def test_every_rule_and_every_panel_says_something_of_a_worker_at_work(
    topics: Topics, tmp_path: Path
) -> None:
    tool("prometheus")  # skipped before anything starts
    async with (
        WorkerProcess(topics.environment) as worker,
        PrometheusProcess(tmp_path, worker.port) as prometheus,
    ):

        async def seen(expression: str) -> bool:
            return bool(await prometheus.query(expression))

        # Rates need a look before and a look after, lag and position a pulse of the watchdog.
        await until(lambda: seen("qa_ready == 1 and on () sum(up) == 1"), "the first look")
        await topics.send([event(0), b"{", event(2)], partition=0)
        await topics.send([event(3)], partition=1)
        await until(lambda: seen("count(qa_position_offset > 0) == 2"), "the worker's own look")

        # Whatever is selected is there, with the labels that it is grouped by.
        expressions = [
            *panel_queries(),
            *((next(iter(rule.values())), rule["expr"]) for rule in rules()),
        ]
        for title, expression in expressions:
            for selector in selectors(expression):
                if selector.name == "ALERTS":
                    continue
                found = await prometheus.query(selector.text)
                assert found, (title, selector.text)
                assert selector.labels - {"namespace"} <= set(found[0]["metric"]), selector

        # Panels show numbers.
        for title, expression in panel_queries():
            await until(lambda: seen(expression), f"{title}: {expression}")  # noqa: B023
            (first, *_) = await prometheus.query(expression)
            assert not math.isnan(float(first["value"][1])), (title, expression)

        # Rules do their work, and nobody is called.
        for record in OF_RULES:
            assert await seen(record), record
        groups = (await prometheus.get("/api/v1/rules"))["groups"]
        for rule in (rule for group in groups for rule in group["rules"]):
            assert rule["health"] == "ok", rule
            assert rule.get("state") != "firing", rule
        assert await prometheus.query("job:qa_lag_records:sum == 0")
