"""What evaluating in a database has in common (SQL 引擎): a plan written as relations, cells and rows read back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ganbu.engine import numbers
from ganbu.engine.bind import Program
from ganbu.engine.plan import Plan
from ganbu.engine.records import PRECISION, moment
from ganbu.engine.relations import Backend
from ganbu.engine.results import Cells
from ganbu.engine.sql import Env, Snapshot, name, quoted
from ganbu.engine.tree import Aggregate, Node, Row, looks_out


class SqlTables:
    """Records in a database, ready for any number of runs; `beside` and `whole` are told to the Backend."""

    beside, whole = True, False

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot, self.runs = snapshot, 0

    def next_prefix(self) -> str:
        """A prefix of its own for the relations of each run, so that runs over one store do not disturb each other."""
        self.runs += 1
        return f"r{self.runs}_"


class SqlComputed(ABC):
    """A program evaluated in SQL. Subclasses create the relations and answer queries."""

    def __init__(
        self,
        tables: SqlTables,
        program: Program,
        virtual: dict[str, list[tuple[str, str]]],
        wanted: Mapping[str, list[Node]],
        known_at: str = "",
    ) -> None:
        self.tables, self.program, self.snapshot = tables, program, tables.snapshot
        self.plan = Plan(program, virtual)
        for register, nodes in wanted.items():
            if register in virtual:
                self.plan.effects(register)
            for node in nodes:
                self.plan.keep(register, node)
        snapshot = tables.snapshot
        if known_at:
            snapshot = replace(snapshot, known_at=moment(known_at).isoformat(" "))
        self.backend = Backend(self.plan, snapshot, tables.next_prefix(), tables.beside, tables.whole)
        self.relations = self.backend.build(set(wanted))

    @abstractmethod
    def query(self, text: str) -> pa.Table:
        """The answer to a query over the relations. Raises PackError where a number or date has no place."""

    def fetch(self, register: str, nodes: Mapping[str, Node], keep: Node | None = None) -> dict[str, Cells]:
        """Expressions over the final rows of a register."""
        env, items, shapes = Env(register), [], {}
        for at, (label, node) in enumerate(nodes.items()):
            shapes[label] = shape = self.backend.sql(node, env)
            items.append(f"{shape.text} AS c{at}")
            if shape.den and not numbers.literal(shape.den):
                items.append(f"{shape.den} AS d{at}")
        where = f" WHERE {self.backend.sql(keep, env).text}" if keep is not None else ""
        source = self.backend.rows(register, [*nodes.values(), *([keep] if keep is not None else [])])
        table = self.query(f"SELECT {', '.join(items)} FROM {source}{where} ORDER BY __row")
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
            values = table[f"c{at}"]
            if pa.types.is_integer(values.type):
                values = values.cast(pa.int64())
            found[label] = Cells(values, numeric, shape.scale, den)
        return found

    def behind(
        self, definition: Aggregate, register: str, path: Row, identity: str, fields: list[str], limit: int
    ) -> list[dict[str, Any]]:
        """The rows an aggregate counted, or might have counted."""
        vocabulary = self.program.vocabulary
        subject, rows = vocabulary.registers[register], vocabulary.registers[definition.register]
        relation = self.backend.source(register)
        key = path.via if path.of is not None else definition.key or subject.id_field
        whom = f"SELECT {name(key)} FROM {relation} WHERE {name(subject.id_field)} = {quoted(identity)}"
        if rows.name not in self.backend.visible or rows.name not in self.snapshot.loaded:
            return []
        condition, read = "TRUE", []
        if definition.where is not None and not looks_out(definition.where):
            read = [definition.where]
            condition = f"({self.backend.sql(definition.where, Env(rows.name, 'i')).text}) IS NOT FALSE"
        kept = "".join(f", v.{name(field)}" for field in fields)
        order = f" ORDER BY v.{name(rows.order)}, v.__row" if rows.order else " ORDER BY v.__row"
        base = f"{name(self.backend.visible[rows.name])} v JOIN {self.backend.rows(rows.name, read)} i ON i.__row = v.__row"
        found: list[dict[str, Any]] = self.query(
            f"SELECT v.{name(rows.id_field)} AS __id{kept} FROM {base} "
            f"WHERE v.{name(definition.link)} = ({whom}) AND {condition}{order} LIMIT {limit}"
        ).to_pylist()
        return found


def seen(tables: Mapping[str, pa.Table]) -> Snapshot:
    """What a backend must know of tables: which registers there are, which fields have gaps or half-known days."""
    gaps: set[tuple[str, str]] = set()
    partial: set[tuple[str, str]] = set()
    bitemporal: set[str] = set()
    for register, table in tables.items():
        columns = set(table.column_names)
        for column in columns:
            if column.endswith(PRECISION) and (pc.max(table[column]).as_py() or 0) > 1:
                partial.add((register, column.removesuffix(PRECISION)))
        gaps |= {(register, column) for column in columns if table[column].null_count}
        if columns & {"recorded_at", "superseded_at"}:
            bitemporal.add(register)
    return Snapshot(frozenset(tables), frozenset(gaps), "", frozenset(bitemporal), frozenset(partial))
