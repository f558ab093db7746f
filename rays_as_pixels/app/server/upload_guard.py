"""Bounds on what requests may bring: bytes in one, per client, in all; only known kinds of file.

Gradio's own upload takes any file of any component, and keeps it; components see it only later.
"""

import asyncio
import contextlib
import json
import shutil
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rays_as_pixels.app.server.uploads import check_upload
from rays_as_pixels.errors import InputError

HOUR_SEC = 3600.0


@dataclass(frozen=True)
class UploadLimits:
    """How much may come in.

    Attributes:
        request_bytes: One upload.
        client_bytes: One client's uploads within an hour. A client behind a proxy is who the proxy
            says it is.
        total_bytes: All uploads that are kept.
        free_bytes: Disk space that must be left.
        body_bytes: Any other request.
        stale_sec: Age after which an upload may go when room is needed.
        part_sec: Age of an unfinished upload that nobody writes to any more.
    """

    request_bytes: int = 512 << 20
    client_bytes: int = 2 << 30
    total_bytes: int = 4 << 30
    free_bytes: int = 256 << 20
    body_bytes: int = 8 << 20
    stale_sec: float = HOUR_SEC
    part_sec: float = 120.0


class UploadGuard:
    """ASGI middleware around the whole app.

    Args:
        app: The app behind it.
        folder: Where uploads are kept.
        limits: How much may come in.
    """

    def __init__(self, app: ASGIApp, *, folder: Path, limits: UploadLimits) -> None:
        self.app, self.folder, self.limits = app, folder, limits
        self._sent: dict[str, deque[tuple[float, int]]] = {}
        self._room = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not: 413, 415, 429 or 507."""
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self.app(scope, receive, send)
            return
        upload = scope["path"].rstrip("/").endswith("/upload")
        max_bytes = self.limits.request_bytes if upload else self.limits.body_bytes
        body = _LimitedBody(receive, max_bytes)
        declared = _declared_bytes(scope)
        refusal = (413, _too_large(max_bytes)) if declared > max_bytes else None
        if upload and refusal is None:
            refusal = await self._refusal(_client(scope), declared)
        if refusal is not None:
            await _answer(refusal, scope, receive, send)
            return
        if upload:
            await self._upload(scope, body, send)
        else:
            await self._other(scope, body, send)

    async def _other(self, scope: Scope, body: "_LimitedBody", send: Send) -> None:
        started = False

        async def forward(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, body.receive, forward)
        except Exception:
            if not body.over:
                raise
        if body.over and not started:
            await _answer((413, _too_large(body.max_bytes)), scope, body.receive, send)

    async def _upload(self, scope: Scope, body: "_LimitedBody", send: Send) -> None:
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        try:
            await self.app(scope, body.receive, keep)
        except Exception:
            if not body.over:
                raise
        self._count_sent(_client(scope), body.bytes)
        if body.over:
            await _answer((413, _too_large(body.max_bytes)), scope, body.receive, send)
            return
        if answer and answer[0].get("status") == 200:
            text = b"".join(message.get("body", b"") for message in answer[1:])
            reason = await run_in_threadpool(self._reject_unknown, text)
            if reason:
                await _answer((415, reason), scope, body.receive, send)
                return
        for message in answer:
            await send(message)

    def _reject_unknown(self, answer: bytes) -> str:
        """Delete the files of an upload if one of them is of no known kind, and say which."""
        paths = [Path(name) for name in json.loads(answer)]
        try:
            for path in paths:
                check_upload(path)
        except InputError as error:
            for path in paths:
                if path.resolve().is_relative_to(self.folder.resolve()):
                    path.unlink(missing_ok=True)
                    with contextlib.suppress(OSError):  # the same file, uploaded under two names
                        path.parent.rmdir()
            return str(error)
        return ""

    async def _refusal(self, client: str, size: int) -> tuple[int, str] | None:
        if self._client_bytes(client) + size > self.limits.client_bytes:
            return 429, (
                f"uploads within an hour must be {self.limits.client_bytes >> 20} MB or fewer for "
                "one visitor; yours are more. Come back later."
            )
        async with self._room:
            used, free = await run_in_threadpool(self._make_room, size)
        if used + size > self.limits.total_bytes or free - size < self.limits.free_bytes:
            return 507, (
                f"the disk must have room for the file; got {size >> 20} MB for what is left. "
                "Come back in an hour."
            )
        return None

    def _client_bytes(self, client: str) -> int:
        sent = self._sent.get(client, deque())
        while sent and time.monotonic() - sent[0][0] > HOUR_SEC:
            sent.popleft()
        return sum(size for _, size in sent)

    def _count_sent(self, client: str, size: int) -> None:
        for other in [name for name in self._sent if self._client_bytes(name) == 0]:
            del self._sent[other]
        self._sent.setdefault(client, deque()).append((time.monotonic(), size))

    def _make_room(self, size: int) -> tuple[int, int]:
        """Delete what broken uploads left and, if need be, stale files; return used, free bytes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        now, used = time.time(), 0
        kept: list[tuple[float, int, Path]] = []
        for path in self.folder.rglob("*"):
            try:
                if not path.is_file():
                    continue
                stat = path.stat()
                age = now - stat.st_mtime
                if path.parent == self.folder and age > self.limits.part_sec:
                    path.unlink()
                    continue
            except OSError:  # gone meanwhile
                continue
            used += stat.st_size
            kept.append((stat.st_mtime, stat.st_size, path))
        for changed, bytes_, path in sorted(kept):
            if used + size <= self.limits.total_bytes or now - changed < self.limits.stale_sec:
                break
            path.unlink(missing_ok=True)
            used -= bytes_
        return used, shutil.disk_usage(self.folder).free


class _LimitedBody:
    """A request's body, cut off where it becomes too long."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive, self.max_bytes = receive, max_bytes
        self.bytes, self.over = 0, False

    async def receive(self) -> Message:
        if self.over:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request":
            self.bytes += len(message.get("body", b""))
            self.over = self.bytes > self.max_bytes
            if self.over:
                return {"type": "http.disconnect"}
        return message


def _too_large(max_bytes: int) -> str:
    return f"a request must be {max_bytes >> 20} MB or smaller; got more. Choose a smaller file."


def _declared_bytes(scope: Scope) -> int:
    values = [value for key, value in scope["headers"] if key == b"content-length"]
    return max((int(value) for value in values if value.isdigit()), default=0)


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


async def _answer(refusal: tuple[int, str], scope: Scope, receive: Receive, send: Send) -> None:
    status, reason = refusal
    named = "." in reason.partition(" ")[0]  # the name of a file stays as it is
    words = reason if named else f"{reason[:1].upper()}{reason[1:]}"
    # The rest of the body is not read, so the connection cannot serve another request.
    response = PlainTextResponse(words, status_code=status, headers={"Connection": "close"})
    await response(scope, receive, send)
