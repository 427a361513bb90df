"""The older 任免审批表 text format `.lrm` with its `.pic` photo (lrm 文本格式): 33 quoted fields, nothing escaped."""

from __future__ import annotations

import re
from dataclasses import replace

from ganbu.errors import FormatError
from ganbu.formats.form import FAMILY_FIELDS, FIELDS, AppointmentForm, FamilyMember, FormField, read_field, read_photo
from ganbu.formats.issues import Issue
from ganbu.formats.text import decode

FIELD_COUNT, SLOTS = 33, 7
MAX_BYTES = 2 * 1024 * 1024
_EDUCATION_AT, _SCHOOL_AT, _RESUME_AT, _FAMILY_AT = 9, 10, 17, 20
_PLACES = {
    "name": 0, "sex": 1, "birth_date": 2, "ethnic_group": 3, "native_place": 4, "party_joining": 5, "health": 6, "birth_place": 7, "work_start": 8,
    "professional_title": 11, "major": 16, "resume": 17, "awards": 18, "assessments": 19, "current_post": 25, "proposed_post": 26, "removed_post": 27,
    "reasons": 28, "reporting_unit": 29, "age_date": 30, "filled_by": 31, "filled_date": 32,
}  # fmt: skip
_BY_ATTRIBUTE = {spec.attribute: spec for spec in FIELDS}
_EDUCATION = ("full_time_education", "full_time_degree", "in_service_education", "in_service_degree")
_SCHOOLS = ("full_time_school", "full_time_degree_school", "in_service_school", "in_service_degree_school")
_DATE = re.compile(r"^\s*(\d{4}\D{0,2}\d{0,2}\D{0,2}\d{0,2}\D?)?\s*$")


def read_lrm(content: bytes, file: str, photo: bytes | None = None, max_bytes: int = MAX_BYTES) -> AppointmentForm:
    """Read one `.lrm` file (读取 lrm) and, if given, the photo beside it.

    Raises FormatError when it is too large or has nothing of the 33 quoted fields.
    """
    if len(content) > max_bytes:
        raise FormatError(f"{file}：文件 {len(content)} 字节，超过上限 {max_bytes} 字节")
    issues: list[Issue] = []
    text, encoding, lossless = decode(content)
    if not lossless:
        issues.append(Issue(file, "", "encoding.damaged", f"按 {encoding} 读取，有无法识别的字节，请核对文字"))
    parts = _parts(text.strip("\ufeff \r\n\t\x1a"), file, issues)
    form = AppointmentForm(issues=issues)
    for attribute, at in _PLACES.items():
        raw = "" if parts[at].strip() == '""' else parts[at]
        if attribute == "awards" and raw.strip() in ("(无)", "（无）"):
            raw = ""
        setattr(form, attribute, read_field(_BY_ATTRIBUTE[attribute], raw, file, issues))
    for attributes, at in ((_EDUCATION, _EDUCATION_AT), (_SCHOOLS, _SCHOOL_AT)):
        for attribute, raw in zip(attributes, _four(parts[at]), strict=True):
            setattr(form, attribute, read_field(_BY_ATTRIBUTE[attribute], raw, file, issues))
    form.family = _family(parts, file, issues)
    if photo:
        form.photo = read_photo(photo, file, issues)
    return form


def _parts(text: str, file: str, issues: list[Issue]) -> list[str]:
    if not text.startswith('"') or '","' not in text:
        raise FormatError(f"{file}：不是 lrm 文件，应是 33 个带引号、以逗号分隔的字段")
    body = text[1:-1] if text.endswith('"') else text[1:]
    if not text.endswith('"'):
        issues.append(Issue(file, "", "lrm.truncated", "文件末尾没有引号，可能不完整"))
    parts = body.split('","')
    if len(parts) == FIELD_COUNT:
        return parts
    if len(parts) < FIELD_COUNT:
        raise FormatError(f"{file}：只有 {len(parts)} 个字段，应有 {FIELD_COUNT} 个")
    return _rejoined(parts, file, issues)


