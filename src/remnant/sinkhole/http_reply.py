"""What HTTP requests get: one constant per case, made before the first request comes.

Nothing of a request goes into it, so nothing that a bot sends comes back to it, and it is never a
redirect, a file, or anything else to act on.

References:
    RFC 9110 sections 8.6 (no Content-Length in a 204), 9.3.2 (HEAD); RFC 9112 section 9.6 (close).
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from remnant.cases.model import SinkholeConfig

__all__ = ["EMPTY", "Reply", "make"]

_MAX_HEADER_TEXT: Final = 200
_MAX_TEXT: Final = 400
"""Characters of a title, an operator or an address that go into the page."""

_STATUS: Final = {
    "204": "204 No Content",
    "404": "404 Not Found",
    "200": "200 OK",
    "notice": "200 OK",
}

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>This computer may be infected</title>
<style>
body {{ margin: 2rem auto; max-width: 38rem; padding: 0 1rem;
  font: 1rem/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; }}
h1 {{ font-size: 1.5rem; line-height: 1.25; }}
h2 {{ font-size: 1.1rem; }}
</style>
</head>
<body>
<h1>This computer, or another device in your network, is probably infected</h1>
<p>It has just tried to reach an address that was used to control devices infected with
<strong>{title}</strong>. That address has been taken away from the people who ran it, and now
leads here.</p>
<h2>What this page is</h2>
<p>It is a <em>sinkhole</em>: a server that stands where criminals' servers used to be, so that
infected devices can no longer be given orders. It does nothing to your device and sends it
nothing but this page. It records that your internet address asked for it, so that you or your
internet provider can be told.</p>
<h2>What to do</h2>
<p>If you opened this page by following a link, your device need not be infected. If it came up by
itself, have every device in your network checked with up-to-date security software, and install
pending updates. The infection does not go away because its servers have.</p>
{help}{operator}</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Reply:
    """One constant answer.

    Attributes:
        whole: the bytes of the answer.
        head: the same without a body, for HEAD.
    """

    whole: bytes
    head: bytes

    def to(self, method: bytes) -> bytes:
        """Return the bytes for a request with this method."""
        return self.head if method == b"HEAD" else self.whole


def make(config: SinkholeConfig, title: str) -> Reply:
    """Return the answer of a case.

    Args:
        config: the case's ``[sinkhole]`` table.
        title: what people call the botnet.
    """
    body = b""
    lines = [f"HTTP/1.1 {_STATUS[config.http]}"]
    if config.http == "notice":
        body = _page(config, title).encode()
        lines += [
            "Content-Type: text/html; charset=utf-8",
            "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
        ]
    if config.http != "204":
        lines.append(f"Content-Length: {len(body)}")
    lines += ["Cache-Control: no-store", "Connection: close"]
    if config.identify:
        lines.append(f"X-Sinkhole: {_field_text(config.operator) or 'yes'}")
    head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")
    return Reply(head + body, head)


def _page(config: SinkholeConfig, title: str) -> str:
    help_text = operator = ""
    if config.help_url:
        url = html.escape(config.help_url[:_MAX_TEXT])
        # Only an address of the web becomes a link; anything else stays text.
        link = config.help_url.lower().startswith(("https://", "http://"))
        shown = f'<a href="{url}" rel="noreferrer">{url}</a>' if link else url
        help_text = f"<p>Help is available at {shown}.</p>\n"
    if config.operator:
        operator = f"<p>This sinkhole is run by {html.escape(config.operator[:_MAX_TEXT])}.</p>\n"
    return _PAGE.format(title=html.escape(title[:_MAX_TEXT]), help=help_text, operator=operator)


def _field_text(text: str) -> str:
    """Return text that can stand in a header field: one line of printable ASCII."""
    shown = text[:_MAX_HEADER_TEXT].encode("ascii", "backslashreplace").decode("ascii")
    return "".join(char if " " <= char <= "~" else " " for char in shown).strip()


EMPTY: Final = Reply(
    b"HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
)
"""The answer for hosts of no case."""
