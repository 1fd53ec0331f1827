"""Lets one process at a time compile a kernel; the others wait, and load what it has compiled.

Several processes start at once where a sinkhole has several workers: without this each of them
would compile all kernels, which takes a minute of every core.

No two processes wait for each other: a process holds the locks of a kernel and of those that it
calls, in that order, and no kernel calls one that calls it.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numba
from numba import njit
from numba.core import types
from numba.core.compiler_lock import global_compiler_lock

try:
    import fcntl
except ImportError:  # pragma: no cover - not on this system: each compiles for itself
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Function: TypeAlias = Any
_Dispatcher: TypeAlias = Any
_Signature: TypeAlias = Any
_Compiled: TypeAlias = Any
_Option: TypeAlias = Any
_Decorator: TypeAlias = "Callable[[_Function], _Dispatcher]"

_decorator: Final[_Option] = njit
"""With the options that Numba's types do not know."""

__all__ = ["LINKED", "LOCK", "compiled_once", "held"]

_LINKING: Final = ("0.68.",)
"""The versions of Numba that ``linking`` was written for."""

LINKED: Final[bool] = numba.__version__.startswith(_LINKING)
"""Whether what kernels call is only linked to them; else Numba compiles each by itself, to the same
results and in more time."""

if LINKED:
    from remnant.linking import link_within, set_environments

LOCK: Final = ".lock"
"""How the names of the files end that stand for the right to compile a kernel."""

_PATIENCE_S: Final = 300.0
"""After this a process compiles for itself: the one that it waits for may have been stopped."""

_PAUSE_S: Final = 0.02

_held: Final[set[str]] = set()
"""What this process holds. Only who has Numba's own lock looks here."""


@contextmanager
def held(path: Path, patience: float = _PATIENCE_S) -> Iterator[bool]:
    """Hold a file's lock, if that can be had; the system lets go of it where the process dies.

    To be called with Numba's lock, of which a process has one.

    Args:
        path: the file, which is made.
        patience: seconds after which to go on without.

    Yields:
        Whether the lock is held.
    """
    name = str(path)
    if name in _held or fcntl is None:
        # A kernel that calls itself comes here twice.
        yield name in _held
        return
    try:
        # To read is enough for a lock, and another user may have made the file.
        file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        yield False
        return
    try:
        if _locked(file, patience):
            _held.add(name)
        yield name in _held
    finally:
        _held.discard(name)
        os.close(file)


def _locked(file: int, patience: float) -> bool:
    """Wait for a lock; return whether it came."""
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE_S)
        except OSError:
            # A file system without locks.
            return False
        else:
            return True


def compiled_once(folder: str, **options: _Option) -> _Decorator:
    """Let each kernel be compiled by one process at a time, and what it calls be linked to it.

    Args:
        folder: the folder of the cache; an empty name if there is none.
        options: of Numba's decorator; with ``cache`` a kernel is looked for in the cache before it
            is compiled.
    """
    decorate = _decorator(no_cfunc_wrapper=True, **options)

    def decorate_and_share(function: _Function) -> _Dispatcher:
        dispatcher = decorate(function)
        # Without compilation Numba gives back the function as it is.
        if dispatcher is not function:
            if LINKED:
                within = link_within(dispatcher, **options)
                _share(within, function, folder, ".linked")
            _share(dispatcher, function, folder, "")
        return dispatcher

    return decorate_and_share


def _share(dispatcher: _Dispatcher, function: _Function, folder: str, form: str) -> None:
    compile_or_load = dispatcher.compile
    code = function.__code__
    name = f"{function.__module__}.{code.co_qualname}-{code.co_firstlineno}{form}{LOCK}"

    def compile_alone(signature: _Signature) -> _Compiled:
        if isinstance(signature, tuple):
            signature = tuple(map(_without_value, signature))
        if isinstance(signature, tuple) and signature in dispatcher.overloads:
            return compile_or_load(signature)
        with global_compiler_lock, held(Path(folder, name)) if folder else nullcontext():
            compiled = compile_or_load(signature)
            if LINKED and not form:
                set_environments(dispatcher, signature)
            return compiled

    dispatcher.compile = compile_alone


def _without_value(kind: types.Type) -> types.Type:
    """Return the type of a whole number or truth value that a kernel's caller writes out.

    Numba compiles a function anew for each constant that it is called with, and to the same code:
    the constant is put in later, where the function becomes part of its caller.
    """
    if isinstance(kind, types.IntegerLiteral | types.BooleanLiteral):
        plain: types.Type = types.unliteral(kind)  # type: ignore[no-untyped-call]
        return plain
    return kind
