"""The console's routes, for the observing port: the page, its numbers, and its questions."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pydantic_core
from aiohttp import web
from aiokafka.errors import KafkaError

from schemas.answer import ModelInfo
from schemas.event import Event, Outcome
from schemas.question import Question
from worker.console.auth import AccessDenied, RequestAuthorizer
from worker.console.questions import BusyError, Questions
from worker.console.sampler import PERIOD_SECONDS, Latencies, Sampler
from worker.console.trace_collector import TraceCollector
from worker.kafka.errors import StreamingError, format_error
from worker.observability.health import Health
from worker.settings import Settings

PREFIX = "/console"

PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}

_HEADERS = {
    "Cache-Control": "no-store",
    # Scripts and styles are files of ours, nothing comes from elsewhere, nobody frames the page,
    # and no text can become markup.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Console:
    """`app` for the port, `following` for the journeys."""

    def __init__(self, settings: Settings, health: Health) -> None:
        """Of settings that have a token."""
        qa = settings.qa
        assert qa.console_token is not None
        self._settings = settings
        self._health = health
        self._guard = RequestAuthorizer(qa.console_token.get_secret_value(), qa.console_origins)
        latencies = Latencies(time.monotonic)
        self.following = TraceCollector(latencies)
        self._sampler = Sampler(latencies, time.time)
        self._questions = Questions(settings, self.following)
        self._worker: dict[str, Any] | None = None
        self.app = web.Application(middlewares=[_answer])
        self.app.cleanup_ctx.append(self._sampling)
        router = self.app.router
        router.add_get("", self._to_the_page)
        router.add_get("/samples", self._samples)
        router.add_post("/questions", self._ask)
        for file in sorted(PAGE.iterdir()):
            name = "" if file.name == "index.html" else file.name
            router.add_get(f"/{name}", self._file(file))

    def opened(self, model: ModelInfo, reads: type[Event[Outcome]], version: str) -> None:
        """The model is there, and is for these events."""
        self._worker = {
            "version": version,
            "model": model.name,
            "precision": model.precision,
            "provider": model.provider,
            "reads": "question" if issubclass(reads, Question) else "text",
            "group": self._settings.kafka.group_id,
            "delivery": self._settings.qa.delivery,
        }

    async def _to_the_page(self, request: web.Request) -> web.Response:
        """Its files are named relative to it, so the slash matters."""
        _check(self._guard.page(request.headers))
        return web.Response(status=308, headers={"Location": f"{PREFIX}/"})

    def _file(self, file: Path) -> Handler:
        body = file.read_bytes()

        async def serve(request: web.Request) -> web.Response:
            _check(self._guard.page(request.headers))
            return web.Response(body=body, content_type=_TYPES[file.suffix], charset="utf-8")

        return serve

    async def _samples(self, request: web.Request) -> web.Response:
        """`?after=`: milliseconds since the epoch."""
        _check(self._guard.reading(request.headers))
        try:
            after = int(request.query.get("after", "0"))
        except ValueError:
            raise _error(400, "after: a whole number of milliseconds") from None
        seen = {
            "worker": self._worker,
            "ready": self._health.ready,
            "samples": self._sampler.since(after),
        }
        # All of the samples of 48 partitions take 10 ms this way, and 120 by `json` and `asdict`.
        return web.Response(body=pydantic_core.to_json(seen), content_type="application/json")

    async def _ask(self, request: web.Request) -> web.Response:
        _check(self._guard.asking(request.headers))
        if request.content_type != "application/json":
            raise _error(415, "a question is application/json")
        limited = request.clone(client_max_size=self._settings.qa.max_record_bytes)
        try:
            value = await limited.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise _error(413, f"larger than QA_MAX_RECORD_BYTES: {error.text}") from None
        try:
            report = await self._questions.ask(value)
        except BusyError as error:
            raise _error(429, str(error)) from None
        except TimeoutError:
            raise _error(504, "no answer came back in time; the question is in its topic") from None
        except (KafkaError, StreamingError) as error:
            raise _error(502, f"the brokers: {format_error(error)}") from None
        return web.Response(body=report, content_type="application/json")

    async def _sampling(self, _: web.Application) -> AsyncIterator[None]:
        sampling = asyncio.create_task(self._sample())
        yield
        sampling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sampling

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            self._sampler.take()


class _RefusedError(Exception):
    """The request is answered with this and nothing else."""

    def __init__(self, refusal: AccessDenied) -> None:
        super().__init__(refusal.why)
        self.refusal = refusal


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every answer has the headers, refusals as well."""
    response: web.StreamResponse
    try:
        response = await handler(request)
    except _RefusedError as error:
        response = web.json_response({"error": error.refusal.why}, status=error.refusal.status)
    except web.HTTPException as error:  # no such path, or method
        error.headers.update(_HEADERS)
        raise
    response.headers.update(_HEADERS)
    return response


def _check(refusal: AccessDenied | None) -> None:
    if refusal is not None:
        raise _RefusedError(refusal)


def _error(status: int, why: str) -> _RefusedError:
    return _RefusedError(AccessDenied(status, why))
