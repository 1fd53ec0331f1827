from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from remnant.web.access.totp import DIGITS, STEP, code, matching, new_secret, step_of

KEY = b"12345678901234567890"
NOW = datetime(2026, 4, 8, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("step", "password"),
    list(
        enumerate(
            "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489".split()  # noqa: SIM905 - as the RFC's table
        )
    ),
)
def test_passwords_by_counter_are_those_of_rfc_4226_appendix_d(step: int, password: str) -> None:
    assert code(KEY, step) == password


@pytest.mark.parametrize(
    ("digest", "seconds", "password"),
    [
        ("sha1", 59, "94287082"),
        ("sha256", 59, "46119246"),
        ("sha512", 59, "90693936"),
        ("sha1", 1111111109, "07081804"),
        ("sha256", 1111111109, "68084774"),
        ("sha512", 1111111109, "25091201"),
        ("sha1", 1111111111, "14050471"),
        ("sha256", 1111111111, "67062674"),
        ("sha512", 1111111111, "99943326"),
        ("sha1", 1234567890, "89005924"),
        ("sha256", 1234567890, "91819424"),
        ("sha512", 1234567890, "93441116"),
        ("sha1", 2000000000, "69279037"),
        ("sha256", 2000000000, "90698825"),
        ("sha512", 2000000000, "38618901"),
        ("sha1", 20000000000, "65353130"),
        ("sha256", 20000000000, "77737706"),
        ("sha512", 20000000000, "47863826"),
    ],
)
def test_passwords_by_time_are_those_of_rfc_6238_appendix_b(
    digest: str, seconds: int, password: str
) -> None:
    length = {"sha1": 20, "sha256": 32, "sha512": 64}[digest]
    key = (KEY * 4)[:length]
    step = step_of(datetime.fromtimestamp(seconds, UTC))
    assert code(key, step, digits=8, digest=digest) == password


def test_a_password_is_good_in_its_step_and_one_beside_and_once() -> None:
    secret = new_secret()
    key = base64.b32decode(secret)
    assert len(key) == 20
    typed = code(key, step_of(NOW))
    assert len(typed) == DIGITS
    for steps, good in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        found = matching(secret, typed, NOW + steps * STEP, after=0)
        assert (found == step_of(NOW)) is good, steps
    assert matching(secret, typed, NOW, after=step_of(NOW)) is None
    assert matching(secret, f" {typed[:3]} {typed[3:]} ", NOW, after=0) == step_of(NOW)
    assert matching(secret, typed, NOW + timedelta(seconds=29), after=0) == step_of(NOW)


@pytest.mark.parametrize(
    "typed", ["", "0", "x" * 10_000, "\ud800", "\uff11\uff12\uff13\uff14\uff15\uff16", "12345\x00"]
)
def test_what_is_no_password_is_none(typed: str) -> None:
    assert matching(base64.b32encode(KEY).decode(), typed, NOW, after=0) is None
