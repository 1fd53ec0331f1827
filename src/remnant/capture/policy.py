"""Response policies that a resolver applied to a query, as its log or its dnstap says.

In kernels a policy is one number: action and trigger; its rule is a text beside it.

References:
    dnstap.proto, message Policy; draft-vixie-dnsop-dns-rpz (triggers and actions).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes

__all__ = ["ACTIONS", "APPLIED", "TRIGGERS", "TRIGGER_STEP", "policy_details"]

ACTIONS: Final = ("", "NXDOMAIN", "NODATA", "PASS", "DROP", "TRUNCATE", "LOCAL_DATA")
"""Actions in the order of dnstap's Policy.Action; the empty one is not stated."""

TRIGGERS: Final = ("", "QNAME", "CLIENT_IP", "RESPONSE_IP", "NS_NAME", "NS_IP")
"""Triggers in the order of dnstap's Policy.Match; the empty one is not stated."""

TRIGGER_STEP: Final = 256
APPLIED: Final = 1 << 16
"""A policy as a number: APPLIED + action + TRIGGER_STEP * trigger; 0 where none was applied."""


def policy_details(
    policy: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int64],
    rule_offsets: npt.NDArray[np.int64],
    rules: Bytes,
) -> pa.Array[Any]:
    """Return the column ``detail`` of some rows: JSON where a policy was applied, else null.

    Args:
        policy: int32[n]: of each row.
        rows: int64[n]: whose rule it is.
        rule_offsets: int64[m + 1] into ``rules``.
        rules: texts of rules end to end.

    Returns:
        Texts such as ``{"rpz":{"action":"NXDOMAIN","trigger":"QNAME","rule":"evil.example"}}``.
    """
    applied = np.flatnonzero(policy)
    if not applied.size:
        return pa.nulls(policy.size, pa.string())
    buffers: Any = [rule_offsets, rules]
    whole = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), rule_offsets.size - 1, [None, *map(pa.py_buffer, buffers)]
    )
    picked: Any = pa.array(rows[applied])
    words: Any = whole.take(picked).dictionary_encode()
    step = len(words.dictionary)
    keys, code = np.unique(
        policy[applied].astype(np.int64) * step + words.indices.to_numpy(), return_inverse=True
    )
    texts = pa.array(
        [_text(key // step, words.dictionary[key % step].as_py()) for key in keys.tolist()],
        pa.string(),
    )
    index = np.full(policy.size, -1, np.int32)
    index[applied] = code
    taken: Any = pa.array(index, mask=index < 0)
    return texts.take(taken)


def _text(number: int, rule: bytes) -> str:
    action, trigger = number % TRIGGER_STEP, number % APPLIED // TRIGGER_STEP
    facts = {
        "action": ACTIONS[action] if action < len(ACTIONS) else str(action),
        "trigger": TRIGGERS[trigger] if trigger < len(TRIGGERS) else str(trigger),
        "rule": rule.decode("utf-8", "replace"),
    }
    given = {key: value for key, value in facts.items() if value}
    return json.dumps({"rpz": given}, separators=(",", ":"))
