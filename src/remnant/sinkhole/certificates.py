"""Certificates for whatever server name a bot asks for, made here and trusted by nobody.

Bots that check certificates are lost to a sinkhole without the botnet's own; most do not check.
Making one costs about half a millisecond, so few are made in a second, and those made are kept.
Beyond that everybody gets the certificate of a fixed name. The server name in its certificate is
the only thing that a bot sent and gets back.

References:
    RFC 5280 (certificates), RFC 6125 (names in them), RFC 8446 section 4.4.2.2 (which key a client
    can use).
"""

from __future__ import annotations

import datetime as dt
import os
import ssl
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from remnant.sinkhole.host_names import wire_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.sinkhole.client_hello import ClientHello

__all__ = ["FIXED_NAME", "Certificates", "key_kind"]

KeyKind: TypeAlias = Literal["ecdsa", "rsa"]

FIXED_NAME: Final = b"localhost"
"""The name in the certificate that is used where none is made. It says nothing about a sinkhole."""

_VALID_S: Final = 7 * 86_400
_REMADE_AFTER_S: Final = 3 * 86_400
_MAX_COMMON_NAME: Final = 64
"""Characters of a common name (RFC 5280 appendix A.1)."""

_CIPHERS: Final = "ALL:!aNULL:!PSK:!SRP:@SECLEVEL=0"
"""Everything that the library was built with: bots are old. Nothing secret passes here."""

_ECDSA_SUITES: Final = frozenset(
    {0x1301, 0x1302, 0x1303, 0x1304, 0x1305}
    | set(range(0xC006, 0xC00B))
    | {0xC023, 0xC024, 0xC02B, 0xC02C, 0xC048, 0xC049, 0xC05C, 0xC05D, 0xC072, 0xC073}
    | {0xC086, 0xC087, 0xC0AC, 0xC0AD, 0xC0AE, 0xC0AF, 0xCCA9}
)
"""Suites that an ECDSA key can serve: those of TLS 1.3, and ECDHE_ECDSA before."""

_P256: Final = 23
_ECDSA_SIGNATURES: Final = frozenset({0x0403, 0x0203, 0x0303, 0x0503, 0x0603})
"""ECDSA with P-256 in TLS 1.3, with any curve before."""


def key_kind(hello: ClientHello) -> KeyKind:
    """Return the kind of key that a client can use: ECDSA with P-256 if it can, else RSA."""
    curve = not hello.groups or _P256 in hello.groups
    signature = not hello.signatures or not _ECDSA_SIGNATURES.isdisjoint(hello.signatures)
    suite = not _ECDSA_SUITES.isdisjoint(hello.ciphers)
    return "ecdsa" if curve and signature and suite else "rsa"


class Certificates:
    """TLS contexts by server name, the latest used kept. The keys live in memory alone.

    Args:
        keep: most contexts that are kept, about 20 KiB each.
        per_s: most certificates that are made in a second over time.
        burst: most that are made at once after a quiet time.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        *,
        keep: int = 1024,
        per_s: float = 20.0,
        burst: int = 100,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keep = keep
        self._per_s = per_s
        self._burst = float(burst)
        self._clock = clock
        self._allowance = self._burst
        self._topped_up = clock()
        self._contexts: OrderedDict[tuple[bytes, KeyKind], tuple[ssl.SSLContext, float]] = (
            OrderedDict()
        )
        # The fixed name's contexts are apart: nothing can push them out.
        self._fixed: dict[KeyKind, tuple[ssl.SSLContext, float]] = {}
        self._keys: dict[KeyKind, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = {
            "ecdsa": ec.generate_private_key(ec.SECP256R1()),
            "rsa": rsa.generate_private_key(65537, 2048),
        }
        self.made = 0
        self.denied = 0

    def __len__(self) -> int:
        return len(self._contexts)

    def context(self, server_name: bytes, kind: KeyKind = "ecdsa") -> ssl.SSLContext:
        """Return the context for a server name as sent; that of the fixed name if it is no host.

        The fixed name's is returned as well while more certificates are asked for than are made.
        """
        now = self._clock()
        host = server_name.removesuffix(b".").lower()
        if not wire_name(host):
            return self._of_fixed_name(kind, now)
        key = (host, kind)
        found = self._contexts.get(key)
        if found is not None and 0 <= now - found[1] < _REMADE_AFTER_S:
            self._contexts.move_to_end(key)
            return found[0]
        if not self._may_make(now):
            self.denied += 1
            return self._of_fixed_name(kind, now)
        context = self._make(host, kind, now)
        self._contexts[key] = (context, now)
        self._contexts.move_to_end(key)
        if len(self._contexts) > self._keep:
            self._contexts.popitem(last=False)
        return context

    def _may_make(self, now: float) -> bool:
        gained = max(now - self._topped_up, 0.0) * self._per_s
        self._allowance = min(self._allowance + gained, self._burst)
        self._topped_up = now
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True

    def _of_fixed_name(self, kind: KeyKind, now: float) -> ssl.SSLContext:
        found = self._fixed.get(kind)
        if found is None or not 0 <= now - found[1] < _REMADE_AFTER_S:
            found = self._fixed[kind] = (self._make(FIXED_NAME, kind, now), now)
        return found[0]

    def _make(self, host: bytes, kind: KeyKind, now: float) -> ssl.SSLContext:
        self.made += 1
        key = self._keys[kind]
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ) + self._certificate(host, kind, now).public_bytes(serialization.Encoding.PEM)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
        context.num_tickets = 0
        _load(context, pem)
        return context

    def _certificate(self, host: bytes, kind: KeyKind, now: float) -> x509.Certificate:
        text = host.decode("ascii")
        # A name that is too long for a common name stands in the alternative name alone.
        subject = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, text)] if len(text) <= _MAX_COMMON_NAME else []
        )
        key = self._keys[kind]
        made = dt.datetime.fromtimestamp(now, tz=dt.UTC).replace(microsecond=0)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # An hour back: clocks of infected machines are off.
            .not_valid_before(made - dt.timedelta(hours=1))
            .not_valid_after(made + dt.timedelta(seconds=_VALID_S))
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(text)]), critical=not len(subject)
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(key, hashes.SHA256())
        )


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """Give a context its key and certificate: it takes files only, so it gets one in memory."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
