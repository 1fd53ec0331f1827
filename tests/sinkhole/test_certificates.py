from __future__ import annotations

import os
import ssl
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from remnant.sinkhole.certificates import Certificates, KeyKind, key_kind
from remnant.sinkhole.client_hello import ClientHello, parse
from sinkhole.hellos import of_library
from sinkhole.serving import client_context


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def shake(server_context: ssl.SSLContext) -> x509.Certificate:
    """Complete a handshake in memory and return the certificate that the client got."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(to_client, to_server, server_hostname="a.example")
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found = client.getpeercert(binary_form=True)
    assert found is not None
    return x509.load_der_x509_certificate(found)


def names(certificate: x509.Certificate) -> list[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize(
    ("kind", "key"), [("ecdsa", ec.EllipticCurvePublicKey), ("rsa", rsa.RSAPublicKey)]
)
def test_a_certificate_is_made_for_the_name_and_says_nothing_else(kind: KeyKind, key: type) -> None:
    clock = Clock()
    certificates = Certificates(clock=clock)
    found = shake(certificates.context(b"C2.Evil.example.", kind))

    assert names(found) == ["c2.evil.example"]
    assert found.subject == found.issuer
    assert found.subject.rfc4514_string() == "CN=c2.evil.example"
    assert isinstance(found.public_key(), key)
    assert found.not_valid_before_utc.timestamp() == clock.now - 3600
    assert found.not_valid_after_utc.timestamp() == clock.now + 7 * 86_400
    found.verify_directly_issued_by(found)


def test_a_long_name_stands_in_the_alternative_name_alone() -> None:
    name = b".".join([b"a" * 60] * 4)
    found = shake(Certificates().context(name))

    assert names(found) == [name.decode()]
    assert found.subject.rfc4514_string() == ""


@pytest.mark.parametrize("name", [b"", b"192.0.2.1", b"a b", b"\xff.example", b"*.example"])
def test_what_is_no_host_name_gets_the_fixed_one(name: bytes) -> None:
    assert names(shake(Certificates().context(name))) == ["localhost"]


def test_certificates_are_kept_and_the_longest_unused_goes() -> None:
    certificates = Certificates(keep=2)
    first = certificates.context(b"a.example")
    assert certificates.context(b"A.EXAMPLE") is first
    certificates.context(b"b.example")
    assert certificates.context(b"a.example") is first
    certificates.context(b"c.example")

    assert len(certificates) == 2
    assert certificates.context(b"a.example") is first
    assert certificates.made == 3
    certificates.context(b"b.example")
    assert certificates.made == 4


def test_a_certificate_is_made_anew_before_it_runs_out() -> None:
    clock = Clock()
    certificates = Certificates(clock=clock)
    first = certificates.context(b"a.example")
    fixed = certificates.context(b"")
    clock.now += 2 * 86_400
    assert certificates.context(b"a.example") is first
    clock.now += 2 * 86_400
    assert certificates.context(b"a.example") is not first
    assert certificates.context(b"") is not fixed


def test_a_flood_of_names_makes_few_certificates() -> None:
    clock = Clock()
    certificates = Certificates(per_s=10, burst=5, clock=clock)
    contexts = {certificates.context(b"h%d.example" % i) for i in range(100)}
    assert len(contexts) == 6
    assert certificates.denied == 95
    assert certificates.made == 6
    clock.now += 0.25
    for i in range(100, 200):
        certificates.context(b"h%d.example" % i)

    assert certificates.made == 8
    # Names that are known are served all the same.
    assert names(shake(certificates.context(b"h0.example"))) == ["h0.example"]


@pytest.mark.parametrize(
    ("hello", "kind"),
    [
        (ClientHello(version=0x0301, ciphers=(0x002F, 0x0035)), "rsa"),
        (ClientHello(version=0x0301, ciphers=(0x002F, 0xC009)), "ecdsa"),
        (ClientHello(version=0x0303, ciphers=(0xC02B,), groups=(24,)), "rsa"),
        (ClientHello(version=0x0303, ciphers=(0xC02B,), signatures=(0x0401,)), "rsa"),
        (ClientHello(version=0x0303, ciphers=(0x1301,), signatures=(0x0403,)), "ecdsa"),
    ],
)
def test_old_clients_get_a_key_that_they_can_use(hello: ClientHello, kind: KeyKind) -> None:
    assert key_kind(hello) == kind


def test_the_suites_of_the_library_that_need_an_ecdsa_key_are_known() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    for suite in context.get_ciphers():
        if "Au=ECDSA" in str(suite["description"]) or "Au=any" in str(suite["description"]):
            number = int(suite["id"]) & 0xFFFF
            hello = ClientHello(version=0x0303, ciphers=(number,))
            assert key_kind(hello) == "ecdsa", suite["name"]
    modern = parse(of_library())
    assert isinstance(modern, ClientHello)
    assert key_kind(modern) == "ecdsa"


def test_certificates_are_made_after_rights_were_dropped() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can drop its rights")
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            shake(Certificates().context(b"a.example"))
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a forked child must not come back
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
