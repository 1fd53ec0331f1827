"""What the audit log knows: one list for the dashboard, its API and the command line."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["COMMAND_LINE", "REPEATED", "Action"]

COMMAND_LINE: Final = "command line"
"""Stands where an account's name stands otherwise; no account can have it."""


class Action(StrEnum):
    """What is recorded."""

    LOGIN = "login"
    LOGIN_FAILED = "login failed"
    LOGIN_DELAYED = "login delayed"
    LOGOUT = "logout"
    ACCOUNT_ADDED = "account added"
    ROLE_CHANGED = "role changed"
    ACCOUNT_CLOSED = "account closed"
    ACCOUNT_OPENED = "account opened"
    PASSWORD_CHANGED = "password changed"  # noqa: S105 - an action
    FACTOR_ADDED = "second factor added"
    FACTOR_REMOVED = "second factor removed"
    FACTOR_RESET = "second factor reset"
    SESSIONS_ENDED = "sessions ended"
    TOKEN_MADE = "token made"  # noqa: S105 - an action
    TOKEN_REVOKED = "token revoked"  # noqa: S105 - an action
    FACTOR_BEGUN = "second factor begun"
    CASE_MADE = "case made"
    CASE_EDITED = "case edited"
    CASE_DELETED = "case deleted"
    TRAFFIC_READ = "traffic read"
    RECORDS_READ = "passive DNS read"
    REGISTRATIONS_READ = "registrations read"
    REFERENCE_FILLED = "AS and country filled"
    NAMES_RESOLVED = "names resolved"
    DEMO_MADE = "demo made"
    SINKHOLE_STARTED = "sinkhole started"
    SINKHOLE_STOPPED = "sinkhole stopped"
    DATABASE_COPIED = "database copied"
    REPORT_MADE = "report made"
    REPORT_DOWNLOADED = "report downloaded"
    REPORT_DELETED = "report deleted"
    SENSOR_RETIRED = "sensor retired"
    SENSOR_EXPECTED = "sensor expected again"
    CLIENTS_SEEN = "clients looked at"
    CLIENTS_EXPORTED = "clients exported"
    DENIED = "denied"


REPEATED: Final = frozenset({Action.DENIED, Action.CLIENTS_SEEN, Action.LOGIN_DELAYED})
"""Actions that a page which is open repeats: recorded once a minute for one subject."""
