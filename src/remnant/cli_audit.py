"""What the command line writes into the audit log, which the dashboard shows.

A command that changes something is declared with ``changes``, any other with ``reads``: a test
demands one of them of each. What is recorded: the user of this machine, the action, what the
command was given, and what came of it; also when it failed half way.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from remnant.cli_shared import open_settings
from remnant.web.access.actions import COMMAND_LINE, Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.settings import Settings

__all__ = ["actions_of", "changes", "declared", "now_recorded", "person", "reads", "recorded"]

_ACTIONS: Final = "__remnant_records__"
_DONE: Final = "done"
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class Record:
    """The line that a command will leave.

    Attributes:
        action: what is done.
        subject: to what.
        settings: of the home folder, where they are not those that options and environment say.
    """

    def __init__(self, action: Action, subject: str) -> None:
        self.action: Action | None = action
        self.subject = subject
        self.settings: Settings | None = None

    def about(self, subject: str, action: Action | None = None) -> None:
        """Say better what is done, or to what."""
        self.subject = subject
        self.action = action or self.action

    def nothing(self) -> None:
        """Leave no line: nothing is changed."""
        self.action = None

    def done(self, then: Action | None = None) -> None:
        """Write the line now; what follows is another action, or none."""
        self.write(_DONE)
        self.action = then

    def write(self, outcome: str) -> None:
        """Write the line.

        Raises:
            StoreError: it cannot be written.
        """
        if self.action is None:
            return
        from remnant.store.ledger import is_missing
        from remnant.web.access.audit import AuditLog
        from remnant.web.access.tables import Database

        settings = self.settings or open_settings()
        if outcome != _DONE and is_missing(settings.database_url):
            return  # Nothing was done, and a home that was misspelt is not to be made.
        database = Database(settings)
        try:
            log = AuditLog(database, settings.web)
            log.record(COMMAND_LINE, person(), self.action, self.subject, outcome)
        finally:
            database.close()


_RECORD: Final[ContextVar[Record | None]] = ContextVar("remnant_record", default=None)


def changes(
    action: Action, *arguments: str, also: tuple[Action, ...] = ()
) -> Callable[[Callable[Arguments, Answer]], Callable[Arguments, Answer]]:
    """Declare that a command changes something; stands below the decorator that names it.

    Args:
        action: what it does.
        arguments: the parameters that say to what; a command may say it better (``recorded``).
        also: other actions that it may turn out to be.
    """

    def declare(command: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
        signature = inspect.signature(command)

        @functools.wraps(command)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            if _RECORD.get() is not None:  # a command that another one runs
                return command(*args, **kwargs)
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            record = Record(action, _told(given.arguments, arguments))
            token = _RECORD.set(record)
            try:
                answer = command(*args, **kwargs)
            except BaseException as error:
                outcome = _outcome(error)
                if outcome == _DONE:
                    record.write(outcome)
                elif outcome is not None:
                    # Why it failed is what the person has to read, whatever else fails.
                    with contextlib.suppress(Exception):
                        record.write(outcome)
                raise
            finally:
                _RECORD.reset(token)
            record.write(_DONE)
            return answer

        setattr(run, _ACTIONS, (action, *also))
        return run

    return declare


def reads(command: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Declare that a command changes nothing that is kept."""
    setattr(command, _ACTIONS, ())
    return command


def declared(command: object) -> bool:
    """Return whether a command says what it records."""
    return hasattr(command, _ACTIONS)


def actions_of(command: object) -> tuple[Action, ...]:
    """Return which actions a command records; none where it changes nothing."""
    found: tuple[Action, ...] = getattr(command, _ACTIONS, ())
    return found


def recorded() -> Record:
    """Return the line that the command that runs will leave; outside of one it goes nowhere."""
    found = _RECORD.get()
    if found is None:
        found = Record(Action.DENIED, "")
        found.nothing()
    return found


def now_recorded(settings: Settings, then: Action | None = None) -> None:
    """Write the line of the command that runs; what follows is another action, or none.

    Args:
        settings: of the home folder.
        then: what goes on and will end.
    """
    record = recorded()
    record.settings = settings
    record.done(then)


def person() -> str:
    """Return who runs this: the user of the machine, not what the environment says of it."""
    try:
        import pwd

        name = pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, AttributeError, KeyError):
        name = str(getattr(os, "getuid", lambda: "unknown")())
    behind = os.environ.get("SUDO_USER", "")
    return f"user {name} (sudo of {behind})" if behind and behind != name else f"user {name}"


def _told(given: dict[str, Any], names: tuple[str, ...]) -> str:
    """Return arguments as a person would type them."""
    words: list[str] = []
    for name in names:
        value = given[name]
        if value is None or value is False:
            continue
        if value is True:
            words.append(f"--{name.replace('_', '-')}")
        elif isinstance(value, list | tuple):
            words += map(str, value)
        else:
            words.append(str(value))
    return " ".join(words)


def _outcome(error: BaseException) -> str | None:
    """Return what came of a command that ended so; ``None``: nobody wanted it after all."""
    import typer

    if isinstance(error, typer.Abort | typer.BadParameter):
        return None
    if isinstance(error, typer.Exit):
        code = error.exit_code
        return f"failed (exit code {code})" if code else _DONE
    if isinstance(error, SystemExit):
        return f"ended (exit code {error.code})" if error.code else _DONE
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    what = getattr(error, "what", None) or getattr(error, "strerror", None)
    return f"failed: {what or type(error).__name__}"
