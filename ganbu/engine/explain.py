"""Reasons (理由): for one subject, each clause, what it asked, the facts it saw, and the records behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from ganbu.engine.bind import Program
from ganbu.engine.evaluator import Evaluator, Judged
from ganbu.engine.kinds.base import OWN, _path_text, resolved
from ganbu.engine.policy import Pack, value_text
from ganbu.engine.records import Records
from ganbu.engine.run import Run, Store, evaluate
from ganbu.engine.tree import (
    BOOL,
    TEXT,
    Aggregate,
    Const,
    Fact,
    Field,
    Node,
    Op,
    Row,
    Window,
    atoms,
    children,
    negate,
    walk,
)
from ganbu.engine.tree import text as text_const
from ganbu.errors import RecordsError, nearest
from ganbu.vocabulary import Field as FieldSpec
from ganbu.vocabulary import Register

MOST_RECORDS = 12
SIGNS = {"=": "=", "!=": "≠", ">=": "≥", "<=": "≤", ">": ">", "<": "<"}


@dataclass
class Seen:
    """A fact as a clause saw it (所见事实): what it is called, its value, and the records behind it."""

    label: str
    value: Any
    records: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class ClauseReason:
    """One clause for one subject (条款理由): its answer, each question in it, and the facts."""

    name: str
    written: str
    answer: bool | Fraction | str | None
    source: tuple[str, ...]
    strictness: str
    role: str
    questions: list[tuple[str, bool | None]] = field(default_factory=list)
    facts: list[Seen] = field(default_factory=list)


@dataclass
class Explanation:
    """Why a policy says what it says of one subject (解释)."""

    policy: str
    about: str
    pack: str
    subject: str
    label: str
    as_of: date
    known_at: str
    finding: dict[str, Any]
    clauses: list[ClauseReason]
    parameters: list[tuple[str, str, str]]
    source: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "policy": self.policy, "pack": self.pack, "subject": self.subject, "name": self.label, "as_of": self.as_of.isoformat(),
            "known_at": self.known_at or None, "finding": {key: plain(value) for key, value in self.finding.items()},
            "parameters": [{"name": n, "value": v, "source": s} for n, v, s in self.parameters], "source": list(self.source),
            "clauses": [
                {
                    "name": c.name, "written": c.written, "answer": plain(c.answer), "source": list(c.source), "strictness": c.strictness,
                    "role": c.role, "questions": [{"text": text, "answer": answer} for text, answer in c.questions],
                    "facts": [{"label": s.label, "value": plain(s.value), "records": [{k: plain(v) for k, v in r.items()} for r in s.records]} for s in c.facts],
                }
                for c in self.clauses
            ],
        }  # fmt: skip

    def prose(self) -> str:
        """The explanation as a person would write it."""
        outcome = shown(self.finding.get("结果"))
        head = f"{self.label}：{self.policy}——{outcome}"
        if self.finding.get("数值") is not None and self.finding["数值"] != 0:
            head += f"（{shown(self.finding['数值'])}）"
        if self.finding.get("期限"):
            head += f"，{self.finding['期限']}"
        if self.finding.get("说明"):
            head += f"（{self.finding['说明']}）"
        lines = [
            head + "。",
            f"基准日 {self.as_of}" + (f"，按 {self.known_at} 所知" if self.known_at else ""),
        ]
        for clause in self.clauses:
            mark = (
                {True: "✓", False: "✗", None: "?"}.get(clause.answer, "·")
                if isinstance(clause.answer, bool) or clause.answer is None
                else "·"
            )
            value = (
                ""
                if isinstance(clause.answer, bool)
                else "  不知道"
                if clause.answer is None
                else f" = {shown(clause.answer)}"
            )
            if clause.role == "bar":
                mark = {"✓": "✓", "✗": "✗"}.get(mark, mark)
            strict = {"in_principle": "（原则上）", "prefer": "（优先）", "plan": "（有计划地）"}.get(
                clause.strictness, ""
            )
            bar = "没有：" if clause.role == "bar" else ""
            lines.append(f"{mark} {bar}{clause.name}{strict}{value}：{clause.written}")
            for text, answer in clause.questions if len(clause.questions) > 1 else []:
                lines.append(f"    {({True: '✓', False: '✗'}).get(answer, '?')} {text}")  # type: ignore[arg-type]
            for fact in clause.facts:
                lines.append(f"    {fact.label}：{'没有记载' if fact.value is None else shown(fact.value)}")
                for record in fact.records:
                    lines.append("      · " + _record_line(record))
            if clause.source:
                lines.append(f"    依据：{'、'.join(clause.source)}")
        if self.parameters:
            lines.append(
                "参数：" + "；".join(f"{n} = {v}" + (f"（{s}）" if s else "") for n, v, s in self.parameters)
            )
        for key in ("缺少", "不能排除"):
            if self.finding.get(key):
                lines.append(f"{key}：{'、'.join(self.finding[key])}")
        if self.source:
            lines.append("规则依据：" + "、".join(self.source))
        return "\n".join(lines)


def _record_line(record: dict[str, Any]) -> str:
    head = f"{record['登记表']} {record['编号']}"
    return (
        head
        + "："
        + "，".join(f"{key} {shown(value)}" for key, value in record.items() if key not in ("登记表", "编号"))
    )


def explain(
    pack: Pack, policy: str, subject: str, records: Records | Store, as_of: date, known_at: str = "",
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> Explanation:  # fmt: skip
    """Explain one finding. `subject` is an identity or a unique name. Raises PackError and RecordsError."""
    evaluator = Evaluator(pack, as_of, parameters)
    judged = evaluator.judge(policy)
    questions = _Questions(evaluator.program, judged)
    store = records if isinstance(records, Store) else Store(records)
    run = evaluate(
        pack,
        store,
        as_of,
        [policy],
        known_at,
        parameters,
        {judged.register.name: questions.wanted},
        evaluator,
    )
    rows = run.rows(policy)
    found = _found(run, judged, subject, rows)
    reasons: list[ClauseReason] = []
    for identity in found.rows:
        head = f"{judged.register.label} {identity}：" if len(found.rows) > 1 else ""
        reasons += questions.answers(run, identity, head)
    body = judged.policy.body
    given = [
        (key, value_text(judged.context.values[key]), "、".join(_cited(spec)))
        for key, spec in judged.context.parameters.items()
    ]
    if not judged.policy.in_force(as_of) and judged.policy.kind != "consequence":
        found.finding = {**found.finding, "结果": "不适用", "说明": f"{as_of} 不在规则的有效期内"}
    return Explanation(
        policy, str(body.get("about", "")), judged.policy.pack, found.subject, found.label, as_of, known_at,
        found.finding, reasons, given, tuple(_cited(body)),
    )  # fmt: skip


class _Questions:
    """What must be computed to explain a policy: each clause, each yes/no question in it, each fact they saw."""

    def __init__(self, program: Program, judged: Judged) -> None:
        self.program, self.judged, self.wanted = program, judged, list[str]()
        register = judged.register.name
        self.clauses = []
        for clause in judged.lowered.clauses:
            atoms_of = (
                atoms(resolved(program, register, clause.node)) if clause.node.type.kind == "bool" else []
            )
            facts = [
                (fact, label, self._ask(fact)) for fact, label in seen(program, register, clause.node).items()
            ]
            self.clauses.append(
                (clause, self._ask(clause.node), [(atom, self._ask(atom)) for atom in atoms_of], facts)
            )

    def _ask(self, node: Node) -> str:
        register = self.judged.register.name
        own = isinstance(node, Fact) and node.row == Row(register)
        fact = node.name if own and isinstance(node, Fact) else self.program.hide(register, node)
        if fact not in self.wanted:
            self.wanted.append(fact)
        return fact

    def answers(self, run: Run, identity: str, head: str) -> list[ClauseReason]:
        """The clauses as they came out for one row."""
        values = _values(run, self.judged, identity, self.wanted)
        register = self.judged.register.name
        return [
            ClauseReason(
                head + clause.label, clause.written, values[fact], clause.source, clause.strictness, clause.role,
                [(render(self.program, register, atom), values[key]) for atom, key in questions],
                [Seen(label, values[key], _behind(run, self.judged, node, identity)) for node, label, key in facts],
            )
            for clause, fact, questions, facts in self.clauses
        ]  # fmt: skip


def seen(program: Program, register: str, node: Node) -> dict[Node, str]:
    """The facts a clause mentions, as the author called them, with what they come out as."""
    found: dict[Node, str] = {}

    def gather(part: Node) -> None:
        if isinstance(part, (Field, Fact)):
            hidden = isinstance(part, Fact) and (part.name.startswith("#") or f"/{OWN}" in part.name)
            definition = program.definitions.get((part.row.register, part.name)) if hidden else None
            if (
                definition is not None
                and part.row.of is None
                and not isinstance(definition, (Aggregate, Window))
            ):
                gather(definition)
            elif part.type.kind != "row":
                found.setdefault(part, _path_text(program, part.row, part.name, isinstance(part, Fact)))
            return
        for child in children(part):
            gather(child)

    gather(node)
    return found


@dataclass
class _Subject:
    """Whom an explanation is about: the rows of the register that speak of them, and the finding."""

    subject: str
    label: str
    rows: list[str]
    finding: dict[str, Any]


def _found(run: Run, judged: Judged, subject: str, rows: list[dict[str, Any]]) -> _Subject:
    """Who or what `subject` is: an identity, a unique name, or for a quota a group. Raises RecordsError."""
    layout = judged.lowered.layout
    if layout == "groups":
        return _group(run, judged, subject, rows)
    named = [row for row in rows if subject in (str(row["对象"]), str(row["名称"]))]
    identity, label = _identity(run, judged, subject, named)
    mine = [row for row in rows if str(row["对象"]) == identity]
    if layout == "effects":
        outcome = "、".join(str(row["结果"]) for row in mine) or "无后果"
        owners = _owners(run, judged, identity)
        return _Subject(identity, label, owners, {"对象": identity, "名称": label, "结果": outcome})
    finding = mine[0] if mine else {"对象": identity, "名称": label, "结果": "不适用"}
    return _Subject(identity, label, [identity], finding)


def _group(run: Run, judged: Judged, subject: str, rows: list[dict[str, Any]]) -> _Subject:
    groups = list(dict.fromkeys(str(row["对象"]) for row in rows))
    if subject not in groups:
        raise RecordsError(
            f"没有分组“{subject}”。{nearest(subject, groups) or '可用：' + '、'.join(groups[:12])}"
        )
    nodes = run.evaluator.columns(judged)
    cells = {
        label: column.exact() for label, column in run.computed.fetch(judged.register.name, nodes).items()
    }
    keys = zip(*(cells[f"组:{label}"] for label, _ in judged.lowered.groups), strict=True)
    called = ["、".join("不详" if k is None else str(k) for k in key) for key in keys] or ["全体"] * len(
        cells["对象"]
    )
    first = next((str(cells["对象"][at]) for at, key in enumerate(called) if key == subject), "")
    mine = [row for row in rows if str(row["对象"]) == subject]
    outcome = "；".join(
        f"{row['名称']} {row['结果']}（实有 {shown(row['实有'])}，应有 {shown(row['应有'])}）" for row in mine
    )
    return _Subject(
        subject, subject, [first] if first else [], {"对象": subject, "名称": subject, "结果": outcome}
    )


def _owners(run: Run, judged: Judged, identity: str) -> list[str]:
    """The records whose effects, certain or possible, fall on somebody."""
    register = judged.register
    row, held = Row(register.name), []
    for _, _, columns in judged.lowered.effects:
        mine = Op("compare", (columns["对象"], text_const(identity)), BOOL, ("=",))
        held.append(Op("and", (mine, negate(Op("is_false", (columns["成立"],), BOOL))), BOOL))
    keep = Op("or", tuple(held), BOOL) if len(held) > 1 else held[0]
    cells = run.computed.fetch(register.name, {"编号": Field(row, register.id_field, TEXT)}, keep)
    return [str(key) for key in cells["编号"].exact()][:MOST_RECORDS]


def _cited(spec: Mapping[str, Any]) -> list[str]:
    value = spec.get("source")
    return [] if value is None else [str(item) for item in (value if isinstance(value, list) else [value])]


def _identity(run: Run, judged: Judged, subject: str, rows: list[dict[str, Any]]) -> tuple[str, str]:
    found = {str(row["对象"]): str(row["名称"]) for row in rows}
    if len(found) == 1 or subject in found:
        identity = subject if subject in found else next(iter(found))
        return identity, found[identity]
    if len(found) > 1:
        raise RecordsError(f"有 {len(found)} 个“{subject}”，请用编号：{'、'.join(list(found)[:8])}")
    register = judged.register
    table = run.store.records.tables.get(register.name)
    columns = [register.id_field, *([register.name_field] if register.name_field else [])]
    if table is not None:
        for row in table.select(columns).to_pylist():
            if subject in (row[register.id_field], row.get(register.name_field or register.id_field)):
                return row[register.id_field], str(row.get(register.name_field) or row[register.id_field])
    raise RecordsError(f"“{register.label}”里没有“{subject}”")


def _values(run: Run, judged: Judged, identity: str, facts: Iterable[str]) -> dict[str, Any]:
    register, definitions = judged.register, run.evaluator.program.definitions
    row = Row(register.name)
    nodes: dict[str, Node] = {fact: Fact(row, fact, definitions[register.name, fact].type) for fact in facts}
    own = Op("compare", (Field(row, register.id_field, TEXT), text_const(identity)), BOOL, ("=",))
    cells = run.computed.fetch(register.name, nodes, own)
    return {fact: next(iter(column.exact()), None) for fact, column in cells.items()}


def _behind(run: Run, judged: Judged, leaf: Node, identity: str) -> list[dict[str, Any]]:
    """The records behind a fact: what the aggregates it is made of counted, or might have counted."""
    if not isinstance(leaf, Fact):
        return []
    program, row = run.evaluator.program, leaf.row
    if row.of is not None and (row.of.of is not None or (row.of.register, row.via) in program.definitions):
        return []
    found: dict[str, dict[str, Any]] = {}
    for definition in _aggregates(program, row.register, leaf.name):
        if definition.register in run.evaluator.virtual:
            continue
        register = program.vocabulary.registers[definition.register]
        fields = _telling(register, definition)
        names = [spec.name for spec in fields]
        for raw in run.computed.behind(definition, judged.register.name, row, identity, names, MOST_RECORDS):
            record: dict[str, Any] = {"登记表": register.label, "编号": raw["__id"]}
            for spec in fields:
                value = raw[spec.name]
                if value is not None:
                    record[spec.label] = Fraction(value, 10**spec.scale) if spec.kind == "decimal" else value
            found[f"{register.name}|{raw['__id']}"] = {
                **found.get(f"{register.name}|{raw['__id']}", {}),
                **record,
            }
    return list(found.values())[:MOST_RECORDS]


def _aggregates(program: Program, register: str, name: str) -> list[Aggregate]:
    """The aggregates a fact of a row is made of."""
    found: list[Aggregate] = []
    known: set[str] = set()

    def gather(fact: str) -> None:
        if fact in known:
            return
        known.add(fact)
        definition = program.definitions.get((register, fact))
        if isinstance(definition, Aggregate):
            found.append(definition)
        elif definition is not None and not isinstance(definition, Window):
            for part in walk(definition):
                if isinstance(part, Fact):
                    row: Row = part.row
                    fact_name = part.name
                    while row.of is not None:  # a field of a picked row stands on the pick
                        fact_name, row = row.via, row.of
                    gather(fact_name)
                elif isinstance(part, Field) and part.row.of is not None:
                    row = part.row
                    via = ""
                    while row.of is not None:
                        via, row = row.via, row.of
                    gather(via)

    gather(name)
    return found


def _telling(register: Register, definition: Aggregate) -> list[FieldSpec]:
    """The fields of a record worth showing: what the aggregate asked about, when it happened, and what it is called."""
    asked = {
        n.name
        for part in (definition.value, definition.where, definition.order)
        if part is not None
        for n in walk(part)
        if isinstance(n, Field) and n.row.of is None
    }
    named = {
        "title",
        "name",
        "grade",
        "kind",
        "level",
        "points",
        "score",
        "rank",
        "document_number",
        register.happened,
        *register.ended,
    }
    kept = [
        f
        for f in register.fields.values()
        if f.name in asked | named and f.name not in (register.id_field, definition.link)
    ]
    return [f for f in kept if f.secrecy != "sensitive" and (f.kind != "ref" or f.name in asked)]


# -- rendering -------------------------------------------------------------------------------------------------


def render(program: Program, register: str, node: Node) -> str:
    """A node in words, close to how it was written."""
    match node:
        case Const():
            value = shown(node.value) if node.type.kind != "text" or node.value is None else f"“{node.value}”"
            return f"{node.label}（{value}）" if node.label else value
        case Field() | Fact():
            text = _path_text(program, node.row, node.name, isinstance(node, Fact))
            definition = program.definitions.get((register, node.name)) if isinstance(node, Fact) else None
            if (
                text.startswith("#")
                and definition is not None
                and not isinstance(definition, (Aggregate, Window))
            ):
                return render(program, register, definition)
            return text
        case Op():
            return _render_op(program, register, node)
    return "…"


def _render_op(program: Program, register: str, node: Op) -> str:
    args = [render(program, register, arg) for arg in node.args]
    infix = {"and": " 且 ", "or": " 或 ", "add": " + ", "sub": " - ", "mul": " × ", "div": " ÷ "}
    if node.op in infix:
        return (
            "（" + infix[node.op].join(args) + "）" if node.op in ("and", "or") else infix[node.op].join(args)
        )
    if node.op in ("compare", "compare_order"):
        return f"{args[0]} {SIGNS.get(str(node.detail[0]), node.detail[0])} {args[1]}"
    if node.op == "in":
        return f"{args[0]} 属于（{'、'.join(args[1:])}）"
    words = {"not": "不是：", "is_missing": "缺失：", "is_true": "", "is_false": "否："}
    if node.op in words:
        return words[node.op] + args[0]
    names = {
        "years": "周年数",
        "months": "整月数",
        "days": "天数",
        "add_months": "加月",
        "contains": "含",
        "unknown": "不知道",
    }
    return f"{names.get(node.op, node.op)}({', '.join(args)})"


def shown(value: Any) -> str:
    """A value for people."""
    if value is None:
        return "不知道"
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return str(value.numerator)
        for digits in range(1, 19):
            if 10**digits % value.denominator == 0:
                whole, rest = divmod(abs(value.numerator) * (10**digits // value.denominator), 10**digits)
                return f"{'-' if value < 0 else ''}{whole}.{rest:0{digits}}"
        return f"{value.numerator}/{value.denominator}"
    return str(value)


def plain(value: Any) -> Any:
    """A value for JSON: exact numbers as whole numbers, or as text where they are not."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else shown(value)
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, (list, tuple)) else value


__all__ = ["Explanation", "Seen", "explain", "plain", "render", "seen", "shown"]
