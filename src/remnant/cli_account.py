"""Commands for the accounts of the dashboard: who may sign in, and tokens for programs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from remnant.cli_audit import changes, reads, recorded
from remnant.cli_shared import Format, FormatOption, emit, open_settings, say
from remnant.web.access.actions import Action

if TYPE_CHECKING:
    from remnant.web.access.access import Access
    from remnant.web.access.viewer import Role

__all__ = ["app"]

_LINE: Final = 4_096

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The accounts of the dashboard."
)
token_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="What programs show instead of a password."
)
app.add_typer(token_app, name="token", short_help="Tokens for programs.")

NameArgument = Annotated[str, typer.Argument(help="Name of the account.", metavar="NAME")]
RoleOption = Annotated[
    str, typer.Option(help="operator, analyst or network_owner.", metavar="ROLE")
]
NetworkOption = Annotated[
    list[str] | None,
    typer.Option(
        "--network",
        help="Of a network owner: AS64500, or a prefix. May be given again.",
        metavar="NET",
    ),
]


@app.command("add", short_help="Make an account.")
@changes(Action.ACCOUNT_ADDED, "name")
def add(name: NameArgument, *, role: RoleOption, network: NetworkOption = None) -> None:
    """Make an account; its password is asked for, or is the first line of standard input."""
    with _access() as access:
        made = access.accounts.add(name, _new_password(), _role(role), network or [])
        recorded().about(made.told)
    say(f"Made {made.told}. A server that runs without accounts asks for them once started again.")


@app.command("list", short_help="List the accounts.")
@reads
def list_accounts(*, output: FormatOption = Format.TABLE) -> None:
    """List the accounts: role, networks, state, last sign-in (UTC)."""
    from remnant.windows import iso

    with _access() as access:
        holders = access.factors.holders()
        rows = [
            {
                "name": one.name,
                "role": one.role.value,
                "networks": " ".join(one.networks),
                "state": "closed" if one.disabled else "open",
                "created": iso(one.created),
                "last_login": iso(one.last_login) if one.last_login else None,
                "second_factor": one.name in holders,
            }
            for one in access.accounts.all()
        ]
    emit(
        rows,
        output,
        ("name", "role", "networks", "state", "created", "last_login", "second_factor"),
    )


@app.command("password", short_help="Give an account another password.")
@changes(Action.PASSWORD_CHANGED, "name")
def password(name: NameArgument) -> None:
    """Give an account another password; its sessions end."""
    with _access() as access:
        access.accounts.get(name)
        access.accounts.set_password(name, _new_password())
    say(f"{name} has a new password; its sessions ended.")


@app.command("disable", short_help="Close an account.")
@changes(Action.ACCOUNT_CLOSED, "name")
def disable(name: NameArgument) -> None:
    """Close an account; its sessions and tokens end."""
    with _access() as access:
        access.accounts.disable(name, disabled=True)
    say(f"{name} is closed; its sessions and tokens ended.")


@app.command("enable", short_help="Open a closed account again.")
@changes(Action.ACCOUNT_OPENED, "name")
def enable(name: NameArgument) -> None:
    """Open a closed account again; tokens that ended stay ended."""
    with _access() as access:
        access.accounts.disable(name, disabled=False)
    say(f"{name} is open.")


@app.command("add-factor", short_help="Make an account's second factor here.")
@changes(Action.FACTOR_ADDED, "name")
def add_factor(name: NameArgument) -> None:
    """Make an account's second factor: show its secret, ask for a code, print recovery codes.

    A terminal shows the secret as a QR code too. It counts once a code of it was typed (or is the
    next line of standard input); secret and recovery codes are shown once.
    """
    from remnant.errors import AccessError
    from remnant.web.access import totp
    from remnant.web.access.qr import in_terminal

    with _access() as access:
        access.accounts.get(name)
        secret = access.factors.begin(name)
        address = totp.address(secret, name, "Remnant")
        if sys.stdout.isatty():
            typer.echo(in_terminal(address), color=True)
        typer.echo(f"secret   {secret}\naddress  {address}")
        sys.stdout.flush()
        codes = access.factors.confirm(name, _code())
        if codes is None:
            raise AccessError(
                "that is not the code; the account has no second factor yet",
                where=name,
                hint="is the clock of the device right? Run the command again",
            )
    typer.echo("recovery codes, each good once:")
    for code in codes:
        typer.echo(f"  {code}")


@app.command("reset-factor", short_help="Take an account's second factor away.")
@changes(Action.FACTOR_RESET, "name")
def reset_factor(name: NameArgument) -> None:
    """Take the second factor from an account whose owner lost it; its sessions end."""
    with _access() as access:
        access.accounts.get(name)
        had = access.factors.remove(name)
        if had:
            access.sessions.end_all(name)
        else:
            recorded().nothing()
    say(f"{name} {'signs in with its password alone' if had else 'has no second factor'}.")


@app.command("role", short_help="Change what an account may see.")
@changes(Action.ROLE_CHANGED, "name")
def change_role(
    name: NameArgument,
    role: Annotated[str, typer.Argument(help="operator, analyst or network_owner.")],
    *,
    network: NetworkOption = None,
) -> None:
    """Change what an account may see, from its next request on."""
    with _access() as access:
        before = access.accounts.get(name)
        access.accounts.set_role(name, _role(role), network or [])
        now = access.accounts.get(name)
        recorded().about(now.told_since(before))
    say(f"Now {now.told}.")


@token_app.command("make", short_help="Make a token and print it, once.")
@changes(Action.TOKEN_MADE, "account", "label")
def make_token(
    account: NameArgument,
    *,
    label: Annotated[str, typer.Option(help="What uses it.")],
    scope: Annotated[
        list[str], typer.Option(help="read, edit or admin. May be given again.", metavar="SCOPE")
    ] = ["read"],  # noqa: B006 - Typer copies it
    days: Annotated[int, typer.Option(help="Days until it ends, at most 366.")] = 90,
) -> None:
    """Make a token and print it: it is stored as a digest and cannot be shown again."""
    from remnant.web.access.tokens import Scope

    known = {one.value: one for one in Scope}
    for word in scope:
        if word not in known:
            raise typer.BadParameter(f"{word!r} is none of {', '.join(known)}", param_hint="scope")
    scopes = frozenset(known[word] for word in scope)
    with _access() as access:
        secret = access.tokens.make(account, label, scopes, days)
        subject = f"{account}: {label} ({', '.join(sorted(scopes))}, {days} days)"
        recorded().about(subject)
    typer.echo(secret)


@token_app.command("list", short_help="List the tokens.")
@reads
def list_tokens(
    account: Annotated[str | None, typer.Argument(help="Of this account alone.")] = None,
    *,
    output: FormatOption = Format.TABLE,
) -> None:
    """List the tokens, without their secrets."""
    from remnant.windows import iso

    with _access() as access:
        rows = [
            {
                "id": one.id,
                "account": one.account,
                "label": one.label,
                "scopes": " ".join(one.scopes),
                "expires": iso(one.expires),
                "last_used": iso(one.last_used) if one.last_used else None,
            }
            for one in access.tokens.of(account)
        ]
    emit(rows, output, ("id", "account", "label", "scopes", "expires", "last_used"))


@token_app.command("revoke", short_help="End a token.")
@changes(Action.TOKEN_REVOKED, "token")
def revoke_token(
    token: Annotated[str, typer.Argument(help="Its id, as the list shows it.", metavar="ID")],
) -> None:
    """End a token at once."""
    with _access() as access:
        gone = access.tokens.revoke(token)
        recorded().about(f"{gone.account}: {gone.label}")
    say(f"The token {gone.label} of {gone.account} is of no use any more.")


@contextlib.contextmanager
def _access() -> Iterator[Access]:
    from remnant.web.access.access import Access

    access = Access(open_settings())
    try:
        yield access
    finally:
        access.close()


def _new_password() -> str:
    """Ask for a password twice; without a terminal take the first line of standard input.

    It is never an argument: those are seen by every user of the machine.
    """
    if sys.stdin.isatty():
        typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    return sys.stdin.readline(_LINE).rstrip("\r\n")


def _code() -> str:
    if sys.stdin.isatty():
        typed: str = typer.prompt("The code that the program shows now", err=True)
        return typed
    return sys.stdin.readline(_LINE).strip()


def _role(word: str) -> Role:
    from remnant.web.access.accounts import ROLES

    for role in ROLES:
        if word.replace("-", "_") == role.value:
            return role
    raise typer.BadParameter(
        f"{word!r} is none of {', '.join(role.value for role in ROLES)}", param_hint="role"
    )
