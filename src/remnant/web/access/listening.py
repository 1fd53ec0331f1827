"""Whether a server demands accounts: decided by where it listens, before it does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from remnant.errors import AccessError
from remnant.web.access.frontier import is_loopback

if TYPE_CHECKING:
    from remnant.settings import Settings
    from remnant.web.access.accounts import Accounts

__all__ = ["guarded", "options", "warning"]


def guarded(host: str, settings: Settings, accounts: Accounts) -> bool:
    """Return whether a server that listens on a host demands accounts.

    It does not where it listens on this machine alone and there is no account: then whoever uses
    the machine is the operator. As soon as there is one account everybody signs in, also here: a
    proxy on this machine makes strangers look like its own users.

    Raises:
        AccessError: it must, and there is no operator's account.
    """
    if is_loopback(host) and not settings.web.accounts and not accounts.all():
        return False
    if not accounts.has_operator():
        raise AccessError(
            "nobody could sign in: there is no operator's account yet",
            where=f"listening on {host or 'every address'}",
            hint="remnant account add NAME --role operator   (it asks for a password)",
        )
    return True


def warning(host: str, settings: Settings, *, encrypted: bool) -> str | None:
    """Return what to tell a person before the server starts, if anything."""
    if is_loopback(host) or encrypted or settings.web.trusted_proxies:
        return None
    return (
        "Passwords and pages go over the network unencrypted: anybody on the way can read them. "
        "Give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that has TLS."
    )


def options(cert: Path | None, key: Path | None) -> dict[str, Any]:
    """Return what uvicorn must know: the files of TLS, and that it believes no proxy by itself.

    Raises:
        AccessError: only one of the files is given, or one is not there.
    """
    if (cert is None) != (key is None):
        raise AccessError("TLS needs both files", expected="--tls-cert FILE --tls-key FILE")
    for file in (cert, key):
        if file is not None and not file.is_file():
            raise AccessError("there is no such file", where=str(file))
    tls = {} if cert is None else {"ssl_certfile": str(cert), "ssl_keyfile": str(key)}
    # Its default would take any address from whoever connects from this machine.
    return tls | {"proxy_headers": False, "server_header": False}
