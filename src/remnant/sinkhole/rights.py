"""Rights that the sinkhole gives up once its ports are open.

References:
    setuid(2), prctl(2): PR_CAP_AMBIENT_CLEAR_ALL, PR_SET_NO_NEW_PRIVS.
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import sys
from typing import Final

from remnant.errors import RemnantError

__all__ = ["become", "hand_none_on"]

_NO_NEW_RIGHTS: Final = 38
_AMBIENT: Final = 47
_CLEAR_ALL: Final = 4


def become(user: str) -> None:
    """Become another user for good; the environment names that user and its home folder then.

    Raises:
        RemnantError: there is no such user, or this process may not become another one.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise RemnantError("there is no such user", got=user, hint="see --user") from None
    if entry.pw_uid == os.getuid():
        return
    try:
        os.setgroups([group.gr_gid for group in grp.getgrall() if user in group.gr_mem])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except OSError as error:
        raise RemnantError(
            "this process may not become another user",
            got=error.strerror or error,
            hint="start as root, or as that user, and leave --user out",
        ) from None
    os.environ |= {"HOME": entry.pw_dir, "USER": user, "LOGNAME": user}


def hand_none_on() -> None:
    """Let no process that is started from now on have rights that this one was given.

    What a service manager gave for the ports is not for those who read what bots send.
    """
    if sys.platform == "linux":
        system = ctypes.CDLL(None)
        system.prctl(_AMBIENT, _CLEAR_ALL, 0, 0, 0)
        system.prctl(_NO_NEW_RIGHTS, 1, 0, 0, 0)
