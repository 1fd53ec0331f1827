"""Mutated DNS messages through the kernels, and a share of them through dnspython.

Run by ``test_messages``: ``python messages.py COUNT SEED``. Every message goes through all kernels
that read DNS. Of each of the first two thousand, and of every fiftieth after that, dnspython must
say the same: what the question is, and which records there are. Where dnspython refuses the whole
message and Remnant does not, the reason must be one of REFUSALS; docs/explanation/reading-dns.md
argues each of them.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsigkeyring
import numba
import numpy as np

import dns_oracle
from remnant import wire
from remnant.capture.records import MODES, new_records, records_room, write_records
from remnant.names import wire_to_text
from remnant.watchlist import Rule, Watchlist

WATCHED = Watchlist.compile(
    [
        Rule("demo", "below", "*.evil.test"),
        Rule("demo", "exact", "."),
        Rule("demo", "address", "192.0.2.0/24"),
        Rule("demo", "address", "::/0"),
    ]
)
ALL_COMPARED = 2000
"""Messages at the start that dnspython looks at one and all; after that one in SHARE."""
SHARE = 50
BATCH = 4096
MAX_SIZE = 1500
RECORDS = [
    "A 192.0.2.1", "A 203.0.113.255", "AAAA 2001:db8::1", "AAAA ::ffff:192.0.2.1",
    "NS ns1.evil.test.", "CNAME Www.Other.Example.", "PTR host.evil.test.", "DNAME evil.test.",
    "MX 10 mail.evil.test.", "SRV 1 2 443 sip.evil.test.", 'TXT "v=spf1" "a\\"b"', 'SPF "x"',
    "SOA ns1.evil.test. admin.evil.test. 1 2 3 4 5", 'CAA 0 issue "ca.example"',
    "TYPE65400 \\# 3 c0000c", "DS 1 8 2 " + "ab" * 32, "NSEC evil.test. A RRSIG",
    "HTTPS 1 . alpn=h2", "RRSIG A 8 2 60 20260101000000 20250101000000 1 evil.test. AAAA",
]  # fmt: skip
OWNERS = [
    "www.evil.test.",
    "evil.test.",
    "Other.Example.",
    "a.b.c.d.e.evil.test.",
    ".",
    r"x\.y.test.",
]

REFUSALS = {
    "ShortHeader": "both",
    "no question": "without a question no record is taken",
    "questions": "more than one question: the first is the question, no record is taken",
    "TrailingJunk": "bytes after the last record are not looked at",
    "cut": "a record that is cut off ends the records; those before it count",
    "owner": "an owner that is no name hides its own record only",
    "BadEDNS": "OPT twice, or outside the additional section, or not at the root",
    "BadTSIG": "TSIG that is not the last record",
    "UnknownTSIGKey": "signatures are not checked",
    "rdata": "data that is not what its type says stays as bytes",
    "opcode": "messages that ask for nothing are not read further",
}


def seeds() -> list[bytes]:
    """Return messages of every kind: compressed names, all types, options, sections, signatures."""
    out = []
    option = dns.edns.ECSOption("203.0.113.0", 24)
    for number, owner in enumerate(OWNERS):
        asked = dns.message.make_query(owner, "ANY", use_edns=0, options=[option])
        out.append(asked.to_wire())
        for first in range(0, len(RECORDS), 3):
            made = dns.message.make_response(asked)
            for i, record in enumerate(RECORDS[first : first + 3] + RECORDS[number : number + 2]):
                kind, data = record.split(" ", 1)
                name = OWNERS[(number + i) % len(OWNERS)] if i else owner
                section = (made.answer, made.answer, made.authority, made.additional)[i % 4]
                section.append(dns.rrset.from_text(name, 60, "IN", kind, data))
            made.set_rcode(dns.rcode.Rcode(number))
            out.append(made.to_wire())
    two = dns.message.make_query("a.evil.test", "A")
    two.question.append(
        dns.rrset.RRset(dns.name.from_text("b.test"), dns.rdataclass.IN, dns.rdatatype.A)
    )
    out.append(two.to_wire())
    signed = dns.message.make_query("a.evil.test", "SOA")
    signed.use_tsig(dns.tsigkeyring.from_text({"k.": "c2VjcmV0"}))
    out += [signed.to_wire(), bytes(12), bytes.fromhex("000028000001000000000000") + b"\0\0\6\0\1"]
    return [message for message in out if len(message) < MAX_SIZE - 100]


@wire.compiled
def _next(state: np.ndarray, below: Any) -> Any:
    value = state[0]
    value ^= value << np.uint64(13)
    value ^= value >> np.uint64(7)
    value ^= value << np.uint64(17)
    state[0] = value
    return np.int64((value >> np.uint64(11)) % np.uint64(below))


@wire.compiled
def mutate(
    samples: np.ndarray,
    sizes: np.ndarray,
    state: np.ndarray,
    out: np.ndarray,
    offsets: np.ndarray,
) -> None:
    """Write mutated messages end to end; ``samples`` is uint8[n, MAX_SIZE]."""
    special = np.array([0, 1, 2, 12, 41, 63, 64, 128, 191, 192, 193, 255], np.uint8)
    at = np.int64(0)
    for row in range(offsets.size - 1):
        offsets[row] = at
        source = _next(state, sizes.size)
        size = sizes[source]
        for i in range(size):
            out[at + i] = samples[source, i]
        for _ in range(_next(state, 6)):
            if size < 2:
                break
            how = _next(state, 9)
            place = at + _next(state, size)
            if how < 2:
                out[place] = _next(state, 256)
            elif how < 4:
                out[place] = special[_next(state, special.size)]
            elif how == 4 and place + 1 < at + size:
                # A pointer, most often to something that is there.
                out[place] = 192
                out[place + 1] = _next(state, min(size + 3, 256))
            elif how == 5:
                # A count in the header.
                out[at + 4 + min(_next(state, 8), size - 5) if size > 5 else at] = _next(state, 4)
            elif how == 6:
                other = at + _next(state, size)
                for i in range(min(_next(state, 24), at + size - max(place, other))):
                    out[place + i] = out[other + i]
            elif how == 7:
                if _next(state, 4) == 0:
                    size = _next(state, size + 1)
            elif size + 8 < samples.shape[1]:
                more = _next(state, 8)
                for i in range(more):
                    out[at + size + i] = _next(state, 256)
                size += more
        at += size
    offsets[offsets.size - 1] = at


@numba.njit(nogil=True)
def flood(
    buffer: np.ndarray, offsets: np.ndarray, tables: Any, all_records: Any, watched: Any,
    scratch: np.ndarray, starts: np.ndarray, question: np.ndarray, hits: np.ndarray,
    subnet: np.ndarray, totals: np.ndarray,
) -> None:  # fmt: skip
    """Read every message with every kernel; ``totals`` counts reasons, records and subnets."""
    for row in range(offsets.size - 1):
        start, stop = offsets[row], offsets[row + 1]
        reason = wire.question(buffer, start, stop, scratch, starts, question)
        totals[reason] += 1
        if reason != 0:
            continue
        _, found = wire.edns(buffer, stop, question, subnet)
        totals[4] += found
        totals[5] += wire.has_other_owner(buffer, stop, question)
        if not records_room(all_records):
            all_records.filled[0] = 0
        if not records_room(watched):
            watched.filled[0] = 0
        before = all_records.filled[0]
        write_records(
            all_records, tables, buffer, start, stop, question, scratch, starts, hits, subnet,
            (row, 0, -1, 2),
        )  # fmt: skip
        totals[6] += all_records.filled[0] - before
        before = watched.filled[0]
        write_records(
            watched, tables, buffer, start, stop, question, scratch, starts, hits, subnet,
            (row, 0, row % 2 - 1, 1),
        )  # fmt: skip
        totals[7] += watched.filled[0] - before


class Reading:
    """One message by the kernels, called from Python."""

    def __init__(self) -> None:
        self.records = new_records("all")
        self.scratch = np.zeros(256, np.uint8)
        self.starts = np.zeros(wire.MAX_LABELS + 2, np.int64)
        self.question = np.zeros(wire.FIELDS, np.int64)
        self.hits = np.zeros(256, np.int32)
        self.address = np.zeros(17, np.uint8)

    def read(self, message: bytes) -> tuple[int, Any, list[tuple[str, int, str]]]:
        """Return (reason, question or None, records)."""
        buffer = np.frombuffer(message or b"\0", np.uint8)
        reason = int(
            wire.question(buffer, 0, len(message), self.scratch, self.starts, self.question)
        )
        labels = int(self.question[wire.LABELS])
        if reason or labels < 0:
            return reason, None, []
        held = buffer if self.question[wire.IN_PLACE] else self.scratch
        name = wire_to_text(held[self.starts[0] : self.starts[labels] + 1].tobytes())
        asked = (name, int(self.question[wire.QTYPE]), int(self.question[wire.QCLASS]))
        self.records.filled[0] = 0
        write_records(
            self.records, WATCHED.tables, buffer, 0, len(message), self.question, self.scratch,
            self.starts, self.hits, self.address, (0, 0, -1, MODES["all"]),
        )  # fmt: skip
        return reason, asked, self._written()

    def _written(self) -> list[tuple[str, int, str]]:
        records, out = self.records, []
        for row in range(int(records.filled[0])):
            name = records.names[records.name_offsets[row] : records.name_offsets[row + 1]]
            data = records.data[records.data_offsets[row] : records.data_offsets[row + 1]]
            text = data.tobytes().decode("ascii")
            out.append((wire_to_text(name.tobytes()), int(records.rrtype[row]), text))
        return out


def whole(message: bytes) -> tuple[Any, list[tuple[str, int, str | None]]]:
    """Return (question, records) as dnspython reads a message in one go; it may raise."""
    made = dns.message.from_wire(message, one_rr_per_rrset=True, question_only=False)
    first = made.question[0] if made.question else None
    asked = None
    if first is not None:
        asked = (dns_oracle.name_text(first.name), int(first.rdtype), int(first.rdclass))
    records = []
    for section in (made.answer, made.authority, made.additional):
        for rrset in section:
            if rrset.rdclass != dns.rdataclass.IN or rrset.rdtype in dns_oracle.NO_RECORDS:
                continue
            text = dns_oracle.rdata_text(rrset[0])
            records.append((dns_oracle.name_text(rrset.name), int(rrset.rdtype), text))
    return asked, records


def compare(message: bytes, mine: Any, seen: Counter[str]) -> None:
    """Compare with dnspython, name by name and as a whole; tell what is different."""
    reason, asked, records = mine
    said = dns_oracle.read(message)
    assert (reason == 1) == (not said.header), "header"
    assert (reason > 1) == said.bad_question, "question"
    assert asked == said.question, "question"
    assert records == said.records, "records"
    opcode = len(message) > 2 and message[2] & 0x78
    try:
        their_question, their_records = whole(message)
    except (dns.exception.DNSException, ValueError) as error:
        seen[refusal(error, reason, said, bool(opcode))] += 1
        return
    if opcode:
        seen["accepted, another opcode"] += 1
        return
    assert reason == 0, "dnspython accepts it"
    assert asked == their_question, "question as a whole"
    if said.odd:
        seen[f"accepted, {min(said.odd)}"] += 1
        return
    # A type that Remnant keeps as bytes has been compared as such above.
    known = [
        (mine, theirs) for mine, theirs in zip(records, their_records, strict=True) if theirs[2]
    ]
    assert all(mine == theirs for mine, theirs in known), "records as a whole"
    assert [r[:2] for r in records] == [r[:2] for r in their_records], "records as a whole"
    seen["the same"] += 1


def refusal(error: Exception, reason: int, said: dns_oracle.Said, opcode: bool) -> str:
    """Return why dnspython refuses a message that Remnant may read."""
    if reason:
        return "refused by both"
    if opcode:
        return "opcode"
    for odd in ("no question", "questions", "cut", "owner"):
        if odd in said.odd:
            return odd
    name = type(error).__name__
    if name in REFUSALS:
        return name
    return "rdata" if said.bad_data else name


def main(count: int, seed: int) -> None:
    """Mutate, flood, compare."""
    try:
        wire.u16(np.zeros(1, np.uint8), 0)
    except IndexError:
        pass
    else:
        sys.exit("bounds are not checked")
    whole_seeds = seeds()
    samples = np.zeros((len(whole_seeds), MAX_SIZE), np.uint8)
    for i, message in enumerate(whole_seeds):
        samples[i, : len(message)] = np.frombuffer(message, np.uint8)
    sizes = np.array([len(message) for message in whole_seeds])
    state = np.array([random.Random(seed).getrandbits(64) | 1], np.uint64)
    out = np.zeros(BATCH * (MAX_SIZE + 16), np.uint8)
    totals = np.zeros(8, np.int64)
    reading, seen = Reading(), Counter[str]()
    scratch = Reading()
    watched = new_records("watched")
    done = compared = 0
    spent = 0.0
    while done < count:
        # The first batch is small: the kernels are compiled with it.
        size = min(BATCH, count - done) if done else 1
        offsets = np.zeros(size + 1, np.int64)
        mutate(samples, sizes, state, out, offsets)
        began = time.perf_counter()
        flood(
            out[: offsets[-1]], offsets, WATCHED.tables, scratch.records, watched, scratch.scratch,
            scratch.starts, scratch.question, scratch.hits, scratch.address, totals,
        )  # fmt: skip
        spent += time.perf_counter() - began if done else 0.0
        for row in range(size):
            if done + row >= ALL_COMPARED and (done + row) % SHARE:
                continue
            message = out[offsets[row] : offsets[row + 1]].tobytes()
            try:
                compare(message, reading.read(message), seen)
            except BaseException:
                sys.stderr.write(f"message {done + row} of seed {seed}: {message.hex()}\n")
                raise
            compared += 1
        done += size
    words = ["read", "header", "name", "question", "subnets", "other owners", "records", "watched"]
    read = dict(zip(words, totals.tolist(), strict=True))
    sys.stdout.write(f"{done:,} messages in {spent:.1f} s: {read}\n")
    sys.stdout.write(f"{compared:,} compared with dnspython: {dict(seen.most_common())}\n")
    unknown = {
        word for word in seen
        if word not in REFUSALS and not word.startswith(("the same", "refused by both", "accepted"))
    }  # fmt: skip
    if unknown:
        sys.exit(f"refused by dnspython alone, for reasons that nobody argued: {unknown}")
    # A campaign that reads nothing finds nothing.
    if min(totals[0], totals[6]) < count // 5 or seen["the same"] < compared // 10:
        sys.exit("hardly anything was read")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
