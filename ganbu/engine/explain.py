"""Reasons (理由): for one subject, each clause, what it asked, the facts it saw, and the records behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from ganbu.engine.bind import Program
from ganbu.engine.evaluator import Evaluator, Judged
from ganbu.engine.kinds.base import Clause, leaves, resolved
from ganbu.engine.policy import Pack, value_text
from ganbu.engine.records import Records
from ganbu.engine.run import Run, Store, evaluate
from ganbu.engine.tree import BOOL, TEXT, Aggregate, Const, Fact, Field, Node, Op, Row, Window, atoms, walk
from ganbu.engine.tree import text as text_const
from ganbu.errors import RecordsError
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
    program, register = evaluator.program, judged.register.name
    asked: list[tuple[Clause, str, list[tuple[Node, str]], list[tuple[Node, str, str]]]] = []
    wanted: list[str] = []

    def ask(node: Node) -> str:
        fact = (
            program.hide(register, node)
            if not isinstance(node, Fact) or node.row != Row(register)
            else node.name
        )
        if fact not in wanted:
            wanted.append(fact)
        return fact

    for clause in judged.lowered.clauses:
        questions = (
            [(atom, ask(atom)) for atom in atoms(resolved(program, register, clause.node))]
            if clause.node.type.kind == "bool"
            else []
        )
        facts = [
            (leaf, label, ask(leaf))
            for leaf, label in leaves(program, register, clause.node).items()
            if leaf.type.kind != "row"
        ]
        asked.append((clause, ask(clause.node), questions, facts))
    run = evaluate(pack, records, as_of, [policy], known_at, parameters, {register: wanted}, evaluator)
    rows = [row for row in run.rows(policy) if subject in (str(row["对象"]), str(row["名称"]))]
    identity, label = _identity(run, judged, subject, rows)
    finding = next(
        (row for row in rows if str(row["对象"]) == identity),
        {"对象": identity, "名称": label, "结果": "不适用"},
    )
    if judged.lowered.layout == "effects":
        finding = {
            "对象": identity,
            "名称": label,
            "结果": "、".join(str(r["结果"]) for r in rows) or "无后果",
        }
    values = _values(run, judged, identity, wanted)
    reasons = []
    for clause, fact, questions, facts in asked:
        seen = [Seen(text, values[key], _behind(run, judged, leaf, identity)) for leaf, text, key in facts]
        shown_questions = [(render(program, register, atom), values[key]) for atom, key in questions]
        reasons.append(
            ClauseReason(
                clause.label,
                clause.written,
                values[fact],
                clause.source,
                clause.strictness,
                clause.role,
                shown_questions,
                seen,
            )
        )
    given = [
        (key, value_text(judged.context.values[key]), "、".join(_cited(spec)))
        for key, spec in judged.context.parameters.items()
    ]
    body = judged.policy.body
    return Explanation(
        policy,
        str(body.get("about", "")),
        judged.policy.pack,
        identity,
        label,
        as_of,
        known_at,
        finding,
        reasons,
        given,
        tuple(_cited(body)),
    )


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
    """The records an aggregate counted, or might have counted had it known more."""
    if not isinstance(leaf, Fact):
        return []
    program, row = run.evaluator.program, leaf.row
    definition = program.definitions.get((row.register, leaf.name))
    if not isinstance(definition, Aggregate) or definition.register in run.evaluator.virtual:
        return []
    if row.of is not None and (row.of.of is not None or (row.of.register, row.via) in program.definitions):
        return []
    register = program.vocabulary.registers[definition.register]
    fields = _telling(register, definition)
    rows = run.computed.behind(
        definition, judged.register.name, row, identity, [f.name for f in fields], MOST_RECORDS
    )
    found = []
    for raw in rows:
        record: dict[str, Any] = {"登记表": register.label, "编号": raw["__id"]}
        for spec in fields:
            value = raw[spec.name]
            if value is not None:
                record[spec.label] = Fraction(value, 10**spec.scale) if spec.kind == "decimal" else value
        found.append(record)
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
            from ganbu.engine.kinds.base import _path_text

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


__all__ = ["Explanation", "Seen", "explain", "plain", "render", "shown"]
