"""The observing port: /metrics for Prometheus, /healthz and /readyz for Kubernetes; and whatever
pages it is given.

On the worker's own event loop on purpose: a loop that is blocked fails its probe.
"""

from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from worker.observability import metrics
from worker.observability.health import Health

SHUTDOWN_SECONDS = 1.0
"""For requests in progress when the worker stops: whoever asked can ask another worker."""


class OpsServer:
    """Serves until stopped. `port` is the one in use, also where 0 was asked for. `pages` are
    served below their prefixes.
    """

    def __init__(
        self,
        health: Health,
        host: str,
        port: int,
        pages: Mapping[str, web.Application] = MappingProxyType({}),
    ) -> None:
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
        """Raises `OSError` where the port is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        metrics.READY.set(self._health.ready)
        metrics.SILENCE.set(self._health.silence)
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthz(self, _: web.Request) -> web.Response:
        return _verdict(not self._health.stalled, "stalled: work is due and none gets done")

    async def _readyz(self, _: web.Request) -> web.Response:
        return _verdict(self._health.ready, "not in the group, or draining")


def _verdict(good: bool, complaint: str) -> web.Response:
    return web.Response(text="ok" if good else complaint, status=200 if good else 503)
