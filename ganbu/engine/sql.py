"""The DuckDB backend (DuckDB 后端): a plan becomes a few statements over one wide row per subject.

Only this module and `numbers.py` write SQL. Every name and literal in it comes from the checked tree.
"""

from __future__ import annotations

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from ganbu.engine import calendar, numbers
from ganbu.engine.numbers import Sql
from ganbu.engine.plan import Column, Leaf, Plan, reached
from ganbu.engine.records import PRECISION
from ganbu.engine.tree import Aggregate, Const, Fact, Field, Node, Op, Row, Window, looks_out
from ganbu.errors import MisuseError
from ganbu.vocabulary import Register

FAR_PAST, FAR_FUTURE = "DATE '0001-01-01'", "DATE '9999-12-31'"
INT_DIGITS, COUNT_DIGITS = 12, 6
YEAR = "__year"  # beside a date of which only the year is known
LIFT = 10_000  # years added before a division and taken off after it: DuckDB rounds towards nought, not down
WORKDAYS = (
    "workdays"  # one row: `counts` of working days up to each day of the calendar, `days` of each count
)
ORDERED = ("place", "ties")  # windows in which the rows of a group stand one after another
SPECIAL = ("streak", "run", "held", "since", "cumulative")


def name(text: str) -> str:
    """A quoted identifier."""
    return '"' + text.replace('"', '""') + '"'


def quoted(text: str) -> str:
    """A text literal."""
    return "'" + text.replace("'", "''") + "'"


def day(value: date) -> str:
    """A date literal."""
    return f"DATE '{value.isoformat()}'"


@dataclass(frozen=True)
class Snapshot:
    """What the backend must know of the data: which registers there are, and which fields have gaps."""

    loaded: frozenset[str]
    gaps: frozenset[tuple[str, str]]
    known_at: str = ""
    bitemporal: frozenset[str] = frozenset()
    partial: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Env:
    """Where an expression stands: the register and alias of the row in hand, and of the row outside."""

    register: str
    alias: str = ""
    outer: str = ""
    outer_alias: str = ""

    def at(self, up: int) -> tuple[str, str]:
        """Register and alias prefix of a root."""
        register, alias = (self.register, self.alias) if up == 0 else (self.outer, self.outer_alias)
        return register, f"{alias}." if alias else ""


@dataclass(frozen=True)
class Relation:
    """A step of a run: a query by name, and whether what it gives is put down as a table."""

    name: str
    text: str
    kept: bool


@dataclass(frozen=True)
class Inline:
    """A column that says something of one row from what is there: written wherever it is read."""

    step: int
    items: list[str]
    column: Column


