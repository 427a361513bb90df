"""Expressions in SQL (SQL 表达式), as DuckDB speaks it. Every name and literal comes from the checked tree.

Only this module, `relations.py` and `numbers.py` write SQL.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction

from ganbu.engine import calendar, numbers
from ganbu.engine.numbers import Sql
from ganbu.engine.plan import Column, Leaf, Plan, reached
from ganbu.engine.tree import Const, Fact, Field, Node, Op, Row, Window
from ganbu.errors import MisuseError

FAR_PAST, FAR_FUTURE = "DATE '0001-01-01'", "DATE '9999-12-31'"
INT_DIGITS, COUNT_DIGITS = 12, 6
YEAR = "__year"  # beside a date of which only the year is known
LIFT = 10_000  # years added before a division and taken off after it: DuckDB rounds towards nought, not down
WORKDAYS = (
    "workdays"  # one row: `counts` of working days up to each day of the calendar, `days` of each count
)
ORDERED = ("place", "ties")  # windows in which the rows of a group stand one after another


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


class Writer:
    """Writes the expressions of a plan."""

    def __init__(self, plan: Plan, snapshot: Snapshot) -> None:
        self.plan, self.snapshot = plan, snapshot
        self.vocabulary = plan.program.vocabulary
        self.as_of = plan.program.as_of
        self.shapes: dict[str, Sql] = {}
        self.counts_workdays = False

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
        if inner.text in ("TRUE", "FALSE"):
            return Sql("FALSE" if inner.text == "TRUE" else "TRUE", False)
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
        tests: list[str] = []
        values: list[Sql] = []
        for test, value in zip(node.args[:-1:2], node.args[1::2], strict=True):
            asked = self.sql(test, env).text
            if asked == "TRUE":
                values.append(self.sql(value, env))
                break
            if asked != "FALSE":
                tests.append(asked)
                values.append(self.sql(value, env))
        else:
            values.append(self.sql(node.args[-1], env))
        if node.type.kind == "num":
            values = _together(values)

        def cases(parts: list[str]) -> str:
            branches = " ".join(f"WHEN {test} THEN {part}" for test, part in zip(tests, parts, strict=False))
            return f"(CASE {branches} ELSE {parts[-1]} END)" if len(parts) > 1 else parts[0]

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
        return Sql(f"TRY({months_on(start.text, _whole(amount))})", True)

    def _op_add_days(self, node: Op, env: Env) -> Sql:
        start, amount = self._args(node, env)
        return Sql(_tried(days_on(start.text, _whole(amount))))

    def _op_add_workdays(self, node: Op, env: Env) -> Sql:
        start, amount = self._args(node, env)
        self.counts_workdays = True
        seat, before = _workdays_at(start.text), _workdays_at(days_on(start.text, "-1"))
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
                value = plain_den(value)
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
                value = plain_den(value)
                function = "min" if node.fn == "lowest" else "max"
                return replace(value, text=f"({function}({value.text}){only}{over})", nullable=True)
        raise AssertionError(node.fn)


def plain_den(value: Sql) -> Sql:
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


def days_on(start: str, amount: str) -> str:
    return f"({start} + CAST({amount} AS INTEGER))"


def months_on(start: str, amount: str) -> str:
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
