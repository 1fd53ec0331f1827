"""Debian's Firefox, driven through Marionette: the protocol it brings along for its own tests.

A message is its length, a colon, and JSON: ``[0, id, command, parameters]`` asks and
``[1, id, error, result]`` answers. https://firefox-source-docs.mozilla.org/testing/marionette/
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from web.browsing import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIREFOX: Final = shutil.which("firefox-esr") or shutil.which("firefox")

KEYS: Final = {
    "Backspace": "\ue003", "Tab": "\ue004", "Enter": "\ue007", "Shift": "\ue008",
    "Escape": "\ue00c", "ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014",
    "ArrowDown": "\ue015",
}  # fmt: skip
"""What keys are called in the protocol. https://www.w3.org/TR/webdriver2/#keyboard-actions"""

_PREFERENCES: Final = {
    "marionette.port": 0,
    "browser.shell.checkDefaultBrowser": False,
    "browser.download.folderList": 2,
    "browser.download.useDownloadDir": True,
    "browser.download.alwaysOpenPanel": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    # Whoever it wants to talk to beside this machine, it finds nobody there.
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.allow_hijacking_localhost": False,
    "layout.css.prefers-color-scheme.content-override": 1,
}


class Refused(Exception):
    """Firefox did not do what it was told; says why in its own words."""


class Firefox:
    """A running Firefox with one window.

    Args:
        place: where it listens.
        downloads: where its files go.
    """

    def __init__(self, place: tuple[str, int], downloads: Path) -> None:
        self.downloads = downloads
        self._stream = socket.create_connection(place, PATIENCE_S)
        self._read = self._stream.makefile("rb")
        self._last = 0
        self._receive()  # greets first
        self.tell("WebDriver:NewSession", pageLoadStrategy="normal")
        self.tell("WebDriver:SetTimeouts", script=1000 * PATIENCE_S, pageLoad=1000 * PATIENCE_S)

    def close(self) -> None:
        """End the connection."""
        self._read.close()
        self._stream.close()

    def tell(self, command: str, **parameters: Any) -> Any:
        """Give a command and return what came of it.

        Raises:
            Refused: it could not be done.
        """
        self._last += 1
        message = json.dumps([0, self._last, command, parameters]).encode()
        self._stream.sendall(b"%d:%b" % (len(message), message))
        _, number, error, result = self._receive()
        assert number == self._last, number
        if error is not None:
            raise Refused(f"{command}: {error['error']}: {error['message']}")
        return result.get("value", result) if isinstance(result, dict) else result

    def _receive(self) -> Any:
        size = b""
        while (sign := self._read.read(1)) != b":":
            assert sign, "Firefox has gone"
            size += sign
        return json.loads(self._read.read(int(size)))

    def run(self, script: str, *given: Any) -> Any:
        """Run the body of a function in the page and return what it returns, waiting for it."""
        return self.tell("WebDriver:ExecuteScript", script=script, args=list(given))

    def inside(self, script: str, *given: Any) -> Any:
        """Run the body of a function in the browser itself, beside all pages."""
        self.tell("Marionette:SetContext", value="chrome")
        try:
            return self.run(script, *given)
        finally:
            self.tell("Marionette:SetContext", value="content")

    def go(self, address: str) -> None:
        """Open an address and wait until it is loaded."""
        self.tell("WebDriver:Navigate", url=address)

    def until(self, true: str, *given: Any) -> None:
        """Wait until an expression is true in the page."""
        ends = time.monotonic() + PATIENCE_S
        while not self.run(f"return Boolean({true})", *given):
            assert time.monotonic() < ends, f"never: {true}"
            time.sleep(0.03)

    def resize(self, width: int, height: int = 900) -> None:
        """Make the page so wide and high, in CSS pixels."""
        # Windows have a least width; a page can be narrower.
        self.inside(
            """
            const browser = gBrowser.selectedBrowser;
            for (const side of ["width", "height"]) {
              browser.style.setProperty(side, arguments[0][side] + "px", "important");
              browser.style.setProperty(`min-${side}`, "0", "important");
              browser.style.setProperty(`max-${side}`, "none", "important");
            }
            browser.style.setProperty("flex", "none");
            """,
            {"width": width, "height": height},
        )
        self.until("innerWidth === arguments[0]", width)

    def dark(self, is_dark: bool) -> None:
        """Have pages believe that the person wants dark colours, or light ones."""
        name = "layout.css.prefers-color-scheme.content-override"
        self.inside("Services.prefs.setIntPref(...arguments)", name, 0 if is_dark else 1)
        self.until("matchMedia('(prefers-color-scheme: dark)').matches === arguments[0]", is_dark)

    def complaints(self, origin: str) -> list[str]:
        """Return what scripts and styles of a server have had to complain of since last asked."""
        found: list[str] = self.inside(
            """
            const found = Services.console.getMessageArray()
              .filter((one) => one instanceof Ci.nsIScriptError && one.sourceName)
              .map((one) => `${one.sourceName}:${one.lineNumber}: ${one.errorMessage}`)
              .filter((text) => text.includes(arguments[0]));
            Services.console.reset();
            return found;
            """,
            origin,
        )
        return found

    def point(self, *steps: dict[str, Any], kind: str = "mouse") -> None:
        """Do what a pointer does: steps of WebDriver's actions, places from the view's corner."""
        self.tell(
            "WebDriver:PerformActions",
            actions=[
                {
                    "type": "pointer",
                    "id": kind,
                    "parameters": {"pointerType": kind},
                    "actions": list(steps),
                }
            ],
        )

    def click(self, selector: str) -> None:
        """Click what a selector finds first."""
        found = self.tell("WebDriver:FindElement", using="css selector", value=selector)
        self.tell("WebDriver:ElementClick", id=next(iter(found.values())))

    def wheel(self, x: float, y: float, by: int) -> None:
        """Turn the wheel over a place."""
        turn = {"type": "scroll", "x": round(x), "y": round(y), "deltaX": 0, "deltaY": by}
        self.tell(
            "WebDriver:PerformActions",
            actions=[{"type": "wheel", "id": "wheel", "actions": [turn]}],
        )

    def press(self, *keys: str, holding: str | None = None) -> None:
        """Press keys one after another, by their names or as text."""
        steps = [
            {"type": how, "value": KEYS.get(key, key)}
            for key in keys
            for how in ("keyDown", "keyUp")
        ]
        if holding:
            held = {"value": KEYS[holding]}
            steps = [{"type": "keyDown"} | held, *steps, {"type": "keyUp"} | held]
        self.tell(
            "WebDriver:PerformActions", actions=[{"type": "key", "id": "keys", "actions": steps}]
        )

    def type(self, selector: str, text: str) -> None:
        """Write into a field in place of what stands there."""
        self.run(
            "const field = document.querySelector(arguments[0]);"
            "field.focus(); if ('select' in field) field.select();",
            selector,
        )
        self.press(*text)

    def screenshot(self) -> bytes:
        """Return what is seen, as PNG."""
        import base64

        return base64.b64decode(self.tell("WebDriver:TakeScreenshot", full=False))


