"""Hostile datagrams through the sinkhole's fast path, in an interpreter whose kernels check bounds.

Run by ``test_sinkhole``: ``python sinkhole.py COUNT SEED``. Every message goes through the kernel
that serves, ``fastpath._batch``, and twice through ``answer`` alone: once in an array that ends
where the message ends, so that a read beyond it fails, once with other bytes behind it and in every
array that the kernel may write. All three must give the same bytes and facts, and the rows of
telemetry must say the same. Of each of the first two thousand, and of every two hundredth after
that, ``policy.Policy`` must say the same too.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numba
import numpy as np

from fuzz.hostile import MAX_SIZE, WORST, seeds
from fuzz.messages import mutate
from remnant.sinkhole import answer_kernel as ak
from remnant.sinkhole import fastpath
from remnant.sinkhole.answer_kernel import answer
from remnant.sinkhole.fastpath import _batch, _source, has_room
from remnant.sinkhole.limiter import Limiter, new_limiter
from remnant.sinkhole.policy import Kind, Policy
from remnant.sinkhole.tables import compile_zones
from remnant.wire import skip_name, u16
from served import MANY, OTHER, opt, option, query, zones

NOW = 1_795_737_034
SECRET = bytes(range(16))
NSID = b"n" * 64
ALL_COMPARED = 2000
"""Messages at the start that the policy answers one and all; after that one in SHARE."""
SHARE = 200
TURN = 4096
LIMIT = 100
STEP_US = 100_000
"""Longest time between two batches: two of the networks ask about four times what they may."""
LASTING_S = 3000
"""Seconds after which the clock is set back, so that cookies stay good."""
GUARD = 64
CANARY = 0xA5

FAULTS = (
    "", "the batch's answer is another one", "other bytes behind the message change the answer",
    "facts differ", "longer than its query allows", "facts out of range", "header",
    "sections do not fill the answer", "written behind the answer", "telemetry row",
    "number of rows", "number of answers", "truncated, and yet with records", "zone",
)  # fmt: skip
"""What can be wrong with one message, as ``flood`` numbers it."""


@numba.njit(nogil=True)
def _draw(state: Any, below: Any) -> Any:
    value = state[0]
    value ^= value << np.uint64(13)
    value ^= value >> np.uint64(7)
    value ^= value << np.uint64(17)
    state[0] = value
    return np.int64((value >> np.uint64(11)) % np.uint64(below))


@numba.njit(nogil=True)
def fault(query: Any, size: Any, out: Any, length: Any, facts: Any, zone_count: Any) -> Any:
    """Return what is wrong with an answer, 0 if nothing."""
    kind, rcode, zone = facts[ak.KIND], facts[ak.RCODE], facts[ak.ZONE_INDEX]
    if not (
        0 <= kind <= ak.OBSERVED
        and -1 <= facts[ak.QTYPE] <= 65535
        and rcode in (-1, 0, 1, 3, 4, 5, 9, 16)
        and -1 <= facts[ak.TTL] <= 86400
        and 0 <= facts[ak.LISTED] <= 1
        and 0 <= facts[ak.LIMITED] <= 1
        and 0 <= facts[ak.COOKIE_VALID] <= 1
        and 0 <= facts[ak.ECS] <= 1
        and 0 <= facts[ak.NAME_BYTES] <= min(255, max(size - 16, 0))
        and (rcode < 0) == (length == 0)
    ):
        return 5
    if not -1 <= zone < zone_count or (kind == ak.OBSERVED) != (zone >= 0):
        return 13
    if length == 0:
        silent = kind in (ak.SILENT_SHORT, ak.SILENT_RESPONSE)
        return 0 if silent or facts[ak.LIMITED] == 1 else 6
    if length > ak.MAX_ANSWER or (length > size + 128 and facts[ak.COOKIE_VALID] == 0):
        return 4
    flags, asked = u16(out, 2), u16(query, 2)
    truncated = flags & 0x0200 != 0
    if (
        length < 12
        or u16(out, 0) != u16(query, 0)
        or flags & 0x8000 == 0
        or (flags ^ asked) & 0x7910
        or flags & 0x00E0
        or flags & 15 != rcode & 15
        or asked & 0x8000
    ):
        return 6
    records = u16(out, 6) + u16(out, 8)
    if (truncated or rcode not in (0, 3)) and records:
        return 12
    if facts[ak.LIMITED] == 1 and (not truncated or facts[ak.COOKIE_VALID] == 1):
        return 12
    # RFC 9619: one question, and only what was asked.
    position = 12
    if u16(out, 4) > 1 or u16(out, 10) > 1:
        return 6
    if u16(out, 4) == 1:
        position += facts[ak.NAME_BYTES] + 4
        if position > length:
            return 7
        for i in range(12, position):
            if out[i] != query[i]:
                return 7
    extra = 0
    for _ in range(records + u16(out, 10)):
        position = skip_name(out, position, length)
        if position < 0 or position + 10 > length:
            return 7
        extra += u16(out, position) == 41
        position += 10 + u16(out, position + 8)
    if position != length or extra != u16(out, 10):
        return 7
    return 4 if extra == 0 and length > 512 else 0


@numba.njit(nogil=True)
def _row_fault(columns: Any, row: Any, query: Any, room: Any, served: Any, facts: Any,
               subnet: Any, port: Any, now: Any) -> Any:  # fmt: skip
    """Return whether a row of telemetry says something else than the facts."""
    for i in range(16):
        if columns.address[row, i] != room.address[i]:
            return True
    name = columns.name_offsets[row]
    if columns.name_offsets[row + 1] - name != facts[ak.NAME_BYTES]:
        return True
    for i in range(facts[ak.NAME_BYTES]):
        if columns.names[name + i] != query[12 + i]:
            return True
    at = columns.subnet_offsets[row]
    if columns.subnet_offsets[row + 1] - at != 17 * facts[ak.ECS]:
        return True
    for i in range(17 * facts[ak.ECS]):
        if columns.subnets[at + i] != subnet[i]:
            return True
    return not (
        columns.time[row] == now
        and columns.client_port[row] == port
        and columns.service_port[row] == room.ports[0]
        and columns.qtype[row] == facts[ak.QTYPE]
        and columns.rcode[row] == facts[ak.RCODE]
        and columns.ttl[row] == facts[ak.TTL]
        and columns.limited[row] == facts[ak.LIMITED]
        and columns.unlisted[row] == 1 - facts[ak.LISTED]
        and columns.owner[row] == served.zone_owner[facts[ak.ZONE_INDEX]]
    )


@numba.njit(nogil=True)
def _soil(scratch: Any, state: Any) -> None:
    """Leave in a scratch what another message might have left."""
    for i in range(scratch.starts.size):
        scratch.starts[i] = _draw(state, 4096)
    for i in range(scratch.hits.size):
        scratch.hits[i] = _draw(state, 8)
    for i in range(scratch.edns.size):
        scratch.edns[i] = _draw(state, 256)
    for i in range(scratch.subnet.size):
        scratch.subnet[i] = _draw(state, 256)


@numba.njit(nogil=True)
def flood(
    messages: Any, offsets: Any, sources: Any, chosen: Any, state: Any, room: Any, served: Any,
    identity: Any, limiters: Any, scratches: Any, columns: Any, counters: Any, spare: Any,
    outs: Any, told: Any, answers: Any, expected: Any, now: Any,
) -> Any:  # fmt: skip
    """Answer messages three times; return (which is wrong, what is wrong) or (-1, 0), and the time.

    ``told`` and ``answers`` take the facts, length, arm and time, and the bytes of each answer.
    """
    count = offsets.size - 1
    facts, others = np.zeros(ak.FACTS, np.int64), np.zeros(ak.FACTS, np.int64)
    for first in range(0, count, fastpath.BATCH):
        size = min(fastpath.BATCH, count - first)
        now += _draw(state, STEP_US)
        if now > (NOW + LASTING_S) * 1_000_000:
            now = NOW * 1_000_000
        # What ``serve`` asks for before it takes a batch.
        if not has_room(columns):
            for i in range(columns.used.size):
                columns.used[i] = 0
        for i in range(size):
            start, stop = offsets[first + i], offsets[first + i + 1]
            filler = _draw(state, 256)
            for k in range(room.queries.shape[1]):
                room.queries[i, k] = messages[start + k] if k < stop - start else filler
            source = chosen[first + i]
            for k in range(room.sources.shape[1]):
                room.sources[i, k] = sources[source, k]
            # The upper half of this word is padding of the structure.
            room.arriving[i, fastpath._LENGTH] = (stop - start) | (_draw(state, 256) << 32)
        row = columns.used[0]
        drawn = room.random[0]
        ready = _batch(room, 0, size, now, served, identity, limiters[0], scratches[0], columns,
                       counters)  # fmt: skip
        sent = 0
        for i in range(size):
            number = first + i
            start, stop = offsets[number], offsets[number + 1]
            length = stop - start
            drawn ^= drawn << np.uint64(13)
            drawn ^= drawn >> np.uint64(7)
            drawn ^= drawn << np.uint64(17)
            arm = np.int64((drawn >> np.uint64(32)) & np.uint64(1))
            port = _source(room.sources[i], room.address)
            for k in range(outs.shape[1]):
                outs[0, k] = CANARY
                outs[1, k] = 255 - CANARY
            strict = messages[start:stop]
            made = answer(served, identity, limiters[1], scratches[1], strict, length,
                          room.address, now, arm, outs[0], facts)  # fmt: skip
            filler = _draw(state, 256)
            for k in range(spare.size):
                spare[k] = messages[start + k] if k < length else filler
            _soil(scratches[2], state)
            again = answer(served, identity, limiters[2], scratches[2], spare, length,
                           room.address, now, arm, outs[1], others)  # fmt: skip
            for k in range(ak.FACTS):
                told[number, k] = facts[k]
                if facts[k] != others[k]:
                    return number, 3, now
            told[number, ak.FACTS] = made
            told[number, ak.FACTS + 1] = arm
            told[number, ak.FACTS + 2] = now
            if made != again:
                return number, 2, now
            for k in range(made):
                answers[number, k] = outs[0, k]
                if outs[0, k] != outs[1, k]:
                    return number, 2, now
            # A truncated answer was longer before, in the room that every answer has.
            if made == 0 or u16(outs[0], 2) & 0x0200 == 0:
                for k in range(made, outs.shape[1]):
                    if outs[0, k] != CANARY:
                        return number, 8, now
            wrong = fault(strict, length, outs[0], made, facts, served.zone_config.size)
            if wrong:
                return number, wrong, now
            if facts[ak.KIND] == ak.OBSERVED:
                if row >= columns.used[0] or _row_fault(
                    columns, row, strict, room, served, facts, scratches[1].subnet, port, now
                ):
                    return number, 9, now
                row += 1
            expected[facts[ak.KIND]] += 1
            expected[6] += facts[ak.LISTED]
            expected[7] += facts[ak.LIMITED]
            expected[8] += facts[ak.COOKIE_VALID]
            if made and port:
                if sent >= ready or room.leaving_vectors[sent, 1] != made:
                    return number, 1, now
                for k in range(made):
                    if room.answers[sent, k] != outs[0, k]:
                        return number, 1, now
                expected[9] += made
                sent += 1
            else:
                expected[10] += 1
        if row != columns.used[0]:
            return first, 10, now
        if sent != ready:
            return first, 11, now
    return -1, 0, now


class Guarded:
    """Arrays with bytes around them that nobody may touch."""

    def __init__(self) -> None:
        self._whole: list[tuple[Any, Any]] = []

    def array(self, like: Any) -> Any:
        """Return an array of the same kind, inside one that is watched."""
        whole = np.full(like.nbytes + 2 * GUARD, CANARY, np.uint8)
        self._whole.append((whole, like))
        inside = whole[GUARD : GUARD + like.nbytes].view(like.dtype).reshape(like.shape)
        inside[...] = like
        return inside

    def all_of(self, arrays: Any) -> Any:
        return type(arrays)(*(self.array(array) for array in arrays))

    def check(self) -> None:
        for whole, like in self._whole:
            if (whole[:GUARD] != CANARY).any() or (whole[-GUARD:] != CANARY).any():
                sys.exit(f"written outside an array of {like.shape} {like.dtype}")


def socket_addresses(chance: random.Random) -> tuple[Any, list[bytes]]:
    """Return (socket addresses, the 16 bytes of each)."""
    made = [bytes([203, 0, 113, 9]), bytes.fromhex("20010db8000000010000000000000007")]
    made += [chance.randbytes(4) for _ in range(8)] + [chance.randbytes(16) for _ in range(4)]
    made += [bytes(4), bytes([255] * 4), bytes(16), bytes(10) + b"\xff\xff\x7f\0\0\1"]
    raw = np.zeros((len(made), fastpath._ADDRESS_STRIDE), np.uint8)
    sixteen = []
    for i, address in enumerate(made):
        port = struct.pack("!H", chance.randrange(1, 65536) if i % 5 else 0)
        if len(address) == 4:
            data = struct.pack("=H", socket.AF_INET) + port + address
        else:
            data = struct.pack("=H", socket.AF_INET6) + port + chance.randbytes(4) + address
        raw[i, : len(data)] = np.frombuffer(data, np.uint8)
        sixteen.append(address if len(address) == 16 else bytes(10) + b"\xff\xff" + address)
    return raw, sixteen


class Campaign:
    """Everything that one campaign needs."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.guarded = Guarded()
        chance = random.Random(seed)
        found = zones(MANY, OTHER, WORST)
        self.policy = Policy(found, nsid=NSID, secret=SECRET)
        self.served, self.owners = compile_zones(found)
        self.identity = ak.Identity(
            np.frombuffer(SECRET, np.uint64).copy(), np.frombuffer(NSID, np.uint8).copy()
        )
        self.sources, self.addresses = socket_addresses(chance)
        self.samples, self.sizes = self._samples(seed)
        self.state = np.array([chance.getrandbits(64) | 1], np.uint64)
        with fastpath.udp_socket("127.0.0.1", 0) as sock:
            room = fastpath.new_room([sock])
        self.room = self.guarded.all_of(room)
        first = new_limiter(LIMIT)
        self.limiters = tuple(
            Limiter(first.key, first.interval, self.guarded.array(first.tags),
                    self.guarded.array(first.times))
            for _ in range(3)
        )  # fmt: skip
        self.scratches = tuple(self.guarded.all_of(ak.new_scratch()) for _ in range(3))
        self.columns = self.guarded.all_of(fastpath.new_columns(512))
        self.counters = self.guarded.array(np.zeros(fastpath.COUNTERS, np.int64))
        self.outs = self.guarded.array(np.zeros((2, fastpath._ANSWER_STRIDE), np.uint8))
        self.expected = np.zeros(12, np.int64)
        self.now = NOW * 1_000_000
        self.seen: Counter[str] = Counter()
        self.done = self.compared = 0
        self.spent = 0.0

    def _samples(self, seed: int) -> tuple[Any, Any]:
        cookies = []
        for address in self.addresses[:2]:
            asked = query("timedate1.com", extra=opt(option(10, b"clientid")))
            response = self.policy.answer(asked, address, now=NOW, tcp=False).response
            assert response is not None
            cookies.append(response[-24:])
        found = seeds(seed, tuple(cookies))
        samples = np.zeros((len(found), MAX_SIZE), np.uint8)
        for i, message in enumerate(found):
            samples[i, : len(message)] = np.frombuffer(message, np.uint8)
        return samples, np.array([len(message) for message in found])

    def turn(self, size: int) -> None:
        """Send so many messages through everything."""
        offsets = np.zeros(size + 1, np.int64)
        out = np.zeros(size * (MAX_SIZE + 16), np.uint8)
        mutate(self.samples, self.sizes, self.state, out, offsets)
        draw = np.random.default_rng(int(self.state[0]))
        chosen = draw.integers(0, len(self.sources), size)
        # The two networks whose cookies are among the seeds ask more than the others.
        chosen = np.where(draw.random(size) < 0.5, chosen % 2, chosen)
        told = np.zeros((size, ak.FACTS + 3), np.int64)
        answers = np.zeros((size, ak.MAX_ANSWER), np.uint8)
        began = time.perf_counter()
        wrong, what, self.now = flood(
            out, offsets, self.sources, chosen, self.state, self.room, self.served, self.identity,
            self.limiters, self.scratches, self.columns, self.counters,
            np.zeros(MAX_SIZE + 64, np.uint8), self.outs, told, answers, self.expected, self.now,
        )  # fmt: skip
        self.spent += time.perf_counter() - began if self.done else 0.0
        self.guarded.check()

        def message(row: int) -> bytes:
            return out[offsets[row] : offsets[row + 1]].tobytes()

        if what:
            sys.exit(
                f"message {self.done + wrong} of seed {self.seed}: {FAULTS[what]}: "
                f"{message(wrong).hex()} answered {answers[wrong].tobytes().hex()}, "
                f"facts {told[wrong].tolist()}"
            )
        for row in range(size):
            if self.done + row < ALL_COMPARED or (self.done + row) % SHARE == 0:
                address = self.addresses[chosen[row]]
                self._compare(message(row), address, told[row], answers[row])
        self.done += size

    def _compare(self, message: bytes, address: bytes, told: Any, made: Any) -> None:
        """Compare one answer with that of the policy."""
        *facts, length, arm, now = (int(number) for number in told)
        said = self.policy.answer(
            message, address, now=now // 1_000_000, tcp=False, arm=arm,
            limited=bool(facts[ak.LIMITED]),
        )  # fmt: skip
        mine = (
            made[:length].tobytes() or None, facts[ak.KIND], facts[ak.ZONE_INDEX],
            facts[ak.QTYPE], facts[ak.RCODE], facts[ak.TTL],
            message[12 : 12 + facts[ak.NAME_BYTES]], facts[ak.ECS], facts[ak.COOKIE_VALID],
            facts[ak.LIMITED], facts[ak.LISTED],
        )  # fmt: skip
        if mine != (*said[:7], said.ecs is not None, *said[8:]):
            sys.exit(f"seed {self.seed}: {message.hex()}: {mine} is not {said}")
        self.compared += 1
        self.seen[f"{said.kind.name.lower()} {said.rcode}"] += 1

    def check_counters(self) -> None:
        """Hold the counters that operators see against the facts of every message."""
        told, counters = self.expected, self.counters
        pairs = {
            "messages": (counters[fastpath.MESSAGES], self.done),
            "observed": (counters[fastpath.OBSERVED], told[ak.OBSERVED]),
            "unlisted": (counters[fastpath.UNLISTED], told[ak.OBSERVED] - told[6]),
            "foreign": (counters[fastpath.FOREIGN], told[ak.FOREIGN]),
            "malformed": (
                counters[fastpath.MALFORMED],
                told[ak.MALFORMED] + told[ak.SILENT_SHORT],
            ),
            "not queries": (
                counters[fastpath.NOT_QUERIES],
                told[ak.NOT_A_QUERY] + told[ak.SILENT_RESPONSE],
            ),
            "limited": (counters[fastpath.LIMITED], told[7]),
            "cookies": (counters[fastpath.COOKIES], told[8]),
            "bytes out": (counters[fastpath.BYTES_OUT], told[9]),
            "silent": (counters[fastpath.SILENT], told[10]),
        }
        wrong = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        if wrong:
            sys.exit(f"counters (counted, should be): {wrong}")


