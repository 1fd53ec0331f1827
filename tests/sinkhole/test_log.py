"""Log lines: one JSON object each, bounded, and no flood."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from remnant.sinkhole.log import JsonLines, json_log


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_what_bots_send_stays_inside_its_string(capsys: pytest.CaptureFixture[str]) -> None:
    json_log("seen", name='a"}\n{"event":"forged"}\x1b[2J\u2028\x00é', raw=b"\xff")
    text = capsys.readouterr().err

    assert text.count("\n") == 1
    assert text.isascii()
    assert all(character >= " " for character in text.removesuffix("\n"))
    assert lines(text)[0]["event"] == "seen"


def test_lines_have_a_length(capsys: pytest.CaptureFixture[str]) -> None:
    json_log("serving", cases=[f"case-{n}" for n in range(10_000)], error="x" * 1_000_000)
    (line,) = lines(capsys.readouterr().err)

    assert line["cases"][-1] == "... (10000 in all)"
    assert len(line["error"]) < 2_100


def test_a_log_that_nobody_reads_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(text)

    monkeypatch.setattr(sys, "stderr", Broken())
    json_log("serving")


def test_what_libraries_log_is_limited_and_the_rest_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    handler = JsonLines("streams", clock=lambda: now[0], lines=3)
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "went %s", ("wrong\n{}",), None)
    for _ in range(1_000):
        handler.handle(record)
    now[0] = 61
    handler.handle(record)
    handler.handle(record)
    found = lines(capsys.readouterr().err)

    assert len(found) == 5
    assert (
        found[0] | {"event": "error", "process": "streams", "message": "went wrong\n{}"} == found[0]
    )
    assert found[3]["left_out"] == 997
    assert "left_out" not in found[4]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("raise RemnantError('no such thing', got='x')", "no such thing"),
        ("raise ValueError('one\\ntwo')", "ValueError: one\ntwo"),
    ],
)
def test_what_ends_a_process_is_one_line_as_well(end: str, said: str) -> None:
    code = (
        "import logging, warnings\n"
        "from remnant.errors import RemnantError\n"
        "from remnant.sinkhole.log import log_as_json\n"
        "log_as_json('keeper')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('x').exception('first')\n"
        f"warnings.warn('second')\n{end}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    first, second, last = lines(done.stderr)

    assert done.returncode == 1
    assert "ZeroDivisionError" in first["trace"]
    assert "second" in second["message"]
    assert (last["event"], last["process"]) == ("crashed", "keeper")
    assert said in last["error"]
