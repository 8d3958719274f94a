"""A headless Chromium, driven by its own protocol over two pipes: nothing to install besides the browser."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["INSTALL", "Page", "browser", "find_browser"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
INSTALL = "no Chromium or Chrome on the PATH: `apt install chromium`, or set CHROMIUM to its path"
SECONDS = 60.0

# The browser reads from descriptor 3 and writes to 4: those two pipes are put there, then it takes this process over.
START = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


def find_browser() -> str | None:
    """The path of a browser, or None."""
    wish = os.environ.get("CHROMIUM")
    return wish or next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One page. `errors` are complaints of its console and of its policy; `requests` are the addresses it asked for."""

    def __init__(self, send: Callable[..., Any], session: str) -> None:
        self._send, self._session = send, session
        self.errors: list[str] = []
        self.requests: list[str] = []

    def call(self, method: str, **params: Any) -> Any:
        """A command of the protocol."""
        return self._send(method, params, self._session)

    def heard(self, method: str, params: dict[str, Any]) -> None:
        """An event of the protocol."""
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(arg.get("value", arg.get("description"))) for arg in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, address: str, until: str = "document.documentElement?.dataset.drawn >= 1") -> None:
        """Go there and wait until the picture stands."""
        self.call("Page.navigate", url=address)
        self.wait(until)

    def ask(self, code: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise AssertionError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def wait(self, code: str, seconds: float = SECONDS) -> float:
        """Wait until an expression is true; how long that took."""
        start = time.monotonic()
        while not self.ask(f"Boolean({code})"):
            assert time.monotonic() - start < seconds, f"not within {seconds:g} s: {code}\n" + "\n".join(self.errors)
            time.sleep(0.01)
        return time.monotonic() - start

    def centre(self, selector: str) -> tuple[float, float]:
        """The middle of an element in the window."""
        found = self.ask(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e) return null;"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        assert found is not None, f"there is no {selector}"
        return found[0], found[1]

    def move(self, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector: str, times: int = 1) -> None:
        """Click in the middle of an element."""
        x, y = self.centre(selector)
        self.move(x, y)
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)

    def key(self, key: str, code: int = 0) -> None:
        """Press and release a key: a letter, or a named one with its code."""
        text = key if len(key) == 1 else "\r" if key == "Enter" else ""
        named: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code}
        typed = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self.call("Input.dispatchKeyEvent", **named, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def dark(self, wanted: bool = True) -> None:
        value = "dark" if wanted else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def shot(self, place: Path) -> None:
        """What is seen, as a PNG."""
        place.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


class _Pipes:
    """Commands out, answers and events in; both as JSON texts that end in a NUL."""

    def __init__(self, write: int, read: int) -> None:
        self.write, self.read = write, read
        self.pages: dict[str, Page] = {}
        self.answers: dict[int, Any] = {}
        self.numbers = itertools.count(1)
        self.news = threading.Condition()
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def send(self, method: str, params: dict[str, Any], session: str | None = None) -> Any:
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self.write, json.dumps(message).encode() + b"\0")
        with self.news:
            done = self.news.wait_for(lambda: number in self.answers, SECONDS)
            assert done, f"no answer to {method}"
            answer = self.answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']['message']}"
        return answer["result"]

    def _listen(self) -> None:
        rest = b""
        while data := os.read(self.read, 1 << 16):
            *texts, rest = (rest + data).split(b"\0")
            for text in texts:
                message = json.loads(text)
                with self.news:
                    if "id" in message:
                        self.answers[message["id"]] = message
                    elif message.get("sessionId") in self.pages:
                        self.pages[message["sessionId"]].heard(message["method"], message["params"])
                    self.news.notify_all()


@contextlib.contextmanager
def browser(folder: Path, width: int = 1440, height: int = 900) -> Iterator[Callable[[], Page]]:
    """A running browser with a profile in `folder`; what it yields opens a page."""
    path = find_browser()
    assert path is not None, INSTALL
    ours, theirs = os.pipe(), os.pipe()
    command = [
        path, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
        "--hide-scrollbars", "--force-device-scale-factor=1", f"--window-size={width},{height}",
        f"--user-data-dir={folder / 'profile'}",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(ours[0]), str(theirs[1]), *command], pass_fds=(ours[0], theirs[1]),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    os.close(ours[0])
    os.close(theirs[1])
    pipes = _Pipes(ours[1], theirs[0])

    def new() -> Page:
        target = pipes.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = pipes.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = pipes.pages[session] = Page(pipes.send, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        return page

    try:
        yield new
    finally:
        with contextlib.suppress(AssertionError, OSError):
            pipes.send("Browser.close", {})
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(ours[1])
        pipes.thread.join(5)
        os.close(theirs[0])
