from __future__ import annotations

import re

import pytest

from remnant.report.palette import DARK, LIGHT, css, to_variables


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out(colours: dict[str, str]) -> None:
    for paper in ("paper", "panel"):
        for text in ("ink", "soft", "accent", "alarm"):
            assert contrast(colours[text], colours[paper]) >= 4.5, (text, paper)
    # The curve and the fitted line cross their band and shaded gaps.
    for line in ("accent", "ink"):
        assert contrast(colours[line], colours["band"]) >= 3, line
        assert contrast(colours[line], colours["gap"]) >= 3, line
    # Marks of a map lie on paper and on the ground of their cluster.
    for mark in ("address", "prefix", "network", "server", "mail", "client"):
        for paper in ("paper", "panel"):
            assert contrast(colours[mark], colours[paper]) >= 3, (mark, paper)


def test_both_palettes_name_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert len(set(LIGHT.values())) == len(LIGHT)
    assert re.fullmatch(r"(--\w+:#[0-9a-f]{6};?)+", css(DARK))


def test_drawn_colours_follow_the_page() -> None:
    drawn = "".join(f'<path fill="{colour}"/>' for colour in LIGHT.values())
    assert "#" not in to_variables(drawn)
