from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from remnant.web.access import qr, totp
from web.guarded import ANALYST, send

if TYPE_CHECKING:
    from web.guarded import Guarded

ADDRESS = totp.address("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "isp@example.net", "Remnant")


def rows_of(drawn: str) -> list[list[int]]:
    """Read the modules back from the path of a drawing."""
    (size,) = {int(side) for side in re.findall(r'viewBox="0 0 (\d+) \d+"', drawn)}
    rows = [[0] * size for _ in range(size)]
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1", drawn):
        for at in range(int(x), int(x) + int(width)):
            rows[int(y)][at] = 1
    return rows


def test_the_drawing_has_the_modules_of_the_code() -> None:
    made = [list(row) for row in qr.modules(ADDRESS)]
    assert rows_of(str(qr.svg(ADDRESS))) == made
    finder = [[1] * 7, [1, 0, 0, 0, 0, 0, 1], [1, 0, 1, 1, 1, 0, 1]]
    corner = [row[qr.QUIET : qr.QUIET + 7] for row in made[qr.QUIET : qr.QUIET + 3]]
    assert corner == finder
    assert all(not any(row) for row in made[: qr.QUIET] + made[-qr.QUIET :])
    assert (len(made) - 2 * qr.QUIET - 17) % 4 == 0  # a version of the standard


def test_the_terminal_shows_the_same_modules_in_colours_of_its_own() -> None:
    made = [list(row) for row in qr.modules(ADDRESS)]
    lines = qr.in_terminal(ADDRESS).splitlines()
    signs = {" ": (0, 0), "\u2580": (1, 0), "\u2584": (0, 1), "\u2588": (1, 1)}
    read = []
    for line in lines:
        assert line.startswith("\x1b[38;5;16;48;5;231m")
        assert line.endswith("\x1b[0m")
        pairs = [signs[sign] for sign in re.sub(r"\x1b\[[\d;]*m", "", line)]
        read += [[upper for upper, _ in pairs], [lower for _, lower in pairs]]
    assert read[: len(made)] == made


@pytest.mark.parametrize("name", ["<script>'\"&", "ü" * 60, "\x1b[2J"])
def test_nothing_of_a_name_is_markup_or_a_control_sign(name: str) -> None:
    address = totp.address("JBSWY3DPEHPK3PXP", name, "Remnant")
    drawn = str(qr.svg(address))
    assert re.sub(r"[\w\s<>/=\"#.:,-]", "", drawn) == ""
    assert "style" not in drawn
    assert "script" not in drawn


def test_the_page_shows_the_code_while_the_secret_is_shown_and_not_after(site: Guarded) -> None:
    anna = site.signed_in(ANALYST)
    page = "/account/second-factor"
    assert '<svg class="qr"' not in anna.get(page, headers={"accept": "text/html"}).text
    begun = send(anna, page, f"{page}/begin")
    secret = site.access.factors.begun(ANALYST)
    assert secret is not None
    drawn = begun.text.partition('<svg class="qr"')[2].partition("</svg>")[0]
    expected = str(qr.svg(totp.address(secret, ANALYST, "Remnant")))
    assert drawn
    assert drawn in expected
    assert " style=" not in drawn
    wrong = send(anna, page, f"{page}/confirm", code="000000")
    assert wrong.status_code in {303, 422, 200}
    assert '<svg class="qr"' not in anna.get(page, headers={"accept": "text/html"}).text
