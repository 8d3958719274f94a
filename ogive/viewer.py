"""A network as a page that follows its file: a server for this machine alone, and what looks at the files.

It listens on the loopback address, answers only to that name, and only below a path nobody can guess; it serves the
page and the news for it, and no file. What is saved is read again, and told to the pages that are open.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from ogive.compiler.picture.page import html_of, model_of
from ogive.compiler.picture.page.texts import mistakes_of
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.load import Unit
from ogive.network import Network

__all__ = ["POLL", "State", "Viewer", "files_of"]

HOST: Final = "127.0.0.1"
POLL: Final = 0.1
"""Seconds between two looks at the files."""
SETTLE: Final = 0.02
BEAT: Final = 15.0
"""Seconds after which something is sent to a page that waits, so that one which has gone is noticed."""

Look = Callable[[], tuple[Unit, Network]]
"""Reads the file again: its text with imports, and the network. Raises `ArchError` for what is wrong."""


@dataclass(frozen=True)
class State:
    """What pages are told: a kind, `model` or `wrong`, and the data of that version."""

    version: int
    kind: str
    data: dict[str, Any]


class Viewer:
    """Watches a file and serves its page until it is closed.

    Raises:
        ArchError: A803, the port is taken, or may not be listened on.
    """

    def __init__(self, file: str, look: Look, port: int = 0) -> None:
        self._file, self._look = file, look
        self._token = token_urlsafe(12)
        self._news = threading.Condition()
        self._closed = False
        self._watched: set[Path] = {Path(file)}
        self._good: tuple[int, dict[str, Any], Network] | None = None
        self.error: ArchError | None = None
        """What is wrong with the text as it was last read."""
        try:
            self._server = _Server((HOST, port), _Handler)
        except OSError as error:
            raise fail(
                "A803", f"nothing can listen on port {port}: {(error.strerror or str(error)).lower()}",
                help="another `--port`, or leave it out: a free one is found",
            ) from None
        self._server.viewer = self
        self._seen: dict[Path, tuple[int, ...]] = {}
        self.state = self._read(0, picture=True)
        for work in (lambda: self._server.serve_forever(SETTLE), self._watch):
            threading.Thread(target=work, daemon=True).start()

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.port}/{self._token}/"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop watching and serving."""
        self._closed = True
        with self._news:
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ----------------------------------------------------------------------------------------------------- watching

    def _watch(self) -> None:
        while not self._closed:
            time.sleep(POLL)
            if _stamps(self._watched) == self._seen:
                continue
            while (now := _stamps(self._watched)) != self._seen:  # being written: wait until it rests
                self._seen = now
                time.sleep(SETTLE)
            new = self._read(self.state.version + 1, picture=False)
            if new.kind == self.state.kind and _told(new) == _told(self.state):
                continue
            with self._news:
                self.state = new
                self._news.notify_all()

    def _read(self, version: int, *, picture: bool) -> State:
        before = _stamps(self._watched)
        try:
            return self._state(version, picture)
        finally:  # what was changed while it was read is read again
            self._seen = {**_stamps(self._watched), **{p: s for p, s in before.items() if p in self._watched}}

    def _state(self, version: int, picture: bool) -> State:
        try:
            unit, network = self._look()
            data = model_of(network.graph, caption=network.caption, picture=picture, unfold=False)
        except ArchError as error:
            self.error = error
            spans = [d.span for d in error.diagnostics if d.span is not None]
            self._follow(self._watched | {Path(span.source.name) for span in spans if span.source.quoted is None})
            return State(version, "wrong", mistakes_of(error))
        self.error = None
        self._good = version, data, network
        self._follow(files_of(unit))
        return State(version, "model", data)

    def _follow(self, paths: set[Path]) -> None:
        """Watch these files, and their folders: a file that is missing may come."""
        paths = {path for path in paths if path.suffix == ".arch"} | {Path(self._file)}
        self._watched = paths | {path.parent for path in paths}

    # ------------------------------------------------------------------------------------------------------ serving

    def page(self) -> str:
        """The page as it is now; of a text that does not stand, with the last picture that did."""
        state = self.state
        number, data, _ = self._good or (0, {"name": self._file, "folded": None}, None)
        since = state.version if state.kind == "model" else -1
        return html_of({**data, "version": number}, live=f"/{self._token}/news?since={since}")

    def whole(self) -> str:
        """The last network that stood with each iteration of its repeats for itself, which takes as long as the rest
        and is seldom looked at: it is made when a page asks for it."""
        if self._good is None:
            return "null"
        version, _, network = self._good
        return json.dumps({**model_of(network.graph, caption=network.caption, picture=False), "version": version})

    def news(self, since: int) -> Iterator[str]:
        """Each state after a version, as server-sent events; an empty comment where there is none for a while."""
        while not self._closed:
            with self._news:
                last = since
                self._news.wait_for(lambda last=last: self._closed or self.state.version > last, BEAT)  # type: ignore[misc]
                state = self.state
            if self._closed:
                return
            if state.version > since:
                since = state.version
                data = json.dumps({**state.data, "version": state.version})
                yield f"id: {state.version}\nevent: {state.kind}\ndata: {data}\n\n"
            else:
                yield ":\n\n"

    def knows(self, host: str) -> bool:
        """Whether a request was made for this machine by name: another name may lead here too, from any page."""
        return host in (f"{HOST}:{self.port}", f"localhost:{self.port}")

    def part(self, path: str) -> str | None:
        """What is asked for below the secret path; None where it is not below it."""
        start = f"/{self._token}/"
        return path[len(start) :] if path.startswith(start) else None


