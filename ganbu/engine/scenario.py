"""Scenarios (情景): records in, findings expected; they stand beside the rule as example and as test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

import pyarrow as pa

from ganbu.engine.policy import Pack, check_keys
from ganbu.engine.records import Records
from ganbu.engine.run import Run, evaluate
from ganbu.engine.source import Mapping, place_of
from ganbu.errors import GanbuError, PackError, Place, nearest
from ganbu.vocabulary import Register, Vocabulary

KEYS = (
    "scenario",
    "about",
    "as_of",
    "known_at",
    "parameters",
    "given",
    "absent",
    "expect",
    "steps",
    "covers",
    "source",
    "note",
)
MECHANISM = re.compile(r"^\d{3}-\d+[a-z]?$")
REASONS = ("依据", "缺少", "不能排除")
ABSENT, REPEAT = "不适用", "重复"


@dataclass
class Result:
    """What came of a scenario (情景结果): the differences found, and the mechanisms it exercises."""

    pack: str
    name: str
    place: Place
    failures: list[str] = field(default_factory=list)
    covers: set[str] = field(default_factory=set)

    @property
    def passed(self) -> bool:
        """Whether everything came out as expected."""
        return not self.failures


def run_scenarios(pack: Pack, only: str = "") -> Iterator[Result]:
    """Run the scenarios of a pack; `only` picks those whose name contains it."""
    for body in pack.scenarios:
        if only in str(body["scenario"]):
            yield run_scenario(pack, body)


def run_scenario(pack: Pack, body: Mapping) -> Result:
    """Run one scenario; an error in it is a failure that says where."""
    result = Result(pack.name, str(body["scenario"]), body.place)
    try:
        check_keys(body, KEYS, "情景")
        records = given(pack, body)
        steps = (
            [body, *(body.get("steps") or ())]
            if body.get("expect") is not None
            else list(body.get("steps") or ())
        )
        if not steps:
            raise PackError("情景没有 expect:", body.place)
        for step in steps:
            _run_step(pack, body, step, records, result)
    except GanbuError as error:
        result.failures.append(str(error))
    return result


def _run_step(pack: Pack, body: Mapping, step: Mapping, records: Records, result: Result) -> None:
    as_of = step.get("as_of", body.get("as_of"))
    if not isinstance(as_of, date):
        raise PackError("情景要写 as_of: 日期", step.place)
    expected = step.get("expect")
    if not isinstance(expected, Mapping):
        raise PackError("expect: 应是 规则名: 结果", step.place)
    policies = list(expected)
    for policy in policies:
        if policy not in pack.reach:
            raise PackError(f"没有规则“{policy}”", expected.at(policy), nearest(policy, pack.reach))
    parameters = _parameters(pack, body, policies)
    needed = [p for p in policies if pack.reach[p].in_force(as_of) or pack.reach[p].kind == "consequence"]
    run = evaluate(
        pack, records, as_of, needed, str(step.get("known_at", body.get("known_at", "")) or ""), parameters
    )
    for policy in policies:
        rows = run.rows(policy) if policy in needed else []
        if isinstance(expected[policy], Mapping) and not expected[policy]:
            raise PackError(f"expect 里“{policy}”没有写结果", expected.at(policy))
        prefix = f"{policy}（{as_of}）"
        result.failures += [f"{prefix}：{text}" for text in _compare(expected[policy], rows, run, policy)]
        result.failures += [f"{prefix}：{text}" for text in _strangers(expected[policy], rows, run, policy)]
        cited = pack.reach[policy].sources
        wanted = [str(item) for item in body.get("covers") or ()]
        for source in wanted:
            if source not in cited and not any(source in pack.reach[p].sources for p in policies):
                raise PackError(f"covers: {source} 不在所涉规则的 source 里", body.at("covers"))
        result.covers |= {source for source in (wanted or cited) if MECHANISM.match(source)}


def _parameters(pack: Pack, body: Mapping, policies: list[str]) -> dict[str, dict[str, Any]]:
    given_values = body.get("parameters") or {}
    nested = {
        key: dict(value)
        for key, value in given_values.items()
        if isinstance(value, Mapping) and key in pack.reach
    }
    flat = {key: value for key, value in given_values.items() if key not in nested}
    for key, value in flat.items():
        holders = [
            name for name, policy in pack.reach.items() if key in (policy.body.get("parameters") or {})
        ]
        if not holders:
            raise PackError(f"没有规则有参数“{key}”", body["parameters"].at(key))
        for name in holders:
            nested.setdefault(name, {})[key] = value
    return nested


# -- given ---------------------------------------------------------------------------------------------------


def given(pack: Pack, body: Mapping) -> Records:
    """The records of a scenario: short forms filled in, names turned into identities."""
    vocabulary = pack.vocabulary
    rows: dict[str, list[dict[str, Any]]] = {}
    for label, value in (body.get("given") or {}).items():
        register = vocabulary.find(label)
        if register is None:
            known = [text for r in vocabulary.registers.values() for text in (r.label, r.name)]
            raise PackError(f"given：没有登记表“{label}”", body["given"].at(label), nearest(label, known))
        rows[register.name] = [
            row for item in _rows(register, value) for row in _repeated(register, _row(register, item))
        ]
    people = rows.setdefault("person", [{}])
    if not people:
        people.append({})
    for name, items in rows.items():
        register = vocabulary.registers[name]
        for at, item in enumerate(items, 1):
            if item.get(register.id_field) is None:
                item[register.id_field] = str(item.get(register.name_field) or f"{name}{at}")
    for name, items in list(rows.items()):
        _link(vocabulary, vocabulary.registers[name], items, rows)
    records = Records.from_rows(rows, vocabulary, str(body.place))
    absent = {register.name for label in body.get("absent") or () if (register := vocabulary.find(label))}
    for name, register in vocabulary.registers.items():
        if name not in records.tables and name not in absent:
            records.add(name, pa.table({register.id_field: pa.array([], pa.string())}))
    return records


def _rows(register: Register, value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, list):
        return list(value)
    if (
        isinstance(value, Mapping)
        and value
        and all(re.fullmatch(r"\d{4}", str(key)) for key in value)
        and "year" in register.fields
    ):
        kept = "grade" if "grade" in register.fields else "value"
        return [
            {"year": int(key), **(dict(item) if isinstance(item, Mapping) else {kept: item})}
            for key, item in value.items()
        ]
    return [value]


def _repeated(register: Register, row: dict[str, Any]) -> list[dict[str, Any]]:
    """`重复: 29` stands for as many rows that differ only in their number."""
    times = row.pop(REPEAT, None)
    if times is None:
        return [row]
    if not isinstance(times, int) or not 1 <= times <= 5000:
        raise PackError(f"“{register.label}”的 {REPEAT}: 应是 1 到 5000 的整数")
    stem = str(row.get(register.id_field) or f"{register.name}-r")
    return [{**row, register.id_field: f"{stem}{at}"} for at in range(1, times + 1)]


def _row(register: Register, item: Any) -> dict[str, Any]:
    if isinstance(item, str):
        item = {register.name_field or register.id_field: item}
    if not isinstance(item, dict):
        raise PackError(f"given 的“{register.label}”每行应是 字段: 值", place_of(item))
    found = {}
    for key, value in item.items():
        spec = register.find(key)
        if spec is None and key == "编号":
            spec = register.fields[register.id_field]
        if spec is None and key == "人员" and "person" in register.fields:
            spec = register.fields["person"]
        if spec is None and key not in ("recorded_at", "superseded_at", "source", "evidence", REPEAT):
            labels = [f.label for f in register.fields.values()]
            place = item.at(key) if isinstance(item, Mapping) else None
            raise PackError(
                f"“{register.label}”没有字段“{key}”", place, nearest(key, labels) or "、".join(labels[:20])
            )
        found[spec.name if spec else key] = value
    return found


def _link(
    vocabulary: Vocabulary,
    register: Register,
    items: list[dict[str, Any]],
    rows: dict[str, list[dict[str, Any]]],
) -> None:
    """References by name become identities; a lone person, unit or team is understood."""
    for spec in register.fields.values():
        if spec.kind != "ref":
            continue
        target = vocabulary.registers[spec.target]
        known = rows.get(target.name, [])
        ids = {str(row[target.id_field]) for row in known}
        by_name = {
            str(row[target.name_field]): str(row[target.id_field])
            for row in known
            if target.name_field and row.get(target.name_field)
        }
        for item in items:
            value = item.get(spec.name)
            if value is None:
                main = spec.target == register.subject and (
                    spec.name == register.subject or spec.label == target.label
                )
                if main and len(known) == 1 and spec.name not in item:
                    item[spec.name] = str(known[0][target.id_field])
            elif str(value) not in ids and str(value) in by_name:
                item[spec.name] = by_name[str(value)]
            elif str(value) not in ids:
                # A thing named but not described is one that exists and of which nothing else is said.
                fresh = {target.id_field: str(value)}
                if target.name_field:
                    fresh[target.name_field] = str(value)
                rows.setdefault(target.name, []).append(fresh)
                ids.add(str(value))


# -- expect --------------------------------------------------------------------------------------------------


def _compare(expected: Any, rows: list[dict[str, Any]], run: Run, policy: str) -> list[str]:
    layout = run.evaluator.judge(policy).lowered.layout
    columns = {key for row in rows for key in row} | set(REASONS) | {"结果", "数值", "期限"}
    if layout == "effects":
        return _compare_effects(expected, rows)
    if layout == "groups":
        by_key = {
            (row["名称"] if row["对象"] == "全体" else f"{row['对象']}/{row['名称']}"): row for row in rows
        }
        if not isinstance(expected, Mapping):
            return ["quota 的 expect 要写 部分: 结果"]
        return _compare_many(expected, by_key)
    if not isinstance(expected, Mapping) or (expected and all(key in columns for key in expected)):
        if not rows and (
            expected == ABSENT or (isinstance(expected, Mapping) and expected.get("结果") == ABSENT)
        ):
            return []
        if len(rows) != 1:
            return [
                f"有 {len(rows)} 个对象，expect 要按对象写：" + "、".join(str(r["对象"]) for r in rows[:8])
            ]
        return _compare_row(expected, rows[0])
    by_key = {}
    for row in rows:
        by_key[str(row["对象"])] = row
        by_key.setdefault(str(row["名称"]), row)
    return _compare_many(expected, by_key)


def _strangers(expected: Any, rows: list[dict[str, Any]], run: Run, policy: str) -> list[str]:
    """Subjects said to be outside the rule who are not in the scenario at all: a slip that would always pass."""
    judged = run.evaluator.judge(policy)
    table = run.store.records.tables.get(judged.register.name)
    if judged.lowered.layout != "subject" or not isinstance(expected, Mapping) or table is None:
        return []
    known = {str(key) for row in rows for key in (row["对象"], row["名称"])}
    for column in (judged.register.id_field, judged.register.name_field):
        if column:
            known |= {str(value) for value in table[column].to_pylist()}
    outside = [key for key, value in expected.items() if value == ABSENT and key not in ("结果", "数值")]
    return [f"given 里没有“{key}”" for key in outside if str(key) not in known]


def _compare_many(expected: Mapping, by_key: dict[str, dict[str, Any]]) -> list[str]:
    failures = []
    for key, wanted in expected.items():
        row = by_key.get(str(key))
        if row is None:
            if wanted != ABSENT:
                known = nearest(str(key), by_key) or f"有结果的：{'、'.join(list(by_key)[:8])}"
                failures.append(f"{key}：没有结果（不适用），应为 {_shown(wanted)}。{known}")
            continue
        failures += [f"{key}：{text}" for text in _compare_row(wanted, row)]
    return failures


def _compare_row(wanted: Any, row: dict[str, Any]) -> list[str]:
    if not isinstance(wanted, Mapping):
        key = "数值" if isinstance(wanted, (int, Fraction)) and not isinstance(wanted, bool) else "结果"
        holder = Mapping(Place(""))
        holder[key] = wanted
        wanted = holder
    failures = []
    for key, value in wanted.items():
        if key not in row:
            failures.append(f"没有列“{key}”，{nearest(key, row) or '有：' + '、'.join(row)}")
            continue
        actual = row[key]
        if key in REASONS:
            items = value if isinstance(value, list) else [value]
            absent = [
                str(item)
                for item in items
                if item is not None and not any(str(item) in word for word in actual)
            ]
            if absent or (value == [] and actual):
                failures.append(
                    f"{key} 应含 {'、'.join(absent) or '（空）'}，实为 {'、'.join(actual) or '（空）'}"
                )
        elif not _same(value, actual):
            why = f"（缺少：{'、'.join(row['缺少'])}）" if row.get("缺少") else ""
            failures.append(f"{key} 应为 {_shown(value)}，实为 {_shown(actual)}{why}")
    return failures


def _compare_effects(expected: Any, rows: list[dict[str, Any]]) -> list[str]:
    if expected in (None, [], "无", ABSENT):
        return [f"应无后果，实有 {'、'.join(str(r['结果']) for r in rows)}"] if rows else []
    groups: dict[str, Any] = {}
    columns = {"对象", "名称", "结果", "后果", "起始日", "截止日", "生效中"}
    if isinstance(expected, Mapping) and not set(expected) <= columns:
        groups = dict(expected)
    else:
        groups = {"": expected}
    failures = []
    for who, wanted in groups.items():
        mine = [row for row in rows if not who or who in (str(row["对象"]), str(row["名称"]))]
        items = wanted if isinstance(wanted, list) else [] if wanted in (None, "无") else [wanted]
        for item in items:
            spec = item if isinstance(item, Mapping) else {"结果": item}
            if not any(all(_same(value, row.get(key)) for key, value in spec.items()) for row in mine):
                failures.append(
                    f"{who}没有后果 {_shown(item)}，实有 {[_shown({k: v for k, v in r.items() if k in spec}) for r in mine]}"
                )
        if len(mine) != len(items):
            failures.append(
                f"{who}应有 {len(items)} 个后果，实有 {len(mine)}：{'、'.join(str(r['结果']) for r in mine)}"
            )
    return failures


def _same(expected: Any, actual: Any) -> bool:
    if expected is None or (expected in ("无", "") and actual is None):
        return actual is None or actual == expected
    if isinstance(actual, bool) or isinstance(expected, bool):
        return (
            {True: ("是", True, "true"), False: ("否", False, "false")}[bool(actual)].__contains__(expected)
            if isinstance(actual, bool)
            else False
        )
    if isinstance(actual, (Fraction, int)):
        number = _number(expected)
        return number is not None and number == actual
    return str(actual) == str(expected)


def _number(value: Any) -> Fraction | None:
    if isinstance(value, (int, Fraction)):
        return Fraction(value)
    try:
        text = str(value).strip()
        return Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def _shown(value: Any) -> str:
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return str(value.numerator)
        return (
            f"{float(value):.10g}"
            if 10**8 % value.denominator == 0
            else f"{value.numerator}/{value.denominator}"
        )
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_shown(v)}" for k, v in value.items()) + "}"
    return "（无）" if value is None else str(value)
