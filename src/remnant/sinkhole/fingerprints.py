"""Fingerprints of TLS clients: the same software gives the same text, whatever host it asks for.

References:
    JA3: https://github.com/salesforce/ja3 (README, "How it works").
    JA4: https://github.com/FoxIO-LLC/ja4 (technical_details/JA4.md).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from remnant.sinkhole.client_hello import is_grease

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remnant.sinkhole.client_hello import ClientHello

__all__ = ["ja3", "ja3_text", "ja4"]

_SERVER_NAME: Final = 0x0000
_ALPN: Final = 0x0010
_NOTHING: Final = "000000000000"
_JA4_VERSIONS: Final = {0x0300: "s3", 0x0301: "10", 0x0302: "11", 0x0303: "12", 0x0304: "13"}


def ja3_text(hello: ClientHello) -> str:
    """Return the text that JA3 is the digest of: five lists of decimal numbers, GREASE left out."""
    lists = (hello.ciphers, hello.extensions, hello.groups, hello.point_formats)
    return ",".join(
        (
            str(hello.version),
            *("-".join(str(n) for n in numbers if not is_grease(n)) for numbers in lists),
        )
    )


def ja3(hello: ClientHello) -> str:
    """Return the JA3 fingerprint: 32 hexadecimal digits."""
    return hashlib.md5(ja3_text(hello).encode("ascii"), usedforsecurity=False).hexdigest()


def ja4(hello: ClientHello) -> str:
    """Return the JA4 of a client over TCP, such as ``t13d1516h2_8daaf6152771_e5627efa2ab1``."""
    ciphers = [n for n in hello.ciphers if not is_grease(n)]
    extensions = [n for n in hello.extensions if not is_grease(n)]
    first = (
        f"t{_JA4_VERSIONS.get(hello.offered[0], '00')}"
        f"{'d' if _SERVER_NAME in extensions else 'i'}"
        f"{min(len(ciphers), 99):02d}{min(len(extensions), 99):02d}{_protocol(hello)}"
    )
    listed = _hexadecimal(sorted(n for n in extensions if n not in {_SERVER_NAME, _ALPN}))
    signatures = _hexadecimal(n for n in hello.signatures if not is_grease(n))
    whole = f"{listed}_{signatures}" if signatures else listed
    return "_".join(
        (first, _digest(_hexadecimal(sorted(ciphers))), _digest(whole if listed else ""))
    )


def _hexadecimal(numbers: Iterable[int]) -> str:
    return ",".join(f"{number:04x}" for number in numbers)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12] if text else _NOTHING


def _protocol(hello: ClientHello) -> str:
    """Return the first and last character of the first application protocol."""
    first = hello.alpn[0] if hello.alpn else b""
    if not first:
        return "00"
    # bytes.isalnum() looks at ASCII alone.
    if first[:1].isalnum() and first[-1:].isalnum():
        return chr(first[0]) + chr(first[-1])
    digits = first.hex()
    return digits[0] + digits[-1]
