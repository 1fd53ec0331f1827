"""The figures of a page made explorable: Vega stands in the file, and may do nothing but draw.

The page's policy allows exactly the scripts written here, by their hashes, and no evaluation of
text as code: Vega runs its expressions through its own interpreter. With scripts switched off the
drawn figures stay.

References:
    Content Security Policy Level 3 (W3C), hash sources.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from remnant.report.drawing import WIDE
from remnant.report.palette import to_variables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.report.figures import Figure

__all__ = ["CURVES", "Extra", "bundle", "explorable", "explore"]

CURVES: Final = ("online", "requests", "coverage")
"""Figures that stand on the page as drawings; the others are its tables."""

_TIME: Final = re.compile(r"(?:\{data: )?datetime\((\d+)\)\}?")
_START: Final = """
for (const [key, spec] of Object.entries(FIGURES)) {
  const figure = document.getElementById(key);
  const drawing = figure.querySelector("svg.wide");
  const place = document.createElement("div");
  place.className = "wide";
  drawing.before(place);
  window.vegaEmbed(place, spec, {mode: "vega", renderer: "svg", ast: true, actions: false})
    .then(() => drawing.remove())
    .catch((error) => { place.remove(); console.error(error); });
}
"""


@dataclass(frozen=True, slots=True)
class Extra:
    """What an explorable page has beside the plain one: policy and scripts."""

    policy: str = ""
    scripts: Markup = field(default_factory=Markup)


def explore(figures: Sequence[Figure]) -> Extra:
    """Return the scripts that make the curves of a page explorable, and the policy they need."""
    specs = {
        figure.key: explorable(figure.specification(WIDE))
        for figure in figures
        if figure.key in CURVES
    }
    data = json.dumps(specs, ensure_ascii=True).replace("<", "\\u003c")
    texts = [
        bundle().replace("</script", "<\\/script"),
        f"const FIGURES = {to_variables(data)};{_START}",
    ]
    hashes = " ".join(_hash(text) for text in texts)
    scripts = "".join(f"<script type=module>{text}</script>\n" for text in texts)
    return Extra(f"; script-src {hashes}", Markup(scripts))  # noqa: S704 - bundle and JSON


def bundle() -> str:
    """Return Vega as a module that puts ``vegaEmbed`` on the window; nothing is fetched."""
    import vl_convert  # noqa: PLC0415 - a JavaScript engine, loaded when it is asked for

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def explorable(drawn: dict[str, Any]) -> dict[str, Any]:
    """Return the Vega specification of a figure: values on hover, wheel to zoom, drag to move.

    Args:
        drawn: its Vega-Lite specification; it is not changed.
    """
    import vl_convert  # noqa: PLC0415 - a JavaScript engine, loaded when it is asked for

    spec = copy.deepcopy(drawn)
    for layer in spec["layer"]:
        layer["mark"]["clip"] = True
        if "tooltip" in layer["encoding"] and layer["mark"]["type"] == "line":
            layer["mark"]["point"] = {"size": 60, "opacity": 0}
            layer["params"] = [
                {
                    "name": "zoom",
                    "select": {"type": "interval", "encodings": ["x"]},
                    "bind": "scales",
                }
            ]
    vega: dict[str, Any] = _plain_times(vl_convert.vegalite_to_vega(spec))
    return vega


def _plain_times(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a Vega specification with times as numbers.

    Vega-Lite writes constant times as expressions, which Vega's interpreter reads wrongly.
    """
    if isinstance(value, list):
        return [_plain_times(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"signal"} and (time := _TIME.fullmatch(str(value["signal"]))):
        return int(time[1])
    return {key: _plain_times(part) for key, part in value.items()}


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
