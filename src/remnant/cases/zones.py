"""Seized zones: the unit in which a takedown takes names.

A court order or a registrar acts on a registrable domain (``timedate1.com``, not ``ns1`` in it).
Below a dynamic-DNS provider it acts on the customer's host name, because the provider's own domain
is not the botnet's. The public suffix list is the snapshot that tldextract carries; nothing is
fetched. Its private section counts (``ddns.net`` is a suffix), its wildcards and exceptions too.

References:
    Public Suffix List, publicsuffix.org; RFC 9499 ("public suffix").
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from tldextract import TLDExtract

__all__ = ["DYNAMIC_DNS", "SuffixKind", "known_top_level", "suffix_kind", "suffix_rules", "zone_of"]

SuffixKind = Literal["registry", "private", "dynamic"]

DYNAMIC_DNS: Final = frozenset(
    {
        # Not in the Public Suffix List; hosts below them stand in maltrail's lists of C&C names
        # (changeup.txt, vobfus.txt, zeus.txt).
        "changeip.com",
        "dns6y.net",
        "dnset.com",
        "dtdns.net",
        "suroot.com",
        # Public Suffix List, private section: No-IP, Dyn, Free DNS (afraid.org), Duck DNS, dynv6.
        "chickenkiller.com",
        "ddns.net",
        "duckdns.org",
        "dyndns.org",
        "dynv6.net",
        "hopto.org",
        "myftp.org",
        "no-ip.biz",
        "no-ip.info",
        "no-ip.org",
        "redirectme.net",
        "servebeer.com",
        "sytes.net",
        "zapto.org",
    }
)
"""Domains below which anybody gets a host name. Short: the rest is in the Public Suffix List."""

# One label of folded text: a dot inside a label is escaped.
_LABEL: Final = re.compile(r"(?:\\\d{3}|\\.|[^.\\])+")
_ESCAPE: Final = re.compile(r"\\\d{3}|\\.")


def zone_of(name: str) -> str:
    """Return the zone that a takedown of a folded name takes.

    The registrable domain; below a dynamic-DNS domain the customer's host name (one label more
    than the provider's domain). A name that is itself a public suffix is its own zone; below a
    top-level domain that is not in the list the last two labels count.

    >>> zone_of("ns1.timedate1.com"), zone_of("22231.dtdns.net"), zone_of("a.b.ddns.net")
    ('timedate1.com', '22231.dtdns.net', 'b.ddns.net')
    """
    if "\\" in name:
        labels = _LABEL.findall(name)
        plain = ".".join(_ESCAPE.sub("-", label) for label in labels)
        return ".".join(labels[-(zone_of(plain).count(".") + 1) :])
    labels = name.split(".")
    if len(labels) <= 2:
        return name
    result = _extractor().extract_str(name)
    # A provider may have suffixes of its own below its domain (home.dyndns.org): the longer counts.
    if f"{labels[-2]}.{labels[-1]}" in DYNAMIC_DNS and result.suffix.count(".") < 2:
        return ".".join(labels[-3:])
    if not result.suffix:
        return ".".join(labels[-2:])
    if not result.domain:
        return name
    return f"{result.domain}.{result.suffix}"


def suffix_kind(name: str) -> SuffixKind | None:
    """Return what kind of public suffix a folded name is, or ``None`` if it is none.

    ``registry`` for a suffix below which registries sell names (``com``, ``co.uk``; any single
    label), ``private`` for a company's (``blogspot.com``), ``dynamic`` for a dynamic-DNS domain.

    >>> suffix_kind("co.uk"), suffix_kind("dtdns.net"), suffix_kind("evil.example")
    ('registry', 'dynamic', None)
    """
    if name in DYNAMIC_DNS:
        return "dynamic"
    if "\\" in name:
        return None
    if "." not in name:
        return "registry"
    result = _extractor().extract_str(name)
    if result.domain or not result.suffix:
        return None
    return "private" if result.is_private else "registry"


@lru_cache(maxsize=4096)
def known_top_level(label: str) -> bool:
    """Return whether the Public Suffix List knows a top-level domain.

    >>> known_top_level("com"), known_top_level("php")
    (True, False)
    """
    return "\\" not in label and bool(_extractor().extract_str(f"x.{label}").suffix)


def suffix_rules() -> tuple[str, ...]:
    """Return the rules of the Public Suffix List, its private section too, as it writes them.

    They are sorted, so that whoever takes some of them takes the same each time.

    >>> [rule in suffix_rules() for rule in ("co.uk", "*.ck", "!www.ck")]
    [True, True, True]
    """
    return tuple(sorted(_extractor().tlds))


@lru_cache(maxsize=1)
def _extractor() -> TLDExtract:
    import tldextract  # noqa: PLC0415 - 0.1 s, and most commands need no zone

    return tldextract.TLDExtract(
        cache_dir=None, suffix_list_urls=(), include_psl_private_domains=True
    )
