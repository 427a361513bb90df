"""The record handed to the engine (快照): Arrow tables read from the database by ADBC, typed without a Python loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings as django_settings
from django.db import connection

from ganbu.access.sealing import keys
from ganbu.engine.record_files import Origin
from ganbu.engine.records import Records, date_columns
from ganbu.records.columns import place_of
from ganbu.records.models import MODELS, LocalRow
from ganbu.vocabulary import Field, Register, Vocabulary, load_vocabulary

BUSY_MS = 20_000
NUMBER = "__n"  # beside the columns of a register, the number of each row
_KNOWN = {"recorded_at": "meta_recorded_at", "superseded_at": "meta_superseded_at"}


@contextmanager
def _cursor() -> Iterator[Any]:
    """A cursor that gives Arrow, beside Django's own connection; inside a test's transaction it could not see it."""
    settings = connection.settings_dict
    if connection.vendor == "postgresql":
        from adbc_driver_postgresql import dbapi

        user = quote(settings["USER"]) + (f":{quote(settings['PASSWORD'])}" if settings["PASSWORD"] else "")
        host, port = settings["HOST"] or "", settings["PORT"] or "5432"
        uri = f"postgresql://{user}@{host}:{port}/{quote(str(settings['NAME']))}"
        options = urlencode(settings.get("OPTIONS") or {})
        opened = dbapi.connect(f"{uri}?{options}" if options else uri)
    else:
        from adbc_driver_sqlite import dbapi

        opened = dbapi.connect(f"file:{quote(str(Path(settings['NAME']).absolute()))}?mode=ro")
    try:
        with opened.cursor() as cursor:
            if connection.vendor == "sqlite":
                # Somebody may be writing: wait as Django's own connection does.
                cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
                cursor.fetchall()
                # Types are inferred from the first batch: let it be all of it.
                cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "65536"})
            yield cursor
    finally:
        opened.close()


def _fetch(statement: str) -> pa.Table:
    if (
        connection.in_atomic_block
        or ":memory:" in str(connection.settings_dict["NAME"])
        or "mode=memory" in str(connection.settings_dict["NAME"])
    ):
        with connection.cursor() as cursor:  # what this transaction wrote is seen by nobody else yet
            cursor.execute(statement)
            names = [column[0] for column in cursor.description]
            columns = list(zip(*cursor.fetchall(), strict=True)) or [()] * len(names)
            return pa.table({n: pa.array(c, pa.string()) for n, c in zip(names, columns, strict=True)})
    with _cursor() as cursor:
        cursor.execute(statement)
        found: pa.Table = cursor.fetch_arrow_table()
        return found


def snapshot(
    registers: Iterable[str] | None = None,
    people: Iterable[str] | None = None,
    history: bool = False,
    vocabulary: Vocabulary | None = None,
    sealed: bool = True,
) -> Records:
    """The record as Arrow tables (档案快照): all registers or some, all people or some.

    Without `history` only the rows that hold now; with it every row ever recorded, with `recorded_at` and
    `superseded_at`, so that the engine can look at it as known at a moment. Registers with no row have no table. Without `sealed` the
    encrypted columns are left out: opening them costs more than all the rest.
    """
    vocabulary = vocabulary or load_vocabulary()
    wanted = list(registers) if registers is not None else list(vocabulary.registers)
    some = sorted(set(people)) if people is not None else None
    records = Records({}, vocabulary)
    for name in wanted:
        register = vocabulary.registers[name]
        table = _local(register, some, history) if register.local else _core(register, some, history, sealed)
        if table.num_rows:
            records.tables[name] = table
            records.places[name] = ""
    return records


def numbered(register: Register) -> tuple[pa.Table, Any]:
    """The rows of a register that hold now, without encrypted columns, and the number of each in the record."""
    return _numbered(_core(register, None, False, sealed=False, number=True))


def since(register: Register, changes: Sequence[int]) -> tuple[pa.Table, Any, Any]:
    """What some changes did to a register: the rows they wrote that hold now, their numbers, and the numbers of rows they ended."""
    among = ", ".join(str(int(one)) for one in changes)
    table, numbers = _numbered(_core(register, None, False, sealed=False, number=True, where=f"meta_change IN ({among})"))  # fmt: skip
    ended = _fetch(f'SELECT CAST("row" AS TEXT) AS n FROM "{MODELS[register.name]._meta.db_table}" WHERE meta_superseded_by IN ({among})')  # fmt: skip
    return table, numbers, np.asarray(ended["n"].cast(pa.int64()))


def _numbered(table: pa.Table) -> tuple[pa.Table, Any]:
    return table.drop_columns([NUMBER]), np.asarray(table[NUMBER].cast(pa.int64()))


def opened(register: Register, field: str) -> tuple[Any, Any]:
    """The identities of the rows that hold now and an encrypted column of theirs, opened (密文字段取原值)."""
    names = (register.id_field, field)
    columns = ", ".join(f'COALESCE(CAST("{name}" AS TEXT), \'\') AS "{name}"' for name in names)
    raw = _fetch(f'SELECT {columns} FROM "{MODELS[register.name]._meta.db_table}" WHERE meta_superseded_at IS NULL ORDER BY "row"')  # fmt: skip
    ids = raw[register.id_field].cast(pa.string())
    found = _column(register, register.fields[field], raw[field], raw[register.id_field])
    return ids.combine_chunks(), found[field]


def _core(
    register: Register, people: list[str] | None, history: bool, sealed: bool = True, number: bool = False, where: str = ""
) -> pa.Table:  # fmt: skip
    table = MODELS[register.name]._meta.db_table
    fields = [item for item in register.fields.values() if sealed or not item.sealed]
    columns = [f'COALESCE(CAST("{item.name}" AS TEXT), \'\') AS "{item.name}"' for item in fields]
    if history:
        columns += [f"COALESCE(CAST({_local_time(column)} AS TEXT), '') AS {name}" for name, column in _KNOWN.items()]  # fmt: skip
    if number:
        columns.append(f'CAST("row" AS TEXT) AS {NUMBER}')
    conditions = [where] if where else []
    conditions += [] if history else ["meta_superseded_at IS NULL"]
    about = register.id_field if register.name == "person" else register.subject_field if register.subject == "person" else ""  # fmt: skip
    if people is not None and about:
        conditions.append(f'"{about}" IN ({", ".join(_quoted(one) for one in people) or "NULL"})')
    clause = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    raw = _fetch(f'SELECT {", ".join(columns)} FROM "{table}"{clause} ORDER BY "row"')
    found: dict[str, Any] = {}
    for item in fields:
        found.update(_column(register, item, raw[item.name], raw[register.id_field]))
    if history:
        for name in _KNOWN:
            found[name] = _nulled(raw[name]).cast(pa.timestamp("us"))
    if number:
        found[NUMBER] = raw[NUMBER].cast(pa.string())
    return pa.table(found)


def _local_time(column: str) -> str:
    """A moment without its offset, in the zone of the record; PostgreSQL keeps moments with theirs."""
    return (
        f"{column} AT TIME ZONE '{django_settings.TIME_ZONE}'"
        if connection.vendor == "postgresql"
        else column
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _nulled(column: Any) -> Any:
    column = column.cast(pa.string())
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _column(register: Register, item: Field, column: Any, identities: Any) -> dict[str, Any]:
    column = _nulled(column)
    if item.sealed:
        opened = keys().open
        column = pa.chunked_array(
            [
                pa.array(
                    [
                        None if sealed is None else opened(sealed, place_of(register, item, key))
                        for sealed, key in zip(column.to_pylist(), identities.to_pylist(), strict=True)
                    ],
                    pa.string(),
                )
            ]
        )
    if item.kind == "date":
        return date_columns(item.name, item, column, Origin(register.label))
    if item.kind in ("int", "decimal"):
        return {item.name: column.cast(pa.int64())}
    if item.kind == "bool":
        return {item.name: column.cast(pa.bool_())}
    return {item.name: column}


def _local(register: Register, people: list[str] | None, history: bool) -> pa.Table:
    rows = LocalRow.objects.filter(register=register.name).order_by("row")
    if not history:
        rows = rows.filter(superseded_at__isnull=True)
    if people is not None:
        rows = rows.filter(subject__in=people)
    plain = []
    for identity, values, since, until in rows.values_list(
        "identity", "values", "recorded_at", "superseded_at"
    ):
        row = {register.id_field: identity, **{k: v for k, v in values.items() if k in register.fields}}
        if history:
            row |= {"recorded_at": _stamp(since), "superseded_at": _stamp(until)}
        plain.append(row)
    made = Records({}, with_register(register))
    return Records.from_rows({register.name: plain}, made.vocabulary).tables[register.name]


def with_register(register: Register) -> Vocabulary:
    """The core vocabulary plus one register that a pack declares."""
    core = load_vocabulary()
    return Vocabulary({**core.registers, register.name: register}, core.codes, core.facts)


def _stamp(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