def _rejoined(parts: list[str], file: str, issues: list[Issue]) -> list[str]:
    """A quote inside a value made too many fields: they are put together where the dates fit again."""
    extra = len(parts) - FIELD_COUNT
    for at in (_RESUME_AT, 16, 18, 28, 25, 4, 7):
        joined = [*parts[:at], '","'.join(parts[at : at + extra + 1]), *parts[at + extra + 1 :]]
        if all(_DATE.match(joined[place].strip('"')) for place in (2, 8, 30, 32)):
            issues.append(Issue(file, "", "lrm.rejoined", f"文件有 {len(parts)} 个字段，多出的 {extra} 个并入第 {at} 项，请核对"))
            return joined
    raise FormatError(f"{file}：有 {len(parts)} 个字段，应有 {FIELD_COUNT} 个，无法判断引号在哪一项里")


def _four(text: str) -> list[str]:
    halves = (text.split("@") + [""])[:2]
    return [piece for half in halves for piece in (half.split("#") + ["", ""])[:2]]


def _family(parts: list[str], file: str, issues: list[Issue]) -> list[FamilyMember]:
    columns = [parts[_FAMILY_AT + offset].split("@") for offset in range(5)]
    wanted = len(columns[0])
    if len(columns[4]) > wanted:
        columns[4] = _shifted(columns[4], columns[0], columns[1])
        issues.append(Issue(file, "家庭成员工作单位及职务", "lrm.family_shifted", "单位职务中原有逗号，已按称谓的个数并回，请核对", parts[_FAMILY_AT + 4]))
    members = []
    for slot in range(max(len(column) for column in columns)):
        values = [column[slot] if slot < len(column) else "" for column in columns]
        read = [read_field(spec, raw, file, issues) if raw.strip() else "" for spec, raw in zip(FAMILY_FIELDS, values, strict=True)]
        member = FamilyMember(*read)
        if not member.blank:
            members.append(member)
    return members


def _shifted(works: list[str], relations: list[str], names: list[str]) -> list[str]:
    """As many works as relations again: the surplus pieces go to the first ones, where they came from."""
    surplus = len(works) - len(relations)
    first = next((at for at, relation in enumerate(relations) if relation or names[at : at + 1]), 0)
    return [*works[:first], "，".join(works[first : first + surplus + 1]), *works[first + surplus + 1 :]]


def write_lrm(form: AppointmentForm, slots: int = SLOTS) -> tuple[bytes, bytes | None]:
    """The text file in GB18030 and the photo (写 lrm). Double quotes and `@` inside values become full-width."""
    fields = [""] * FIELD_COUNT
    for attribute, at in _PLACES.items():
        fields[at] = _safe(getattr(form, attribute))
    if not fields[_PLACES["awards"]]:
        fields[_PLACES["awards"]] = "(无)"
    for attributes, at in ((_EDUCATION, _EDUCATION_AT), (_SCHOOLS, _SCHOOL_AT)):
        one, two, three, four = (_safe(getattr(form, attribute)).replace("#", "＃").replace("@", "＠") for attribute in attributes)
        fields[at] = f"{one}#{two}@{three}#{four}"
    members = [member for member in form.family if not member.blank]
    padding = [FamilyMember()] * max(0, slots - len(members))
    for offset, spec in enumerate(FAMILY_FIELDS):
        fields[_FAMILY_AT + offset] = "@".join(_safe(getattr(member, spec.attribute)).replace("@", "＠") for member in (*members, *padding))
    text = ",".join(f'"{field}"' for field in fields)
    return text.encode("gb18030"), form.photo


def _safe(value: str) -> str:
    return value.replace('"', "”").replace("\r\n", "\n").replace("\n", "\r\n")


def without_id(form: AppointmentForm) -> AppointmentForm:
    """The form as `.lrm` can hold it: no identity number, no foreign elements."""
    return replace(form, id_number="", unknown=())


__all__ = ["FormField", "read_lrm", "without_id", "write_lrm"]
