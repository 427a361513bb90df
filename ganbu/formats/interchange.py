"""Between a 任免审批表 and the record (表与档案互转): rows of the registers from a form, and a form from rows.

Nothing is guessed: what could not be taken as it stood is an issue that names the field. `unit` in an appointment is
the post text as typed; the importer finds the unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from ganbu.dates import PartialDate
from ganbu.formats.form import FIELDS, AppointmentForm, FamilyMember
from ganbu.formats.grammars import (
    Assessment,
    read_assessments,
    read_awards,
    read_party_joining,
    write_assessments,
)
from ganbu.formats.issues import Issue
from ganbu.formats.resume import Resume, ResumeEntry, parse_resume
from ganbu.formats.resume_checks import check_resume
from ganbu.formats.resume_writer import write_resume
from ganbu.formats.text import digits, name_key, read_date
from ganbu.vocabulary import load_vocabulary

Row = dict[str, Any]
WITHOUT_PLACE = (
    "professional_title", "reasons", "reporting_unit", "age_date", "filled_date", "filled_by",
    "full_time_degree_school", "in_service_degree_school",
)  # fmt: skip
REGISTERS = ("person", "appointment", "education", "assessment", "award", "family")


def form_to_rows(
    form: AppointmentForm, file: str, today: date | None = None
) -> tuple[dict[str, list[Row]], list[Issue]]:
    """Rows by register, and what was not taken as it stood (表转档案)."""
    issues: list[Issue] = []
    key = person_key(form)
    if not form.name:
        issues.append(Issue(file, "姓名", "person.no_name", "没有姓名", severity="error"))
    birth, work = _day(form.birth_date), _day(form.work_start)
    joining = read_party_joining(form.party_joining, file)
    issues += joining.issues
    person: Row = {
        "person_id": key, "name": form.name, "sex": form.sex, "birth_date": birth, "ethnic_group": _code("ethnic_group", form.ethnic_group, "民族", file, issues),
        "native_place": form.native_place, "birth_place": form.birth_place, "political_status": joining.political_status or ("群众" if joining.none and form.party_joining else None),
        "party_date": joining.ccp, "work_start": work, "health": form.health, "major": form.major, "current_post_text": form.current_post,
        "proposed_post_text": form.proposed_post, "removed_post_text": form.removed_post, "resume": form.resume, "id_number": form.id_number,
    }  # fmt: skip
    if birth is None and form.birth_date:
        issues.append(
            Issue(
                file,
                "出生年月",
                "date.unreadable",
                "出生年月不能用作日期，未采用",
                form.birth_date,
                severity="error",
            )
        )
    resume = parse_resume(form.resume, file)
    issues += resume.issues
    degrees = [form.full_time_education, form.in_service_education]
    issues += check_resume(resume, file, birth, work, form.current_post, degrees, today=today)
    rows: dict[str, list[Row]] = {name: [] for name in REGISTERS}
    rows["person"].append(_clean(person))
    rows["appointment"] = _appointments(resume, key, file, issues)
    rows["education"] = _education(form, key, file, issues)
    found, remarks = read_assessments(form.assessments, file)
    issues += remarks
    for item in found:
        grade = _code("grade", item.grade, "年度考核结果", file, issues)
        rows["assessment"].append(
            {"assessment_id": f"{key}-{item.year}", "person": key, "year": item.year, "grade": grade}
        )
    awards, remarks = read_awards(form.awards, file)
    issues += remarks
    for at, award in enumerate(awards, 1):
        if award.sanction:
            issues.append(
                Issue(
                    file,
                    "奖惩情况",
                    "award.sanction",
                    "像是处分，不自动登记，请由监督部门核对录入",
                    award.raw,
                )
            )
            continue
        rows["award"].append(
            _clean(
                {
                    "award_id": f"{key}-J{at}",
                    "person": key,
                    "name": award.name,
                    "body": award.authority,
                    "date": award.date,
                }
            )
        )
    for at, member in enumerate(form.family, 1):
        relation = _relation(member.relation, form.sex, file, issues)
        rows["family"].append(_clean({
            "family_id": f"{key}-F{at}", "person": key, "relation": relation, "name": member.name, "birth_date": _day(member.birth_date),
            "political_status": member.political_status, "work": member.work,
        }))  # fmt: skip
    issues += _without_place(form, file)
    return rows, issues


def _relation(written: str, sex: str, file: str, issues: list[Issue]) -> str | None:
    """The relation as a code; 爱人 is a husband or a wife, which the sex of the person decides."""
    if written in ("爱人", "配偶"):
        spouse = {"男": "妻子", "女": "丈夫"}.get(sex)
        if spouse is None:
            issues.append(
                Issue(
                    file,
                    "家庭成员称谓",
                    "code.unknown",
                    f"“{written}”要知道本人性别才能登记，未采用",
                    written,
                )
            )
            return None
        issues.append(
            Issue(
                file,
                "家庭成员称谓",
                "code.normalised",
                f"“{written}”按“{spouse}”登记",
                written,
                spouse,
                "note",
            )
        )
        return spouse
    return _code("kinship", written, "家庭成员称谓", file, issues)


def _without_place(form: AppointmentForm, file: str) -> list[Issue]:
    """Parts of a form that no register holds: they stay in the file only, and that is said."""
    told = [
        field.label for field in FIELDS if field.attribute in WITHOUT_PLACE and getattr(form, field.attribute)
    ]
    if form.photo:
        told.append("照片")
    if form.unknown:
        told.append("表外元素")
    if not told:
        return []
    return [
        Issue(file, "、".join(told), "form.no_place", "档案中没有登记处，只保留在原文件里", severity="note")
    ]


def person_key(form: AppointmentForm) -> str:
    """A working identity of the person (人员编号): name and month of birth; the importer decides on the real one."""
    return f"{name_key(form.name)}-{form.birth_date[:6]}"


def _day(text: str) -> PartialDate | None:
    return read_date(text)[0]


def _clean(row: Row) -> Row:
    return {key: value for key, value in row.items() if value not in (None, "")}


def _code(table: str, text: str, label: str, file: str, issues: list[Issue]) -> str | None:
    """The canonical word, or nothing and an issue when the table does not know it."""
    if not text:
        return None
    codes = load_vocabulary().codes[table]
    found = codes.canonical(text) or codes.canonical(text + "族" if table == "ethnic_group" else text)
    if found is None:
        if codes.closed:
            issues.append(
                Issue(file, label, "code.unknown", f"“{text}”不在代码表“{codes.label}”中，未采用", text)
            )
            return None
        return text
    if found != text:
        issues.append(Issue(file, label, "code.normalised", f"“{text}”按“{found}”登记", text, found, "note"))
    return found


def _appointments(resume: Resume, key: str, file: str, issues: list[Issue]) -> list[Row]:
    rows = []
    for at, entry in enumerate(resume.entries, 1):
        if entry.kind == "study":
            continue
        if entry.end is None and not entry.open:
            # Without an end it would count as held today: a post that ended on an unknown day is not registered.
            issues.append(
                Issue(
                    file,
                    "简历",
                    "appointment.no_end",
                    "止时间读不出，又不是至今，这段任职未登记",
                    entry.text,
                    severity="error",
                )
            )
            continue
        row = {
            "appointment_id": f"{key}-A{at}",
            "person": key,
            "unit": entry.text,
            "title": entry.text,
            "start_date": entry.start,
            "end_date": entry.end,
            "main": True,
            "nature": "任职",
        }
        rows.append(_clean(row))
    return rows


def _education(form: AppointmentForm, key: str, file: str, issues: list[Issue]) -> list[Row]:
    rows = []
    for at, (mode, level, degree, school) in enumerate((
        ("全日制", form.full_time_education, form.full_time_degree, form.full_time_school or form.full_time_degree_school),
        ("在职", form.in_service_education, form.in_service_degree, form.in_service_school or form.in_service_degree_school),
    ), 1):  # fmt: skip
        if level or degree:
            found = _code("education_level", level, f"{mode}学历", file, issues)
            rows.append(
                _clean(
                    {
                        "education_id": f"{key}-E{at}",
                        "person": key,
                        "mode": mode,
                        "level": found,
                        "degree": degree,
                        "school": school,
                    }
                )
            )
    return rows


def rows_to_form(
    person: Row, rows: Mapping[str, Iterable[Row]], unit_names: Mapping[str, str]
) -> AppointmentForm:
    """A form for one person (档案转表): `rows` are that person's rows, dates as PartialDate or date."""
    form = AppointmentForm(
        name=str(person.get("name", "")), sex=str(person.get("sex") or ""), birth_date=_digits(person.get("birth_date"), 6), ethnic_group=str(person.get("ethnic_group") or ""),
        native_place=str(person.get("native_place") or ""), birth_place=str(person.get("birth_place") or ""), work_start=_digits(person.get("work_start"), 6),
        health=str(person.get("health") or ""), major=str(person.get("major") or ""), current_post=str(person.get("current_post_text") or ""), id_number=str(person.get("id_number") or ""),
        proposed_post=str(person.get("proposed_post_text") or ""), removed_post=str(person.get("removed_post_text") or ""),
    )  # fmt: skip
    status = str(person.get("political_status") or "")
    joined = _digits(person.get("party_date"), 6)
    other = status if status not in ("中共党员", "群众", "") else ""
    form.party_joining = "；".join(part for part in (joined, other) if part)
    form.resume = str(person.get("resume") or "") or _resume(
        list(rows.get("appointment", ())), list(rows.get("education", ())), unit_names
    )
    for row in rows.get("education", ()):
        kind = "full_time" if row.get("mode") == "全日制" else "in_service"
        if not getattr(form, f"{kind}_education"):
            setattr(form, f"{kind}_education", str(row.get("level") or ""))
            setattr(form, f"{kind}_degree", str(row.get("degree") or ""))
            setattr(
                form,
                f"{kind}_school",
                str(row.get("school") or "")
                + str(row.get("major") or "")
                + ("专业" if row.get("major") else ""),
            )
    graded = sorted(
        (row for row in rows.get("assessment", ()) if row.get("grade")), key=lambda row: int(row["year"])
    )
    form.assessments = (
        write_assessments([Assessment(int(row["year"]), str(row["grade"])) for row in graded], 3)
        if graded
        else ""
    )
    awards = [row for row in rows.get("award", ()) if row.get("date")]
    form.awards = "；".join(_award_text(row) for row in awards) + "。" if awards else ""
    form.family = [
        FamilyMember(
            str(row.get("relation") or ""),
            str(row.get("name") or ""),
            _digits(row.get("birth_date"), 6),
            str(row.get("political_status") or ""),
            str(row.get("work") or ""),
        )
        for row in rows.get("family", ())
    ]
    return form


