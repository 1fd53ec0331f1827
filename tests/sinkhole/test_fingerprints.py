from __future__ import annotations

import hashlib
import random
import ssl
import subprocess
from shutil import which
from typing import TYPE_CHECKING

import pytest

from pcap_writer import ACK, TCP, ethernet, ipv4, pcap, tcp
from remnant.sinkhole.client_hello import ClientHello, parse
from remnant.sinkhole.fingerprints import ja3, ja3_text, ja4
from sinkhole.hellos import alpn, message, numbers, of_library, records, server_name, vector

if TYPE_CHECKING:
    from pathlib import Path


def read(data: bytes) -> ClientHello:
    hello = parse(data)
    assert isinstance(hello, ClientHello)
    return hello


def hello_of(ja3_form: str, **inside: bytes) -> ClientHello:
    """A hello, through its bytes, whose JA3 text is known; ``inside``: contents by ``x<type>``."""
    version, *lists = ja3_form.split(",")
    ciphers, extensions, groups, formats = (
        [int(number) for number in part.split("-") if number] for part in lists
    )
    contents = {
        10: vector(numbers(groups)),
        11: vector(numbers(formats, 1), 1),
        **{int(key[1:]): value for key, value in inside.items()},
    }
    listed = [(kind, contents.get(kind, b"")) for kind in extensions]
    return read(records(message(int(version), ciphers, listed or None)))


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        # Both from the README of salesforce/ja3.
        (
            "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0",
            "ada70206e40642a3e4461f35503241d5",
        ),
        ("769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6"),
    ],
)
def test_ja3_of_its_own_description(text: str, digest: str) -> None:
    hello = hello_of(text)

    assert ja3_text(hello) == text
    assert ja3(hello) == digest


# What browserleaks.com shows of a Chrome 143 on Android (tls.md of service0427/v2_cp_app).
CHROME = (
    "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,"
    "45-51-16-65037-23-17613-0-11-10-43-65281-35-18-5-13-27,4588-29-23-24,0"
)
CHROME_SIGNATURES = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]


def chrome(text: str = CHROME) -> ClientHello:
    return hello_of(
        text,
        x0=server_name(b"tls.browserleaks.com"),
        x13=vector(numbers(CHROME_SIGNATURES)),
        x16=alpn(b"h2", b"http/1.1"),
        x43=vector(numbers([0x8A8A, 0x0304, 0x0303]), 1),
    )


def test_both_fingerprints_of_a_browser() -> None:
    assert ja3(chrome()) == "98487aa16281980e7d1120d399efb6a4"
    assert ja4(chrome()) == "t13d1516h2_8daaf6152771_d8a2da3f94cd"


def test_grease_changes_nothing_and_order_changes_ja3_alone() -> None:
    version, ciphers, extensions, groups, formats = CHROME.split(",")
    greased = (
        f"{version},{0x2A2A}-{ciphers},{0x4A4A}-{extensions}-{0xFAFA},{0x0A0A}-{groups},{formats}"
    )
    turned = "-".join(reversed(extensions.split("-")))

    assert ja3(chrome(greased)) == ja3(chrome())
    assert ja4(chrome(greased)) == ja4(chrome())
    other = chrome(f"{version},{ciphers},{turned},{groups},{formats}")
    assert ja3(other) != ja3(chrome())
    assert ja4(other) == ja4(chrome())


# The example in technical_details/JA4.md of FoxIO-LLC/ja4.
EXAMPLE_CIPHERS = "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
EXAMPLE_EXTENSIONS = (
    "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015"
)


def example(signatures: list[int], protocol: bytes = b"h2") -> ClientHello:
    contents = {
        0x0000: server_name(b"a.example"),
        0x0010: alpn(protocol),
        0x000D: vector(numbers(signatures)),
        0x002B: vector(numbers([0x0304, 0x0303]), 1),
    }
    kinds = [int(text, 16) for text in EXAMPLE_EXTENSIONS.split(",")]
    ciphers = [int(text, 16) for text in EXAMPLE_CIPHERS.split(",")]
    listed = [(kind, contents.get(kind, b"")) for kind in kinds]
    return read(records(message(0x0303, ciphers, listed)))


