"""Compiles a kernel that only kernels call to code that is merely linked, and not yet optimised.

Numba makes machine code of every function by itself, together with all that it calls: what lies
five calls deep is optimised, and written out as machine code, five times and more. Only a kernel
that Python calls needs that. What kernels call is kept as it was lowered, and becomes part of the
callers; there it is optimised once, with all that is known of them.

This reaches into Numba; who imports it sees to it that this is a version that it was written for.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any, Final, TypeAlias

from numba import njit
from numba.core import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import NativeLowering

# Numba's own classes, which have no types.
_Dispatcher: TypeAlias = Any
_Generator: TypeAlias = Any
_Environment: TypeAlias = Any
_Option: TypeAlias = Any
_Result: TypeAlias = Any
_Signature: TypeAlias = Any
_State: TypeAlias = Any
_Attribute: TypeAlias = Any

_decorator: Final[_Attribute] = njit
"""With the options that Numba's types do not know."""

__all__ = ["link_within", "set_environments"]


class _Codegen:
    """The code generator of a library of which nothing is loaded into the process."""

    def __init__(self, real: _Generator) -> None:
        self._real = real

    def __getattr__(self, name: str) -> _Attribute:
        return getattr(self._real, name)

    def set_env(self, name: str, environment: _Environment) -> None:
        """Do nothing: there is no place yet that could hold it."""


class _Linked(JITCodeLibrary):
    """Code that waits for what calls it."""

    @property
    def codegen(self) -> _Codegen:
        return _Codegen(self._codegen)

    def get_pointer_to_function(self, name: str) -> int:  # noqa: ARG002 - the interface
        self._ensure_finalized()
        return 0

    def _optimize_final_module(self) -> None:
        """Leave it to the callers."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    def serialize_using_object_code(self) -> tuple[str, str, bytes]:
        """Return what the cache keeps: there is no object code."""
        self._ensure_finalized()
        return self.name, "bitcode", self._final_module.as_bitcode()


@register_pass(mutates_CFG=False, analysis_only=False)
class _ChooseLibrary(LoweringPass):
    _name = "remnant_choose_library"

    def __init__(self) -> None:
        LoweringPass.__init__(self)

    def run_pass(self, state: _State) -> bool:
        state.library = _Linked(state.targetctx.codegen(), state.func_id.func_qualname)
        return True


class _Within(Compiler):
    """Numba's compiler, with a library that is only linked."""

    def define_pipelines(self) -> list[Any]:
        pipelines: list[Any] = super().define_pipelines()
        for pipeline in pipelines:
            place = next(i for i, (each, _) in enumerate(pipeline.passes) if each is NativeLowering)
            pipeline.passes.insert(place, (_ChooseLibrary, "choose a library"))
            pipeline._finalized = False  # noqa: SLF001 - there is no other way to add one before
            pipeline.finalize()
        return pipelines


class _Target:
    """Numba's target, which loads a library from the cache as it was saved."""

    def __init__(self, real: _Generator) -> None:
        self._real = real

    def __getattr__(self, name: str) -> _Attribute:
        return getattr(self._real, name)

    def codegen(self) -> _Target:
        return self

    def unserialize_library(self, saved: tuple[str, str, bytes]) -> _Linked:
        from llvmlite import binding  # noqa: PLC0415 - only where one is loaded

        name, _, bitcode = saved
        library = _Linked(self._real.codegen(), name)
        library._final_module = binding.parse_bitcode(bitcode)  # noqa: SLF001
        library._finalize_final_module()  # noqa: SLF001
        return library


class _Kept(CompileResultCacheImpl):
    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        base: str = super().get_filename_base(fullname, abiflags)
        return f"{base}.linked"

    def rebuild(self, target: _Generator, payload: tuple[Any, ...]) -> _Result:
        result = CompileResult._rebuild(_Target(target), *payload)  # noqa: SLF001
        return result._replace(target_context=target)


class _Cache(FunctionCache):
    _impl_class = _Kept


class _Called(CPUDispatcher):
    """What Python calls, and what to kernels is its other form."""

    @property
    def _numba_type_(self) -> types.Dispatcher:
        # One that came from another process has no other form.
        return types.Dispatcher(getattr(self, "within", self))


def link_within(dispatcher: _Dispatcher, **options: _Option) -> _Dispatcher:
    """Give a kernel a form for its callers that is only linked.

    Args:
        dispatcher: what Python calls; kernels call the other form from now on.
        options: of Numba's decorator, for that form.

    Returns:
        The form for callers.
    """
    function = dispatcher.py_func
    # A function of its own: one that calls itself is being compiled in both forms at once.
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__,
        function.__closure__,
    )  # fmt: skip
    copy.__qualname__ = function.__qualname__
    copy.__module__ = function.__module__
    copy.__kwdefaults__ = function.__kwdefaults__
    within = _decorator(
        pipeline_class=_Within, no_cpython_wrapper=True, no_cfunc_wrapper=True, **options
    )(copy)
    if isinstance(dispatcher._cache, FunctionCache):  # noqa: SLF001
        within._cache = _Cache(copy)  # noqa: SLF001
    dispatcher.within = within
    dispatcher.__class__ = _Called
    return within


def set_environments(dispatcher: _Dispatcher, signature: _Signature) -> None:
    """Tell a kernel's code where the Python objects of those are that became part of it.

    Errors with arguments are made of such objects. Numba does this when it loads from the cache;
    what it has just compiled it takes to be told already.
    """
    result = dispatcher.overloads.get(signature)
    if result is not None:
        for environment in result._find_referenced_environments():  # noqa: SLF001
            result.library.codegen.set_env(environment.env_name, environment)
