"""The colours of figures and pages, light and dark.

One accent. Blue and dark grey differ in lightness as well as in hue, so that the figures read the
same to colour-blind eyes and on a black-and-white printer. Contrast against the paper is at least
4.5 for text and 3 for lines (WCAG 2.2, 1.4.3 and 1.4.11); a test computes it.

The last six are for the kinds of things on a map: never alone, each kind has a shape of its own.
"""

from __future__ import annotations

from typing import Final

__all__ = ["DARK", "LIGHT", "css", "to_variables"]

LIGHT: Final = {
    "paper": "#fffffe",
    "panel": "#f4f6f8",
    "ink": "#18212d",
    "soft": "#566273",
    "line": "#dfe4ea",
    "gap": "#e3e7ed",
    "accent": "#0a5fa6",
    "band": "#a9cbe8",
    "alarm": "#a8400c",
    "address": "#b06a00",
    "prefix": "#94813f",
    "network": "#4e6b22",
    "server": "#7a4cab",
    "mail": "#b0487f",
    "client": "#0c7d68",
}
DARK: Final = {
    "paper": "#11161d",
    "panel": "#1a212b",
    "ink": "#e8ecf2",
    "soft": "#a5b0be",
    "line": "#303a47",
    "gap": "#262f3a",
    "accent": "#74b6f3",
    "band": "#1f4a70",
    "alarm": "#f2a06b",
    "address": "#e0a244",
    "prefix": "#bba96a",
    "network": "#a3c46a",
    "server": "#bd9ae8",
    "mail": "#e58fbb",
    "client": "#4fc2aa",
}


def css(colours: dict[str, str]) -> str:
    """Return the colours as CSS custom properties.

    >>> css({"ink": "#000000"})
    '--ink:#000000'
    """
    return ";".join(f"--{name}:{value}" for name, value in colours.items())


def to_variables(svg: str) -> str:
    """Return an SVG whose light colours follow the page's custom properties.

    >>> to_variables('<path fill="#0a5fa6"/>')
    '<path fill="var(--accent)"/>'
    """
    for name, value in LIGHT.items():
        svg = svg.replace(f'"{value}"', f'"var(--{name})"')
    return svg