class Backend:
    """Writes the statements for a plan.

    What looks across rows (aggregates, references, windows) is put down, a few columns to a table; what says
    something of one row only is written into each query that reads it. Every query names just what it needs.
    """

    def __init__(
        self, plan: Plan, snapshot: Snapshot, prefix: str = "", beside: bool = True, whole: bool = False
    ) -> None:
        """`beside` tells whether rows of two tables can be put side by side by their position, `whole` whether to put
        down all results at the end rather than write them into each query that reads them.
        """
        self.plan, self.snapshot, self.prefix = plan, snapshot, prefix
        self.beside, self.whole = beside, whole
        self.vocabulary = plan.program.vocabulary
        self.as_of = plan.program.as_of
        self.relations: list[Relation] = []
        self.shapes: dict[str, Sql] = {}
        self.visible: dict[str, str] = {}
        self.base: dict[str, str] = {}
        self.home: dict[str, str] = {}
        self.inline: dict[str, Inline] = {}
        self.counts_workdays = False

    # -- tables --------------------------------------------------------------------------------------------

    def build(self, registers: set[str]) -> list[Relation]:
        """The relations of a run, each reading earlier ones; `registers` are those whose rows are read at the end."""
        for register in registers:
            if register not in self.plan.virtual:
                self.source(register)
        steps: dict[tuple[int, str], list[Column]] = defaultdict(list)
        for column in self.plan.ordered:
            steps[column.level, column.register].append(column)
        for (level, register), columns in steps.items():
            self._level(register, level, columns)
        for register in registers:
            self.source(register)
            if self.whole:
                self._finish(register)
        return self.relations

    def _finish(self, register: str) -> None:
        """Put down all that is asked of a register in one table, so that reading it joins nothing."""
        columns = [c for c in self.plan.ordered if c.register == register and c.key in self.plan.kept]
        items = [item for column in columns for item in self._stored(column.key)]
        relation = f"{self.prefix}r_{register}"
        fields = ", ".join([*self._fields(register), *items])
        self.relations.append(
            Relation(relation, f"SELECT {fields} FROM {self.source(register, columns)} s", True)
        )
        self.base[register] = relation
        self.home.update({column.key: relation for column in columns})

    def _fields(self, register: str) -> list[str]:
        """The fields of a register that anything reads, and the number of the row."""
        spec = self.vocabulary.registers[register]
        wanted = {spec.id_field, spec.name_field, *self.plan.fields.get(register, ())}
        return ["__row", *(name(f) for f in spec.fields if f in wanted)]

    def source(self, register: str, columns: Iterable[Column] = ()) -> str:
        """The rows of a register with some of its columns, to select from."""
        self._see(register)
        found: dict[str, Inline] = {}
        tables: dict[str, dict[str, None]] = defaultdict(dict)
        open_columns = [column for column in columns if column.register == register]
        while open_columns:
            column = open_columns.pop()
            if column.key in self.home:
                tables[self.home[column.key]][column.key] = None
            elif column.key not in found:
                found[column.key] = self.inline[column.key]
                open_columns += [c for c in self.plan.sources(column) if c.register == register]
        text = name(self.base.get(register, self.visible[register]))
        tables.pop(self.base.get(register, ""), None)  # what stands in the rows themselves
        if tables:
            kept = [
                f"{name(table)}.{item}"
                for table, keys in tables.items()
                for key in keys
                for item in self._stored(key)
            ]
            text = f"(SELECT {', '.join([f'{text}.*', *kept])} FROM {text}{''.join(self._beside(text, table) for table in tables)})"
        steps: dict[int, list[str]] = defaultdict(list)
        for one in found.values():
            steps[one.step] += one.items
        for step in sorted(steps):
            text = f"(SELECT *, {', '.join(steps[step])} FROM {text})"
        return text

    def rows(self, register: str, nodes: Iterable[Node]) -> str:
        """The rows of a register with what some expressions read, to select from."""
        return self.source(register, [c for node in nodes for c in self.plan.read_by(register, node)])

    def _beside(self, base: str, table: str) -> str:
        if self.beside:
            return f" POSITIONAL JOIN {name(table)}"
        return f" LEFT JOIN {name(table)} ON {name(table)}.__seat = {base}.__row"

    def _stored(self, key: str) -> list[str]:
        shape = self.shapes[key]
        return [shape.text] + ([shape.den] if shape.den and not numbers.literal(shape.den) else [])

    def _put_down(
        self, register: str, relation: str, columns: list[Column], items: list[str], text: str
    ) -> None:
        """A table of some columns, its rows those of the register in their order."""
        if self.beside and register not in self.base:
            base = f"{self.prefix}f_{register}"
            fields = ", ".join(self._fields(register))
            self.relations.append(
                Relation(base, f"SELECT {fields} FROM {name(self.visible[register])} ORDER BY __row", True)
            )
            self.base[register] = base
        seat = [] if self.beside else ["s.__row AS __seat"]
        relation = self.prefix + relation
        self.relations.append(
            Relation(relation, f"SELECT {', '.join([*seat, *items])} {text} ORDER BY s.__row", True)
        )
        self.home.update({column.key: relation for column in columns})

    def _see(self, register: str) -> None:
        if register in self.visible:
            return
        relation = f"{self.prefix}v_{register}"
        made = register in self.plan.virtual
        text = self._virtual(register) if made else self._base(self.vocabulary.registers[register])
        self.relations.append(Relation(relation, text, made))
        self.visible[register] = relation

    def _base(self, register: Register) -> str:
        """The rows that exist on the as-of day, as known at the known-at moment."""
        as_of = day(self.as_of)
        if register.name not in self.snapshot.loaded:
            empty = ", ".join(
                f"CAST(NULL AS {sql_type(f.kind)}) AS {name(f.name)}" for f in register.fields.values()
            )
            return f"SELECT CAST(NULL AS BIGINT) AS __row, {empty} WHERE FALSE"
        ends = [f for f in register.ended if register.fields[f].kind == "date"]
        cut = ["rowid AS __row"]
        partial = [f for f in register.fields if (register.name, f) in self.snapshot.partial]
        cut += [
            f"CASE WHEN {name(f + PRECISION)} > 1 THEN {name(f + PRECISION)} END AS {name(f + YEAR)}"
            for f in partial
        ]
        for spec in register.fields.values():
            column = name(spec.name)
            if spec.name in register.ended and ends:
                by = column if spec.kind == "date" else name(ends[0])
                cut.append(f"CASE WHEN {by} > {as_of} THEN NULL ELSE {column} END AS {column}")
            else:
                cut.append(column)
        conditions = []
        if register.happened:
            spec = register.fields[register.happened]
            if spec.kind == "int":
                confirmed = "confirmed_on" if "confirmed_on" in register.fields else ""
                year_end = f"{name(spec.name)} <= {self.as_of.year if (self.as_of.month, self.as_of.day) == (12, 31) else self.as_of.year - 1}"
                visible = (
                    f"CASE WHEN confirmed_on IS NOT NULL THEN confirmed_on <= {as_of} ELSE {year_end} END"
                    if confirmed
                    else year_end
                )
                conditions.append(f"({name(spec.name)} IS NULL OR {visible})")
            elif (register.name, spec.name) in self.snapshot.gaps:
                conditions.append(f"({name(spec.name)} IS NULL OR {name(spec.name)} <= {as_of})")
            else:
                conditions.append(f"{name(spec.name)} <= {as_of}")
            if spec.name in partial:
                conditions.append(f"coalesce({name(spec.name + PRECISION)}, 0) <= {self.as_of.year}")
        if register.name in self.snapshot.bitemporal and not self.snapshot.known_at:
            conditions.append("superseded_at IS NULL")
        elif register.name in self.snapshot.bitemporal:
            moment = f"TIMESTAMP {quoted(self.snapshot.known_at)}"
            conditions.append(
                f"(recorded_at IS NULL OR recorded_at <= {moment}) AND (superseded_at IS NULL OR superseded_at > {moment})"
            )
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {', '.join(cut)} FROM {name('t_' + register.name)}{where}"

    def _virtual(self, register: str) -> str:
        """The rows a consequence policy makes, as a register."""
        parts = []
        for part, (owner, effect) in enumerate(self.plan.virtual[register]):
            label = effect.split(".", 1)[1]
            keys = ("", "·起始日", "·截止日", "·对象", "·生效中")
            columns = [self.plan.need(owner, effect + key) for key in keys]
            holds, start, end, subject, active = (self.shape(column, "").text for column in columns)
            source = self.source(owner, columns)
            identity = name(self.vocabulary.registers[owner].id_field)
            parts.append(
                f"SELECT {part} AS __part, __row, {identity} || {quoted('·' + label)} AS 编号, {subject} AS 对象, {quoted(label)} AS 种类, "
                f"{start} AS 起始日, {end} AS 截止日, {active} AS 生效中, {holds} AS 成立 FROM {source} WHERE {holds} IS NOT FALSE"
            )
        shown = "编号, 对象, 种类, 起始日, 截止日, 生效中, 成立"
        return f"SELECT row_number() OVER (ORDER BY __part, __row) AS __row, {shown} FROM ({' UNION ALL '.join(parts)})"

    def _level(self, register: str, level: int, columns: list[Column]) -> None:
        self._see(register)
        own = Env(register, "s")
        items: list[str] = []
        joins: list[str] = []
        groups: dict[tuple[Any, ...], list[Column]] = defaultdict(list)
        reaches: dict[Any, list[Column]] = defaultdict(list)
        across = [column for column in columns if not column.depth]
        for column in across:
            node = column.node
            if node is None:
                reaches[column.row].append(column)
            elif isinstance(node, Aggregate):
                special = column.id if node.fn in SPECIAL else ""
                latest = (node.option("latest"), node.option("latest_by")) if node.option("latest") else ()
                groups[node.register, node.link, node.key, self._correlated(node), latest, special].append(
                    column
                )
        for row, group in reaches.items():
            joins.append(self._reach_join(row, group, own, items))
        for key, group in groups.items():
            joins.append(self._aggregate_join(register, key, group, items))
        if across:
            reached_by = [
                source for column in across if column.node is None for source in self.plan.sources(column)
            ]
            text = f"FROM {self.source(register, reached_by)} s {' '.join(joins)}"
            self._put_down(register, f"b_{register}_{level}", across, items, text)
        for depth in sorted({column.depth for column in columns} - {0}):
            here = [column for column in columns if column.depth == depth]
            windows = [column for column in here if isinstance(column.node, Window)]
            for column in here:
                if column not in windows:
                    below = (
                        self.inline[c.key].step for c in self.plan.sources(column) if c.key in self.inline
                    )
                    self.inline[column.key] = Inline(
                        1 + max(below, default=0), self._projection(column), column
                    )
            if windows and self.beside:
                self._settle(register, f"e_{register}_{level}_{depth}", windows)
            if windows:
                self._put_down(
                    register, f"p_{register}_{level}_{depth}", windows, *self._windows(register, windows)
                )

    def _settle(self, register: str, relation: str, windows: list[Column]) -> None:
        """Put down what windows rank and add up: it is read again by whatever reads the windows."""
        read = {c.key: c for column in windows for c in self.plan.sources(column) if c.key in self.inline}
        columns = [c for c in read.values() if c.node is not None and c.node.type.kind == "num"]
        if columns:
            items = [item for column in columns for item in self._stored(column.key)]
            self._put_down(register, relation, columns, items, f"FROM {self.source(register, columns)} s")

    def _windows(self, register: str, columns: list[Column]) -> tuple[list[str], str]:
        """Windows as items and where they come from.

        One with an order sorts all that it is given, so that it is given only what it reads; all others are groups,
        counted once and looked up.
        """
        text = self.source(register, [c for column in columns for c in self.plan.sources(column)])
        env, joins = Env(register, "s"), []
        items: list[str] = []
        grouped: dict[tuple[Node, ...], list[Column]] = defaultdict(list)
        for column in columns:
            node = column.node
            assert isinstance(node, Window)
            if node.fn in ORDERED:
                items += self._store(column, self.window(node, env))
            else:
                grouped[node.groups].append(column)
        for at, (groups, members) in enumerate(grouped.items()):
            own = Env(register)
            keys = [self.sql(group, own).text for group in groups]
            values: list[str] = []
            for column in members:
                assert isinstance(column.node, Window)
                values += self._store(column, self.window(column.node, own, grouped=True))
            read = [c for column in members for c in self.plan.sources(column)]
            picked = ", ".join([*(f"{key} AS k{n}" for n, key in enumerate(keys)), *values])
            by = f" GROUP BY {', '.join(str(n + 1) for n in range(len(keys)))}" if keys else ""
            found = f"(SELECT {picked} FROM {self.source(register, read)}{by}) g{at}"
            same = " AND ".join(
                f"g{at}.k{n} IS NOT DISTINCT FROM {self.sql(group, env).text}"
                for n, group in enumerate(groups)
            )
            joins.append(f"LEFT JOIN {found} ON {same}" if keys else f"CROSS JOIN {found}")
            items += [f"g{at}.{value.rpartition(' AS ')[2]}" for value in values]
        return items, f"FROM {text} s {' '.join(joins)}"

    def _projection(self, column: Column) -> list[str]:
        assert column.node is not None
        env = Env(column.register)
        value = (
            self.window(column.node, env) if isinstance(column.node, Window) else self.sql(column.node, env)
        )
        return self._store(column, value)

    def _store(self, column: Column, value: Sql) -> list[str]:
        """Remember the shape of a column and give its SELECT items."""
        key = column.key
        kept = value.den if numbers.literal(value.den or "x") else ""
        den = f"{column.id}d" if value.den and not kept else kept
        self.shapes[key] = replace(value, text=column.id, den=den)
        text = value.text if value.text != "NULL" else f"CAST(NULL AS {self._null_type(column)})"
        parts = [f"{text} AS {column.id}"]
        if value.den and not kept:
            parts.append(f"{value.den} AS {column.id}d")
        return parts

    def _null_type(self, column: Column) -> str:
        kind = column.node.type.kind if column.node is not None else "text"
        return {"num": "BIGINT", "date": "DATE", "bool": "BOOLEAN"}.get(kind, "VARCHAR")

    def shape(self, column: Column, prefix: str) -> Sql:
        """A reference to a column."""
        kept = self.shapes[column.key]
        den = kept.den if not kept.den or numbers.literal(kept.den) else prefix + kept.den
        return replace(kept, text=prefix + column.id, den=den)

    # -- reaching and aggregating ----------------------------------------------------------------------------

    def _reach_join(self, row: Row, group: list[Column], own: Env, joined: list[str]) -> str:
        assert row.of is not None
        target = self.vocabulary.registers[row.register]
        alias = f"j{group[0].id}"
        source = self.source(row.register, [c for column in group for c in self.plan.sources(column)])
        base = self.leaf(row.of, ("field", row.via), own)
        for column in group:
            value = self.leaf(Row(row.register), column.leaf, Env(row.register, alias))
            joined += self._store(column, replace(value, nullable=True))
        return f"LEFT JOIN {source} {alias} ON {alias}.{name(target.id_field)} = {base.text}"

    def _correlated(self, node: Aggregate) -> bool:
        parts = (node.value, node.where, node.order)
        return any(looks_out(part) for part in parts)

    def _aggregate_join(
        self, register: str, key: tuple[Any, ...], group: list[Column], joined: list[str]
    ) -> str:
        rows, link, hop, correlated, latest, special = key
        alias = f"a{group[0].id}"
        read = [c for column in group for c in self.plan.sources(column)]
        source = self.source(rows, read)
        env = Env(rows, "i", register, "o")
        subject = self.vocabulary.registers[register]
        match_on = name(hop) if hop else name(subject.id_field)
        if latest:
            _n, by = latest
            order = f"{self.sql(by, Env(rows)).text} DESC NULLS LAST, " if by is not None else ""
            source = f"(SELECT *, row_number() OVER (PARTITION BY {name(link)} ORDER BY {order}__row DESC) AS __n FROM {source})"
        origin = f"{source} i"
        k = f"i.{name(link)}"
        if correlated:
            origin += f" JOIN {self.source(register, read)} o ON i.{name(link)} = o.{match_on}"
            k = f"o.{name(subject.id_field)}"
            match_on = name(subject.id_field)
        base = f"i.{name(link)} IS NOT NULL" + (f" AND i.__n <= {latest[0]}" if latest else "")
        loaded = rows in self.snapshot.loaded or rows in self.plan.virtual
        closed = loaded and not self.vocabulary.registers[rows].open
        if special:
            node = group[0].node
            assert isinstance(node, Aggregate)
            inner, value = self._special(node, env, k, origin, base, alias, closed)
            joined += self._store(group[0], value)
            return f"LEFT JOIN ({inner}) {alias} ON {alias}.k = s.{match_on}"
        items: dict[str, str] = {}
        for column in group:
            node = column.node
            assert isinstance(node, Aggregate)
            joined += self._store(column, self._simple(column, node, env, alias, items, closed))
        picked = ", ".join(f"{text} AS {key}" for text, key in items.items())
        return f"LEFT JOIN (SELECT {k} AS k, {picked} FROM {origin} WHERE {base} GROUP BY 1) {alias} ON {alias}.k = s.{match_on}"

    def _simple(
        self, column: Column, node: Aggregate, env: Env, alias: str, items: dict[str, str], closed: bool
    ) -> Sql:
        """One aggregate of a shared GROUP BY; returns its value after the join."""

        def item(text: str) -> str:
            known = items.setdefault(text, f"x{len(items)}_{column.id}")
            return f"{alias}.{known}"

        where = self.sql(node.where, env) if node.where is not None else Sql("TRUE", False)
        only = "" if where.text == "TRUE" else f" FILTER (WHERE {where.text})"
        value = self.sql(node.value, env) if node.value is not None else None
        doubts = []
        if where.nullable:
            doubts.append(f"({where.text}) IS NULL")
        if value is not None and value.nullable:
            doubts.append(f"({where.text}) AND {value.missing}" if where.text != "TRUE" else value.missing)
        doubt = item(f"bool_or({' OR '.join(doubts)})") if doubts and node.fn != "any" else ""
        here = f"{alias}.k IS NULL"

        def guarded(text: str, empty: str) -> str:
            if doubt:
                text = f"CASE WHEN {doubt} THEN NULL ELSE {text} END"
            if empty == "NULL":
                return text
            if not closed:
                return f"CASE WHEN {here} THEN NULL ELSE {text} END"
            return f"CASE WHEN {here} THEN {empty} ELSE {text} END" if doubt else f"coalesce({text}, {empty})"

        open_or_doubtful = bool(doubt) or not closed
        match node.fn:
            case "count":
                return Sql(guarded(item(f"count(*){only}"), "0"), open_or_doubtful, 0, COUNT_DIGITS)
            case "sum":
                assert value is not None
                value = _plain_den(value)
                digits = value.digits + COUNT_DIGITS
                total = f"sum({value.text}){only}"
                total = f"CAST({total} AS BIGINT)" if digits <= numbers.NARROW else total
                zero = f"coalesce({item(total)}, 0)"
                return replace(
                    value, text=guarded(zero, "0"), digits=min(digits, 38), nullable=open_or_doubtful
                )
            case "min" | "max":
                assert value is not None
                value = _plain_den(value)
                return replace(
                    value, text=guarded(item(f"{node.fn}({value.text}){only}"), "NULL"), nullable=True
                )
            case "distinct":
                assert value is not None
                value = _plain_den(value)
                return Sql(
                    guarded(item(f"count(DISTINCT {value.text}){only}"), "0"),
                    open_or_doubtful,
                    0,
                    COUNT_DIGITS,
                )
            case "any":
                if not where.nullable:
                    found = item(f"bool_or({where.text})")
                    return Sql(f"coalesce({found}, FALSE)" if closed else found, not closed)
                found = item(
                    f"CASE WHEN bool_or({where.text}) THEN TRUE WHEN bool_or(({where.text}) IS NULL) THEN NULL ELSE FALSE END"
                )
                return Sql(f"CASE WHEN {here} THEN {'FALSE' if closed else 'NULL'} ELSE {found} END")
            case "top_sum":
                assert value is not None
                value = _plain_den(value)
                n = node.option("n")
                total = f"CAST(list_sum(max({value.text}, {n}){only}) AS BIGINT)"
                return replace(
                    value,
                    text=guarded(f"coalesce({item(total)}, 0)", "0"),
                    digits=min(value.digits + 3, 18),
                    nullable=open_or_doubtful,
                )
            case "pick":
                return Sql(guarded(item(self._pick(column, node, env, only)), "NULL"))
        raise AssertionError(node.fn)

    def _pick(self, column: Column, node: Aggregate, env: Env, only: str) -> str:
        leaves = self.plan.picks[column.register, column.name]
        parts = [f"__id := i.{name(self.vocabulary.registers[node.register].id_field)}"]
        for leaf in leaves:
            value = self.leaf(Row(node.register), leaf, env)
            parts.append(f"{name(leaf_name(leaf))} := {value.text}")
            if value.den and not numbers.literal(value.den):
                parts.append(f"{name(leaf_name(leaf) + '/d')} := {value.den}")
        assert node.order is not None
        order = self.sql(node.order, env)
        base = (
            days_between("DATE '1900-01-01'", order.text)
            if node.order.type.kind == "date"
            else numbers.sort_key(order)
        )
        last = node.option("which") == "last"
        lowest = f"-{10**18}" if last else f"{10**18}"
        ordinal = f"coalesce({base}, {lowest})" if order.nullable else base
        # The row number breaks ties, so that the same row is chosen in every run.
        choice = f"{'arg_max' if last else 'arg_min'}(struct_pack({', '.join(parts)}), CAST({ordinal} AS HUGEINT) * 4294967296 + i.__row){only}"
        if not order.nullable:
            return choice
        # A row without a place in the order stands beside others: which one it is nobody knows.
        doubt = f"bool_or({order.missing}){only}"
        return f"CASE WHEN count(*){only} > 1 AND {doubt} THEN NULL ELSE {choice} END"

    def _special(
        self, node: Aggregate, env: Env, k: str, origin: str, base: str, alias: str, closed: bool
    ) -> tuple[str, Sql]:
        where = self.sql(node.where, env) if node.where is not None else Sql("TRUE", False)
        # A row that may or may not count makes the whole not known, as in every other aggregate.
        doubt = f"(({where.text}) IS NULL)" if where.nullable else "FALSE"
        kept = f"({where.text}) IS NOT FALSE" if where.nullable else where.text
        if node.fn in ("streak", "run"):
            assert node.value is not None and node.order is not None
            order = self.sql(node.order, env)
            o = (
                days_between("DATE '1900-01-01'", order.text)
                if node.order.type.kind == "date"
                else order.text
            )
            ok = self.sql(node.value, env).text
            ok = f"CASE WHEN {doubt} THEN NULL ELSE {ok} END" if where.nullable else ok
            end = node.option("to")
            limit = f" AND {o} <= {end}" if end is not None else ""
            inner = f"SELECT {k} AS k, {o} AS o, {ok} AS ok FROM {origin} WHERE {base} AND {kept} AND {o} IS NOT NULL{limit}"
            text = (
                _streak(inner, "" if end is None else str(end), str(node.option("gap")))
                if node.fn == "streak"
                else _longest(inner, str(node.option("gap")))
            )
            value = f"CASE WHEN {alias}.k IS NULL THEN {'0' if closed else 'NULL'} ELSE {alias}.n END"
            return text, Sql(value, True, 0, 4)
        assert node.order is not None
        as_of = day(self.as_of)
        start = self.sql(node.order, env).text
        end_node = node.value if node.fn == "held" else node.option("end")
        end = self.sql(end_node, env).text  # type: ignore[arg-type]
        value_node = None if node.fn == "held" else node.value
        same = self.sql(value_node, env).text if value_node is not None else "0"
        gap = 0 if node.fn == "held" else int(str(node.option("gap", 1)))
        inner = (
            f"SELECT {k} AS k, {same} AS v, {start} AS a, coalesce({end}, {FAR_FUTURE}) AS e, ({start} IS NULL OR {doubt} OR coalesce({end} < {start}, FALSE)) AS bad "
            f"FROM {origin} WHERE {base} AND {kept}"
            + ("" if node.fn == "held" or value_node is None else f" AND {same} IS NOT NULL")
        )
        islands = _islands(inner, gap)
        until = f"least(e, {as_of})"
        months = f"sum({months_between('a', until)})"
        if node.fn == "held":
            rest = f"sum({days_between(_months_on('a', months_between('a', until)), until)})"
            text = f"SELECT k, bool_or(bad) AS bad, CAST({months} + {_left_over(rest)} AS BIGINT) AS n FROM ({islands}) GROUP BY k"
            value = f"CASE WHEN {alias}.k IS NULL THEN {'0' if closed else 'NULL'} WHEN {alias}.bad THEN NULL ELSE {alias}.n END"
            return text, Sql(value, True, 0, 5)
        if node.fn == "since":
            choose = "min(a)" if node.option("of") == "longest" else "max(a)"
            text = (
                f"SELECT k, bool_or(bad) AS bad, {choose} AS n FROM ({islands}) WHERE e > {as_of} GROUP BY k"
            )
            return text, Sql(f"CASE WHEN {alias}.bad THEN NULL ELSE {alias}.n END")
        rest = f"sum({days_between(_months_on('a', months_between('a', until)), until)})"
        per_value = f"SELECT k, v, bool_or(bad) AS bad, max(e) AS e, CAST({months} + {_left_over(rest)} AS BIGINT) AS n FROM ({islands}) GROUP BY k, v"
        text = f"SELECT k, bool_or(bad) AS bad, max(n) AS n FROM ({per_value}) WHERE e > {as_of} GROUP BY k"
        return text, Sql(f"CASE WHEN {alias}.bad THEN NULL ELSE {alias}.n END", True, 0, 5)

    # -- expressions -----------------------------------------------------------------------------------------

    def leaf(self, row: Row, leaf: Leaf, env: Env) -> Sql:
        """A field or fact of a row path."""
        register, prefix = env.at(row.root.up)
        if row.of is None:
            if leaf[0] == "fact":
                return self.shape(self.plan.need(register, leaf[1]), prefix)
            spec = self.vocabulary.registers[register].fields[leaf[1]]
            nullable = (register, spec.name) in self.snapshot.gaps or spec.name in self.vocabulary.registers[
                register
            ].ended
            digits = spec.digits if spec.kind == "decimal" else INT_DIGITS
            return Sql(
                prefix + name(spec.name), nullable or register not in self.snapshot.loaded, spec.scale, digits
            )
        if self.plan.is_pick(row.of.register, row.via):
            base = self.leaf(row.of, ("fact", row.via), env)
            kept = self.leaf(Row(row.register), leaf, Env(row.register))
            key = leaf_name(leaf)
            den = (
                kept.den
                if not kept.den or numbers.literal(kept.den)
                else f"struct_extract({base.text}, {quoted(key + '/d')})"
            )
            return replace(kept, text=f"struct_extract({base.text}, {quoted(key)})", den=den, nullable=True)
        return self.shape(self.plan.columns[register, reached(row, leaf)], prefix)

    def sql(self, node: Node, env: Env) -> Sql:
        """The SQL of an expression."""
        match node:
            case Const():
                return self._const(node)
            case Field():
                return self.leaf(node.row, ("field", node.name), env)
            case Fact():
                return self.leaf(node.row, ("fact", node.name), env)
            case Op():
                return getattr(self, "_op_" + node.op)(node, env)  # type: ignore[no-any-return]
        raise AssertionError(node)

    def _const(self, node: Const) -> Sql:
        value = node.value
        if value is None:
            return Sql("NULL")
        if isinstance(value, bool):
            return Sql("TRUE" if value else "FALSE", False)
        if isinstance(value, Fraction):
            return numbers.constant(value)
        return Sql(day(value) if isinstance(value, date) else quoted(value), False)

    def _args(self, node: Op, env: Env) -> list[Sql]:
        return [self.sql(arg, env) for arg in node.args]

    def _join(self, node: Op, env: Env, word: str) -> Sql:
        neutral, deciding = ("TRUE", "FALSE") if word == "AND" else ("FALSE", "TRUE")
        args = [arg for arg in self._args(node, env) if arg.text != neutral]
        if any(arg.text == deciding for arg in args) or not args:
            return Sql(deciding if args else neutral, False)
        return Sql("(" + f" {word} ".join(arg.text for arg in args) + ")", any(arg.nullable for arg in args))

    def _op_and(self, node: Op, env: Env) -> Sql:
        return self._join(node, env, "AND")

    def _op_or(self, node: Op, env: Env) -> Sql:
        return self._join(node, env, "OR")

    def _op_not(self, node: Op, env: Env) -> Sql:
        inner = self.sql(node.args[0], env)
        return Sql(f"(NOT {inner.text})", inner.nullable)

    def _op_is_true(self, node: Op, env: Env) -> Sql:
        inner = self.sql(node.args[0], env)
        return Sql(f"({inner.text} IS TRUE)" if inner.nullable else inner.text, False)

    def _op_is_false(self, node: Op, env: Env) -> Sql:
        inner = self.sql(node.args[0], env)
        return Sql(f"({inner.text} IS FALSE)" if inner.nullable else f"(NOT {inner.text})", False)

    def _op_is_missing(self, node: Op, env: Env) -> Sql:
        inner = node.args[0]
        if isinstance(inner, Field) and inner.row.of is None:
            register, prefix = env.at(inner.row.root.up)
            if (register, inner.name) in self.snapshot.partial and inner.name in self.vocabulary.registers[
                register
            ].ended:
                # An end of which only the year is known has come, lies ahead, or may be either.
                year, this = prefix + name(inner.name + YEAR), self.as_of.year
                gone = self.sql(inner, env).missing
                return Sql(
                    f"CASE WHEN NOT {gone} THEN FALSE WHEN {year} = {this} THEN NULL ELSE {year} IS NULL OR {year} > {this} END"
                )
        return Sql(self.sql(node.args[0], env).missing, False)

    def _op_unknown(self, node: Op, env: Env) -> Sql:
        return Sql("CAST(NULL AS BOOLEAN)")

    def _op_compare(self, node: Op, env: Env) -> Sql:
        one, two = self._args(node, env)
        sign = str(node.detail[0])
        sign = "<>" if sign == "!=" else sign
        if node.args[0].type.kind == "num" and node.args[1].type.kind == "num":
            return numbers.comparison(one, sign, two)
        return Sql(f"({one.text} {sign} {two.text})", one.nullable or two.nullable)

    def _op_compare_order(self, node: Op, env: Env) -> Sql:
        sign, order = node.detail
        steps: tuple[tuple[str, ...], ...] = order  # type: ignore[assignment]
        words = tuple(word for step in steps for word in step)
        one, two = node.args
        if isinstance(two, Const) and two.value is not None:
            at = next(number for number, step in enumerate(steps) if two.value in step)
            kept = {">": steps[at + 1 :], ">=": steps[at:], "<": steps[:at], "<=": steps[: at + 1]}[str(sign)]
            passing = tuple(word for step in kept for word in step)
            left = self.sql(one, env)
            # A word outside the order (such as 未参加) cannot be compared: not known.
            chosen = ", ".join(quoted(word) for word in passing)
            rest = ", ".join(quoted(word) for word in words if word not in passing)
            yes = f"WHEN {left.text} IN ({chosen}) THEN TRUE " if passing else ""
            no = f"WHEN {left.text} IN ({rest}) THEN FALSE " if rest else ""
            return Sql(f"(CASE {yes}{no}END)")
        ordinals = [self._ordinal(self.sql(side, env), steps) for side in node.args]
        return Sql(f"({ordinals[0]} {sign} {ordinals[1]})")

    def _ordinal(self, value: Sql, steps: tuple[tuple[str, ...], ...]) -> str:
        cases = " ".join(f"WHEN {quoted(word)} THEN {at}" for at, step in enumerate(steps) for word in step)
        return f"(CASE {value.text} {cases} END)"

    def _op_ordinal(self, node: Op, env: Env) -> Sql:
        return Sql(self._ordinal(self.sql(node.args[0], env), node.detail[0]), True, 0, 3)  # type: ignore[arg-type]

    def _op_from_ordinal(self, node: Op, env: Env) -> Sql:
        steps: tuple[tuple[str, ...], ...] = node.detail[0]  # type: ignore[assignment]
        cases = " ".join(f"WHEN {at} THEN {quoted(step[0])}" for at, step in enumerate(steps))
        return Sql(f"(CASE {self.sql(node.args[0], env).text} {cases} END)")

    def _op_in(self, node: Op, env: Env) -> Sql:
        left, *items = node.args
        value = self.sql(left, env)
        if left.type.kind == "num":
            tests = [numbers.comparison(value, "=", self.sql(item, env)).text for item in items]
            return Sql("(" + " OR ".join(tests or ["FALSE"]) + ")", value.nullable)
        words = ", ".join(self.sql(item, env).text for item in items)
        return Sql(
            f"({value.text} IN ({words}))" if words else f"({value.text} IS NULL AND NULL)", value.nullable
        )

    def _op_contains(self, node: Op, env: Env) -> Sql:
        one, two = self._args(node, env)
        return Sql(f"contains({one.text}, {two.text})", one.nullable or two.nullable)

    def _sum(self, node: Op, env: Env, sign: str) -> Sql:
        one, two = self._args(node, env)
        return numbers.plus(one, two, sign)

    def _op_add(self, node: Op, env: Env) -> Sql:
        return self._sum(node, env, "+")

    def _op_sub(self, node: Op, env: Env) -> Sql:
        return self._sum(node, env, "-")

    def _op_mul(self, node: Op, env: Env) -> Sql:
        return numbers.product(*self._args(node, env))

    def _op_div(self, node: Op, env: Env) -> Sql:
        return numbers.quotient(*self._args(node, env))

    def _op_abs(self, node: Op, env: Env) -> Sql:
        value = self.sql(node.args[0], env)
        return replace(value, text=f"abs({value.text})")

    def _op_round(self, node: Op, env: Env) -> Sql:
        digits, mode = node.detail
        return numbers.rounded(self.sql(node.args[0], env), int(str(digits)), str(mode))

    def _extreme(self, node: Op, env: Env, function: str) -> Sql:
        args = self._args(node, env)
        if node.type.kind == "date":
            return _strict(function, args)
        best = args[0]
        for other in args[1:]:
            one, two = numbers.aligned(best, other)
            best = _strict(function, [one, two])
            best = replace(
                best,
                scale=one.scale,
                digits=max(one.digits, two.digits),
                den=one.den,
                den_digits=one.den_digits,
            )
        return best

    def _op_least(self, node: Op, env: Env) -> Sql:
        return self._extreme(node, env, "least")

    def _op_greatest(self, node: Op, env: Env) -> Sql:
        return self._extreme(node, env, "greatest")

    def _op_earliest(self, node: Op, env: Env) -> Sql:
        """The earliest of the known dates; none known is not known."""
        return Sql(f"least({', '.join(arg.text for arg in self._args(node, env))})")

    def _op_or_else(self, node: Op, env: Env) -> Sql:
        one, two = self._args(node, env)
        if node.type.kind == "num":
            gone = one.missing
            # Each branch keeps its own denominator: the first one's is not known exactly when it is needed least.
            one, two = _together([one, two])
            if one.den != two.den:
                text = f"(CASE WHEN {gone} THEN {two.text} ELSE {one.text} END)"
                den = f"(CASE WHEN {gone} THEN {two.den} ELSE {one.den} END)"
                wide = max(one.digits, two.digits)
                return replace(
                    one,
                    text=text,
                    den=den,
                    nullable=two.nullable,
                    digits=wide,
                    den_digits=max(one.den_digits, two.den_digits),
                )
        return replace(
            one,
            text=f"coalesce({one.text}, {two.text})",
            nullable=one.nullable and two.nullable,
            digits=max(one.digits, two.digits),
        )

    def _op_if(self, node: Op, env: Env) -> Sql:
        conditions = [self.sql(arg, env) for arg in node.args[:-1:2]]
        values = [self.sql(arg, env) for arg in (*node.args[1::2], node.args[-1])]
        if node.type.kind == "num":
            values = _together(values)
        tests = [condition.text for condition in conditions]

        def cases(parts: list[str]) -> str:
            branches = " ".join(f"WHEN {test} THEN {part}" for test, part in zip(tests, parts, strict=False))
            return f"(CASE {branches} ELSE {parts[-1]} END)"

        den = values[0].den
        if den and not all(value.den == den for value in values):
            den = cases([value.den for value in values])
        return Sql(
            cases([value.text for value in values]), any(value.nullable for value in values), values[0].scale,
            max(value.digits for value in values), den, max(value.den_digits for value in values),
        )  # fmt: skip

    # -- dates -----------------------------------------------------------------------------------------------

    def _op_years(self, node: Op, env: Env) -> Sql:
        start, end = node.args
        value = self.sql(start, env)
        if isinstance(end, Const) and isinstance(end.value, date):
            until = end.value
            last = monthrange(until.year, until.month)[1]
            stamp = until.year * 10000 + until.month * 100 + (31 if until.day == last else until.day)
            return Sql(
                f"(({stamp + LIFT * 10000} - year({value.text}) * 10000 - month({value.text}) * 100 - day({value.text})) // 10000 - {LIFT})",
                value.nullable,
                0,
                4,
            )
        stop = self.sql(end, env)
        return Sql(
            f"(({months_between(value.text, stop.text)} + {LIFT * 12}) // 12 - {LIFT})",
            value.nullable or stop.nullable,
            0,
            4,
        )

    def _op_months(self, node: Op, env: Env) -> Sql:
        start, end = self._args(node, env)
        return Sql(months_between(start.text, end.text), start.nullable or end.nullable, 0, 5)

    def _op_days(self, node: Op, env: Env) -> Sql:
        start, end = self._args(node, env)
        return Sql(days_between(start.text, end.text), start.nullable or end.nullable, 0, 7)

    def _op_workdays(self, node: Op, env: Env) -> Sql:
        start, end = self._args(node, env)
        self.counts_workdays = True
        return Sql(f"({_workdays_at(end.text)} - {_workdays_at(start.text)})", True, 0, 6)

    def _op_add_months(self, node: Op, env: Env) -> Sql:
        start, amount = self._args(node, env)
        return Sql(f"TRY({_months_on(start.text, _whole(amount))})", True)

    def _op_add_days(self, node: Op, env: Env) -> Sql:
        start, amount = self._args(node, env)
        return Sql(_tried(_days_on(start.text, _whole(amount))))

    def _op_add_workdays(self, node: Op, env: Env) -> Sql:
        start, amount = self._args(node, env)
        self.counts_workdays = True
        seat, before = _workdays_at(start.text), _workdays_at(_days_on(start.text, "-1"))
        steps = _whole(amount)
        back = f"CASE WHEN {steps} < 0 AND {seat} = {before} THEN 1 ELSE 0 END"
        found = _at("days", f"{seat} + {steps} + {back}")
        return Sql(f"CASE WHEN {steps} = 0 THEN {start.text} ELSE {found} END")

    def _op_year(self, node: Op, env: Env) -> Sql:
        value = self.sql(node.args[0], env)
        return Sql(f"year({value.text})", value.nullable, 0, 4)

    def _op_month(self, node: Op, env: Env) -> Sql:
        value = self.sql(node.args[0], env)
        return Sql(f"month({value.text})", value.nullable, 0, 2)

    def _op_day(self, node: Op, env: Env) -> Sql:
        value = self.sql(node.args[0], env)
        return Sql(f"day({value.text})", value.nullable, 0, 2)

    def _op_make_date(self, node: Op, env: Env) -> Sql:
        parts = ", ".join(_whole(arg) for arg in self._args(node, env))
        return Sql(_tried(f"make_date({parts})"))

    # -- for results -----------------------------------------------------------------------------------------

    def _op_mask(self, node: Op, env: Env) -> Sql:
        """One bit for each condition that is known to be true."""
        bits = [
            f"CASE WHEN {arg.text} THEN {1 << at} ELSE 0 END"
            for at, arg in enumerate(self._args(node, env))
            if arg.text != "FALSE"
        ]
        return Sql("(" + (" + ".join(bits) or "0") + ")", False, 0, 18)

    def _op_words(self, node: Op, env: Env) -> Sql:
        """The labels of the conditions that are true, joined."""
        parts = [
            f"CASE WHEN {arg.text} THEN {quoted(str(word))} END"
            for arg, word in zip(self._args(node, env), node.detail, strict=True)
        ]
        return Sql(f"concat_ws('、', {', '.join(parts)})", False)

    def _op_join(self, node: Op, env: Env) -> Sql:
        """The values as one text, unknown ones left out."""
        return Sql(
            f"concat_ws(' · ', {', '.join(f'CAST({arg.text} AS VARCHAR)' for arg in self._args(node, env))})",
            False,
        )

    def _op_zscore(self, node: Op, env: Env) -> Sql:
        """(n*x - sum) / sqrt(n*squares - sum**2), six decimals half-up; the only irrational number there is."""
        x, n, total, squares = self._args(node, env)
        spread = (
            f"(CAST({n.text} AS HUGEINT) * {squares.text} - CAST({total.text} AS HUGEINT) * {total.text})"
        )
        text = f"CASE WHEN {x.missing} THEN NULL WHEN {spread} = 0 THEN 0 ELSE CAST(round((CAST({n.text} AS HUGEINT) * {x.text} - {total.text}) / sqrt({spread}) * 1000000) AS BIGINT) END"
        return Sql(f"({text})", True, 6, 10)

    # -- windows ---------------------------------------------------------------------------------------------

    def _takes_part(self, node: Window, env: Env, among: str) -> str:
        assert node.value is not None
        return f"(({among}) IS TRUE AND NOT {self.sql(node.value, env).missing})"

    def _seats(self, node: Window, env: Env, among: str, groups: list[str]) -> tuple[str, str]:
        """Who takes part, and the order they are seated in: those who do not come last.

        Places, ties and sizes of one ranking are written over the same order, so that it is sorted once.
        """
        takes_part = self._takes_part(node, env, among)
        keys = [f"{takes_part} DESC"]
        for key, descending in node.order:
            shown = self.sql(key, env)
            text = numbers.sort_key(shown) if key.type.kind == "num" else shown.text
            keys.append(f"{text} {'DESC' if descending else 'ASC'} NULLS LAST")
        if node.option("ties") == "row":
            keys.append(name(self.vocabulary.registers[env.register].id_field))
        parts = f"PARTITION BY {', '.join(groups)} " if groups else ""
        return takes_part, f"{parts}ORDER BY {', '.join(keys)}"

    def window(self, node: Window, env: Env, grouped: bool = False) -> Sql:
        """A window over all rows of the register, or what it is in each group of a GROUP BY."""
        among = self.sql(node.among, env).text if node.among is not None else "TRUE"
        groups = [self.sql(group, env).text for group in node.groups]
        parts = f"PARTITION BY {', '.join(groups)}" if groups else ""
        over = "" if grouped else f" OVER ({parts})"
        only = "" if among == "TRUE" else f" FILTER (WHERE {among})"
        value = self.sql(node.value, env) if node.value is not None else None
        match node.fn:
            case "place":
                takes_part, seats = self._seats(node, env, among, groups)
                function = {"dense": "dense_rank", "row": "row_number"}.get(str(node.option("ties")), "rank")
                return Sql(
                    f"CASE WHEN {takes_part} THEN {function}() OVER ({seats}) END", True, 0, COUNT_DIGITS
                )
            case "ties":
                takes_part, seats = self._seats(node, env, among, groups)
                peers = f"count(*) OVER ({seats} RANGE BETWEEN CURRENT ROW AND CURRENT ROW)"
                return Sql(f"({peers})", False, 0, COUNT_DIGITS)
            case "seated" | "unseated":
                takes_part = self._takes_part(node, env, among)
                counted = takes_part if node.fn == "seated" else f"(({among}) AND NOT {takes_part})"
                return Sql(f"(count(*) FILTER (WHERE {counted}){over})", False, 0, COUNT_DIGITS)
            case "size":
                return Sql(f"(count(*){only}{over})", False, 0, COUNT_DIGITS)
            case "known":
                assert value is not None
                return Sql(f"(count({value.text}){only}{over})", False, 0, COUNT_DIGITS)
            case "total" | "sum_known" | "squares":
                assert value is not None
                value = _plain_den(value)
                summed = (
                    value.text if node.fn != "squares" else f"CAST({value.text} AS HUGEINT) * {value.text}"
                )
                digits = (value.digits if node.fn != "squares" else 2 * value.digits) + COUNT_DIGITS
                text = f"sum({summed}){only}{over}"
                text = f"CAST({text} AS BIGINT)" if digits <= numbers.NARROW else text
                text = f"coalesce({text}, 0)"
                if node.fn == "total" and value.nullable:
                    condition = f"({among}) AND {value.text} IS NULL"
                    text = (
                        f"CASE WHEN count(*) FILTER (WHERE {condition}){over} > 0 THEN NULL ELSE {text} END"
                    )
                scale = value.scale * 2 if node.fn == "squares" else value.scale
                return replace(value, text=f"({text})", digits=min(digits, 38), nullable=True, scale=scale)
            case "lowest" | "highest":
                assert value is not None
                value = _plain_den(value)
                function = "min" if node.fn == "lowest" else "max"
                return replace(value, text=f"({function}({value.text}){only}{over})", nullable=True)
        raise AssertionError(node.fn)


