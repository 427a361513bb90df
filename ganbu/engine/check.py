"""Checking packs without data (规则检查): names, types, dates, sources, open values, holes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ganbu.engine.evaluator import Evaluator
from ganbu.engine.kernel import Prepared
from ganbu.engine.kernel.computed import KernelComputed
from ganbu.engine.policy import Pack, Policy
from ganbu.engine.records import Records
from ganbu.engine.scenario import given
from ganbu.errors import PackError, Place


@dataclass(frozen=True)
class Remark:
    """One remark on a pack (检查意见): an error must be mended, a note is worth knowing."""

    severity: str
    message: str
    place: Place | None = None

    def __str__(self) -> str:
        word = {"error": "错误", "warning": "提醒", "note": "说明"}[self.severity]
        return f"{word}：{f'{self.place}: ' if self.place else ''}{self.message}"


def check_pack(pack: Pack, as_of: date | None = None) -> list[Remark]:
    """Everything that can be said of a pack without records, errors first."""
    remarks: list[Remark] = []
    as_of = as_of or date.today()
    try:
        policies = pack.policies
        _ = pack.facts, pack.catalogues, pack.vocabulary
    except PackError as error:
        return [_error(error)]
    evaluator = Evaluator(pack, as_of, checking=True)
    nobody = Prepared(Records({}, pack.vocabulary))
    for policy in policies.values():
        try:
            _dates(policy)
            evaluator.judge(policy.name)
            wanted = evaluator.wanted([policy.name])
            KernelComputed(nobody, evaluator.program, evaluator.virtual, wanted).run()
        except PackError as error:
            remarks.append(_error(error))
            continue
        remarks += _remarks(policy)
    for body in pack.scenarios:
        try:
            given(pack, body)
        except PackError as error:
            remarks.append(_error(error))
    tested = {
        name
        for body in pack.scenarios
        for step in [body, *(body.get("steps") or [])]
        for name in (step.get("expect") or {})
    }
    for policy in policies.values():
        if policy.name not in tested:
            remarks.append(Remark("warning", f"规则“{policy.name}”没有情景", policy.place))
    for name, spec in (pack.head.get("catalogues") or {}).items():
        if isinstance(spec, dict) and spec.get("values") is None:
            remarks.append(
                Remark(
                    "note",
                    f"目录“{name}”原文未公布（{spec.get('count', '数目不详')} 条），待本地填写",
                    pack.head["catalogues"].at(name),
                )
            )
    return sorted(remarks, key=lambda r: ("error", "warning", "note").index(r.severity))


def _error(error: PackError) -> Remark:
    return Remark("error", error.message + (f"。{error.hint}" if error.hint else ""), error.place)


def _dates(policy: Policy) -> None:
    start, end = policy.body.get("effective"), policy.body.get("until")
    for key, value in (("effective", start), ("until", end)):
        if value is not None and not isinstance(value, date):
            raise PackError(f"{key} 应是日期，如 2020-07-16", policy.body.at(key))
    if start is not None and end is not None and start >= end:
        raise PackError("until 应晚于 effective", policy.body.at("until"))
    if policy.status not in ("enforced", "off"):
        raise PackError("status 只能是 enforced 或 off", policy.body.at("status"))
    if policy.status == "off" and not policy.body.get("why"):
        raise PackError("status: off 要写 why: 说明为何关闭", policy.body.at("status"))


def _remarks(policy: Policy) -> list[Remark]:
    found = []
    if not policy.sources:
        found.append(Remark("warning", f"规则“{policy.name}”没有 source", policy.place))
    if policy.required:
        found.append(
            Remark("note", f"规则“{policy.name}”待本地填写：{'、'.join(policy.required)}", policy.place)
        )
    if policy.status == "off":
        found.append(Remark("note", f"规则“{policy.name}”已关闭：{policy.body.get('why')}", policy.place))
    return found
