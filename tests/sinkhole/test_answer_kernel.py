"""The fast path's kernel and the policy in plain Python give the same bytes."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from remnant.sinkhole import answer_kernel as ak
from remnant.sinkhole.limiter import new_limiter
from remnant.sinkhole.policy import Policy
from remnant.sinkhole.tables import compile_zones
from served import opt, option, queries, query, zones

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.sinkhole.zones import Zone

SECRET = bytes(range(16))
NOW = 1_795_737_034
ADDRESSES = (
    bytes(10) + b"\xff\xff" + bytes([203, 0, 113, 9]),
    bytes.fromhex("20010db8000000010000000000000007"),
)


class Kernel:
    """The kernel with the interface of the policy."""

    def __init__(self, served_zones: Sequence[Zone], *, nsid: bytes = b"") -> None:
        self.served, self.memberships = compile_zones(served_zones)
        self.identity = ak.Identity(
            np.frombuffer(SECRET, np.uint64).copy(), np.frombuffer(nsid, np.uint8).copy()
        )
        self.scratch = ak.new_scratch()
        self.free = new_limiter(None)
        self.spent = new_limiter(1)
        self.out = np.zeros(2 * ak.MAX_ANSWER + 96, np.uint8)
        self.facts = np.zeros(ak.FACTS, np.int64)

    def answer(
        self, message: bytes, address: bytes, *, now: int, arm: int, limited: bool
    ) -> tuple[Any, ...]:
        limiter = self.free
        if limited:
            limiter = self.spent
            limiter.times[:] = now * 1_000_000 + 1_000_001
        buffer = np.zeros(len(message) + 64, np.uint8)
        buffer[: len(message)] = np.frombuffer(message, np.uint8)
        size = ak.answer(
            self.served, self.identity, limiter, self.scratch, buffer, len(message),
            np.frombuffer(address, np.uint8).copy(), now * 1_000_000, arm, self.out, self.facts,
        )  # fmt: skip
        facts = self.facts
        name = message[12 : 12 + facts[ak.NAME_BYTES]]
        return (
            self.out[:size].tobytes() or None,
            int(facts[ak.KIND]),
            int(facts[ak.ZONE_INDEX]),
            int(facts[ak.QTYPE]),
            int(facts[ak.RCODE]),
            int(facts[ak.TTL]),
            name,
            self.scratch.subnet.tobytes() if facts[ak.ECS] else None,
            bool(facts[ak.COOKIE_VALID]),
            bool(facts[ak.LIMITED]),
            bool(facts[ak.LISTED]),
        )


def test_both_give_the_same_bytes_and_facts() -> None:
    found = zones()
    policy, kernel = Policy(found, nsid=b"node-1", secret=SECRET), Kernel(found, nsid=b"node-1")
    cookies = []
    for address in ADDRESSES:
        first = policy.answer(
            query("timedate1.com", extra=opt(option(10, b"clientid"))), address, now=NOW, tcp=False
        )
        assert first.response is not None
        cookies.append(first.response[-24:])
    rng = random.Random(5)
    kinds = set()
    for message in itertools.islice(queries(7, tuple(cookies)), 40_000):
        address, arm, limited = rng.choice(ADDRESSES), rng.randrange(2), rng.random() < 0.2
        told = policy.answer(message, address, now=NOW, tcp=False, arm=arm, limited=limited)
        made = kernel.answer(message, address, now=NOW, arm=arm, limited=limited)
        assert made == tuple(told), (message.hex(), limited)
        kinds.add((made[1], made[4], made[8], made[9], made[10]))

    # What the queries reached: every kind of message, code, cookie, limit and listing.
    assert {kind for kind, *_ in kinds} == {0, 1, 2, 3, 4, 5}
    assert {code for _, code, *_ in kinds} >= {-1, 0, 1, 3, 4, 5, 9, 16}
    assert {cookie for _, _, cookie, _, _ in kinds} == {True, False}


@pytest.mark.parametrize("nsid", [b"", b"x" * 64])
def test_no_answer_is_much_longer_than_its_query(nsid: bytes) -> None:
    kernel = Kernel(zones(), nsid=nsid)
    for message in itertools.islice(queries(11), 10_000):
        response, *_, valid, _, _ = kernel.answer(
            message, ADDRESSES[0], now=NOW, arm=0, limited=False
        )
        assert valid or response is None or len(response) <= len(message) + 128
