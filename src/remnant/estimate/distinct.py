"""Distinct clients of many groups in bounded memory, exactly.

An engine counts distinct values with a set for each group, all in memory at once. Here the clients
are numbered once, and of each group a number of 60 bits stands for 60 clients: groups of sixty
times fewer rows, which the engine can also put aside on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from remnant.estimate.client_days import by_day

if TYPE_CHECKING:
    from remnant.store import View
    from remnant.windows import Window

__all__ = ["any_bit", "bits", "distinct_clients", "numbered", "one"]

_WIDTH: Final = 60


def distinct_clients(
    view: View,
    window: Window,
    vantage: str,
    table: Any,  # noqa: ANN401 - ibis is untyped
    *keys: str,
) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the groups of a table with the number of their distinct clients, ``clients``.

    Args:
        view: the case.
        window: in which all clients of the table were seen.
        vantage: where they were seen.
        table: rows with ``client`` and the keys, an Ibis table.
        keys: columns to group by.
    """
    numbers = view.kept(
        ("client numbers", window, vantage), lambda: _numbers(by_day(view, window, vantage))
    )
    found = table.select(*keys, "client").join(numbers, "client")
    each = found.group_by(*keys, "block").aggregate(some=any_bit()(found.bit))
    return each.group_by(*keys).aggregate(clients=bits()(each.some).sum())


def _numbers(clients: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return client, ``block`` and ``bit``; those of one network lie in the same blocks."""
    each = clients.group_by("client").aggregate(asn=clients.asn.min())
    return numbered(each, "asn", "client").drop("asn")


def numbered(table: Any, *order: str) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return a table with the place of each row in an order, as ``block`` and ``bit`` of it."""
    import ibis  # noqa: PLC0415 - heavy

    number = ibis.row_number().over(ibis.window(order_by=list(order))).cast("int64")
    each = table.mutate(number=number)
    return each.mutate(
        block=(each.number // _WIDTH).cast("int64"),
        bit=one() << (each.number % _WIDTH).cast("int64"),
    ).drop("number")


def one() -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the number one, of 64 bits."""
    import ibis  # noqa: PLC0415 - heavy

    return ibis.literal(1, "int64")


def bits() -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the function that counts the bits of a number: the same name in DuckDB and Spark."""
    import ibis  # noqa: PLC0415 - heavy

    # DuckDB answers in 8 bits, whatever the signature says: sums need the cast to more.
    @ibis.udf.scalar.builtin(signature=(("int64",), "int8"))  # type: ignore[untyped-decorator]
    def bit_count(x: Any) -> Any:  # noqa: ANN401 - ibis is untyped
        """Count the bits that are set."""

    return lambda number: bit_count(number).cast("int64")


def any_bit() -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the aggregate that sets the bits that any number has: alike in DuckDB and Spark."""
    import ibis  # noqa: PLC0415 - heavy

    @ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
    def bit_or(x: int) -> int:  # type: ignore[empty-body]
        """Combine the bits that are set."""

    return bit_or
