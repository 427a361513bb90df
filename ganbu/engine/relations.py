"""A plan as relations in SQL (SQL 计划): a few narrow tables per register, each query reading what it needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ganbu.engine import numbers
from ganbu.engine.grounds import EFFECT
from ganbu.engine.numbers import Sql
from ganbu.engine.plan import Column, Plan
from ganbu.engine.records import PRECISION
from ganbu.engine.sql import (
    COUNT_DIGITS,
    FAR_FUTURE,
    ORDERED,
    YEAR,
    Env,
    Snapshot,
    Writer,
    day,
    days_between,
    days_on,
    leaf_name,
    months_between,
    months_on,
    name,
    plain_den,
    quoted,
    sql_type,
)
from ganbu.engine.tree import Aggregate, Node, Row, Window, looks_out
from ganbu.vocabulary import Register

SPECIAL = ("streak", "run", "held", "since", "cumulative")


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


class Backend(Writer):
    """Lays out the statements for a plan.

    What looks across rows (aggregates, references, windows) is put down, a few columns to a table; what says
    something of one row only is written into each query that reads it. Every query names just what it needs.
    """

    def __init__(
        self, plan: Plan, snapshot: Snapshot, prefix: str = "", beside: bool = True, whole: bool = False
    ) -> None:
        """`beside` tells whether rows of two tables can be put side by side by their position, `whole` whether to put
        down all results at the end rather than write them into each query that reads them.
        """
        super().__init__(plan, snapshot)
        self.prefix, self.beside, self.whole = prefix, beside, whole
        self.relations: list[Relation] = []
        self.visible: dict[str, str] = {}
        self.base: dict[str, str] = {}
        self.home: dict[str, str] = {}
        self.inline: dict[str, Inline] = {}

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
        self, register: str, relation: str, columns: list[Column], items: list[str], text: str, order: str = " ORDER BY s.__row"
    ) -> None:  # fmt: skip
        """A table of some columns, its rows those of the register in their order."""
        if self.beside and register not in self.base:
            base = f"{self.prefix}f_{register}"
            fields = ", ".join(self._fields(register))
            made = (
                " ORDER BY __row" if register in self.plan.virtual else ""
            )  # those of a table come as they stand
            self.relations.append(
                Relation(base, f"SELECT {fields} FROM {name(self.visible[register])}{made}", True)
            )
            self.base[register] = base
        seat = [] if self.beside else ["s.__row AS __seat"]
        relation = self.prefix + relation
        self.relations.append(Relation(relation, f"SELECT {', '.join([*seat, *items])} {text}{order}", True))
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
            columns = [self.plan.need(owner, effect + key) for key in EFFECT]
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
            # Tables put side by side, and nothing joined: the rows come in their order.
            self._put_down(register, relation, columns, items, f"FROM {self.source(register, columns)} s", "")

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
                value = plain_den(value)
                digits = value.digits + COUNT_DIGITS
                total = f"sum({value.text}){only}"
                total = f"CAST({total} AS BIGINT)" if digits <= numbers.NARROW else total
                zero = f"coalesce({item(total)}, 0)"
                return replace(
                    value, text=guarded(zero, "0"), digits=min(digits, 38), nullable=open_or_doubtful
                )
            case "min" | "max":
                assert value is not None
                value = plain_den(value)
                return replace(
                    value, text=guarded(item(f"{node.fn}({value.text}){only}"), "NULL"), nullable=True
                )
            case "distinct":
                assert value is not None
                value = plain_den(value)
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
                value = plain_den(value)
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
        # Days and a row number have a place in 64 bits, other numbers may not.
        kind, far = ("BIGINT", 10**7) if node.order.type.kind == "date" else ("HUGEINT", 10**18)
        ordinal = f"coalesce({base}, {-far if last else far})" if order.nullable else base
        # The row number breaks ties, so that the same row is chosen in every run.
        choice = f"{'arg_max' if last else 'arg_min'}(struct_pack({', '.join(parts)}), CAST({ordinal} AS {kind}) * 4294967296 + i.__row){only}"
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
            rest = f"sum({days_between(months_on('a', months_between('a', until)), until)})"
            text = f"SELECT k, bool_or(bad) AS bad, CAST({months} + {_left_over(rest)} AS BIGINT) AS n FROM ({islands}) GROUP BY k"
            value = f"CASE WHEN {alias}.k IS NULL THEN {'0' if closed else 'NULL'} WHEN {alias}.bad THEN NULL ELSE {alias}.n END"
            return text, Sql(value, True, 0, 5)
        if node.fn == "since":
            choose = "min(a)" if node.option("of") == "longest" else "max(a)"
            text = (
                f"SELECT k, bool_or(bad) AS bad, {choose} AS n FROM ({islands}) WHERE e > {as_of} GROUP BY k"
            )
            return text, Sql(f"CASE WHEN {alias}.bad THEN NULL ELSE {alias}.n END")
        rest = f"sum({days_between(months_on('a', months_between('a', until)), until)})"
        per_value = f"SELECT k, v, bool_or(bad) AS bad, max(e) AS e, CAST({months} + {_left_over(rest)} AS BIGINT) AS n FROM ({islands}) GROUP BY k, v"
        text = f"SELECT k, bool_or(bad) AS bad, max(n) AS n FROM ({per_value}) WHERE e > {as_of} GROUP BY k"
        return text, Sql(f"CASE WHEN {alias}.bad THEN NULL ELSE {alias}.n END", True, 0, 5)


def _left_over(days: str) -> str:
    """Months made of the days left over by several spans, 30 to a month; a single span has only its own."""
    return f"CASE WHEN count(*) = 1 THEN 0 ELSE {days} // 30 END"


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
        f"CASE WHEN pe IS NULL OR (pe < {FAR_FUTURE} AND a > {days_on('pe', str(gap))}) THEN 1 ELSE 0 END"
    )
    marked = f"SELECT *, sum({begins}) OVER (PARTITION BY k, v ORDER BY a, e ROWS UNBOUNDED PRECEDING) AS g FROM ({seen})"
    return f"SELECT k, v, g, bool_or(bad) AS bad, min(a) AS a, max(e) AS e FROM ({marked}) GROUP BY k, v, g"
