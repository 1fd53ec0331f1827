"""Passive DNS as real exporters write it: the common output format, and the log of passivedns.

The first record of each file says that a simulation wrote it.

References:
    draft-dulaunoy-dnsop-passive-dns-cof-12; gamelinux' passivedns, README.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from remnant.capture.pdns_rows import SIMULATOR
from remnant.capture.text_types import TYPES
from remnant.enrich.content import row_numbers
from remnant.simulate.made_names import joined
from remnant.simulate.networks import RESOLVER_V4

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_cof", "write_log"]

_LEVEL: Final = 3
_SECOND_US: Final = 1_000_000
_NAMES: Final = (2, 5)
_MX: Final = 15
_MNEMONIC: Final = {number: word for word, number in reversed(TYPES.items())}


def write_cof(answers: pa.Table, path: Path) -> int:
    """Write records as one JSON object a line, compressed; return how many bytes.

    Args:
        answers: columns of ``schema.ANSWERS``, folded names without escapes.
        path: ends in ``.zst``.
    """
    rows = _sorted(answers, ("rrname", "rrtype", "rdata", "time_first"))
    lines = joined(
        '{"rrname":"', rows["rrname"], '.","rrtype":"', _types(rows), '","rdata":"', _data(rows),
        '","count":', _text(rows["count"]),
        ',"time_first":', _seconds(rows["time_first"]),
        ',"time_last":', _seconds(rows["time_last"]),
        ',"sensor_id":"', _text(rows["sensor"]), '"}',
    )  # fmt: skip
    start = pc.min(rows["time_first"]).as_py()
    first = (
        f'{{"rrname":"{SIMULATOR}.","rrtype":"TXT","rdata":"made up by a simulation","count":1,'
        f'"time_first":{int(start.timestamp())},"time_last":{int(start.timestamp())}}}'
    )
    return _write(path, [first, *lines.to_pylist()])


def write_log(answers: pa.Table, path: Path) -> int:
    """Write records as passivedns prints them, a line for each row, compressed; return the bytes.

    A line has one time: that at which the row was seen last. It says the TTL.
    """
    rows = _sorted(answers, ("time_last", "rrname", "rdata"))
    client, server = _address(RESOLVER_V4), "198.51.100.53"
    micro = rows["time_last"].cast(pa.int64()).to_numpy()
    fraction = pc.utf8_lpad(pa.array(micro % _SECOND_US).cast(pa.string()), 6, "0")
    lines = joined(
        _text(pa.array(micro // _SECOND_US)), ".", fraction, f"||{client}||{server}||IN||",
        rows["rrname"].combine_chunks(), ".||", _types(rows), "||", _data(rows), "||",
        _text(rows["ttl_low"].combine_chunks()), "||", _text(rows["count"].combine_chunks()),
    )  # fmt: skip
    first = (
        f"{int(micro.min()) // _SECOND_US}.000000||{client}||{server}||IN||{SIMULATOR}.||TXT||"
        "made up by a simulation||0||1"
    )
    return _write(path, [first, *lines.to_pylist()])


def _sorted(answers: pa.Table, columns: tuple[str, ...]) -> pa.Table:
    order: Any = [(name, "ascending") for name in columns]
    return answers.sort_by(order).combine_chunks()


def _write(path: Path, lines: list[str]) -> int:
    text = "\n".join(lines) + "\n"
    path.write_bytes(zstandard.ZstdCompressor(level=_LEVEL).compress(text.encode("ascii")))
    return path.stat().st_size


def _data(rows: pa.Table) -> Any:  # noqa: ANN401 - Arrow
    """Return the data, names with the dot at their end."""
    kinds = rows["rrtype"].to_numpy()
    named = pa.array(np.isin(kinds, (*_NAMES, _MX)))
    data = rows["rdata"].combine_chunks()
    return pc.if_else(named, joined(data, "."), data)


def _types(rows: pa.Table) -> Any:  # noqa: ANN401 - Arrow
    kinds, which = np.unique(rows["rrtype"].to_numpy(), return_inverse=True)
    return pa.array([_MNEMONIC[int(kind)] for kind in kinds]).take(row_numbers(which))


def _seconds(column: Any) -> Any:  # noqa: ANN401 - Arrow
    return _text(pa.array(column.cast(pa.int64()).to_numpy() // _SECOND_US))


def _text(column: Any) -> Any:  # noqa: ANN401 - Arrow
    return column.cast(pa.string())


def _address(number: int) -> str:
    return ".".join(str((number >> shift) & 255) for shift in (24, 16, 8, 0))
