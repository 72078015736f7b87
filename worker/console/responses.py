"""Adds security headers to every response of the console, and turns errors into JSON."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from worker.console.auth import AccessDenied

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    # Scripts and styles come from this server only, other sites cannot frame the page, and the
    # page's scripts cannot turn text into markup.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RequestError(Exception):
    """Ends the request with an HTTP status and the body `{"error": reason}`."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def require(denied: AccessDenied | None) -> None:
    """Raises `RequestError` if access is denied."""
    if denied is not None:
        raise RequestError(denied.status, denied.reason)


@web.middleware
async def secure_responses(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns `RequestError` into a response, and adds the security headers to every response."""
    response: web.StreamResponse
    try:
        response = await handler(request)
    except RequestError as error:
        response = web.json_response({"error": error.reason}, status=error.status)
    except web.HTTPException as error:  # unknown path or method
        error.headers.update(SECURITY_HEADERS)
        raise
    response.headers.update(SECURITY_HEADERS)
    return response
