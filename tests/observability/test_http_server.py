"""Probes and metrics, over a real socket."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from worker.observability import metrics
from worker.observability.health import Health
from worker.observability.http_server import OpsServer


@dataclass
class Served:
    """A running server, and the state that it reports."""

    health: Health
    server: OpsServer

    async def get(self, path: str, method: str = "GET") -> tuple[int, str, str]:
        """Returns status, content type and body."""
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with aiohttp.ClientSession() as session, session.request(method, url) as response:
            return response.status, response.headers["Content-Type"], await response.text()

    async def sample(self, series: str) -> float:
        """Returns the value of a series on the metrics page."""
        _, _, page = await self.get("/metrics")
        (line,) = (line for line in page.splitlines() if line.startswith(f"{series} "))
        return float(line.removeprefix(series))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    health = Health(time.monotonic, stall_after=60, contact_after=60)
    server = OpsServer(health, "127.0.0.1", 0)
    await server.start()
    yield Served(health, server)
    await server.stop()


async def test_port_zero_selects_a_free_port(served: Served) -> None:
    assert served.server.port > 0


async def test_a_port_in_use_fails_the_start(served: Served) -> None:
    second = OpsServer(served.health, "127.0.0.1", served.server.port)
    with pytest.raises(OSError, match="address already in use"):
        await second.start()
    await second.stop()


async def test_readyz_follows_health_ready(served: Served) -> None:
    status, _, body = await served.get("/readyz")
    assert (status, body) == (503, "not ready: starting, joining the group, or draining")
    assert await served.sample("qa_ready") == 0
    served.health.ready = True
    status, _, body = await served.get("/readyz")
    assert (status, body) == (200, "ok")
    assert await served.sample("qa_ready") == 1


async def test_healthz_fails_on_a_stall(served: Served) -> None:
    status, _, body = await served.get("/healthz")
    assert (status, body) == (200, "ok")
    served.health.set_work_pending(True)
    served.health.stall_after = -1.0
    status, _, body = await served.get("/healthz")
    assert (status, body) == (503, "stalled: work is pending, no record completes")


async def test_probes_name_a_stopped_partition_and_pass(served: Served) -> None:
    served.health.ready = True
    served.health.stopped_partitions = {"q partition 3": "offset 17: its CRC is wrong"}
    for path in ("/healthz", "/readyz"):
        status, _, body = await served.get(path)
        line = "q partition 3 is stopped at offset 17: its CRC is wrong"
        assert (status, body) == (200, f"ok\n{line}")


async def test_probes_say_that_the_start_waits_for_the_schema_registry(served: Served) -> None:
    served.health.start_waits = "http://registry:8081 answers 503"
    line = "the start waits for the schema registry: http://registry:8081 answers 503"
    for path, code in (("/healthz", 200), ("/readyz", 503)):
        status, _, body = await served.get(path)
        assert status == code
        assert body.splitlines()[1] == line


async def test_a_worker_that_is_not_ready_is_alive(served: Served) -> None:
    served.health.ready = False
    assert (await served.get("/healthz"))[0] == 200


async def test_metrics_in_the_text_format_of_prometheus(served: Served) -> None:
    metrics.THREADS.set(7)
    status, content_type, body = await served.get("/metrics")
    assert status == 200
    assert content_type.startswith("text/plain; version=")
    assert "\nqa_inference_threads 7.0\n" in body
    assert "\n# HELP qa_windows_total Windows that the model has run\n" in body


async def test_last_broker_contact_is_unix_time_and_not_an_age(served: Served) -> None:
    served.health.wall_clock = lambda: 1_700_000_000.25
    served.health.broker_contact()
    for _ in range(2):
        contact = await served.sample("qa_last_broker_contact_timestamp_seconds")
        assert contact == 1_700_000_000.25


@pytest.mark.parametrize(
    "series",
    [
        'qa_commits_total{outcome="failed"}',
        "qa_session_failures_total",
        "qa_rebalances_total",
        *(
            f'qa_stage_seconds_count{{stage="{stage}"}}'
            for stage in ("decode", "preprocess", "inference", "postprocess", "publish")
        ),
    ],
)
async def test_series_exist_before_the_first_event(served: Served, series: str) -> None:
    assert await served.sample(series) >= 0


async def test_unknown_paths_and_methods_are_errors(served: Served) -> None:
    assert (await served.get("/"))[0] == 404
    assert (await served.get("/healthz", "POST"))[0] == 405


async def test_stop_closes_the_port() -> None:
    health = Health(time.monotonic, 1, 1)
    server = OpsServer(health, "127.0.0.1", 0)
    await server.start()
    await server.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await Served(health, server).get("/healthz")
