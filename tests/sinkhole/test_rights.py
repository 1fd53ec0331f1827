"""Giving up rights, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from remnant.errors import RemnantError
from remnant.sinkhole.rights import become

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")


def said(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_user_that_is_not_there() -> None:
    with pytest.raises(RemnantError, match="no such user"):
        become("nobody-of-this-name")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_root_becomes_nobody_for_good() -> None:
    text = said(
        "import os\n"
        "from remnant.sinkhole.rights import become\n"
        "become('nobody')\n"
        "print(os.getresuid(), os.getresgid(), os.getgroups(), os.environ['HOME'])\n"
        "try: os.setuid(0)\n"
        "except PermissionError: print('no way back')\n"
    )

    assert "(65534, 65534, 65534) (65534, 65534, 65534) []" in text
    assert "no way back" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else first")
def test_who_is_not_root_is_told_so() -> None:
    text = said(
        "from remnant.sinkhole.rights import become\n"
        "become('nobody')\n"
        "try: become('daemon')\n"
        "except Exception as error: print(error.text())\n"
    )

    assert "may not become another user" in text
    assert "hint" in text


@LINUX
def test_what_is_started_afterwards_has_no_rights_of_a_service_manager() -> None:
    text = said(
        "import subprocess\n"
        "from remnant.sinkhole.rights import hand_none_on\n"
        "hand_none_on()\n"
        "print(subprocess.run(['cat', '/proc/self/status'], capture_output=True).stdout.decode())\n"
    )

    assert "CapAmb:\t0000000000000000" in text
    assert "NoNewPrivs:\t1" in text