def _plain_den(value: Sql) -> Sql:
    """A value that SQL can add up exactly: one whose denominator is the same in every row."""
    if value.den and not numbers.literal(value.den):
        raise MisuseError("DuckDB 引擎不能精确合计逐行不同的比值（分母要通分到任意大）；请用 --engine kernel")
    return value


def _tried(text: str) -> str:
    """A date that is not known where the calendar has no such day; DuckDB cannot try what holds a subquery."""
    return text if "(SELECT" in text else f"TRY({text})"


def sql_type(kind: str) -> str:
    """The DuckDB type of a field kind."""
    return {"int": "BIGINT", "decimal": "BIGINT", "date": "DATE", "bool": "BOOLEAN"}.get(kind, "VARCHAR")


def leaf_name(leaf: Leaf) -> str:
    """The name of a leaf inside a picked row."""
    return f"{leaf[0]}:{leaf[1]}"


def days_between(start: str, end: str) -> str:
    """Days from one date to another."""
    return f"date_diff('day', {start}, {end})"


def _days_on(start: str, amount: str) -> str:
    return f"({start} + CAST({amount} AS INTEGER))"


def _months_on(start: str, amount: str) -> str:
    return f"CAST({start} + to_months(CAST({amount} AS INTEGER)) AS DATE)"