def _told(state: State) -> dict[str, Any]:
    """What a page would show of it; the picture is made of the rest."""
    return {name: value for name, value in state.data.items() if name != "svg"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name != "nt"
    viewer: Viewer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that went away is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "ogive", ""
    timeout = 60.0
    HEADERS: ClassVar = {
        "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY",
    }

    def do_GET(self) -> None:
        viewer, asked = self.server.viewer, urlsplit(self.path)
        part = viewer.part(asked.path)
        if not viewer.knows(self.headers.get("Host", "")):
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, "this is not the name of this place\n")
        elif part == "":
            self._answer(HTTPStatus.OK, viewer.page(), "text/html")
        elif part == "whole":
            self._answer(HTTPStatus.OK, viewer.whole(), "application/json")
        elif part == "news":
            self._tell(parse_qs(asked.query).get("since", ["-1"])[0])
        else:
            self._answer(HTTPStatus.NOT_FOUND, "there is nothing here\n")

    def _tell(self, since: str) -> None:
        last = self.headers.get("Last-Event-ID") or since
        self._head(HTTPStatus.OK, "text/event-stream")
        self.close_connection = True
        with contextlib.suppress(OSError):  # the page went away
            for event in self.server.viewer.news(int(last) if last.lstrip("-").isdecimal() else -1):
                self.wfile.write(event.encode("utf-8"))
                self.wfile.flush()

    def _answer(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        data = text.encode("utf-8")
        with contextlib.suppress(OSError):
            self._head(status, kind, {"Content-Length": str(len(data))})
            self.wfile.write(data)

    def _head(self, status: HTTPStatus, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**self.HEADERS, "Content-Type": f"{kind}; charset=utf-8", **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are nobody's business."""


def files_of(unit: Unit) -> set[Path]:
    """The files that a text was read from: its own and those it imports, as far as they have a place."""
    found: dict[int, Unit] = {}
    stack = [unit]
    while stack:
        one = stack.pop()
        if id(one) not in found:
            found[id(one)] = one
            stack += [definition.unit for definition in one.names.values() if definition is not None]
    return {one.path for one in found.values() if one.path is not None}


def _stamps(paths: set[Path]) -> dict[Path, tuple[int, ...]]:
    """What tells whether files were changed; of one that is not there, nothing."""
    found: dict[Path, tuple[int, ...]] = {}
    for path in paths:
        try:
            seen = os.stat(path)
        except (OSError, ValueError):
            found[path] = ()
        else:
            found[path] = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
    return found