def bounds_are_checked() -> bool:
    """Return whether reads and writes outside an array fail in ``answer``, wherever it is inlined.

    The length said is longer than the array that holds the message, then the array for the answer
    is too short.
    """
    campaign = Campaign(1)
    message = np.frombuffer(query("timedate1.com", 1), np.uint8).copy()
    facts = np.zeros(ak.FACTS, np.int64)
    caught = 0
    for held, out in ((message[:-2], 2560), (message, 30)):
        try:
            _alone(campaign.served, campaign.identity, campaign.limiters[0], campaign.scratches[0],
                   held, message.size, np.zeros(out, np.uint8), facts)  # fmt: skip
        except IndexError:
            caught += 1
    # The kernel that serves, with answers that are too short, and with no room for rows.
    room = campaign.room
    room.queries[0, : message.size] = message
    room.arriving[0, fastpath._LENGTH] = message.size
    for broken, columns in (
        (room._replace(answers=room.answers[:, :30]), campaign.columns),
        (room, campaign.columns._replace(time=campaign.columns.time[:0])),
        (room, campaign.columns._replace(names=campaign.columns.names[:3])),
    ):
        try:
            _batch(broken, 0, 1, NOW * 1_000_000, campaign.served, campaign.identity,
                   campaign.limiters[0], campaign.scratches[0], columns,
                   campaign.counters)  # fmt: skip
        except IndexError:
            caught += 1
    return caught == 5