def _at(column: str, place: str) -> str:
    """An item of a list of the working-day calendar, counted from one; none outside it."""
    return f"(CASE WHEN {place} > 0 THEN list_extract((SELECT {column} FROM {WORKDAYS}), {place}) END)"


def _workdays_at(date_text: str) -> str:
    """How many working days the calendar has up to and including a day."""
    return _at("counts", days_between(day(calendar.FROM - timedelta(days=1)), date_text))


def months_between(start: str, end: str) -> str:
    """Completed months by anniversary; a month without that day ends on its last."""
    short = f"CASE WHEN day({end}) < day({start}) AND day({end}) < day(last_day({end})) THEN 1 ELSE 0 END"
    return f"((year({end}) - year({start})) * 12 + month({end}) - month({start}) - {short})"


def _left_over(days: str) -> str:
    """Months made of the days left over by several spans, 30 to a month; a single span has only its own."""
    return f"CASE WHEN count(*) = 1 THEN 0 ELSE {days} // 30 END"


def _whole(value: Sql) -> str:
    if value.scale or value.den:
        value = numbers.rounded(value, 0, "down")
    return value.text


def _strict(function: str, args: list[Sql]) -> Sql:
    """least / greatest that are not known when any argument is not."""
    joined = ", ".join(arg.text for arg in args)
    doubtful = [arg.missing for arg in args if arg.nullable]
    if not doubtful:
        return Sql(f"{function}({joined})", False)
    return Sql(f"(CASE WHEN {' OR '.join(doubtful)} THEN NULL ELSE {function}({joined}) END)")


