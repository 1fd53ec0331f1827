"""The questions that the old form of Suricata's DNS events leaves out of its answers.

In version 1 each resource record of a response is an event of its own, which says the record's
owner and type but not what was asked. All have the response's time, flow and message id: so the
last questions are remembered by these, and the events that follow the first one of a response are
known for what they are. The table is of a fixed size and a new question takes the place of an old
one with the same hash: what is lost then is the question of one response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int, Word

__all__ = ["WAITING", "Questions", "exchange_key", "new_questions", "place_of", "put_question"]

_SIZE: Final = 1 << 15
_NAME: Final = 256
_MULTIPLIER: Final = uint64(0x9E3779B97F4A7C15)

WAITING: Final = -1
"""In ``Questions.answered``: no response yet."""


class Questions(NamedTuple):
    """The table.

    Attributes:
        key: uint64: ``exchange_key``; 0 where nothing stands.
        answered: int64: time of the response (UTC microseconds), ``WAITING`` if there is none yet.
        qtype: int32: -1 if not known.
        size: int64: bytes of the name.
        names: uint8[n, 256]: wire names.
        seed: uint64[1]: of the keys.
    """

    key: npt.NDArray[np.uint64]
    answered: npt.NDArray[np.int64]
    qtype: npt.NDArray[np.int32]
    size: npt.NDArray[np.int64]
    names: Bytes
    seed: npt.NDArray[np.uint64]


def new_questions(seed: int) -> Questions:
    """Return an empty table."""
    return Questions(
        np.zeros(_SIZE, np.uint64),
        np.zeros(_SIZE, np.int64),
        np.zeros(_SIZE, np.int32),
        np.zeros(_SIZE, np.int64),
        np.zeros((_SIZE, _NAME), np.uint8),
        np.array([seed], np.uint64),
    )


@kernel
def _mixed(state: Word, word: Word) -> Word:
    state = (state ^ word) * _MULTIPLIER
    return state ^ (state >> uint64(29))


@kernel
def exchange_key(
    questions: Questions, flow: Word, ident: Int, port: Int, address: Bytes, at: Int
) -> Word:
    """Return the hash of what a query and its response have in common; never 0."""
    state = _mixed(questions.seed[0], flow)
    state = _mixed(state, uint64((ident & 0xFFFF) << 16 | (port & 0xFFFF)))
    for half in range(0, 16, 8):
        word = uint64(0)
        for i in range(at + half, at + half + 8):
            word = (word << uint64(8)) | uint64(address[i])
        state = _mixed(state, word)
    return state | uint64(1)


@kernel
def place_of(questions: Questions, key: Word) -> Int:
    """Return where in the table a key stands, if it does."""
    return int64((key >> uint64(20)) & uint64(questions.key.size - 1))


@kernel
def put_question(
    questions: Questions, key: Word, qtype: Int, names: Bytes, start: Int, stop: Int, answered: Int
) -> None:
    """Remember a question: its type and wire name."""
    place = place_of(questions, key)
    questions.key[place] = key
    questions.answered[place] = answered
    questions.qtype[place] = qtype
    questions.size[place] = stop - start
    for i in range(stop - start):
        questions.names[place, i] = names[start + i]
