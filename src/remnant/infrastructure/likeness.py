"""Whether a name looks generated: how unlike words its letters follow each other.

The score is the logistic of four facts about the label that was registered: the mean logarithm of
the probability of each character after the one before it, the length, the share of digits, and the
entropy of its characters (relative to its length). The probabilities are counted over the words of
Remnant's own documentation (English, 42,912 words, of which 70 % were used); the weights were
fitted to the names of the families in ``cases.dga`` against one to three of these words joined.

Of words that took no part in it, alone or joined, 4 % score 0.5 or more; of names of those families
on other days 82 to 100 % do, with two exceptions: Symmi, whose names can be said (58 %), and Gozi,
whose names are words (none).

When it is wrong: abbreviations, brands and words of languages whose letters follow each other
otherwise look generated; names made of words or syllables do not.

References:
    S. Yadav, A. K. K. Reddy, A. L. N. Reddy, S. Ranjan: Detecting Algorithmically Generated
    Malicious Domain Names. IMC 2010 (the idea; not its measures).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.cases.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["label_of", "likeness"]

_SIGNS: Final = "abcdefghijklmnopqrstuvwxyz0123456789-^"
"""Characters of a label, and what stands for its beginning."""

_START: Final = len(_SIGNS) - 1
_LEAST: Final = -7.0
_STEPS: Final = 60
_DIGITS: Final = "#$%&()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`a"
"""One sign for each step of a log-probability from ``_LEAST`` to 0."""

_TABLE: Final = (
    "8BIG*0C#D&@LGN%E#OJO?;3.@#############L36%R=%3I?%P%=Q%%EG0H%%%F%%%%%%%%%%%%%"
    "O063N##O=#IG#*S7&=;NB&*#8#############J:8GV*>.N##:6GH;#FM.>*##>#############"
    "H4GOB<;09#.CAK+@5RQH2@9@/&############M%>%NH%%S%%I/%R//G:HD%%%>%%%%%%%%%%%%%"
    "K%%%V/ALL/%=>CH/%LI/H%%%/5%%%%%%%%%%%%R1#,V###M##8:,S##A8G@#,#;#############"
    "@;IFH@D#+#3FETL>#AJL#E#?#5############H666N666I66666N666M6U66666666666666666"
    "<:+=X++CO+77+J4+7AN4E+8+;7++++++++++++M#,GR=1,R#(L6+N8#1FAF;##D#############"
    "QD/;U#+#M##8C@KN.#D+F###6#############H8ENPBO$C#<;#@G0#0NO>3//=#############"
    "<=AD4<:#=#;JJRCB*PEGK<I3*#############O#<;Q*#:D##L/6NH#OFGF6##=6############"
    "A22;2?22222;22?22B2F^22222222222222222L%>DT5;)M#;<B=L4-CKF?B5#C#############"
    "E#C5S1,FM$:976GB34JTE18#8$############L+A-S3-LQ##<28I2#KLA=#:-B#############"
    "EE<DJ7>#?##KGO1E#PMO###3#0############N&&&]74&P&11115&&&&&&&&11&&&&&&&&&&&&&"
    "O5((Q(8QL((;(MK((JK6((((((((((((((((((J1KDN:11J11:?=1S:1:Q1111@1111111111111"
    ".F8.O...88.BE.HN;8QRB.8.?.............AF44V444H4444>T444L444444A444444444444"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAGDLGEFACB6<EFCBH9ING@=C#57############"
)
"""The log-probability of each character (column) after each character (row)."""

_INTERCEPT: Final = -28.295
_WEIGHTS: Final = (-6.4192, 0.97600, -10.810, 3.3277)


def likeness(names: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return how much each name looks generated, from 0 to 1: float64[names].

    NaN for a name without characters that can be scored.

    Args:
        names: folded texts.
    """
    labels = [label_of(name) for name in names]
    codes = np.full(256, -1, np.int64)
    codes[np.frombuffer(_SIGNS.encode(), np.uint8)] = np.arange(len(_SIGNS))
    codes[ord("^")] = -1
    raw = np.frombuffer("".join(f"^{label}" for label in labels).encode("latin-1"), np.uint8)
    length = np.array([len(label) for label in labels], np.int64)
    which = np.repeat(np.arange(len(labels)), length + 1)
    code = codes[raw]
    begin = np.cumsum(length + 1) - length - 1
    code[begin] = _START
    good = code >= 0
    pair = np.zeros(raw.size, np.bool_)
    pair[1:] = good[1:] & good[:-1] & (which[1:] == which[:-1])
    at = np.flatnonzero(pair)
    size = len(labels)
    follows = np.bincount(which[at], minlength=size)
    sums = np.bincount(which[at], _log_table()[code[at - 1], code[at]], minlength=size)
    inside = good.copy()
    inside[begin] = False
    counts = np.zeros((size, len(_SIGNS)))
    np.add.at(counts, (which[inside], code[inside]), 1.0)
    total = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = counts / total[:, None]
        entropy = -np.nansum(np.where(share > 0, share * np.log2(share), 0.0), axis=1)
        digits = counts[:, 26:36].sum(axis=1) / total
        bits = np.log2(np.maximum(total, 2))
        facts = np.stack([sums / follows, np.log2(total), digits, entropy / bits])
    z = _INTERCEPT + np.array(_WEIGHTS) @ facts
    z = np.where(total > 0, z, np.nan)
    scored: npt.NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(z, -50.0, 50.0)))
    return scored


def label_of(name: str) -> str:
    """Return the label of a folded name that was registered: the first of its zone.

    >>> label_of("ns1.timedate1.com"), label_of("22231.dtdns.net")
    ('timedate1', '22231')
    """
    return zone_of(name).partition(".")[0]


def _log_table() -> npt.NDArray[np.float64]:
    steps = np.zeros(256, np.float64)
    steps[np.frombuffer(_DIGITS.encode(), np.uint8)] = np.arange(len(_DIGITS))
    table = steps[np.frombuffer(_TABLE.encode(), np.uint8)].reshape(len(_SIGNS), len(_SIGNS))
    return _LEAST + table * (-_LEAST / _STEPS)
