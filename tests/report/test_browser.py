"""The page in a real browser: it paints, and nothing on a telephone reaches over the edge."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest

from remnant.report.html import render
from report.sample import hostile_content, make_content

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking",
)  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


def run(folder: Path, page: Path, *flags: str) -> str:
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()],
        capture_output=True,
        timeout=300,
        check=True,
    )
    return done.stdout.decode("utf-8", "replace")


def shades(png: bytes) -> int:
    """Return how many different bytes the picture holds: a blank one has very few."""
    data = b"".join(re.findall(rb"IDAT(.*?)(?=.{8}IDAT|.{4}\x00\x00\x00\x00IEND)", png, re.DOTALL))
    return len(set(zlib.decompressobj().decompress(data)))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_paints(tmp_path: Path, *, dark: bool) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(make_content()), encoding="utf-8")
    picture = tmp_path / "picture.png"
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    run(tmp_path, page, *scheme, "--window-size=1200,1600", f"--screenshot={picture}")
    assert shades(picture.read_bytes()) > 40


def test_nothing_reaches_over_the_edge_of_a_telephone(tmp_path: Path) -> None:
    # A frame of 360 pixels: a headless window cannot be that narrow. The policy of the page is
    # loosened in this copy, so that a script can measure it.
    text = render(hostile_content())
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    probe = (
        "<script>addEventListener('load',()=>parent.postMessage("
        "[document.documentElement.scrollWidth,document.documentElement.clientWidth],'*'))"
        "</script></body>"
    )
    frame = text.replace("</body>", probe).replace("&", "&amp;").replace('"', "&quot;")
    page = tmp_path / "frame.html"
    page.write_text(
        "<script>addEventListener('message',e=>{document.title=e.data.join(' ')})</script>"
        f'<iframe width=360 height=800 style="border:0" srcdoc="{frame}"></iframe>',
        encoding="utf-8",
    )
    dom = run(tmp_path, page, "--dump-dom", "--virtual-time-budget=5000")
    measured = re.search(r"<title>(\d+) (\d+)</title>", dom)
    assert measured is not None
    width, room = map(int, measured.groups())
    assert room <= 360
    assert width <= room
