"""The worker's HTTP port: /metrics for Prometheus, /healthz and /readyz for Kubernetes.

The server runs on the worker's event loop on purpose: a blocked loop fails the liveness probe.
Not responsible for what metrics and `Health` contain, nor for the console, which it only mounts.
"""

from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from worker.observability import metrics
from worker.observability.health import Health

SHUTDOWN_SECONDS = 1.0
"""Time that `stop` gives requests in progress. Short: clients can send a request again."""


class OpsServer:
    """The HTTP server. It listens from `start` to `stop`."""

    def __init__(
        self,
        health: Health,
        host: str,
        port: int,
        pages: Mapping[str, web.Application] = MappingProxyType({}),
    ) -> None:
        """`port` 0 selects a free port; after `start`, `self.port` is the port in use.

        `pages` maps path prefixes to the applications that are mounted there.
        """
        self._health = health
        self._host = host
        self.port = port
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        for prefix, page in pages.items():
            app.add_subapp(prefix, page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)

    async def start(self) -> None:
        """Raises `OSError` if the port is in use."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port. Requests in progress have `SHUTDOWN_SECONDS`."""
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        metrics.READY.set(self._health.ready)
        metrics.LAST_BROKER_CONTACT.set(self._health.last_contact_timestamp)
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthz(self, _: web.Request) -> web.Response:
        failure = "stalled: work is pending, no record completes"
        return self._probe(not self._health.stalled, failure)

    async def _readyz(self, _: web.Request) -> web.Response:
        failure = "not ready: starting, joining the group, or draining"
        return self._probe(self._health.ready, failure)

    def _probe(self, passes: bool, failure: str) -> web.Response:
        lines = ["ok" if passes else failure]
        if self._health.start_waits is not None:
            lines.append(f"the start waits for the schema registry: {self._health.start_waits}")
        for partition, why in self._health.stopped_partitions.items():
            lines.append(f"{partition} is stopped at {why}")
        for partition, why in self._health.waiting_partitions.items():
            lines.append(f"{partition} waits for the schema registry: {why}")
        return web.Response(text="\n".join(lines), status=200 if passes else 503)
