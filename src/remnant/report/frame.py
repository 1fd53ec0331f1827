"""What reports and other pages in HTML have in common: how templates are read, words, colours.

Jinja with autoescape; whatever a stranger can write also passes ``wording.legible``, which shows
control and bidirectional characters as escapes.
"""

from __future__ import annotations

from functools import cache

import jinja2
from markupsafe import Markup

from remnant.report import wording
from remnant.report.lands import name_of
from remnant.report.palette import DARK, LIGHT, css
from remnant.report.sparkline import sparkline

__all__ = ["environment", "style"]


def environment(package: str) -> jinja2.Environment:
    """Return the templates of a package, with the words that all pages use."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "text": wording.legible,
        "num": wording.number,
        "share": wording.percent,
        "day": wording.day,
        "date": lambda time: f"{time:%Y-%m-%d}",
        "moment": wording.moment,
        "unit": wording.unit_word,
        "counted_in": wording.counted_in,
        "country": wording.country_name,
        "country_long": name_of,
        "seen_by": lambda vantage: wording.VANTAGE_WORDS.get(vantage, (vantage, ""))[0],
    }
    env.globals["sparkline"] = sparkline
    return env


@cache
def style() -> str:
    """Return the style of reports, on which other pages build; ``--page`` is their width."""
    colours = {"light": Markup(css(LIGHT)), "dark": Markup(css(DARK))}  # noqa: S704 - constants
    return environment("remnant.report").get_template("style.css").render(colours)
