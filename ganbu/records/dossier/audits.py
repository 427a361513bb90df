"""The audit of a file before an appointment (任前档案审核): rounds of signed reviews, each by other people, then a conclusion.

Everything is a row of the record: `file_audit` the audit, `file_review` what each reviewer signed for each element,
`file_issue` what is doubtful, `file_element` how an element stands, `effect` what holds because of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from ganbu.access.models import Account
from ganbu.dates import PartialDate, add_months
from ganbu.engine.record_files import plain_text
from ganbu.errors import RecordsError
from ganbu.records import queries
from ganbu.records.dossier.rules import Element, Round, Route, rules
from ganbu.records.models import MODELS
from ganbu.records.queries import Held
from ganbu.records.writing import Writing, current_row, row_values, writing
from ganbu.vocabulary import Register, load_vocabulary

Row = dict[str, Any]
# What reopens a question that an audit had settled (审后新增): rows of these registers recorded after it.
READ = ("file_audit", "file_review", "file_issue", "effect")  # what an audit is told by
WATCHED = ("person", "appointment", "rank", "education", "assessment", "award", "sanction", "family", "kin", "report_check", "material")  # fmt: skip
SAME, NONE, MISSING, DETERMINED = "一致", "不适用", "缺失", "已认定"
SIGNED, REFUSED = "已签字", "拒不签字"
STRICT = ("不适用", "一致", "已认定", "缺失", "存疑", "造假")


def register(name: str) -> Register:
    """A core register."""
    return load_vocabulary().registers[name]


@dataclass(frozen=True)
class Line:
    """What one reviewer says of one element (一项审核意见)."""

    result: str
    found: str = ""
    material: str = ""
    page: str = ""
    note: str = ""


@dataclass
class Audit:
    """An audit as it stands (审核件): its row, who signed each round, what they said, and what came of it."""

    identity: str
    person: str
    row: int
    values: Row
    signatures: dict[int, list[str]] = field(default_factory=dict)
    reviews: list[Held] = field(default_factory=list)
    issues: list[Held] = field(default_factory=list)
    holds: list[Held] = field(default_factory=list)

    @property
    def scheme(self) -> tuple[Round, ...]:
        """The rounds; a scheme that the rules no longer have keeps as many as were signed."""
        known = rules().schemes.get(str(self.values.get("scheme")))
        return known or tuple(Round(str(n), len(self.signatures[n])) for n in sorted(self.signatures))

    def note_signature(self, number: Any, who: Any) -> None:
        """Somebody signed a round; a reviewer signs all its elements at once."""
        names = self.signatures.setdefault(int(number), [])
        if who not in names:
            names.append(str(who))

    def signed_by(self, who: str) -> bool:
        """Whether somebody signed a round."""
        return any(who in names for names in self.signatures.values())

    @property
    def table(self) -> list[tuple[Round, list[str]]]:
        """The rounds, with who signed each."""
        return [(one, self.signatures.get(number, [])) for number, one in enumerate(self.scheme, 1)]

    @property
    def refused(self) -> bool:
        """Whether the person refused to sign."""
        return self.values.get("signed") == REFUSED

    @property
    def due(self) -> int:
        """The round that is due, from 1; 0 when all are signed or the audit is closed."""
        if self.values.get("closed_on"):
            return 0
        for number, one in enumerate(self.scheme, 1):
            if len(self.signatures.get(number, ())) < one.reviewers:
                return number
        return 0

    @property
    def due_round(self) -> Round | None:
        """The round that is due."""
        return self.scheme[self.due - 1] if self.due else None

    @cached_property
    def by_element(self) -> dict[str, list[Held]]:
        """The reviews of each element, in order."""
        found: dict[str, list[Held]] = {name: [] for name in rules().elements}
        for review in self.reviews:
            found.setdefault(str(review.values["element"]), []).append(review)
        return found

    @property
    def standing(self) -> dict[str, Held]:
        """The review that counts for each element: the strictest of the last round signed."""
        last = max(self.signatures, default=0)
        counted: dict[str, Held] = {}
        for review in self.reviews:
            name = str(review.values["element"])
            if review.values["round"] == last and (
                name not in counted or _rank(counted[name]) < _rank(review)
            ):
                counted[name] = review
        return counted


def _rank(review: Held) -> tuple[int, int]:
    return strictness(str(review.values["element"]), str(review.values["result"]))


def strictness(element: str, result: str) -> tuple[int, int]:
    """How strict a result is: by what it does to the selection, then by how grave it is."""
    route = rules().route(element, result)
    order = load_vocabulary().codes["file_conclusion"].order
    return order.index(route.outcome if route else order[0]), STRICT.index(result)


def audits_of(person: str) -> list[Audit]:
    """The audits of a person, the newest first."""
    return audits_among(person, queries.known(queries.held(person, registers=list(READ))))


def audits_among(person: str, rows: Mapping[str, list[Held]]) -> list[Audit]:
    """The same from rows already read."""
    found = [Audit(r.identity, person, r.row, r.values) for r in rows.get("file_audit", ())]
    for audit in found:
        audit.reviews = [r for r in rows.get("file_review", ()) if r.values.get("audit") == audit.identity]
        audit.issues = [r for r in rows.get("file_issue", ()) if r.values.get("audit") == audit.identity]
        for one in audit.reviews:
            audit.note_signature(one.values["round"], one.values["reviewer"])
        own = {f"hold-{audit.identity}", *(f"hold-{issue.identity}" for issue in audit.issues)}
        audit.holds = [r for r in rows.get("effect", ()) if r.identity in own]
    return sorted(found, key=lambda a: (a.values["opened_on"], a.row), reverse=True)


def audit_of(identity: str) -> Audit | None:
    """An audit by its identity."""
    row = current_row(register("file_audit"), identity)
    if row is None:
        return None
    return next((a for a in audits_of(row.f_person) if a.identity == identity), None)


def with_signatures(rows: Iterable[Any]) -> list[Audit]:
    """Audits for a list, in two statements: which round is due, without what was said."""
    known, model = register("file_audit"), MODELS["file_review"]
    found = [Audit(str(r.f_file_audit_id), str(r.f_person), r.row, row_values(known, r)) for r in rows]
    by = {audit.identity: audit for audit in found}
    signed: Any = model.objects.filter(superseded_at__isnull=True, f_audit__in=list(by)).order_by("row")  # type: ignore[attr-defined]
    for audit, number, who in signed.values_list("f_audit", "f_round", "f_reviewer"):
        by[audit].note_signature(number, who)
    return found


# -- opening ------------------------------------------------------------------------------------------------------


def since(person: str, moment: datetime) -> dict[str, list[Held]]:
    """What was recorded about a person after a moment that an audit would have to look at (审后新增)."""
    rows = queries.known(queries.held(person, registers=list(WATCHED)))
    found = {name: [r for r in of if r.recorded_at > moment] for name, of in rows.items()}
    return {name: of for name, of in found.items() if of and name in WATCHED}


def reusable(person: str) -> Audit | None:
    """The last audit that passed, when nothing came in since; it may be used again (沿用)."""
    for audit in audits_of(person):
        if audit.values.get("conclusion") == "通过" and not audit.values.get("reused"):
            closed = MODELS["file_audit"].objects.get(row=audit.row)  # type: ignore[attr-defined]
            return None if since(person, closed.recorded_at) else audit
    return None


def open_audit(
    person: str, scheme: str, stage: str, matter: str, target: str = "", unit_conclusion: str = "", reuse: bool = False
) -> str:  # fmt: skip
    """Begin an audit; its identity. Raises RecordsError for a second one of the same matter and stage."""
    if scheme not in rules().schemes:
        raise RecordsError(f"没有审核办法“{scheme}”，可用：{'、'.join(rules().schemes)}")
    if not matter or not stage:
        raise RecordsError("请写明审核事由和环节")
    with writing("file", f"任前审核：{matter}") as act:
        _lock_person(person)
        for other in audits_of(person):
            if other.values.get("matter") == matter and other.values.get("stage") == stage:
                raise RecordsError(f"“{matter}”的{stage}环节已有审核件 {other.identity}")
        identity = f"SH{date.today():%y%m%d}{uuid.uuid4().hex[:6]}"
        row: Row = {
            "file_audit_id": identity, "person": person, "scheme": scheme, "stage": stage, "matter": matter,
            "target": target, "unit_conclusion": unit_conclusion, "opened_on": today(),
        }  # fmt: skip
        if reuse:
            earlier = reusable(person)
            if earlier is None:
                raise RecordsError("没有可以沿用的审核：还没有通过的，或审结之后档案有新内容")
            row |= {"closed_on": today(), "conclusion": "通过", "reused": earlier.identity}
            row |= {name: earlier.values.get(name) for name in ("signed", "signed_on")}
        act.add(register("file_audit"), [row])
    return identity


def _lock_person(person: str) -> None:
    """One act at a time upon the file of a person; SQLite has one writer anyway."""
    model: Any = MODELS["person"]
    list(
        model.objects.select_for_update().filter(f_person_id=person, superseded_at__isnull=True).values("row")
    )


def today() -> PartialDate:
    """Today."""
    return partial(date.today())


def partial(day: date) -> PartialDate:
    """A day as the record keeps it."""
    return PartialDate(day.year, day.month, day.day)


# -- reviewing ----------------------------------------------------------------------------------------------------


def declared(person: str) -> dict[str, str]:
    """What the record says of each element (填报内容), as text."""
    rows = queries.known(queries.held(person))
    about = next((r.values for r in rows.get("person", ())), {})
    told = {e.name: plain_text(about[e.field]) for e in rules().elements.values() if about.get(e.field)}
    studies = [f"{r.values.get('school') or ''}{r.values.get('level') or ''}" for r in rows.get("education", ())]  # fmt: skip
    told["学历"] = "；".join(filter(None, studies))
    told["经历"] = f"任职 {len(rows.get('appointment', ()))} 条；简历 {len(str(about.get('resume') or '').splitlines())} 段"  # fmt: skip
    told["家庭成员"] = f"{len(rows.get('family', ()))} 人"
    years = [f"{r.values.get('year')} {r.values.get('grade') or ''}" for r in rows.get("assessment", ())]
    told["年度考核"] = "、".join(years[-5:])
    told["处分影响期"] = "；".join(
        f"{r.values.get('kind') or ''} {plain_text(r.values['date']) if r.values.get('date') else ''} 影响期 {r.values.get('months') or 0} 个月"
        for r in rows.get("sanction", ())
    ) or "无"  # fmt: skip
    return told


def recusal(person: str, account: Account) -> str:
    """Why an account may not review the file of a person (回避); empty when it may."""
    grounds = rules().recuse
    if "self" in grounds and account.person == person:
        return "本人"
    rows = queries.known(queries.held(person, registers=["kin", "family", "custody"]))
    if "kin" in grounds and account.person:
        model: Any = MODELS["kin"]
        back = model.objects.filter(f_person=account.person, f_relative=person, superseded_at__isnull=True)
        if back.exists() or any(r.values.get("relative") == account.person for r in rows.get("kin", ())):
            return "亲属关系"
    if "family" in grounds and any(r.values.get("name") == account.name for r in rows.get("family", ())):
        return "与其家庭成员同名，须先排除亲属关系"
    if "filer" in grounds and any(
        r.values.get("kind") == "归档" and r.values.get("carrier") == account.name for r in rows.get("custody", ())
    ):  # fmt: skip
        return "经手归档过其材料"
    return ""


def review(identity: str, account: Account, lines: Mapping[str, Line]) -> Audit:
    """Sign the round that is due (签署本轮意见); the last signature closes the audit.

    Raises RecordsError, naming the element, when something is missing or contradicts itself, or the reviewer may not.
    """
    audit = audit_of(identity)
    if audit is None:
        raise RecordsError(f"没有审核件 {identity}")
    with writing("file", f"签署审核意见 {identity}") as act:
        _lock_person(audit.person)
        audit = audit_of(identity)
        assert audit is not None
        number, who = audit.due, str(account)
        if not number:
            raise RecordsError("各轮都已签署，不再收意见")
        if why := recusal(audit.person, account):
            raise RecordsError(f"应当回避：{why}")
        if audit.signed_by(who):
            raise RecordsError("一人只能签一轮，初审和复审不得是同一人")
        told = declared(audit.person)
        told["任职资格"] = str(audit.values.get("target") or "")
        problems = [f"{e.name}：{p}" for e in rules().elements.values() for p in problems_of(e, lines.get(e.name), told, audit)]  # fmt: skip
        if problems:
            raise RecordsError("\n".join(problems))
        act.add(
            register("file_review"),
            [
                {
                    "file_review_id": f"{identity}-{number}-{len(audit.signatures.get(number, ())) + 1}-{at}", "person": audit.person,
                    "audit": identity, "round": number, "reviewer": who, "element": name, "declared": told.get(name) or None,
                    "found": line.found or None, "material": line.material or None, "page": line.page or None,
                    "result": line.result, "date": today(), "note": line.note or None,
                }
                for at, (name, line) in enumerate(lines.items(), 1)
                if name in rules().elements
            ],
        )  # fmt: skip
        audit = audit_of(identity)
        assert audit is not None
        if not audit.due:
            _close(act, audit)
    found = audit_of(identity)
    assert found is not None
    return found


def problems_of(element: Element, line: Line | None, told: Mapping[str, str], audit: Audit) -> list[str]:
    """What is missing or contradicts itself in one line."""
    names = load_vocabulary().codes["file_result"].names()
    if line is None or not line.result:
        return ["还没有结论"]
    if line.result not in names or line.result == DETERMINED:
        return [f"结论应为{'、'.join(n for n in names if n != DETERMINED)}之一"]
    problems = []
    party = element.field == "party_date" and not told.get(element.name)
    if line.result == NONE and element.must and not party:
        problems.append("这一项必审，不能填“不适用”")
    if line.result == SAME:
        if not (line.found and line.material and line.page):
            problems.append("一致的，要写明档案记载、依据材料和页码")
        elif element.dated and not _agree(line.found, told.get(element.name, "")):
            problems.append(f"档案记载 {line.found} 与填报 {told.get(element.name) or '（空）'} 不同，不能定为一致；不要改材料，请选存疑")  # fmt: skip
    elif line.result != NONE and not line.note:
        problems.append("请说明问题" if line.result != MISSING else "请说明缺少什么材料")
    if element.dated and line.found:
        try:
            PartialDate.parse(line.found)
        except ValueError as error:
            problems.append(str(error))
    before = [r for r in audit.by_element.get(element.name, ()) if r.values["round"] < audit.due]
    if before and line.result != NONE and max(map(_rank, before)) > strictness(element.name, line.result) and not line.note:  # fmt: skip
        problems.append("结论比前几轮宽，请说明理由")
    return problems


def _agree(one: str, other: str) -> bool:
    """Whether two dates agree as far as both are known."""
    try:
        a, b = PartialDate.parse(one), PartialDate.parse(other)
    except ValueError:
        return False
    return a.first() <= b.last() and b.first() <= a.last()


def _close(act: Writing, audit: Audit) -> None:
    """Draw the conclusion (审结): elements, issues and what they hold; the strictest outcome wins."""
    order = load_vocabulary().codes["file_conclusion"].order
    outcome, routes = "通过", []
    standing = audit.standing
    for name, counted in standing.items():
        route = rules().route(name, str(counted.values["result"]))
        if route is not None:
            routes.append((name, counted, route))
            outcome = max(outcome, route.outcome, key=order.index)
    act.correct(
        register("file_audit"), audit.identity, {"closed_on": today(), "conclusion": outcome}, audit.row
    )
    act.add(
        register("file_element"),
        [
            {
                "file_element_id": f"{audit.identity}-{name}", "person": audit.person, "element": name, "date": today(),
                "value": counted.values.get("found") or counted.values.get("declared"), "result": counted.values["result"],
            }
            for name, counted in standing.items()
            if counted.values["result"] != NONE
        ],
    )  # fmt: skip
    for name, counted, route in routes:
        open_issue(act, audit, name, route, str(counted.values.get("note") or ""))


def open_issue(act: Writing, audit: Audit, element: str, route: Route, ground: str) -> None:
    """Open an issue and what holds until it is cleared (立档案问题)."""
    issue = f"DW{date.today():%y%m%d}{uuid.uuid4().hex[:6]}"
    due = date.today() + timedelta(days=route.days)
    act.add(
        register("file_issue"),
        [
            {
                "file_issue_id": issue, "person": audit.person, "audit": audit.identity, "element": element,
                "category": route.category, "ground": ground or None, "owner": route.owner, "opened_on": today(),
                "due_on": partial(due),
                "review_on": _months_on(date.today(), route.review_months),
            }
        ],
    )  # fmt: skip
    hold(act, issue, audit.person, route.effect, f"档案问题：{element} {route.category}")


def _months_on(day: date, months: int) -> PartialDate | None:
    later = add_months(day, months)
    return partial(later) if months else None


def hold(act: Writing, by: str, person: str, kind: str, ground: str) -> None:
    """An issue or a refusal has an effect on the selection (效力)."""
    identity = f"hold-{by}"
    if current_row(register("effect"), identity) is None:
        row = {"effect_id": identity, "person": person, "kind": kind, "start_date": today(), "ground": ground}
        act.add(register("effect"), [row])
    else:
        act.correct(register("effect"), identity, {"released_on": None, "ground": ground})


def release(act: Writing, by: str) -> None:
    """That effect ends today (解除效力)."""
    row = current_row(register("effect"), f"hold-{by}")
    if row is not None and row.f_released_on is None:
        act.correct(register("effect"), f"hold-{by}", {"released_on": today()})


# -- the person's confirmation --------------------------------------------------------------------------------------


def sign(identity: str, signed: bool, element: str = "", proof: str = "") -> None:
    """The person signs the confirmation form, or refuses (本人确认); refusing suspends, with proof it opens an issue.

    Raises RecordsError while the audit is open.
    """
    with writing("file", f"本人确认 {identity}") as act:
        audit = audit_of(identity)
        if audit is None or not audit.values.get("conclusion"):
            raise RecordsError("审结之后才由本人确认")
        _lock_person(audit.person)
        told: Row = {
            "signed": SIGNED if signed else REFUSED,
            "signed_on": today(),
            "proof": proof or None,
        }
        if signed:
            release(act, identity)
        else:
            route = rules().refusal
            if proof and element not in rules().elements:
                raise RecordsError("有举证的，请选择对哪一项要素有异议")
            hold(act, identity, audit.person, route.effect, "本人拒不在干部基本信息审核确认表上签字")
            if proof:
                if any(i.values.get("element") == element and not i.values.get("closed_on") for i in audit.issues):  # fmt: skip
                    raise RecordsError(f"{element}已有未办结的档案问题，举证请并入其中")
                open_issue(act, audit, element, route, f"本人举证：{proof}")
        told["conclusion"] = stands(audit, not signed)
        act.correct(register("file_audit"), identity, told, audit.row)


def stands(audit: Audit, refused: bool) -> str:
    """The conclusion of an audit from what is still open."""
    order = load_vocabulary().codes["file_conclusion"].order
    outcome = rules().refusal.outcome if refused else "通过"
    for issue in audit.issues:
        if is_cleared(str(issue.values.get("conclusion") or "")):
            continue
        outcome = max(outcome, outcome_of(issue), key=order.index)
    return outcome


def outcome_of(issue: Held) -> str:
    """What an issue does to the selection as long as it is not cleared."""
    known = (*rules().routing, rules().refusal)
    category = issue.values.get("category")
    return next((r.outcome for r in known if r.category == category), rules().refusal.outcome)


def is_cleared(conclusion: str) -> bool:
    """Whether a conclusion on an issue takes its effect away."""
    settled = rules().settled.get(conclusion)
    return settled is not None and settled.release