@numba.njit(nogil=True)
def _alone(served: Any, identity: Any, limiter: Any, scratch: Any, held: Any, size: Any, out: Any,
           facts: Any) -> Any:  # fmt: skip
    address = np.zeros(16, np.uint8)
    return answer(served, identity, limiter, scratch, held, size, address, 0, 0, out, facts)


def main(count: int, seed: int) -> None:
    """Flood, compare, tell."""
    if not bounds_are_checked():
        sys.exit("bounds are not checked")
    campaign = Campaign(seed)
    while campaign.done < count:
        # The first turn is small: the kernels are compiled with it.
        campaign.turn(min(TURN, count - campaign.done) if campaign.done else 1)
    campaign.check_counters()
    counters = campaign.counters
    gain = counters[fastpath.BYTES_OUT] / counters[fastpath.BYTES_IN]
    names = [kind.name.lower() for kind in Kind]
    kinds = dict(zip(names, campaign.expected[:6].tolist(), strict=True))
    sys.stdout.write(
        f"{campaign.done:,} messages in {campaign.spent:.1f} s, each answered three times: "
        f"{kinds}\n"
        f"{campaign.compared:,} compared with the policy: {dict(campaign.seen.most_common())}\n"
        f"{counters[fastpath.LIMITED]:,} limited, {counters[fastpath.COOKIES]:,} with a valid "
        f"cookie, {gain:.2f} bytes out for one in\n"
    )
    # A campaign that reaches nothing finds nothing.
    few = [name for name, number in kinds.items() if number < count // 500]
    if few or not 0 < counters[fastpath.LIMITED] < count or not counters[fastpath.COOKIES]:
        sys.exit(f"hardly any of {few} was sent, or the limit or the cookies were not reached")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
