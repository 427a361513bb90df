"""Evaluating in DuckDB (DuckDB 引擎): the records as tables, a run as a few statements over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import duckdb
import pyarrow as pa

from ganbu.engine import calendar
from ganbu.engine.records import Records
from ganbu.engine.relations import Relation
from ganbu.engine.sql import WORKDAYS, name
from ganbu.engine.sqlrun import SqlComputed, SqlTables, seen
from ganbu.errors import PackError


class Tables(SqlTables):
    """Records loaded into DuckDB once, ready for any number of runs."""

    def __init__(self, records: Records) -> None:
        super().__init__(seen(records.tables))
        self.records = records
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("SET preserve_insertion_order = true")
        for register, table in records.tables.items():
            self._load(f"t_{register}", table)
            if register in self.snapshot.bitemporal:
                for column in {"recorded_at", "superseded_at"} - set(table.column_names):
                    self.connection.execute(
                        f"ALTER TABLE {name('t_' + register)} ADD COLUMN {column} TIMESTAMP"
                    )

    def _load(self, relation: str, table: pa.Table) -> None:
        self.connection.register("incoming", table)
        self.connection.execute(f"CREATE TABLE IF NOT EXISTS {name(relation)} AS SELECT * FROM incoming")
        self.connection.unregister("incoming")

    def workdays(self) -> None:
        """Load the working-day calendar; it is needed by few policies."""
        self._load(WORKDAYS, calendar.lists())


class DuckComputed(SqlComputed):
    """A program evaluated in DuckDB."""

    engine = "duckdb"

    tables: Tables

    def run(self) -> DuckComputed:
        """Execute the statements. Raises PackError where a number or date has no place."""
        if self.backend.counts_workdays:
            self.tables.workdays()
        for relation in self.relations:
            with _told():
                self.tables.connection.execute(_created(relation))
        return self

    def query(self, text: str) -> pa.Table:
        """The answer to a query over the relations."""
        with _told():
            return self.tables.connection.sql(text).to_arrow_table()

    def close(self) -> None:
        """Drop what the run computed."""
        for relation in reversed(self.relations):
            kind = "TABLE" if relation.kept else "VIEW"
            self.tables.connection.execute(f"DROP {kind} IF EXISTS {name(relation.name)}")

    @cached_property
    def sql(self) -> str:
        """The statements of the run, for those who want to see them."""
        return ";\n".join(_created(relation) for relation in self.relations)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (duckdb.OutOfRangeException, duckdb.ConversionException) as error:
        raise PackError(
            f"计算时数值溢出或日期越界：{str(error).splitlines()[0]}", hint="请在中间步骤加 round()"
        ) from error


def _created(relation: Relation) -> str:
    kind = "TABLE" if relation.kept else "VIEW"
    return f"CREATE OR REPLACE TEMP {kind} {name(relation.name)} AS {relation.text}"