def test_ja4_of_its_own_description() -> None:
    assert ja4(example(CHROME_SIGNATURES)) == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert ja4(example([])) == "t13d1516h2_8daaf6152771_6d807ffa2a79"


@pytest.mark.parametrize(
    ("protocol", "shown"),
    [
        # Those of the description, and a whole name.
        (b"\xab", "ab"),
        (b"\xab\xcd", "ad"),
        (b"\x30\xab", "3b"),
        (b"\x30\x31\xab\xcd", "3d"),
        (b"\x30\xab\xcd\x31", "01"),
        (b"http/1.1", "h1"),
        (b"x", "xx"),
        (b"", "00"),
    ],
)
def test_ja4_shows_the_first_protocol(protocol: bytes, shown: str) -> None:
    assert ja4(example([], protocol)).split("_")[0] == f"t13d1516{shown}"


def test_ja4_of_hellos_with_nothing_in_them() -> None:
    assert ja4(read(records(message(0x0300, [])))) == "ts3i000000_000000000000_000000000000"
    many = read(records(message(0x0399, range(200), [(0, b"")])))
    digest = hashlib.sha256(",".join(f"{n:04x}" for n in range(200)).encode()).hexdigest()[:12]
    assert ja4(many) == f"t00d990100_{digest}_000000000000"


def random_hello(draw: random.Random) -> bytes:
    pool = [0x0A0A, 0xFAFA, 0x00FF, 0x1301, 0xC02B, 0x002F, 0x0005, 0x5600]
    kinds = draw.sample([0, 10, 11, 13, 16, 23, 35, 43, 0x1A1A, 65281, 21], draw.randint(0, 9))
    contents = {
        0: server_name(b"h%d.example" % draw.randint(0, 99)),
        10: vector(numbers(draw.sample([29, 23, 24, 0x2A2A, 256], 3))),
        11: vector(numbers(draw.sample([0, 1, 2], 2), 1), 1),
        13: vector(numbers([0x0403, 0x0401])),
        16: alpn(b"h2", b"http/1.1"),
        43: vector(numbers([0x3A3A, 0x0304, 0x0303]), 1),
        65281: b"\0",
    }
    listed = [(kind, contents.get(kind, b"")) for kind in kinds]
    ciphers = draw.sample(pool, draw.randint(1, len(pool)))
    return records(message(draw.choice([0x0301, 0x0302, 0x0303]), ciphers, listed or None))


def test_wireshark_reads_the_same_ja3(tmp_path: Path) -> None:
    if which("tshark") is None:
        pytest.skip("tshark is not installed")
    draw = random.Random(7)
    hellos = [
        of_library(),
        of_library(None, ["h2", "http/1.1"]),
        of_library("a.example", highest=ssl.TLSVersion.TLSv1_2),
        of_library("a.example", ciphers="AES128-SHA:@SECLEVEL=0"),
        *(random_hello(draw) for _ in range(60)),
    ]
    capture = tmp_path / "hellos.pcap"
    capture.write_bytes(
        pcap(
            *(
                ethernet(ipv4(tcp(data, 20_000 + i, 443, seq=1, flags=ACK), protocol=TCP))
                for i, data in enumerate(hellos)
            )
        )
    )
    run = subprocess.run(
        [
            "tshark",
            "-r",
            str(capture),
            "-Y",
            "tls.handshake.type==1",
            "-T",
            "fields",
            "-e",
            "tcp.srcport",
            "-e",
            "tls.handshake.ja3_full",
            "-e",
            "tls.handshake.ja3",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    theirs = [line.split("\t") for line in run.stdout.splitlines()]
    ours = [
        [str(20_000 + i), ja3_text(read(data)), ja3(read(data))] for i, data in enumerate(hellos)
    ]
    assert theirs == ours
