"""Addresses as 16 bytes, and what limits count as one source."""

from __future__ import annotations

import socket

from remnant.sinkhole.addresses import MAPPED, mapped, unit_of


def test_both_families_are_sixteen_bytes_and_a_scope_is_left_out() -> None:
    assert mapped("192.0.2.1") == MAPPED + bytes([192, 0, 2, 1])
    assert mapped("2001:db8::1") == socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    assert mapped("fe80::1%eth0") == socket.inet_pton(socket.AF_INET6, "fe80::1")


def test_a_source_is_an_address_or_a_64() -> None:
    assert unit_of(mapped("192.0.2.1")) != unit_of(mapped("192.0.2.2"))
    assert unit_of(mapped("2001:db8::1")) == unit_of(mapped("2001:db8::ffff:0:0:2"))
    assert unit_of(mapped("2001:db8::1")) != unit_of(mapped("2001:db8:0:1::1"))
