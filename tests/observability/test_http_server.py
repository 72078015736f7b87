"""The probes and the metrics, over a real socket."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from worker.observability import metrics
from worker.observability.health import Health
from worker.observability.http_server import OpsServer


@dataclass
class Observed:
    """A port that is served, and what it serves."""

    health: Health
    observatory: OpsServer

    async def get(self, path: str, method: str = "GET") -> tuple[int, str, str]:
        """Status, content type and body."""
        url = f"http://127.0.0.1:{self.observatory.port}{path}"
        async with aiohttp.ClientSession() as session, session.request(method, url) as response:
            return response.status, response.headers["Content-Type"], await response.text()


@pytest.fixture
async def observed() -> AsyncIterator[Observed]:
    health = Health(time.monotonic, stall_after=60, contact_after=60)
    observatory = OpsServer(health, "127.0.0.1", 0)
    await observatory.start()
    yield Observed(health, observatory)
    await observatory.stop()


async def test_port_zero_is_a_free_one(observed: Observed) -> None:
    assert observed.observatory.port > 0


async def test_a_port_that_is_taken_stops_the_start(observed: Observed) -> None:
    second = OpsServer(observed.health, "127.0.0.1", observed.observatory.port)
    with pytest.raises(OSError, match="address already in use"):
        await second.start()
    await second.stop()


async def test_ready_is_what_the_worker_says(observed: Observed) -> None:
    status, _, body = await observed.get("/readyz")
    assert (status, body) == (503, "not in the group, or draining")
    observed.health.ready = True
    status, _, body = await observed.get("/readyz")
    assert (status, body) == (200, "ok")


async def test_a_stall_fails_the_liveness_probe(observed: Observed) -> None:
    status, _, body = await observed.get("/healthz")
    assert (status, body) == (200, "ok")
    observed.health.due(True)
    observed.health.stall_after = -1.0
    status, _, body = await observed.get("/healthz")
    assert (status, body) == (503, "stalled: work is due and none gets done")


async def test_a_worker_that_is_not_ready_is_alive(observed: Observed) -> None:
    observed.health.ready = False
    assert (await observed.get("/healthz"))[0] == 200


async def test_metrics_are_in_the_format_of_prometheus(observed: Observed) -> None:
    metrics.THREADS.set(7)
    status, content_type, body = await observed.get("/metrics")
    assert status == 200
    assert content_type.startswith("text/plain; version=")
    assert "\nqa_inference_threads 7.0\n" in body
    assert "\n# HELP qa_windows_total Windows run\n" in body


async def test_the_metrics_say_how_long_the_brokers_are_silent(observed: Observed) -> None:
    observed.health.ready = True
    _, _, body = await observed.get("/metrics")
    assert "\nqa_ready 1.0\n" in body
    assert _value(body, "qa_last_broker_contact_timestamp_seconds") < 60
    observed.health.ready = False
    observed.health.clock = lambda: time.monotonic() + 100
    _, _, body = await observed.get("/metrics")
    assert "\nqa_ready 0.0\n" in body
    assert _value(body, "qa_last_broker_contact_timestamp_seconds") >= 100
    observed.health.contacted()
    _, _, body = await observed.get("/metrics")
    assert _value(body, "qa_last_broker_contact_timestamp_seconds") < 60


async def test_what_a_rate_is_taken_of_is_there_before_the_first(observed: Observed) -> None:
    _, _, body = await observed.get("/metrics")
    for series in (
        'qa_commits_total{outcome="failed"}',
        'qa_sessions_total{outcome="broken"}',
        'qa_rebalances_total{event="assigned"}',
    ):
        assert f"\n{series} " in body


def _value(page: str, metric: str) -> float:
    (line,) = (line for line in page.splitlines() if line.startswith(f"{metric} "))
    return float(line.split()[1])


async def test_other_paths_and_methods_are_refused(observed: Observed) -> None:
    assert (await observed.get("/"))[0] == 404
    assert (await observed.get("/healthz", "POST"))[0] == 405


async def test_nobody_listens_after_the_stop() -> None:
    observatory = OpsServer(Health(time.monotonic, 1, 1), "127.0.0.1", 0)
    await observatory.start()
    await observatory.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await Observed(Health(time.monotonic, 1, 1), observatory).get("/healthz")
