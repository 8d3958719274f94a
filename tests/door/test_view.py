"""`ogive view`: whom it answers, what it tells, and that what is saved is shown."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser import INSTALL, Page, browser, find_browser
from door.command import SMALL, ogive, refused

from ogive.dsl.load import Unit
from ogive.network import Network, network_of
from ogive.sources import open_source
from ogive.viewer import State, Viewer, files_of

needs_browser = pytest.mark.skipif(find_browser() is None, reason=INSTALL)
PART = SMALL.partition("# A small")[0]
NETWORK = "from .part import Part\n\n" + SMALL[len(PART) :]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A network in one file, its block in another."""
    (tmp_path / "part.arch").write_text(PART, "utf-8")
    (tmp_path / "net.arch").write_text(NETWORK, "utf-8")
    return tmp_path / "net.arch"


def looking(file: Path) -> Callable[[], tuple[Unit, Network]]:
    def look() -> tuple[Unit, Network]:
        unit = open_source(str(file))
        return unit, network_of(unit, "Small.S", {})

    return look


@pytest.fixture
def viewer(file: Path) -> Iterator[Viewer]:
    with Viewer(str(file), looking(file)) as found:
        yield found


def ask(viewer: Viewer, path: str = "", host: str | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=10)
    connection.request("GET", path or urlsplit(viewer.address).path, headers={"Host": host} if host else {})
    return connection.getresponse()


def after(viewer: Viewer, version: int) -> State:
    """The state behind a version."""
    end = time.monotonic() + 20
    while viewer.state.version <= version:
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.01)
    return viewer.state


def write(file: Path, text: str) -> None:
    file.write_text(text, "utf-8")


def test_it_answers_to_this_machine_alone(viewer: Viewer) -> None:
    page = ask(viewer)
    assert page.status == 200
    assert b'<script id="model"' in page.read()
    assert page.getheader("Cache-Control") == "no-store"
    assert ask(viewer, host=f"localhost:{viewer.port}").status == 200
    for host in ("evil.example", f"evil.example:{viewer.port}", "127.0.0.1", "127.0.0.1:1", "[::1]"):
        assert ask(viewer, host=host).status == 421, host
    secret = urlsplit(viewer.address).path
    for path in ("/", "/news", "/net.arch", secret + "net.arch", secret + "../net.arch", secret[:-1], secret + "news/x",
                 secret.upper() if secret.upper() != secret else "/x/"):
        assert ask(viewer, path).status == 404, path
    assert socket.getaddrinfo("127.0.0.1", viewer.port)
    connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=10)
    connection.request("POST", secret)
    assert connection.getresponse().status == 501


def test_what_is_saved_is_told(viewer: Viewer, file: Path) -> None:
    assert (viewer.state.kind, viewer.state.version) == ("model", 0)
    write(file, NETWORK.replace("head = linear(classes)", "last = linear(classes)"))
    state = after(viewer, 0)
    assert (state.kind, state.version) == ("model", 1)
    assert "last" in [item["id"] for item in state.data["folded"]["items"]]
    write(file.parent / "part.arch", PART.replace("gelu", "relu"))
    assert "relu" in json.dumps(after(viewer, 1).data["folded"])


def test_each_iteration_for_itself_is_sent_when_it_is_asked_for(viewer: Viewer, file: Path) -> None:
    path = urlsplit(viewer.address).path + "whole"
    assert viewer.state.data["unfolded"] == {"later": True}
    for version in (0, 1):
        answer = ask(viewer, path)
        assert answer.getheader("Content-Type") == "application/json; charset=utf-8"
        model = json.loads(answer.read())
        assert model["version"] == version
        items = {item["id"]: item for item in model["unfolded"]["items"]}
        assert [item["id"] for item in items["blocks"]["items"]] == ["blocks.0", "blocks.1", "blocks.2"]
        assert ("last" in items) == bool(version)
        if not version:
            write(file, NETWORK.replace("head = linear(classes)", "last = linear(classes)"))
            after(viewer, 0)


def test_what_is_wrong_is_told_with_its_place(viewer: Viewer, file: Path) -> None:
    write(file.parent / "part.arch", PART.replace("gelu\n", "gelo()\n"))
    state = after(viewer, 0)
    assert state.kind == "wrong"
    (mistake,) = state.data["errors"]
    assert (mistake["code"], mistake["title"]) == ("A102", "there is no op `gelo`")
    assert mistake["help"] == "did you mean `gelu`?"
    number, line, start, _, end = mistake["place"]
    assert state.data["files"][number]["name"].endswith("part.arch")
    assert state.data["files"][number]["text"].splitlines()[line][start:end] == "gelo"
    assert b"blocks.0" in ask(viewer).read(), "a page that is opened now has the last picture that stood"
    write(file.parent / "part.arch", PART)
    assert after(viewer, state.version).kind == "model"


def test_a_file_that_comes_later_is_seen(viewer: Viewer, file: Path) -> None:
    part = file.parent / "part.arch"
    part.unlink()
    assert after(viewer, 0).data["errors"][0]["code"] in ("A109", "A800")
    write(part, PART)
    assert after(viewer, 1).kind == "model"


def test_what_changes_nothing_is_not_told(viewer: Viewer, file: Path) -> None:
    os.utime(file)
    write(file.parent / "other.arch", PART)
    time.sleep(0.4)
    assert viewer.state.version == 0


