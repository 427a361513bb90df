"""What is in a file and who has it (档案材料、收转): intake in two steps, filing, lending, transfer, and what is missing."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db.models import QuerySet

from ganbu.dates import PartialDate, add_months
from ganbu.engine.record_files import plain_text
from ganbu.errors import RecordsError
from ganbu.records import queries
from ganbu.records.dossier.audits import register, today
from ganbu.records.dossier.issues import contradictions
from ganbu.records.dossier.rules import Required, rules
from ganbu.records.models import MODELS, Card
from ganbu.records.queries import Held
from ganbu.records.writing import row_values, writing
from ganbu.vocabulary import load_vocabulary

Row = dict[str, Any]
PARTY = "中共党员"


@dataclass(frozen=True)
class Missing:
    """A material that ought to be there (缺少的材料), and for what."""

    material: str
    category: str
    about: str


@dataclass
class Dossier:
    """The file of a person (一人一档): materials by class, the log of who had it, what is missing, what is on its way."""

    materials: dict[str, list[Held]] = field(default_factory=dict)
    log: list[Held] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    waiting: list[Held] = field(default_factory=list)
    returned: list[Held] = field(default_factory=list)
    lent: list[Held] = field(default_factory=list)
    away: Held | None = None
    arriving: Held | None = None


def dossier(person: str) -> Dossier:
    """The file of a person as it is now."""
    return dossier_of(queries.known(queries.held(person, registers=wanted())))


def wanted() -> list[str]:
    """The registers that a file is made of, and those that ask for materials."""
    return sorted({"person", "material", "custody", *(one.register for one in rules().required)})


def dossier_of(rows: Mapping[str, list[Held]]) -> Dossier:
    """The same from rows already read."""
    found = Dossier(log=list(reversed(rows.get("custody", ()))))
    for name in load_vocabulary().codes["material_class"].names():
        found.materials[name] = [r for r in rows.get("material", ()) if r.values.get("category") == name]
    answered = {str(r.values.get("refers")): r for r in rows.get("custody", ())}
    for entry in rows.get("custody", ()):
        kind, answer = entry.values.get("kind"), answered.get(entry.identity)
        if kind == "送档" and answer is None:
            found.waiting.append(entry)
        elif kind == "退回" and answer is None:
            found.returned.append(entry)
        elif kind == "借阅" and answer is None:
            found.lent.append(entry)
        elif kind == "转出":
            found.away = entry
        elif kind == "转入":
            found.arriving = entry if answer is None else None
            found.away = None
    found.missing = missing(rows)
    return found


# -- what is missing --------------------------------------------------------------------------------------------


def missing(rows: Mapping[str, list[Held]]) -> list[Missing]:
    """What the catalogue asks for and the file lacks; the catalogue as it was when each event happened."""
    told = []
    about = next((r.values for r in rows.get("person", ())), {})
    materials = rows.get("material", [])
    for one in rules().always:
        if one.party and not str(about.get("political_status") or "").startswith("中共"):
            continue
        if not any(_fits(one, m) for m in materials):
            told.append(Missing(one.material, one.categories[0], ""))
    for one in rules().required:
        known = register(one.register)
        for row in rows.get(one.register, ()):
            if one.full_time and row.values.get("full_time") is not True:
                continue
            day = row.values.get(known.happened)
            first = PartialDate(day) if isinstance(day, int) else day
            if not isinstance(first, PartialDate) or first.last() < one.since:
                continue
            if not any(_fits(one, m) and _near(one, m, first) for m in materials):
                told.append(Missing(one.material, one.categories[0], _told(row, first)))
    return told


def _fits(one: Required, material: Held) -> bool:
    name = str(material.values.get("name") or "")
    return material.values.get("category") in one.categories and any(word in name for word in one.names)


def _near(one: Required, material: Held, day: PartialDate) -> bool:
    """Whether a material is of that event: by the year in its name or its date, or by how near its date is."""
    made = material.values.get("made_on")
    if one.year:
        name = str(material.values.get("name") or "")
        return f"{day.year}" in name or (isinstance(made, PartialDate) and made.year in (day.year, day.year + 1) and not any(c.isdigit() for c in name))  # fmt: skip
    if not one.months or not isinstance(made, PartialDate):
        return True
    return (
        add_months(day.first(), -one.months) <= made.last()
        and made.first() <= add_months(day.last(), one.months)
    )  # fmt: skip


def _told(row: Held, day: PartialDate) -> str:
    values = row.values
    names = ("title", "rank", "level", "grade", "name", "kind")
    what = next((str(values[n]) for n in names if values.get(n)), row.register.label)
    return f"{day.iso()} {what}"


# -- intake ---------------------------------------------------------------------------------------------------------


def deliver(person: str, material: Row, giver: str, checks: list[str]) -> str:
    """A unit hands a material in (送档): it has looked at the four things; the identity of the entry. Raises RecordsError."""
    left = [c for c in rules().intake["sender"] if c not in checks]
    if left:
        raise RecordsError(f"送档前请逐项核对：{'、'.join(left)}")
    if not material.get("material") or not material.get("category"):
        raise RecordsError("请写明材料名称和类别")
    return _log(person, "送档", {**material, "from_party": giver, "to_party": "档案室", "carrier": giver, "checks": "、".join(checks)})  # fmt: skip


def file_material(entry: str, keeper: str, checks: list[str], stated: Mapping[str, str]) -> str:
    """The keeper files what was handed in (归档): truth and procedure checked, identity facts agreeing with the file.

    `stated` are facts that the material states, by field of the person register, as text. Raises RecordsError.
    """
    row = _open_entry(entry, "送档")
    left = [c for c in rules().intake["keeper"] if c not in checks]
    if left:
        raise RecordsError(f"归档前请逐项核对：{'、'.join(left)}；核不准的请退回")
    person = str(row["person"])
    about = next((r.values for r in queries.known(queries.held(person, registers=["person"]))["person"]), {})
    wrong = contradictions(person, {k: v for k, v in stated.items() if v})
    for name, told in stated.items():
        known = about.get(name)
        if told and name not in wrong and known is not None and plain_text(known) != told:
            wrong[name] = (
                f"{register('person').fields[name].label}：材料为 {told}，档案为 {plain_text(known)}"
            )
    if wrong:
        raise RecordsError("与档案认定的不符，不能归档，请退回或立档案问题：" + "；".join(wrong.values()))
    known = register("material")
    names = ("category", "made_on", "pages", "copies", "original")
    identity = f"material-{uuid.uuid4().hex[:12]}"
    with writing("file", f"归档：{row['material']}") as act:
        act.add(known, [{"material_id": identity, "person": person, "name": row["material"], "received_on": today(), **{n: row.get(n) for n in names}}])  # fmt: skip
        act.add(register("custody"), [_entry(person, "归档", {**_about(row), "from_party": row.get("from_party"), "to_party": "档案室", "carrier": keeper, "refers": entry, "checks": "、".join(checks)})])  # fmt: skip
    return identity


def send_back(entry: str, keeper: str, reason: str) -> str:
    """The keeper sends back what was handed in (退回), with the reason. Raises RecordsError."""
    row = _open_entry(entry, "送档")
    if not reason:
        raise RecordsError("退回要写明理由")
    return _log(str(row["person"]), "退回", {**_about(row), "from_party": "档案室", "to_party": row.get("from_party"), "carrier": keeper, "refers": entry, "note": reason})  # fmt: skip


def deliver_again(entry: str, giver: str, checks: list[str]) -> str:
    """What was sent back is handed in again (重新送档). Raises RecordsError."""
    row = _open_entry(entry, "退回")
    material = {**_about(row), "refers": entry}
    return deliver(str(row["person"]), material, giver, checks)


def _about(row: Row) -> Row:
    return {n: row.get(n) for n in ("category", "material", "made_on", "pages", "copies", "original")}


# -- lending and transfer -----------------------------------------------------------------------------------------


def lend(person: str, borrower: str, reason: str, keeper: str) -> str:
    """The file is read or borrowed (查借阅). Raises RecordsError."""
    if not borrower or not reason:
        raise RecordsError("请写明借阅人和事由")
    return _log(
        person, "借阅", {"from_party": "档案室", "to_party": borrower, "carrier": keeper, "note": reason}
    )


def give_back(entry: str, keeper: str) -> str:
    """It is back (归还). Raises RecordsError."""
    row = _open_entry(entry, "借阅")
    return _log(str(row["person"]), "归还", {"from_party": row.get("to_party"), "to_party": "档案室", "carrier": keeper, "refers": entry})  # fmt: skip


def transfer(person: str, name: str, to: str, carrier: str, slip: str) -> str:
    """The whole file goes to another office (转出): slip, carrier who is never the person concerned, list of contents.

    Raises RecordsError also while something is lent or not yet filed.
    """
    if not to or not carrier or not slip:
        raise RecordsError("转递要写明接收单位、经办人和转递单号")
    if carrier.replace(" ", "") == name.replace(" ", ""):
        raise RecordsError("档案不得由本人自带")
    now = dossier(person)
    if now.away is not None:
        raise RecordsError("档案已经转出")
    if now.lent or now.waiting:
        raise RecordsError("还有借出未还或收到未归的材料，办结后再转递")
    count = sum(len(of) for of in now.materials.values())
    return _log(person, "转出", {"from_party": "档案室", "to_party": to, "carrier": carrier, "slip": slip, "copies": count, "note": f"材料 {count} 份，目录见转递单"})  # fmt: skip


def receipt(entry: str, keeper: str) -> str:
    """The other office sent the receipt (回执). Raises RecordsError."""
    row = _open_entry(entry, "转出")
    return _log(str(row["person"]), "回执", {"from_party": row.get("to_party"), "to_party": "档案室", "carrier": keeper, "slip": row.get("slip"), "refers": entry})  # fmt: skip


def arrive(person: str, origin: str, slip: str, keeper: str, note: str) -> str:
    """A file comes in from elsewhere (转入); it is not accepted before its questions are answered. Raises RecordsError."""
    if not origin or not slip:
        raise RecordsError("转入要写明来源单位和转递单号")
    return _log(person, "转入", {"from_party": origin, "to_party": "档案室", "carrier": keeper, "slip": slip, "note": note})  # fmt: skip


def accept(entry: str, keeper: str) -> str:
    """It is accepted (接收): an audit of the stage 转入 has passed and nothing of it is open. Raises RecordsError."""
    from ganbu.records.dossier.audits import audits_of

    row = _open_entry(entry, "转入")
    person = str(row["person"])
    passed = [a for a in audits_of(person) if a.values.get("stage") == "转入"]
    if not passed or passed[0].values.get("conclusion") != "通过":
        raise RecordsError("核不准不放过、查不清不放过：转入环节的审核通过后才能接收")
    return _log(person, "接收", {"from_party": row.get("from_party"), "to_party": "档案室", "carrier": keeper, "slip": row.get("slip"), "refers": entry})  # fmt: skip


def _entry(person: str, kind: str, values: Row) -> Row:
    told = {k: v for k, v in values.items() if v not in (None, "")}
    return {"custody_id": f"custody-{uuid.uuid4().hex[:12]}", "person": person, "kind": kind, "date": today(), **told}  # fmt: skip


def _log(person: str, kind: str, values: Row) -> str:
    entry = _entry(person, kind, values)
    with writing("file", f"{kind}：{values.get('material') or values.get('to_party') or ''}") as act:
        act.add(register("custody"), [entry])
    return str(entry["custody_id"])


def _open_entry(identity: str, kind: str) -> Row:
    """An entry of that kind that nothing has answered yet."""
    model: Any = MODELS["custody"]
    known = register("custody")
    row = model.objects.filter(f_custody_id=identity, superseded_at__isnull=True).first()
    if row is None or row.f_kind != kind:
        raise RecordsError(f"没有这一条{kind}记录")
    if model.objects.filter(f_refers=identity, superseded_at__isnull=True).exists():
        raise RecordsError(f"这一条{kind}已经办过")
    return row_values(known, row)


def aging(people: QuerySet[Card], day: date, most: int = 500) -> list[tuple[str, Row, int]]:
    """Entries about some people that wait for an answer (积压): person, entry, days; the oldest first."""
    model: Any = MODELS["custody"]
    open_kinds = ("送档", "退回", "借阅", "转出", "转入")
    answered = model.objects.filter(superseded_at__isnull=True, f_refers__isnull=False).values("f_refers")
    rows = model.objects.filter(superseded_at__isnull=True, f_kind__in=open_kinds, f_person__in=people.order_by().values("pk")).exclude(f_custody_id__in=answered)  # fmt: skip
    known, found = register("custody"), []
    for row in rows.order_by("f_date")[:most]:
        values = row_values(known, row)
        found.append((str(values["person"]), values, (day - values["date"].first()).days))
    return found