def _together(values: list[Sql]) -> list[Sql]:
    """Numbers brought to one scale, and to a denominator each if any has one."""
    scale = max(value.scale for value in values)
    values = [value if value.text == "NULL" else numbers.at_scale(value, scale) for value in values]
    values = [replace(value, scale=scale) for value in values]
    if any(value.den for value in values):
        values = [
            replace(value, den=value.den or "1", den_digits=max(value.den_digits, 1)) for value in values
        ]
    return values


def _streak(inner: str, to: str, gap: str) -> str:
    if gap == "skip":
        seen = f"SELECT *, max(CASE WHEN ok IS FALSE THEN o END) OVER (PARTITION BY k) AS f, max(CASE WHEN ok IS NULL THEN o END) OVER (PARTITION BY k) AS u FROM ({inner})"
        return f"SELECT k, CASE WHEN max(u) > coalesce(max(f), -1000000) THEN NULL ELSE count(*) FILTER (WHERE ok AND (f IS NULL OR o > f)) END AS n FROM ({seen}) GROUP BY k"
    ranked = f"SELECT *, dense_rank() OVER (PARTITION BY k, ok ORDER BY o DESC) AS rn, max(o) OVER (PARTITION BY k) AS mo FROM ({inner})"
    end = to or "mo"
    counted = f"SELECT k, max({end}) AS e, count(DISTINCT o) FILTER (WHERE ok AND o + rn = {end} + 1) AS s, list(o) FILTER (WHERE ok IS NULL) AS nulls FROM ({ranked}) GROUP BY k"
    return f"SELECT k, CASE WHEN list_contains(nulls, e - s) THEN NULL ELSE s END AS n FROM ({counted})"