def test_the_news_as_they_are_sent(viewer: Viewer, file: Path) -> None:
    answer = ask(viewer, urlsplit(viewer.address).path + "news?since=0")
    assert answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    write(file, NETWORK.replace("linear(classes)", "liner(classes)"))
    lines = [answer.fp.readline().decode().rstrip("\n") for _ in range(3)]
    assert lines[:2] == ["id: 1", "event: wrong"]
    assert json.loads(lines[2].removeprefix("data: "))["version"] == 1


def test_it_starts_with_a_mistake(file: Path) -> None:
    write(file, NETWORK.replace("linear(classes)", "liner(classes)"))
    with Viewer(str(file), looking(file)) as viewer:
        assert viewer.error is not None
        assert viewer.error.codes == ("A102",)
        model = re.search(rb'<script id="model"[^>]*>(.*?)</script>', ask(viewer).read())
        assert model is not None
        assert json.loads(model[1])["folded"] is None
        write(file, NETWORK)
        assert after(viewer, 0).kind == "model"


def test_the_files_of_a_network(file: Path) -> None:
    assert {path.name for path in files_of(open_source(str(file)))} == {"net.arch", "part.arch"}


def test_a_port_that_is_taken(file: Path, viewer: Viewer) -> None:
    answer = ogive("view", file, "Small.S", "--port", viewer.port, "--no-browser")
    refused(answer, 2, f"nothing can listen on port {viewer.port}", "another `--port`, or leave it out")


def test_standard_input_cannot_be_followed() -> None:
    refused(ogive("view", "-", input=SMALL), 2, "`view` follows a file", "save it to a file")


def test_a_setting_that_is_none(file: Path) -> None:
    refused(ogive("view", file, "Small.S", "--set", "dim", "--no-browser"), 2, "`--set dim` is no setting")


@pytest.fixture
def process(file: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "ogive", "view", str(file), "Small.S", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        yield started, started.stdout.readline().strip()
        started.kill()


@pytest.mark.long
def test_it_ends_cleanly(process: tuple[subprocess.Popen[str], str]) -> None:
    started, address = process
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{16}/", address)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=20)
    assert started.returncode == 0
    assert said == "it follows the file; Ctrl-C ends it\nended\n"


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Page]:
    with browser(tmp_path / "browser") as new:
        yield new()


@needs_browser
@pytest.mark.long
def test_a_page_follows_its_file(tab: Page, process: tuple[subprocess.Popen[str], str], file: Path) -> None:
    def has(id: str) -> Any:
        return tab.ask(f"Boolean(document.querySelector('[data-id=\"{id}\"]'))")

    tab.open(process[1])
    tab.click('[data-id="blocks.0"] .toggle')
    tab.wait("document.documentElement.dataset.drawn >= 2")
    tab.key("+")
    tab.wait("document.getAnimations().length === 0")
    tab.click('[data-id="head"]')
    closed, scale = has("blocks.0.fc1"), tab.ask("document.querySelector('.svg-pan-zoom_viewport').getCTM().a")

    start = time.monotonic()
    write(file, NETWORK.replace("    head =", "    extra = linear(16)\n    head ="))
    tab.wait("document.querySelector('[data-id=\"extra\"]')")
    assert time.monotonic() - start < 5  # bench/page.py takes the time; this only says that it is soon
    assert has("blocks.0.fc1") == closed, "what was open stays open"
    assert tab.ask("document.querySelector('.svg-pan-zoom_viewport').getCTM().a") == pytest.approx(scale)
    assert tab.ask("document.querySelector('.ring.selected').closest('[data-id]').dataset.id") == "head"

    tab.key("u")
    tab.wait("document.querySelector('[data-id=\"blocks\"]')")
    assert not [address for address in tab.requests[:-1] if address.endswith("/whole")]
    write(file, NETWORK.replace("    head =", "    extra = linear(16)\n    more = linear(16)\n    head ="))
    tab.wait("document.querySelector('[data-id=\"more\"]')")
    assert has("blocks"), "what was unfolded stays unfolded"
    tab.key("u")
    tab.wait("!document.querySelector('[data-id=\"blocks\"]')")

    write(file, NETWORK.replace("head = linear(classes)", "head = liner(classes)"))
    tab.wait("document.querySelector('.line.wrong')")
    assert "head = liner(classes)" in tab.ask("document.querySelector('.line.wrong').innerText")
    message = tab.ask("document.querySelector('.message').innerText")
    assert message.split("\n")[0].strip() == "A102 there is no op liner"
    assert "did you mean linear?" in message
    assert has("extra"), "the last picture that stood is still there"
    assert tab.ask("document.body.classList.contains('stale')")

    write(file, NETWORK)
    tab.wait("!document.body.classList.contains('stale') && !document.querySelector('[data-id=\"extra\"]')")
    assert not tab.ask("Boolean(document.querySelector('.line.wrong'))")
    assert tab.errors == []
    place = process[1].rsplit("/", 2)[0]
    assert all(address.startswith((place, f"blob:{place}", "data:")) for address in tab.requests), tab.requests

    process[0].send_signal(signal.SIGINT)
    tab.wait("document.getElementById('notice').innerText.includes('has ended')")
    assert has("head")
