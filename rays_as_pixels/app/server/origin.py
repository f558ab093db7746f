"""Refuse requests that another web site makes in the visitor's browser.

A page anywhere may post a file to an app on the visitor's own machine without being able to read
the answer; that is enough to fill a disk. Browsers say where such a request comes from.
"""

from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class OriginCheck:
    """ASGI middleware: no cross-site writes, and for a local app no foreign host names.

    Args:
        app: The app behind it.
        local_only: Whether the app listens on the loopback address alone: a host name that is not
            this machine's then means DNS rebinding.
    """

    def __init__(self, app: ASGIApp, *, local_only: bool) -> None:
        self.app = app
        self.local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on or answer 403."""
        if scope["type"] in ("http", "websocket"):
            headers = {
                key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
            }
            method = scope.get("method", "CONNECT")  # a websocket writes, whatever it began as
            reason = refusal(method, headers, local_only=self.local_only)
            if reason and scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": "another site"})
                return
            if reason:
                await PlainTextResponse(reason, status_code=403)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def refusal(method: str, headers: dict[str, str], *, local_only: bool) -> str:
    """Return why a request is refused, "" if it is not.

    Args:
        method: GET, POST, ...
        headers: With lower-case names.
        local_only: See `OriginCheck`.
    """
    host = headers.get("host", "")
    if local_only and _name(host) not in LOCAL_NAMES:
        return f"The host must be this machine; got {host[:80]!r}. Open http://127.0.0.1 instead."
    if method in SAFE_METHODS:
        return ""
    site = headers.get("sec-fetch-site")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:  # a browser from before 2023, or no browser
        origin = headers.get("origin")
        allowed = (host, headers.get("x-forwarded-host", host))
        foreign = origin is not None and origin.partition("://")[2] not in allowed
    return "Requests must come from the app's own page, not from another site." if foreign else ""


def _name(host: str) -> str | None:
    """Return the name in a Host header, None if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
