"""Evaluating in DuckDB (DuckDB 引擎): the records as tables, a run as a few statements over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ganbu.engine import calendar, numbers
from ganbu.engine.bind import Program
from ganbu.engine.plan import Plan
from ganbu.engine.records import PRECISION, Records, moment
from ganbu.engine.results import Cells
from ganbu.engine.sql import Backend, Env, Snapshot, name, quoted
from ganbu.engine.tree import Aggregate, Node, Row, looks_out
from ganbu.errors import PackError


class Tables:
    """Records loaded into DuckDB once, ready for any number of runs."""

    def __init__(self, records: Records) -> None:
        self.records, self.runs = records, 0
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("SET preserve_insertion_order = true")
        gaps: set[tuple[str, str]] = set()
        partial: set[tuple[str, str]] = set()
        bitemporal: set[str] = set()
        for register, table in records.tables.items():
            self.connection.register("incoming", table)
            self.connection.execute(f"CREATE TABLE {name('t_' + register)} AS SELECT * FROM incoming")
            self.connection.unregister("incoming")
            columns = set(table.column_names)
            for column in columns:
                if column.endswith(PRECISION) and (pc.max(table[column]).as_py() or 0) > 1:
                    partial.add((register, column.removesuffix(PRECISION)))
            gaps |= {(register, column) for column in columns if table[column].null_count}
            if columns & {"recorded_at", "superseded_at"}:
                bitemporal.add(register)
                for column in {"recorded_at", "superseded_at"} - columns:
                    self.connection.execute(
                        f"ALTER TABLE {name('t_' + register)} ADD COLUMN {column} TIMESTAMP"
                    )
        self.snapshot = Snapshot(
            frozenset(records.tables), frozenset(gaps), "", frozenset(bitemporal), frozenset(partial)
        )

    def next_prefix(self) -> str:
        """A prefix of its own for the relations of each run, so that runs over one store do not disturb each other."""
        self.runs += 1
        return f"r{self.runs}_"

    def workdays(self) -> None:
        """Load the working-day calendar; it is needed by few policies."""
        rows = calendar.workday_counts(date(1990, 1, 1), date(2060, 12, 31))
        table = pa.table(
            {
                "day": pa.array([d for d, _ in rows], pa.date32()),
                "n": pa.array([n for _, n in rows], pa.int64()),
            }
        )
        self.connection.register("calendar_rows", table)
        self.connection.execute("CREATE TABLE IF NOT EXISTS workdays AS SELECT * FROM calendar_rows")
        self.connection.unregister("calendar_rows")


class DuckComputed:
    """A program evaluated in DuckDB."""

    engine = "duckdb"

    def __init__(
        self,
        tables: Tables,
        program: Program,
        virtual: dict[str, list[tuple[str, str]]],
        wanted: Mapping[str, list[Node]],
        known_at: str = "",
    ) -> None:
        self.tables, self.program = tables, program
        self.plan = Plan(program, virtual)
        for register, nodes in wanted.items():
            if register in virtual:
                self.plan.effects(register)
            for node in nodes:
                self.plan.keep(register, node)
        snapshot = tables.snapshot
        if known_at:
            snapshot = replace(snapshot, known_at=moment(known_at).isoformat(" "))
        self.backend = Backend(self.plan, snapshot, tables.next_prefix())
        self.compiled = self.backend.build(set(wanted))

    def run(self) -> DuckComputed:
        """Execute the statements. Raises PackError where a number or date has no place."""
        if any("workdays" in statement for statement in self.compiled.statements):
            self.tables.workdays()
        for statement in self.compiled.statements:
            try:
                self.tables.connection.execute(statement)
            except (duckdb.OutOfRangeException, duckdb.ConversionException) as error:
                raise PackError(
                    f"计算时数值溢出或日期越界：{str(error).splitlines()[0]}", hint="请在中间步骤加 round()"
                ) from error
        return self

    def fetch(self, register: str, nodes: Mapping[str, Node], keep: Node | None = None) -> dict[str, Cells]:
        """Expressions over the final rows of a register."""
        env, items, shapes = Env(register), [], {}
        for at, (label, node) in enumerate(nodes.items()):
            shapes[label] = shape = self.backend.sql(node, env)
            items.append(f"{shape.text} AS c{at}")
            if shape.den and not numbers.literal(shape.den):
                items.append(f"{shape.den} AS d{at}")
        where = f" WHERE {self.backend.sql(keep, env).text}" if keep is not None else ""
        query = f"SELECT {', '.join(items)} FROM {name(self.compiled.final[register])}{where} ORDER BY __row"
        table = self.tables.connection.sql(query).to_arrow_table()
        found = {}
        for at, (label, node) in enumerate(nodes.items()):
            shape, numeric = shapes[label], node.type.kind == "num"
            den = None
            if numeric and shape.den:
                den = (
                    table[f"d{at}"]
                    if not numbers.literal(shape.den)
                    else pa.array([int(shape.den)] * table.num_rows, pa.int64())
                )
            found[label] = Cells(table[f"c{at}"], numeric, shape.scale, den)
        return found

    def behind(
        self, definition: Aggregate, register: str, path: Row, identity: str, fields: list[str], limit: int
    ) -> list[dict[str, Any]]:
        """The rows an aggregate counted, or might have counted."""
        vocabulary = self.program.vocabulary
        subject, rows = vocabulary.registers[register], vocabulary.registers[definition.register]
        relation = name(self.compiled.final[register])
        key = path.via if path.of is not None else definition.key or subject.id_field
        whom = f"SELECT {name(key)} FROM {relation} WHERE {name(subject.id_field)} = {quoted(identity)}"
        layers = self.backend.layers.get(rows.name)
        if layers is None or rows.name not in self.tables.snapshot.loaded:
            return []
        condition = "TRUE"
        if definition.where is not None and not looks_out(definition.where):
            condition = f"({self.backend.sql(definition.where, Env(rows.name, 'i')).text}) IS NOT FALSE"
        kept = "".join(f", v.{name(field)}" for field in fields)
        order = f" ORDER BY v.{name(rows.order)}, v.__row" if rows.order else " ORDER BY v.__row"
        base = f"{name(layers[0][1])} v JOIN {name(layers[-1][1])} i ON i.__row = v.__row"
        query = (
            f"SELECT v.{name(rows.id_field)} AS __id{kept} FROM {base} "
            f"WHERE v.{name(definition.link)} = ({whom}) AND {condition}{order} LIMIT {limit}"
        )
        found: list[dict[str, Any]] = self.tables.connection.sql(query).to_arrow_table().to_pylist()
        return found

    def close(self) -> None:
        """Drop what the run computed."""
        for kind, relation in reversed(self.compiled.relations):
            self.tables.connection.execute(f"DROP {kind} IF EXISTS {name(relation)}")

    @cached_property
    def sql(self) -> str:
        """The statements of the run, for those who want to see them."""
        return ";\n".join(self.compiled.statements)
