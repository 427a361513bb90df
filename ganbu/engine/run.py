"""Evaluating (评估): a pack over records on a day, everyone at once; results with their reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa

from ganbu.engine import calendar, numbers
from ganbu.engine.bind import Program
from ganbu.engine.kinds import LOWER, Context, Lowered
from ganbu.engine.kinds.base import OUTSIDE, UNDECIDED, leaves
from ganbu.engine.plan import Plan
from ganbu.engine.policy import REQUIRED, Pack, Policy
from ganbu.engine.records import Records, moment
from ganbu.engine.sql import Backend, Snapshot, Statements, name, quoted, sql_type
from ganbu.engine.tree import (
    BOOL,
    DATE,
    NUM,
    TEXT,
    Const,
    Field,
    Node,
    Op,
    Row,
    Type,
    both,
    either,
    missing,
    text,
)
from ganbu.errors import OpenValueError, PackError, nearest
from ganbu.vocabulary import Field as FieldSpec
from ganbu.vocabulary import Register, Vocabulary

WORD = 60  # conditions per mask column: they must fit a BIGINT
STANDARD = ("结果", "数值", "期限")


class Store:
    """Records loaded into DuckDB once (数据快照), ready for any number of runs."""

    def __init__(self, records: Records) -> None:
        self.records, self.runs = records, 0
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("SET preserve_insertion_order = true")
        gaps: set[tuple[str, str]] = set()
        bitemporal: set[str] = set()
        for register, table in records.tables.items():
            self.connection.register("incoming", table)
            self.connection.execute(f"CREATE TABLE {name('t_' + register)} AS SELECT * FROM incoming")
            self.connection.unregister("incoming")
            columns = set(table.column_names)
            gaps |= {(register, column) for column in columns if table[column].null_count}
            if columns & {"recorded_at", "superseded_at"}:
                bitemporal.add(register)
                for column in {"recorded_at", "superseded_at"} - columns:
                    self.connection.execute(
                        f"ALTER TABLE {name('t_' + register)} ADD COLUMN {column} TIMESTAMP"
                    )
        self.snapshot = Snapshot(frozenset(records.tables), frozenset(gaps), "", frozenset(bitemporal))

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


@dataclass
class Skipped:
    """A policy that did not run, and why (未运行的规则)."""

    policy: str
    reason: str


@dataclass
class Output:
    """One result column: its node, where it is stored, and its labels when it is a mask."""

    label: str
    node: Node
    fact: str
    labels: tuple[str, ...] = ()
    offset: int = 0


@dataclass
class Judged:
    """A policy made ready for a run: lowered, with its output columns."""

    policy: Policy
    register: Register
    lowered: Lowered
    context: Context
    outputs: list[Output] = field(default_factory=list)


def _effect_register(policy: Policy, vocabulary: Vocabulary) -> Register:
    owner = vocabulary.find(policy.subject)
    if owner is None:
        raise PackError(f"规则“{policy.name}”的 subject “{policy.subject}”不是登记表", policy.place)
    if owner.name in ("person", "unit", "team"):
        target = owner
    else:
        target = next(
            (vocabulary.registers[t] for t in ("person", "unit", "team") if owner.links_to(t)), owner
        )
    fields = {
        "编号": FieldSpec("编号", "编号", "id"),
        "对象": FieldSpec("对象", target.label, "ref", target.name),
        "种类": FieldSpec("种类", "种类", "text"),
        "起始日": FieldSpec("起始日", "起始日", "date"),
        "截止日": FieldSpec("截止日", "截止日", "date"),
        "生效中": FieldSpec("生效中", "生效中", "bool"),
    }
    return Register(
        policy.name,
        policy.name,
        fields,
        subject=target.name,
        happened="起始日",
        ended=("截止日",),
        order="起始日",
        local=True,
    )


class Evaluator:
    """Lowers the policies of one pack for one day; each is lowered when first asked for."""

    def __init__(
        self,
        pack: Pack,
        as_of: date,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        checking: bool = False,
    ) -> None:
        self.pack, self.overrides, self.checking = pack, overrides or {}, checking
        effects = {
            p.name: _effect_register(p, pack.vocabulary)
            for p in pack.reach.values()
            if p.kind == "consequence"
        }
        vocabulary = replace(pack.vocabulary, registers={**pack.vocabulary.registers, **effects})
        self.program = Program(
            vocabulary, as_of, shared={key: dict(value) for key, value in pack.facts.items()}, catalogues=dict(pack.catalogues),
            outputs=self._output, virtual=self._virtual,
        )  # fmt: skip
        self.judged: dict[str, Judged] = {}
        self.virtual: dict[str, list[tuple[str, str]]] = {}
        self._lowering: list[str] = []

    def judge(self, policy_name: str) -> Judged:
        """Lower a policy once. Raises PackError; policies that read each other in a circle are refused."""
        if policy_name in self.judged:
            return self.judged[policy_name]
        if policy_name not in self.pack.reach:
            raise PackError(f"没有规则“{policy_name}”", hint=nearest(policy_name, self.pack.reach))
        policy = self.pack.reach[policy_name]
        if policy_name in self._lowering:
            path = " → ".join([*self._lowering[self._lowering.index(policy_name) :], policy_name])
            raise PackError(f"规则互相引用成环：{path}", policy.place)
        self._lowering.append(policy_name)
        try:
            context = Context(self.program, policy, dict(self.overrides.get(policy_name, {})), self.checking)
            lowered = LOWER[policy.kind](context)
            judged = Judged(policy, context.register, lowered, context)
            self._outputs(judged)
        finally:
            self._lowering.pop()
        self.judged[policy_name] = judged
        return judged

    def _virtual(self, policy_name: str) -> Register | None:
        policy = self.pack.reach.get(policy_name)
        if policy is None or policy.kind != "consequence":
            return None
        self.judge(policy_name)
        return self.program.vocabulary.registers[policy_name]

    def _output(self, policy_name: str, column: str) -> tuple[str, Type] | None:
        if policy_name not in self.pack.reach:
            return None
        judged = self.judge(policy_name)
        register = judged.register.name
        fact = f"{policy_name}.{column}"
        if (register, fact) in self.program.definitions:
            return register, self.program.definitions[register, fact].type
        if column in judged.context.facts:
            node = judged.context._local(column)
            assert node is not None
            self.program.set(register, fact, node, column)
            return register, node.type
        raise KeyError([*(o.label for o in judged.outputs), *judged.context.facts])

    def _set(
        self,
        judged: Judged,
        label: str,
        node: Node,
        labels: tuple[str, ...] = (),
        suffix: str = "",
        offset: int = 0,
    ) -> None:
        fact = f"{judged.policy.name}.{label}{suffix}"
        self.program.set(judged.register.name, fact, node, label)
        judged.outputs.append(Output(label, node, fact, labels, offset))

    def _masks(self, judged: Judged, label: str, items: list[tuple[str, Node]]) -> None:
        for start in range(0, len(items), WORD):
            chunk = items[start : start + WORD]
            node = Op("mask", tuple(condition for _, condition in chunk), NUM)
            self._set(judged, label, node, tuple(word for word, _ in chunk), f"#{start // WORD}", start)

    def _outputs(self, judged: Judged) -> None:
        lowered, register, context = judged.lowered, judged.register.name, judged.context
        policy = judged.policy.name
        if lowered.layout == "effects":
            self.virtual[policy] = []
            for effect, _, columns in lowered.effects:
                for key, node in columns.items():
                    suffix = "" if key == "成立" else f"·{key}"
                    self.program.set(register, f"{policy}.{effect}{suffix}", node, effect)
                self.virtual[policy].append((register, f"{policy}.{effect}"))
            return
        self._set(judged, "结果", lowered.outcome)
        if lowered.layout == "groups":
            for at, (label, columns, _) in enumerate(lowered.parts):
                for key, node in columns.items():
                    self._set(judged, f"{label}·{key}", node, (), f"·{at}")
        else:
            value, due = lowered.value, lowered.due
            if value is not None:
                self._set(judged, "数值", value)
            if due is not None and not (isinstance(due, Const) and due.value is None):
                self._set(judged, "期限", due)
            for label, node in lowered.extras.items():
                self._set(judged, label, node)
            for shown in judged.policy.body.get("show") or ():
                self._set(judged, str(shown), context.any(shown))
            self._masks(judged, "依据", lowered.grounds)
            self._masks(judged, "不能排除", lowered.doubts)
        self._masks(judged, "缺少", self._missing(register, lowered))

    def _missing(self, register: str, lowered: Lowered) -> list[tuple[str, Node]]:
        """Each fact that is missing from a condition that could therefore not be decided."""
        found: dict[str, list[Node]] = {}
        for condition in lowered.asked:
            if isinstance(condition, Const):
                continue
            for leaf, label in leaves(self.program, register, condition).items():
                gone = (
                    missing(leaf)
                    if leaf.type.kind != "bool" or not isinstance(leaf, Op)
                    else Const(True, BOOL)
                )
                found.setdefault(label, []).append(both(missing(condition), gone))
        return [(label, either(*conditions)) for label, conditions in found.items()]

    def statements(
        self,
        policies: Iterable[str],
        snapshot: Snapshot,
        more: Mapping[str, Iterable[str]] | None = None,
        prefix: str = "",
    ) -> tuple[Plan, Backend, Statements]:
        """The statements that compute the outputs of these policies; `more` asks for further facts by register."""
        plan = Plan(self.program, self.virtual)
        registers: set[str] = set()
        for policy_name in policies:
            judged = self.judge(policy_name)
            register = judged.register.name
            if judged.lowered.layout == "effects":
                registers.add(policy_name)
                plan._effects(policy_name)
                continue
            registers.add(register)
            for output in judged.outputs:
                plan.output(register, output.fact)
            for _, node in judged.lowered.groups:
                plan.keep(register, node)
            plan.keep(register, display(self.program.vocabulary, judged.register))
        for register, facts in (more or {}).items():
            registers.add(register)
            for fact in facts:
                plan.output(register, fact)
        backend = Backend(plan, snapshot, prefix)
        return plan, backend, backend.build(registers)


def display(vocabulary: Vocabulary, register: Register) -> Node:
    """What to call a row: its own name, or that of the person, unit or team it is about."""
    if register.name_field:
        return Field(Row(register.name), register.name_field, TEXT)
    for target in (register.subject, "person", "unit", "team"):
        links = register.links_to(target) if target else []
        held = vocabulary.registers.get(target)
        if links and held is not None and held.name_field:
            return Field(Row(target, Row(register.name), links[0].name), held.name_field, TEXT)
    return Field(Row(register.name), register.id_field, TEXT)


@dataclass
class Run:
    """The results of a run (一次评估的结果)."""

    store: Store
    evaluator: Evaluator
    names: list[str]
    plan: Plan
    backend: Backend
    compiled: Statements
    as_of: date
    known_at: str = ""
    skipped: list[Skipped] = field(default_factory=list)

    def rows(self, policy: str) -> list[dict[str, Any]]:
        """The findings of a policy as plain rows: exact Fractions, dates, and lists of reasons."""
        judged = self.evaluator.judge(policy)
        if judged.lowered.layout == "effects":
            return self._effect_rows(policy)
        raw = self._fetch(judged, exact=True).to_pylist()
        if judged.lowered.layout == "groups":
            return self._group_rows(judged, raw)
        return [self._row(judged, row) for row in raw]

    def table(self, policy: str) -> pa.Table:
        """The findings of a policy as an Arrow table; reasons are joined by `；`."""
        judged = self.evaluator.judge(policy)
        if judged.lowered.layout != "subject":
            return _as_table(self.rows(policy))
        fetched = self._fetch(judged, exact=False)
        columns: dict[str, Any] = {"对象": fetched["对象"], "名称": fetched["名称"]}
        masks: dict[str, list[list[str]]] = {}
        for output in judged.outputs:
            column = fetched[output.fact]
            if output.labels:
                words = _decoded(column.to_pylist(), output.labels)
                masks.setdefault(output.label, [[] for _ in words])
                masks[output.label] = [one + two for one, two in zip(masks[output.label], words, strict=True)]
            else:
                columns[output.label] = self._typed(judged, output, column)
        for label in ("依据", "缺少", "不能排除"):
            if label in masks:
                columns[label] = pa.array(["；".join(words) for words in masks[label]], pa.string())
        return pa.table(columns)

    def counts(self, policy: str) -> dict[str, int]:
        """How many subjects have each outcome, most frequent first."""
        judged = self.evaluator.judge(policy)
        if judged.lowered.layout != "subject":
            outcomes = [str(row["结果"]) for row in self.rows(policy)]
            return {word: outcomes.count(word) for word in dict.fromkeys(outcomes)}
        outcome = self._column(judged, "结果")
        relation = name(self.compiled.final[judged.register.name])
        query = f"SELECT {outcome}, count(*) FROM {relation} WHERE {outcome} <> {quoted(OUTSIDE)} GROUP BY 1 ORDER BY 2 DESC, 1"
        return dict(self.store.connection.execute(query).fetchall())

    def _column(self, judged: Judged, label: str) -> str:
        return self.plan.need(judged.register.name, f"{judged.policy.name}.{label}").id

    def _fetch(self, judged: Judged, exact: bool) -> pa.Table:
        register = judged.register
        shown = self.backend.sql(display(self.evaluator.program.vocabulary, register), _env(register.name))
        items = [f"{name(register.id_field)} AS 对象", f"CAST({shown.text} AS VARCHAR) AS 名称"]
        for _, (label, node) in enumerate(judged.lowered.groups):
            items.append(
                f"CAST({self.backend.sql(node, _env(register.name)).text} AS VARCHAR) AS {name('组:' + label)}"
            )
        for output in judged.outputs:
            value = self.backend.shape(self.plan.need(register.name, output.fact), "")
            if value.den and not exact:
                value = numbers.rounded(value, 6, "half_up")
            items.append(f"{value.text} AS {name(output.fact)}")
            if value.den:
                items.append(f"{value.den} AS {name(output.fact + '/d')}")
        outcome = self._column(judged, "结果")
        relation = name(self.compiled.final[register.name])
        query = (
            f"SELECT {', '.join(items)} FROM {relation} WHERE {outcome} <> {quoted(OUTSIDE)} ORDER BY __row"
        )
        return self.store.connection.sql(query).to_arrow_table()

    def _typed(self, judged: Judged, output: Output, column: Any) -> Any:
        if output.node.type.kind != "num":
            return column
        value = self.backend.shape(self.plan.need(judged.register.name, output.fact), "")
        scale = 6 if value.den else value.scale
        if not scale:
            return column
        whole = column.cast(pa.decimal128(38, 0)).combine_chunks()
        if isinstance(whole, pa.ChunkedArray):
            whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], pa.decimal128(38, 0))
        return pa.Array.from_buffers(
            pa.decimal128(38, scale), len(whole), whole.buffers(), offset=whole.offset
        )

    def _row(self, judged: Judged, raw: dict[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {"对象": raw["对象"], "名称": raw["名称"]}
        reasons: dict[str, list[str]] = {"依据": [], "缺少": [], "不能排除": []}
        for output in judged.outputs:
            value = raw[output.fact]
            if output.labels:
                reasons[output.label] += _decoded([value], output.labels)[0]
            else:
                row[output.label] = self._exact(judged, output, value, raw.get(output.fact + "/d"))
        return {**row, **reasons}

    def _exact(self, judged: Judged, output: Output, value: Any, den: Any) -> Any:
        if value is None or output.node.type.kind != "num":
            return value
        shape = self.backend.shape(self.plan.need(judged.register.name, output.fact), "")
        if shape.den:
            divisor = den if den is not None else (int(shape.den) if shape.den.isdigit() else None)
            if divisor is None:
                return None
            return Fraction(int(value), 10**shape.scale) / int(divisor)
        return Fraction(int(value), 10**shape.scale)

    def _group_rows(self, judged: Judged, raw: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """One row per group and part; without anybody in sight a single group with nobody in it."""
        groups: dict[tuple[Any, ...], dict[str, Any]] = {}
        missing_of: dict[tuple[Any, ...], list[str]] = {}
        keys = [f"组:{label}" for label, _ in judged.lowered.groups]
        for row in raw:
            key = tuple(row[k] for k in keys)
            groups.setdefault(key, row)
            for output in judged.outputs:
                if output.label == "缺少":
                    missing_of.setdefault(key, []).extend(
                        w for w in _decoded([row[output.fact]], output.labels)[0]
                    )
        found = []
        facts = {output.fact: output for output in judged.outputs}
        for key, row in groups.items():
            for at, (label, columns, _) in enumerate(judged.lowered.parts):
                item: dict[str, Any] = {"对象": "、".join(str(k) for k in key) or "全体", "名称": label}
                for column in columns:
                    output = facts[f"{judged.policy.name}.{label}·{column}·{at}"]
                    item[column] = self._exact(judged, output, row[output.fact], row.get(output.fact + "/d"))
                gone = list(dict.fromkeys(missing_of.get(key, []))) if item["结果"] == UNDECIDED else []
                found.append({**item, "缺少": gone})
        if not groups and not keys:
            found = [_nobody(label, columns, sign) for label, columns, sign in judged.lowered.parts]
        return found

    def _effect_rows(self, policy: str) -> list[dict[str, Any]]:
        relation = name(self.compiled.final[policy])
        target = self.evaluator.program.vocabulary.registers[policy].subject
        held = self.evaluator.program.vocabulary.registers[target]
        shown = (
            f"(SELECT p.{name(held.name_field)} FROM {name('t_' + target)} p WHERE p.{name(held.id_field)} = e.对象 LIMIT 1)"
            if held.name_field and target in self.store.records.tables
            else "e.对象"
        )
        query = f"SELECT e.对象, {shown} AS 名称, e.种类 AS 结果, e.起始日, e.截止日, e.生效中 FROM {relation} e ORDER BY e.对象, e.起始日, e.种类"
        rows: list[dict[str, Any]] = self.store.connection.sql(query).to_arrow_table().to_pylist()
        return rows

    def close(self) -> None:
        """Drop what the run computed; its results can no longer be read."""
        for kind, relation in reversed(self.compiled.relations):
            self.store.connection.execute(f"DROP {kind} IF EXISTS {name(relation)}")

    @cached_property
    def sql(self) -> str:
        """The statements of the run, for those who want to see them."""
        return ";\n".join(self.compiled.statements)


def _nobody(label: str, columns: dict[str, Node], sign: str) -> dict[str, Any]:
    """A part of a quota when there is nobody at all: a fixed number is compared with nought."""
    goal = columns["应有"]
    want = goal.value if isinstance(goal, Const) and isinstance(goal.value, Fraction) else None
    if want is None:
        outcome = "达标" if sign in ("<=", "<") else UNDECIDED
    else:
        met = {">=": want <= 0, ">": want < 0, "<=": want >= 0, "<": want > 0, "=": want == 0}[sign]
        outcome = "达标" if met else "不足" if want > 0 else "超出"
    gap = -want if want is not None else None
    return {
        "对象": "全体",
        "名称": label,
        "实有": Fraction(0),
        "应有": want,
        "差额": gap,
        "结果": outcome,
        "缺少": [],
    }


def _env(register: str) -> Any:
    from ganbu.engine.sql import Env

    return Env(register)


def _decoded(values: list[Any], labels: tuple[str, ...]) -> list[list[str]]:
    cache: dict[int, list[str]] = {0: []}
    result = []
    for value in values:
        mask = int(value or 0)
        if mask not in cache:
            cache[mask] = list(dict.fromkeys(label for at, label in enumerate(labels) if mask >> at & 1))
        result.append(cache[mask])
    return result


def _as_table(rows: list[dict[str, Any]]) -> pa.Table:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    plain: dict[str, list[Any]] = {}
    for column in columns:
        plain[column] = [_plain(row.get(column)) for row in rows]
    return (
        pa.table(plain)
        if plain
        else pa.table(
            {
                "对象": pa.array([], pa.string()),
                "名称": pa.array([], pa.string()),
                "结果": pa.array([], pa.string()),
            }
        )
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    return "；".join(value) if isinstance(value, list) else value


def chosen(
    pack: Pack, wanted: Iterable[str] | None, as_of: date, overrides: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], list[Skipped]]:
    """Which policies run: those asked for, or all of the pack that are enforced, in force and complete."""
    names, skipped = [], []
    for policy_name in wanted if wanted is not None else pack.policies:
        if policy_name not in pack.reach:
            raise PackError(f"没有规则“{policy_name}”", hint=nearest(policy_name, pack.reach))
        policy = pack.reach[policy_name]
        open_values = [path for path in policy.required if not _filled(path, overrides.get(policy_name, {}))]
        if wanted is None and policy.status == "off":
            skipped.append(Skipped(policy_name, f"已关闭：{policy.body.get('why', '')}"))
        elif not policy.in_force(as_of) and policy.kind != "consequence":
            skipped.append(Skipped(policy_name, f"{as_of} 不在有效期内"))
        elif open_values and wanted is None:
            skipped.append(Skipped(policy_name, f"待本地填写：{'、'.join(open_values)}"))
        else:
            names.append(policy_name)
    return names, skipped


def _complete(evaluator: Evaluator, names: list[str], skipped: list[Skipped]) -> list[str]:
    """Those that do not read a policy with open values."""
    kept = []
    for policy_name in names:
        try:
            evaluator.judge(policy_name)
            kept.append(policy_name)
        except OpenValueError as error:
            skipped.append(Skipped(policy_name, error.message))
    return kept


def _filled(path: str, values: Mapping[str, Any]) -> bool:
    parts = path.split(".")
    return len(parts) >= 2 and parts[0] == "parameters" and values.get(parts[1]) not in (None, REQUIRED)


def evaluate(
    pack: Pack,
    records: Records | Store,
    as_of: date,
    policies: Iterable[str] | None = None,
    known_at: str = "",
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    more: Mapping[str, Iterable[str]] | None = None,
    evaluator: Evaluator | None = None,
) -> Run:
    """Evaluate policies of a pack over records, as of a day and as known at a moment.

    `policies` defaults to all of the pack that are enforced, in force and complete; the others are in
    `Run.skipped` with the reason. Raises PackError and RecordsError.
    """
    store = records if isinstance(records, Store) else Store(records)
    names, skipped = chosen(pack, policies, as_of, parameters or {})
    evaluator = evaluator or Evaluator(pack, as_of, parameters)
    if policies is None:
        names = _complete(evaluator, names, skipped)
    snapshot = store.snapshot
    if known_at:
        snapshot = replace(snapshot, known_at=moment(known_at).isoformat(" "))
    plan, backend, compiled = evaluator.statements(names, snapshot, more, store.next_prefix())
    run = Run(store, evaluator, names, plan, backend, compiled, as_of, known_at, skipped)
    if any("workdays" in statement for statement in compiled.statements):
        store.workdays()
    for statement in compiled.statements:
        try:
            store.connection.execute(statement)
        except duckdb.OutOfRangeException as error:
            raise PackError(
                f"计算时数值溢出或日期越界：{str(error).splitlines()[0]}", hint="请在中间步骤加 round()"
            ) from error
    return run


__all__ = [
    "DATE",
    "STANDARD",
    "Evaluator",
    "Run",
    "Skipped",
    "Store",
    "chosen",
    "display",
    "evaluate",
    "sql_type",
    "text",
    "timedelta",
]
