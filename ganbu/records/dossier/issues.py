"""Issues of a file (档案问题): looked into, determined, the record corrected, and decisions that used the old value listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ganbu.access.models import Account
from ganbu.engine.record_files import plain_text
from ganbu.errors import RecordsError
from ganbu.records import queries
from ganbu.records.dossier.audits import (
    DETERMINED,
    audit_of,
    register,
    release,
    stands,
    today,
)  # fmt: skip
from ganbu.records.dossier.rules import rules
from ganbu.records.models import MODELS
from ganbu.records.tables import typed
from ganbu.records.writing import Writing, current_row, row_values, writing

Row = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """How an issue was cleared up (核查认定)."""

    conclusion: str
    report: str
    basis: str = ""
    determined: str = ""


def note_issue(identity: str, values: Row) -> None:
    """Put down what is to be supplied, until when, who looks into it, when a restriction is reviewed (核查安排).

    `values` may have materials, due_on, owner, review_on. Raises RecordsError for an issue that is closed.
    """
    known = register("file_issue")
    told = {k: v for k, v in values.items() if k in ("materials", "due_on", "owner", "review_on")}
    with writing("file", f"核查安排 {identity}") as act:
        _open_row(identity)
        act.correct(known, identity, told)


def _open_row(identity: str) -> Any:
    row = current_row(register("file_issue"), identity)
    if row is None or row.f_closed_on:
        raise RecordsError(f"档案问题 {identity} 不存在，或已办结")
    return row


def resolve(identity: str, account: Account, told: Verdict) -> list[str]:
    """Close an issue with a conclusion (办结); what was corrected, by label.

    A determination corrects the record of the person in the same change. Raises RecordsError.
    """
    known = register("file_issue")
    settled = rules().settled.get(told.conclusion)
    if settled is None:
        raise RecordsError(f"核查结论应为{'、'.join(rules().settled)}之一")
    if not told.report:
        raise RecordsError("请写明核查报告：事实、政策依据、责任、是否影响使用")
    if settled.corrects and not (told.determined and told.basis):
        raise RecordsError("认定更正的，要写明认定结果和认定依据（材料、文号）")
    with writing("file", f"档案认定 {identity}：{told.conclusion}", origin=told.basis[:300]) as act:
        row = _open_row(identity)
        person, element = str(row.f_person), str(row.f_element)
        corrected = _correct(act, person, element, told.determined) if settled.corrects else []
        act.correct(
            known, identity,
            {
                "closed_on": today(), "conclusion": told.conclusion, "report": told.report, "basis": told.basis or None,
                "determined": told.determined or None, "determined_by": str(account),
            }, row.row,
        )  # fmt: skip
        _element(act, str(row.f_audit), person, element, settled.result, told.determined)
        if settled.release:
            release(act, identity)
        audit = audit_of(str(row.f_audit))
        if audit is not None:
            outcome = stands(audit, audit.refused)
            if outcome != audit.values.get("conclusion"):
                act.correct(register("file_audit"), audit.identity, {"conclusion": outcome}, audit.row)
    return corrected


def reopen(identity: str, reason: str) -> None:
    """An issue that was closed is open again (重新核查), whatever was appointed meanwhile. Raises RecordsError."""
    known = register("file_issue")
    if not reason:
        raise RecordsError("请写明重新核查的理由")
    with writing("file", f"重新核查 {identity}：{reason}") as act:
        row = current_row(known, identity)
        if row is None or not row.f_closed_on:
            raise RecordsError("只有已办结的档案问题才重新核查")
        gone = ("closed_on", "conclusion", "report", "basis", "determined", "determined_by")
        act.correct(known, identity, {**dict.fromkeys(gone), "opened_on": today()}, row.row)
        held = current_row(register("effect"), f"hold-{identity}")
        if held is not None and held.f_released_on:
            act.correct(register("effect"), f"hold-{identity}", {"released_on": None})
        audit = audit_of(str(row.f_audit))
        if audit is not None:
            act.correct(register("file_audit"), audit.identity, {"conclusion": stands(audit, audit.refused)}, audit.row)  # fmt: skip


def _correct(act: Writing, person: str, element: str, determined: str) -> list[str]:
    """Correct what the person register says of the element. Raises RecordsError where the value cannot be one."""
    field = rules().elements[element].field if element in rules().elements else ""
    if not field:
        return []
    about = register("person")
    item = about.fields[field]
    value = typed(about, item, determined)
    row = current_row(about, person)
    if row is None:
        raise RecordsError(f"没有编号为“{person}”的人员")
    if row_values(about, row).get(field) == value:
        return []
    act.correct(about, person, {field: value})
    return [item.label]


def _element(act: Writing, audit: str, person: str, element: str, result: str, value: str) -> None:
    known, identity = register("file_element"), f"{audit}-{element}"
    told: Row = {"result": result, **({"value": value} if value else {})}
    if current_row(known, identity) is None:
        act.add(known, [{"file_element_id": identity, "person": person, "element": element, "date": today(), **told}])  # fmt: skip
    else:
        act.correct(known, identity, told)


# -- facts that were determined -------------------------------------------------------------------------------------


def contradictions(person: str, values: Row) -> dict[str, str]:
    """By field of the person register: why a value may not be declared, the file having determined another (已认定)."""
    wanted = {e.name: e.field for e in rules().elements.values() if e.field in values}
    if not wanted:
        return {}
    model: Any = MODELS["file_element"]
    rows = model.objects.filter(
        f_person=person, f_element__in=list(wanted), f_result=DETERMINED, superseded_at__isnull=True
    )
    about, wrong = register("person"), {}
    for row in rows.order_by("row"):
        field = wanted[row.f_element]
        determined, item = str(row.f_value or ""), about.fields[field]
        if plain_text(values[field] if values[field] is not None else "") != determined:
            wrong[field] = f"档案已认定{item.label}为 {determined}，与之不同的不予登记；要改须重新核查档案"
    return wrong


def value_at(identity: str) -> list[tuple[str, Any]]:
    """What the record said of the person when the issue was opened, and says now, where it differs (前后两值)."""
    row = current_row(register("file_issue"), identity)
    element = rules().elements.get(str(row.f_element)) if row is not None else None
    if row is None or element is None or not element.field:
        return []
    held = queries.held(str(row.f_person), registers=["person"]).get("person", [])
    told: list[tuple[str, Any]] = []
    for one in held:
        value = one.values.get(element.field)
        if not told or told[-1][1] != value:
            told.append((f"{one.recorded_at:%Y-%m-%d %H:%M}", value))
    return told
