"""What keeps a page that sees and hears people to this computer, and forgets what it was sent."""

import contextlib
import ipaddress
import os
import tempfile
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What was uploaded, or drawn for the page, is gone after so many seconds at the latest.
KEPT_S = 60

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    # Gradio's page has scripts and styles in its own lines, and compiles templates.
    "content-security-policy": "; ".join(
        (
            "default-src 'self' data: blob:",
            "script-src 'self' blob: 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "connect-src 'self' ws: data: blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "frame-ancestors 'none'",
        )
    ),
}


class Guard:
    """Answer only requests that a page of this server made, and say what its pages may do.

    Another site cannot frame the page, read its answers or, by a name that points to this
    computer, send it files: a foreign ``Host`` or ``Origin`` is refused.

    Parameters
    ----------
    app
        What is guarded.
    hosts
        Names under which this computer is asked for the page. With an address that stands for
        all of its networks, ``0.0.0.0``, every address will do, but no other name: a name can
        point here without our knowing.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]):
        self.app = app
        self.hosts = hosts
        self.open = not {"0.0.0.0", "::"}.isdisjoint(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or refuse with status 403."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        host = urlsplit(f"//{asked.get('host', '')}").hostname
        origin = asked.get("origin")
        own = origin is None or urlsplit(origin).netloc == asked.get("host")
        if not (host in self.hosts or (self.open and _is_address(host))) or not own:
            await PlainTextResponse("this page answers its own computer only", 403)(
                scope, receive, send
            )
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, with_headers)


def _is_address(host: str | None) -> bool:
    """Return whether a host is named by numbers."""
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host or ""))
    return False


def names_of(host: str) -> tuple[str, ...]:
    """Return the names under which a server that listens on `host` is asked."""
    return tuple(dict.fromkeys((host.strip("[]"), "localhost", "127.0.0.1", "::1")))


@contextlib.contextmanager
def forgetful():
    """Give Gradio a folder of its own for what it is sent, and remove that in the end."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="emolib-live-", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            yield folder
        finally:
            os.environ.pop("GRADIO_TEMP_DIR")
            if before is not None:
                os.environ["GRADIO_TEMP_DIR"] = before
