from __future__ import annotations

import tomllib
from collections import Counter
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from remnant import simulate
from simulate.conftest import SCALE, SEED, SHORT

if TYPE_CHECKING:
    from pathlib import Path

    from simulate.slow_decoder import Frame

DAY_US = 86_400_000_000


def files_below(folder: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    short: simulate.SimulationResult, tmp_path: Path
) -> None:
    again = simulate.run(SHORT, tmp_path / "again", scale=SCALE, seed=SEED)
    other = simulate.run(SHORT, tmp_path / "other", scale=SCALE, seed=SEED + 1)

    assert files_below(again.out) == files_below(short.out)
    traffic = files_below(other.traffic)
    # Segments have names that no other has.
    resolvers = {path for path in traffic if path.suffixes[-2:] == [".dnstap", ".zst"]}
    assert resolvers < files_below(short.traffic).keys()
    assert len(traffic) == len(files_below(short.traffic))
    assert not set(traffic.values()) & set(files_below(short.traffic).values())


def test_each_file_is_one_day_of_one_resolver_in_time_order(
    read: dict[Path, list[Frame]],
) -> None:
    assert len(read) == 2 * 4
    for path, frames in read.items():
        times = [frame.time_us for frame in frames]
        assert times == sorted(times)
        assert {time // DAY_US for time in times} == {day_of(path) // DAY_US}
        assert {frame.identity for frame in frames} == {path.parent.name}
        assert {frame.version for frame in frames} == {"remnant-simulator"}


def day_of(path: Path) -> int:
    from remnant.windows import parse_time, to_us

    return to_us(parse_time(path.name[:10]))


def test_no_hour_is_silent_however_small_the_scale(tmp_path: Path) -> None:
    from simulate.slow_decoder import frames_of

    result = simulate.run(SHORT, tmp_path / "tiny", scale=1e-5)

    for path in result.traffic.rglob("*.dnstap.zst"):
        assert {frame.time_us // 3_600_000_000 % 24 for frame in frames_of(path)} == set(range(24))


def test_responses_follow_their_query_and_say_what_it_said(
    read: dict[Path, list[Frame]],
) -> None:
    answered = 0
    for frames in read.values():
        queries = {
            (f.client, f.port, f.parsed.id): f
            for f in frames
            if f.type == 5 and f.parsed is not None
        }
        for frame in frames:
            if frame.type == 6:
                query = queries[frame.client, frame.port, frame.parsed.id]
                # Names are compared as bytes: the letter case is repeated as well.
                assert frame.parsed.question[0].name.to_wire() == (
                    query.parsed.question[0].name.to_wire()
                )
                assert frame.query_time_us == query.query_time_us < frame.time_us
                assert frame.time_us - frame.query_time_us < 10_000_000
                answered += 1
    assert answered > 1000


def test_seized_names_answer_with_the_sinkhole_after_the_takedown(
    short: simulate.SimulationResult, read: dict[Path, list[Frame]]
) -> None:
    case = tomllib.loads(short.case_file.read_text())
    takedown = int(case["case"]["takedown"].timestamp() * 1e6)
    outcome = {name.name: name.after for name in SHORT.names}
    seen: Counter[tuple[bool, str, str]] = Counter()
    for frames in read.values():
        for f in frames:
            if f.type == 6 and f.name in outcome and f.parsed.rcode() != 2:
                answer = ""
                if f.parsed.rcode() == 3:
                    answer = "nxdomain"
                elif f.parsed.answer:
                    address = ip_address(f.parsed.answer[0][0].address)
                    zones = {"sinkhole": "192.0.2.53/32", "c2": "203.0.113.0/24"}
                    zones["sinkhole6"] = "2001:db8::53/128"
                    answer = next(z for z, n in zones.items() if address in ip_network(n))
                seen[f.query_time_us >= takedown, outcome[f.name], answer] += 1

    # An empty answer: somebody asked for AAAA where there is none.
    assert {kind for kind in seen if kind[2]} == {
        (False, "sinkhole", "c2"),
        (False, "nxdomain", "c2"),
        (False, "c2", "c2"),
        (True, "sinkhole", "sinkhole"),
        (True, "sinkhole", "sinkhole6"),
        (True, "nxdomain", "nxdomain"),
        (True, "c2", "c2"),
    }
    assert not any(kind[:2] == (True, "sinkhole") for kind in seen if not kind[2])


def test_the_traffic_has_what_makes_reading_hard(read: dict[Path, list[Frame]]) -> None:
    every = [f for frames in read.values() for f in frames]
    asked = [f for f in every if f.type == 5 and f.parsed is not None]

    assert any(f.protocol == 2 for f in asked)
    assert any(not str(f.parsed.question[0].name).islower() for f in asked)
    assert any(f.parsed.edns == 0 for f in asked)
    assert any(option.otype == 8 for f in asked for option in f.parsed.options)
    assert {f.type for f in every} == {3, 4, 5, 6}
    assert any(f.parsed.rcode() == 2 for f in every if f.type == 6)
    assert {":" in f.client for f in asked} == {True, False}
    watched = {name.name for name in SHORT.names}
    names = {f.name for f in asked} - watched
    traps = {name for name in names if any(other in name for other in watched)}
    assert any(trap.startswith("not") for trap in traps)
    assert any(trap.endswith(".example") for trap in traps)
    assert any(r"\." in name for name in names)
