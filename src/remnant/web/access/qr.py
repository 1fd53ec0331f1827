"""QR codes (ISO/IEC 18004) of what an authenticator program takes up, for pages and terminals.

Dark on light with its quiet zone, whatever the colours around it are: programs that read them
expect that. The drawing is markup without style or script, as the policy of the pages demands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["QUIET", "in_terminal", "modules", "svg"]

QUIET: Final = 4
"""Light modules around the code (ISO/IEC 18004, section 5.3.8)."""
_HALVES: Final = {(0, 0): " ", (1, 0): "\u2580", (0, 1): "\u2584", (1, 1): "\u2588"}
_BLACK_ON_WHITE: Final = "\x1b[38;5;16;48;5;231m"
_PLAIN: Final = "\x1b[0m"


def modules(text: str) -> Sequence[Sequence[int]]:
    """Return the rows of a code with its quiet zone: 1 is dark, 0 is light."""
    import segno

    made = segno.make_qr(text, error="m", boost_error=False)
    return [list(map(int, row)) for row in made.matrix_iter(border=QUIET)]


def svg(text: str) -> str:
    """Return a code as inline SVG: one path over a light square. Whoever shows it labels it."""
    rows = modules(text)
    steps = []
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            end = x
            while end < len(row) and row[end]:
                end += 1
            if end > x:
                steps.append(f"M{x} {y}h{end - x}v1h-{end - x}z")
            x = end + 1
    size = len(rows)
    return (
        f'<svg class="qr" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" '
        f'role="img" aria-labelledby="qr-title" shape-rendering="crispEdges">'
        f'<title id="qr-title">QR code of the secret</title>'
        f'<rect width="{size}" height="{size}" fill="#fff"/><path d="{"".join(steps)}" '
        f'fill="#000"/></svg>'
    )


def in_terminal(text: str) -> str:
    """Return a code as lines for a terminal, two rows of modules to a line, in its own colours."""
    rows = [list(row) for row in modules(text)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    lines = [
        _BLACK_ON_WHITE + "".join(_HALVES[pair] for pair in zip(upper, lower, strict=True)) + _PLAIN
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
    return "\n".join(lines) + "\n"
