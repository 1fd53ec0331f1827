"""Altair charts become SVG and PNG, offline, by vl-convert."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

from remnant.report.palette import LIGHT, to_variables

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt

__all__ = ["NARROW", "PRINT", "WIDE", "Frame", "Sheet", "inline_svg", "png", "specification", "svg"]

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_NO_URLS: Final[list[str]] = []
# What Vega writes for groups that draw nothing.
_EMPTY: Final = re.compile(
    r'<path class="(?:background|foreground)"(?![^>]*(?:fill|stroke)=)[^>]*/>'
    r'|<path class="(?:background|foreground)"[^>]*display="none"[^>]*/>'
)
# A tenth of a pixel is finer than any screen shows.
_PLACES: Final = re.compile(r' (?:d|transform)="[^"]*"')
_FRACTION: Final = re.compile(r"(\.\d)\d+")
_NOISE: Final = re.compile(
    r' (?:aria-hidden="true"|role="[^"]*"|aria-roledescription="[^"]*"|pointer-events="none"'
    r'|class="[^"]*"|stroke-miterlimit="10"|opacity="1")'
)
_HOLLOW: Final = re.compile(r"<g(?: [^>]*)?></g>")
_HEAD: Final = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"[^>]*>')


@dataclass(frozen=True, slots=True)
class Frame:
    """The paper a figure is drawn on, in CSS pixels; ``titled`` writes its title into the image."""

    width: int
    height: int
    titled: bool = False

    @property
    def narrow(self) -> bool:
        """Whether the frame is for a telephone."""
        return self.width < 500

    def tall(self, height: int) -> Frame:
        """Return the frame with another height."""
        return Frame(self.width, height, self.titled)


class Sheet:
    """What a figure is drawn on: its layers, and their rows kept apart.

    Altair copies a chart with all its rows many times while layers are put together; rows that
    only have a name in the chart are never copied.
    """

    def __init__(self) -> None:
        self.layers: list[alt.Chart] = []
        self.rows: dict[str, list[dict[str, Any]]] = {}

    def chart(self, rows: Sequence[dict[str, Any]]) -> alt.Chart:
        """Return an Altair chart over rows, to which a mark is given; it is not drawn by itself."""
        import altair as alt  # noqa: PLC0415 - a large library, loaded when a figure is drawn

        name = f"rows{len(self.rows)}"
        self.rows[name] = list(rows)
        chart: alt.Chart = alt.Chart(alt.NamedData(name=name))
        return chart

    def to_dict(self, *, validate: bool = False) -> dict[str, Any]:
        """Return the Vega-Lite specification without size and style, first layer below.

        Checking it against Altair's schema takes seconds; the tests do that.
        """
        import altair as alt  # noqa: PLC0415 - likewise

        spec: dict[str, Any] = alt.LayerChart(layer=self.layers).to_dict(validate=validate)
        return spec | {"datasets": self.rows}


WIDE: Final = Frame(920, 300)
NARROW: Final = Frame(328, 250)
PRINT: Final = Frame(960, 420, titled=True)


def specification(sheet: Sheet, frame: Frame) -> dict[str, Any]:
    """Return the Vega-Lite specification of a sheet in a frame, in the house style."""
    size = 12 if frame.narrow else 12.5
    axis = {
        "labelColor": LIGHT["soft"],
        "labelFontSize": size,
        "titleColor": LIGHT["soft"],
        "titleFontSize": size,
        "titleFontWeight": "normal",
        "gridColor": LIGHT["line"],
        "domainColor": LIGHT["soft"],
        "tickColor": LIGHT["soft"],
    }
    spec = sheet.to_dict()
    spec |= {
        "width": frame.width,
        "height": frame.height,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": 12 if frame.titled else {"left": 2, "right": 8, "top": 4, "bottom": 2},
        "background": LIGHT["paper"] if frame.titled else "transparent",
    }
    spec["config"] = {
        "aria": False,
        "font": FONT,
        "view": {"stroke": None},
        "axis": axis,
        "axisX": {"grid": False},
        "axisY": {"domain": False, "ticks": False},
        "title": {
            "anchor": "start",
            "color": LIGHT["ink"],
            "fontSize": 17,
            "fontWeight": 600,
            "subtitleColor": LIGHT["soft"],
            "subtitleFontSize": 12.5,
            "offset": 14,
        },
    }
    return spec


def svg(spec: dict[str, Any]) -> str:
    """Return a specification drawn as an SVG document with the light colours."""
    import vl_convert  # noqa: PLC0415 - a JavaScript engine, loaded when a figure is drawn

    return str(vl_convert.vegalite_to_svg(spec, allowed_base_urls=_NO_URLS))


def png(spec: dict[str, Any], scale: float = 2.0) -> bytes:
    """Return a specification drawn as a PNG of ``scale`` device pixels per CSS pixel."""
    import vl_convert  # noqa: PLC0415 - a JavaScript engine, loaded when a figure is drawn

    return bytes(vl_convert.vegalite_to_png(spec, scale=scale, allowed_base_urls=_NO_URLS))


def inline_svg(spec: dict[str, Any], label: str, css_class: str) -> str:
    """Return a specification as SVG for a page: it follows the page's colours and width.

    Args:
        spec: the specification.
        label: what the figure shows, for those who hear the page (escaped here).
        css_class: class of the element.
    """
    text = svg(spec)
    text = _NOISE.sub("", _EMPTY.sub("", text))
    while (slim := _HOLLOW.sub("", text)) != text:
        text = slim
    text = text.replace(f' font-family="{FONT}"', "")
    text = _PLACES.sub(lambda found: _FRACTION.sub(r"\1", found[0]), text)
    head = _HEAD.search(text)
    assert head is not None, "vl-convert always writes a size"
    width, height = head.groups()
    opening = (
        f'<svg class="{css_class}" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(label)}">'
    )
    return to_variables(opening + text[head.end() :])