def _award_text(row: Row) -> str:
    body = f"经{row['body']}批准，" if row.get("body") else ""
    return f"{_dotted(row['date'])}，{body}{row.get('name') or ''}"


def _partial(value: Any) -> PartialDate | None:
    if value is None or isinstance(value, PartialDate):
        return value
    if isinstance(value, date):
        return PartialDate(value.year, value.month, value.day)
    return PartialDate.parse(str(value))


def _digits(value: Any, length: int) -> str:
    day = _partial(value)
    return "" if day is None else digits(day)[:length]


def _dotted(value: Any) -> str:
    day = _partial(value)
    return "" if day is None else f"{day.year}.{day.month:02}" if day.month else str(day.year)


def _monthly(value: Any) -> PartialDate | None:
    day = _partial(value)
    return None if day is None else PartialDate(day.year, day.month)


def _resume(appointments: list[Row], studies: list[Row], unit_names: Mapping[str, str]) -> str:
    entries = []
    for row in studies:
        start, end = _monthly(row.get("start_date")), _monthly(row.get("end_date"))
        if start and end and row.get("mode") == "全日制":
            entries.append(
                ResumeEntry(
                    start, end, f"{row.get('school') or ''}{row.get('major') or ''}专业学习", kind="study"
                )
            )
    for row in appointments:
        start = _monthly(row.get("start_date"))
        if start is None or row.get("main") is False:
            continue
        unit = unit_names.get(str(row.get("unit") or ""), "")
        title = str(row.get("title") or "")
        end = _monthly(row.get("end_date"))
        entries.append(
            ResumeEntry(start, end, title if title.startswith(unit) else unit + title, open=end is None)
        )
    entries.sort(key=lambda entry: (entry.open, entry.start))
    # In a form lines end with LF; the writers of files put CRLF.
    return write_resume(Resume(tuple(entries))).replace("\r\n", "\n").strip("\n")