@contextmanager
def launched(folder: Path) -> Iterator[Firefox]:
    """Run Firefox with a new profile in a folder."""
    assert FIREFOX is not None
    profile, downloads = folder / "profile", folder / "downloads"
    profile.mkdir()
    downloads.mkdir()
    wanted = _PREFERENCES | {"browser.download.dir": str(downloads)}
    lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in wanted.items()]
    (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
    command = [FIREFOX, "--headless", "--marionette", "--remote-allow-system-access"]
    with (folder / "firefox.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--no-remote", "--profile", str(profile), "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "MOZ_HEADLESS_WIDTH": "1500",
                 "MOZ_HEADLESS_HEIGHT": "1100", "LANG": "C.UTF-8"},
        )  # fmt: skip
        try:
            firefox = Firefox(("127.0.0.1", _port(profile, process)), downloads)
            try:
                yield firefox
            finally:
                firefox.close()
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    """Return where it listens, once it says so in its profile."""
    told = profile / "MarionetteActivePort"
    ends = time.monotonic() + PATIENCE_S
    while not (told.exists() and told.read_text().strip()):
        assert process.poll() is None, f"Firefox ended with {process.returncode}"
        assert time.monotonic() < ends, "Firefox does not listen"
        time.sleep(0.05)
    return int(told.read_text())
