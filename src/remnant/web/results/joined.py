"""What the takedown's names and addresses are joined to: counts, and a small picture of the map."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from remnant.cases.library import Library
from remnant.web.results.sharing import opened

if TYPE_CHECKING:
    from remnant.report.atlas import Atlas
    from remnant.settings import Settings

__all__ = ["joined"]

_WIDTH: Final = 460
_HEIGHT: Final = 250
_MOST: Final = 700
"""Dots of the picture: more are a blot."""

_INKS: Final = {
    "name": "accent",
    "domain": "accent",
    "address": "address",
    "prefix": "prefix",
    "asn": "network",
    "name_server": "server",
    "mail_exchanger": "mail",
    "sinkhole": "soft",
    "client_network": "client",
}


def joined(settings: Settings, case: str, *, internal: bool) -> dict[str, Any] | None:
    """Return how many things of each kind are joined to the case; null without passive DNS.

    Infrastructure only: no network of clients is among them, so the public may see it.
    """
    from remnant.enrich.reference import Reference
    from remnant.estimate.coverage import choose_vantage, default_window
    from remnant.report import atlas

    library = Library(settings.home)
    loaded = library.get(case)
    own = library.path(case).with_name("prefixes.tsv")
    reference = Reference.load(settings, extra_tables=[own] if own.is_file() else [])
    with opened(settings, case) as (store, view):
        found = atlas.gather(
            store,
            view,
            loaded,
            settings,
            reference,
            window=default_window(view),
            vantage=choose_vantage(view, None),
            internal=internal,
            now=datetime.now(tz=UTC),
        )
    if found is None:
        return None
    return {
        "kinds": [{"what": what, "count": count} for what, count in found.kinds],
        "seeds": found.seeds,
        "hubs": found.hubs,
        "living": found.living_total,
        "alive_days": found.alive_days,
        "ranked": found.ranked,
        "states": [{"state": state, "count": count} for state, count in found.states],
        "facts": found.facts.line,
        "picture": _picture(found) if found.is_drawn else "",
    }


def _picture(found: Atlas) -> str:
    """Return the laid out map as dots and lines, small; what it says stands beside it in words."""
    import numpy as np

    made = found.arranged
    graph, layout = made.folded.graph, made.layout
    if not len(graph):
        return ""
    left, top, right, bottom = layout.bounds
    scale = min(_WIDTH / max(right - left, 1e-9), _HEIGHT / max(bottom - top, 1e-9))
    shift = (
        (_WIDTH - scale * (right - left)) / 2 - scale * left,
        (_HEIGHT - scale * (bottom - top)) / 2 - scale * top,
    )
    places = layout.positions.astype(np.float64) * scale + np.array(shift)
    kept = np.argsort(-layout.radii, kind="stable")[:_MOST]
    shown = np.zeros(len(graph), dtype=np.bool_)
    shown[kept] = True
    lines = "".join(
        f"M{places[a, 0]:.1f} {places[a, 1]:.1f}L{places[b, 0]:.1f} {places[b, 1]:.1f}"
        for a, b in zip(graph.tails.tolist(), graph.heads.tolist(), strict=True)
        if shown[a] and shown[b]
    )
    dots: dict[str, list[str]] = {}
    for node in sorted(kept.tolist()):
        ink = _INKS.get(graph.kinds[node], "soft")
        radius = max(1.2, float(layout.radii[node]) * scale)
        x, y = places[node].tolist()
        dots.setdefault(ink, []).append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')
    drawn = "".join(f'<g fill="var(--{ink})">{"".join(all_)}</g>' for ink, all_ in dots.items())
    return (
        f'<svg class="thumb" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">'
        f'<path d="{lines}" stroke="var(--soft)" stroke-opacity=".35" fill="none"/>{drawn}</svg>'
    )