def _longest(inner: str, gap: str) -> str:
    """The longest run; not known where a period that is not known could lengthen it."""
    rows = (
        f"SELECT k, o, bool_or(ok) AS low, bool_or(coalesce(ok, TRUE)) AS high FROM ({inner}) GROUP BY k, o"
    )
    bounds = []
    for ok in ("low", "high"):
        if gap == "skip":
            seen = f"SELECT k, {ok} AS ok, sum(CASE WHEN {ok} IS TRUE THEN 0 ELSE 1 END) OVER (PARTITION BY k ORDER BY o) AS g FROM ({rows})"
        else:
            seen = f"SELECT k, {ok} AS ok, o + dense_rank() OVER (PARTITION BY k, {ok} IS TRUE ORDER BY o DESC) AS g FROM ({rows})"
        sizes = f"SELECT k, g, count(*) FILTER (WHERE ok) AS n FROM ({seen}) GROUP BY k, g"
        bounds.append(f"SELECT k, max(n) AS n FROM ({sizes}) GROUP BY k")
    return f"SELECT l.k, CASE WHEN l.n = h.n THEN l.n END AS n FROM ({bounds[0]}) l JOIN ({bounds[1]}) h ON l.k = h.k"


def _islands(inner: str, gap: int) -> str:
    """Spans of time, overlapping or touching ones merged, per key and value."""
    seen = f"SELECT *, max(e) OVER (PARTITION BY k, v ORDER BY a, e ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS pe FROM ({inner})"
    # A date far in the future cannot be moved further: the open end is compared before the gap is added.
    begins = (
        f"CASE WHEN pe IS NULL OR (pe < {FAR_FUTURE} AND a > {_days_on('pe', str(gap))}) THEN 1 ELSE 0 END"
    )
    marked = f"SELECT *, sum({begins}) OVER (PARTITION BY k, v ORDER BY a, e ROWS UNBOUNDED PRECEDING) AS g FROM ({seen})"
    return f"SELECT k, v, g, bool_or(bad) AS bad, min(a) AS a, max(e) AS e FROM ({marked}) GROUP BY k, v, g"
