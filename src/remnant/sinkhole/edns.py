"""The OPT record of a query, and of its answer.

References:
    RFC 6891 (EDNS), RFC 5001 (NSID), RFC 7871 (client subnet), RFC 7873 (cookies).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from remnant.sinkhole.addresses import MAPPED

__all__ = ["PAYLOAD", "Options", "opt_record", "option", "read_options"]

PAYLOAD: Final = 1232
"""Bytes of the largest answer over UDP: what passes everywhere without fragments."""

NSID: Final = 3
CLIENT_SUBNET: Final = 8
COOKIE: Final = 10

_IPV4: Final = 1
_IPV6: Final = 2


class Options(NamedTuple):
    """What the options of a query ask for.

    Attributes:
        nsid: the query asks which server this is.
        cookie: the first cookie: 8 bytes of the client, and 8 to 32 of a server if it has any.
        subnet: the first client subnet as received, if its family is known.
    """

    nsid: bool = False
    cookie: bytes | None = None
    subnet: bytes | None = None

    @property
    def network(self) -> bytes | None:
        """The client subnet as 17 bytes (see ``wire.client_subnet``); ``None`` for 0 bits."""
        if self.subnet is None or self.subnet[2] == 0:
            return None
        address = self.subnet[4:]
        if self.subnet[1] == _IPV4:
            return MAPPED + address.ljust(4, b"\0") + bytes((96 + self.subnet[2],))
        return address.ljust(16, b"\0") + self.subnet[2:3]


_NO_OPTIONS: Final = Options()


def read_options(data: bytes) -> Options | None:
    """Return what the data of an OPT record says, or ``None`` if it is not well formed."""
    if not data:
        return _NO_OPTIONS
    nsid = seen_subnet = False
    cookie = subnet = None
    position, stop = 0, len(data)
    while position < stop:
        if position + 4 > stop:
            return None
        code = data[position] << 8 | data[position + 1]
        begin = position + 4
        position = begin + (data[position + 2] << 8 | data[position + 3])
        if position > stop:
            return None
        if code == COOKIE:
            if cookie is None:
                cookie = data[begin:position]
                if len(cookie) != 8 and not 16 <= len(cookie) <= 40:
                    return None
        elif code == CLIENT_SUBNET:
            if not seen_subnet:
                seen_subnet = True
                subnet = data[begin:position]
                if not _is_subnet(subnet):
                    return None
                if subnet[0] or subnet[1] not in {_IPV4, _IPV6}:
                    subnet = None
        elif code == NSID:
            nsid = True
    return Options(nsid, cookie, subnet)


def _is_subnet(data: bytes) -> bool:
    """Return whether a client subnet is well formed as a query's; other families always are."""
    if len(data) < 4:
        return False
    family = data[0] << 8 | data[1]
    if family not in {_IPV4, _IPV6}:
        return True
    bits = data[2]
    if bits > (32 if family == _IPV4 else 128) or data[3] or len(data) - 4 != (bits + 7) // 8:
        return False
    return bits % 8 == 0 or not data[-1] & (0xFF >> bits % 8)


def option(code: int, data: bytes) -> bytes:
    """Return one option."""
    return code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def opt_record(upper: int, do: int, options: bytes = b"") -> bytes:
    """Return the OPT record of an answer.

    Args:
        upper: the response code's upper eight bits.
        do: 0x80 if the query set DO, else 0.
        options: what follows, option after option.
    """
    if not options and not upper:
        return _PLAIN_DO if do else _PLAIN
    head = bytes((0, 0, 41, PAYLOAD >> 8, PAYLOAD & 0xFF, upper, 0, do, 0))
    return head + len(options).to_bytes(2, "big") + options


_PLAIN: Final = bytes((0, 0, 41, PAYLOAD >> 8, PAYLOAD & 0xFF, 0, 0, 0, 0, 0, 0))
_PLAIN_DO: Final = bytes((0, 0, 41, PAYLOAD >> 8, PAYLOAD & 0xFF, 0, 0, 0x80, 0, 0, 0))
