"""How a server is guarded: decided by where it listens, before it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from remnant.errors import AccessError
from remnant.web.access.access import Access
from remnant.web.access.frontier import is_loopback

if TYPE_CHECKING:
    from remnant.settings import Settings
    from remnant.web.access.accounts import Accounts

__all__ = ["Door", "decide", "guarded"]

_OPEN: Final = (
    "passwords and pages go over the network unencrypted, where anybody on the way can read them. "
    "Give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that has TLS."
)


@dataclass(frozen=True, slots=True)
class Door:
    """How a server is to be started.

    Attributes:
        guarded: it demands accounts.
        warning: what to tell a person first, if anything.
        scheme: of its address.
        options: for uvicorn.
    """

    guarded: bool
    warning: str | None
    scheme: str
    options: dict[str, Any] = field(default_factory=dict)


def decide(
    host: str, settings: Settings, cert: Path | None = None, key: Path | None = None
) -> Door:
    """Return how a server that listens on a host is to be started.

    Args:
        host: without a port.
        settings: of the home folder.
        cert: certificate of TLS, in PEM.
        key: its key.

    Raises:
        AccessError: nobody could sign in, or a file of TLS is missing.
    """
    tls = _tls(cert, key)
    access = Access(settings)
    try:
        closed = guarded(host, settings, access.accounts)
    finally:
        access.close()
    return Door(
        closed,
        None if tls or is_loopback(host) or settings.web.trusted_proxies else _OPEN,
        "https" if tls else "http",
        # uvicorn's default takes any address that somebody who connects from this machine names.
        tls | {"proxy_headers": False, "server_header": False},
    )


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


def _tls(cert: Path | None, key: Path | None) -> dict[str, Any]:
    if cert is None and key is None:
        return {}
    if cert is None or key is None:
        raise AccessError("TLS needs both files", expected="--tls-cert FILE --tls-key FILE")
    for file in (cert, key):
        if not file.is_file():
            raise AccessError("there is no such file", where=str(file))
    return {"ssl_certfile": str(cert), "ssl_keyfile": str(key)}
