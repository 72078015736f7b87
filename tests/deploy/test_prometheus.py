"""Rules and dashboard queries on a Prometheus process that scrapes a worker process."""

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.brokers.protocol import Broker
from tests.deploy.prometheus_process import PrometheusProcess
from tests.deploy.queries import panel_queries, rules, selectors
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess
from tests.tools import tool

pytestmark = [pytest.mark.process, pytest.mark.tools]

ABSENT = "ALERTS", "qa_partition_stopped", "qa_schema_waiting_records"
"""Until an alert fires, a batch is corrupt, a record waits for the schema registry."""

UNUSED = {"stage": "schema"}
"""The series that have no observation without a schema registry, so a quantile of them is NaN."""

RECORDED_SERIES = {rule["record"] for rule in rules() if "record" in rule}


@pytest.fixture
async def topics(apache_kafka: Broker) -> AsyncIterator[Topics]:
    async with Topics(apache_kafka.bootstrap_servers) as topics:
        await topics.create()
        yield topics


async def test_rules_and_panels_have_data_for_a_running_worker(
    topics: Topics, tmp_path: Path
) -> None:
    tool("prometheus")  # skips the test before it starts a process
    async with (
        WorkerProcess({**topics.environment, "QA_REPLY_TOPICS": "replies-*"}) as worker,
        PrometheusProcess(tmp_path, worker.port) as prometheus,
    ):

        async def has_result(expression: str) -> bool:
            return bool(await prometheus.query(expression))

        async def shows_numbers(expression: str) -> bool:
            values = [
                float(series["value"][1])
                for series in await prometheus.query(expression)
                if series["metric"].items().isdisjoint(UNUSED.items())
            ]
            return bool(values) and not any(math.isnan(value) for value in values)

        # Rates need a scrape before and after the records: the worker's series start at 0 before
        # it reads. The watchdog updates lag and position.
        await until(lambda: has_result("qa_ready == 1 and on () sum(up) == 1"), "a first scrape")
        await topics.send([event(0), b"{", event(2)], partition=0)
        await topics.send([event(3)], partition=1)
        await topics.send([event(4)], partition=1, headers=[("reply_to", b"elsewhere")])
        await until(lambda: has_result("count(qa_position_offset > 0) == 2"), "both positions")

        # All selected series exist, with the labels that expressions group by.
        expressions = [
            *panel_queries(),
            *((next(iter(rule.values())), rule["expr"]) for rule in rules()),
        ]
        for title, expression in expressions:
            for selector in selectors(expression):
                if selector.name in ABSENT:
                    continue
                await until(lambda: has_result(selector.text), f"{title}: {selector.text}")  # noqa: B023
                for series in await prometheus.query(selector.text):
                    assert selector.labels - {"namespace"} <= set(series["metric"]), selector

        # Panels show numbers, in each series: Prometheus returns them in any order.
        for title, expression in panel_queries():
            await until(lambda: shows_numbers(expression), f"{title}: {expression}")  # noqa: B023

        # Recording rules create series, all rules evaluate, and no alert fires.
        for record in RECORDED_SERIES:
            await until(lambda: has_result(record), record)  # noqa: B023
        groups = (await prometheus.get("/api/v1/rules"))["groups"]
        for rule in (rule for group in groups for rule in group["rules"]):
            assert rule["health"] == "ok", rule
            assert rule.get("state") != "firing", rule
        # The watchdog measures the lag, then Prometheus scrapes it, then the rule runs.
        await until(lambda: has_result("job:qa_lag_records:sum == 0"), "no lag")
