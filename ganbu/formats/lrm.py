"""The older 任免审批表 text file `.lrm` with its photo `.pic` (旧版任免审批表): 33 quoted fields, no escaping.

The format holds no 身份证号, no editor version and no foreign elements; `lrm_losses` tells what a form would lose.
"""

from __future__ import annotations

import re
from itertools import zip_longest

from ganbu.errors import FormatError
from ganbu.formats.form import (
    FAMILY_FIELDS,
    FAMILY_LABEL,
    FIELDS,
    AppointmentForm,
    FamilyMember,
    FormField,
    read_field,
    read_photo,
)
from ganbu.formats.grammars import PARTY_JOINED, states_no_awards
from ganbu.formats.issues import Issue
from ganbu.formats.lrm_repair import FIELD_COUNT, MOST_EXTRA_PARTS, MOST_SLOTS, regroup_fields, rejoin_units
from ganbu.formats.text import decode, legal

MAX_BYTES = 4 * 1024 * 1024
FAMILY_SLOTS = 7

_SEPARATOR = '","'
_LOOSE_SEPARATOR = re.compile(r'"\s*,\s*"')
_FILE_EDGE = " \t\r\n\0\x1a\u3000\ufeff"  # 0x1A: the end mark of DOS editors
_EMPTY_QUOTES = '""'
_NO_AWARDS, _NO_AWARDS_IN_LRM = "无", "(无)"
_BRACKETS = str.maketrans("", "", "()（）")
_EDUCATION_INDEX, _SCHOOL_INDEX, _FAMILY_INDEX = 9, 10, 20

_BY_ATTRIBUTE = {spec.attribute: spec for spec in FIELDS}
_PLACES = {
    0: "name",
    1: "sex",
    2: "birth_date",
    3: "ethnic_group",
    4: "native_place",
    5: "party_joining",
    6: "health",
    7: "birth_place",
    8: "work_start",
    11: "professional_title",
    16: "major",
    17: "resume",
    18: "awards",
    19: "assessments",
    25: "current_post",
    26: "proposed_post",
    27: "removed_post",
    28: "reasons",
    29: "reporting_unit",
    30: "age_date",
    31: "filled_by",
    32: "filled_date",
}
_EDUCATION_PLACES = {
    _EDUCATION_INDEX: (
        ("full_time_education", "full_time_degree"),
        ("in_service_education", "in_service_degree"),
    ),
    _SCHOOL_INDEX: (
        ("full_time_school", "full_time_degree_school"),
        ("in_service_school", "in_service_degree_school"),
    ),
}
_NOT_HELD = ("id_number", "version")


def read_lrm(
    content: bytes, file: str, photo: bytes | None = None, max_bytes: int = MAX_BYTES
) -> AppointmentForm:
    """Read one `.lrm` file (读取 lrm) with the bytes of the `.pic` beside it; `file` is its name in messages.

    Raises FormatError when it is too large, or not 33 quoted fields and not to be mended into them.
    """
    if len(content) > max_bytes:
        raise FormatError(f"{file}：文件 {len(content)} 字节，超过上限 {max_bytes} 字节")
    form = AppointmentForm()
    text, encoding, sound = decode(content)
    if not sound:
        message = f"有不合 {encoding} 编码的字节，已以“\ufffd”代替"
        form.issues.append(Issue(file, "文件", "encoding.damaged", message, severity="error"))
    fields = _split(text, file, form.issues)
    for index, attribute in _PLACES.items():
        setattr(form, attribute, _value(_BY_ATTRIBUTE[attribute], fields[index], file, form.issues))
    if form.awards == _NO_AWARDS_IN_LRM:
        form.awards = _NO_AWARDS
    for index, halves in _EDUCATION_PLACES.items():
        _take_education(form, fields[index], halves, file)
    form.family = _read_family(fields[_FAMILY_INDEX : _FAMILY_INDEX + 5], file, form.issues)
    for index in range(12, 16):
        if fields[index].strip():
            message = f"第 {index + 1} 个字段应为空，未采用"
            form.issues.append(
                Issue(file, "文件", "lrm.unknown_field", message, fields[index], severity="error")
            )
    form.photo = read_photo(photo, file, form.issues) if photo else None
    return form


def _split(text: str, file: str, issues: list[Issue]) -> list[str]:
    record = text.strip(_FILE_EDGE)
    if len(record) < 2 or not record.startswith('"') or not record.endswith('"'):
        raise FormatError(
            f"{file}：不是任免审批表 lrm 文件，应为 {FIELD_COUNT} 个以英文双引号括起、逗号分隔的字段"
        )
    parts = record[1:-1].split(_SEPARATOR)
    if len(parts) < FIELD_COUNT:
        parts = _LOOSE_SEPARATOR.split(record[1:-1])
    if len(parts) == FIELD_COUNT:
        return parts
    if not FIELD_COUNT < len(parts) <= FIELD_COUNT + MOST_EXTRA_PARTS:
        raise FormatError(f"{file}：有 {len(parts)} 个字段，应为 {FIELD_COUNT} 个，文件可能不完整")
    message = f"有 {len(parts)} 个字段，应为 {FIELD_COUNT} 个：内容中有英文引号，已按日期等字段的位置重新拼接，请核对"
    issues.append(Issue(file, "文件", "lrm.fields_rejoined", message))
    return [_SEPARATOR.join(group) for group in regroup_fields(parts)]


def _value(spec: FormField, raw: str, file: str, issues: list[Issue]) -> str:
    return "" if raw.strip() == _EMPTY_QUOTES else read_field(spec, raw, file, issues)


def _take_education(form: AppointmentForm, raw: str, halves: tuple[tuple[str, str], ...], file: str) -> None:
    """`全日制学历#学位@在职学历#学位`: a mark too many stays in the last value it could belong to."""
    kinds = raw.split("@", 1)
    parts = [part for kind in kinds for part in ([*kind.split("#", 1), ""])[:2]]
    if any("#" in part or "@" in part for part in parts):
        label = _BY_ATTRIBUTE[halves[0][0]].label
        form.issues.append(
            Issue(file, label, "lrm.education_marks", "学历字段中的“#”“@”多于应有，请核对", raw)
        )
    for attribute, part in zip((name for half in halves for name in half), parts, strict=False):
        setattr(form, attribute, _value(_BY_ATTRIBUTE[attribute], part, file, form.issues))


def _read_family(raw_lists: list[str], file: str, issues: list[Issue]) -> list[FamilyMember]:
    """The family from five parallel lists (家庭成员): one slot for each relative in each list, joined by `@`."""
    lists = [_slots(raw) for raw in raw_lists]
    if max(map(len, lists)) > MOST_SLOTS:
        message = f"家庭成员超过 {MOST_SLOTS} 栏，不像任免审批表，未采用，请核对家庭成员后手工录入"
        raw = "；".join(raw_lists)[:2000]
        issues.append(Issue(file, FAMILY_LABEL, "family.too_long", message, raw, severity="error"))
        return []
    relations, names, *_, units = lists
    if len(units) > len(relations):
        lists[-1] = _rejoined(raw_lists[-1], relations, names, units, file, issues)
    if len({len(slots) for slots in lists}) > 1:
        message = "家庭成员各栏的个数不一致，缺少的按空读取，请核对"
        issues.append(Issue(file, FAMILY_LABEL, "family.lists_differ", message, "；".join(raw_lists)))
    if _filled(lists[-1]) > max(map(_filled, lists[:-1])):
        message = "有的单位及职务没有对应的家庭成员，请核对"
        issues.append(Issue(file, FAMILY_LABEL, "family.unit_without_person", message, raw_lists[-1]))
    rows = zip_longest(*lists, fillvalue="")
    members = [
        _member([_value(spec, raw, file, issues) for spec, raw in zip(FAMILY_FIELDS, row, strict=True)])
        for row in rows
    ]
    return [member for member in members if not member.blank]


def _member(values: list[str]) -> FamilyMember:
    relation, name, birth_date, political_status, work = values
    return FamilyMember(relation, name, birth_date, political_status, work)


def _slots(raw: str) -> list[str]:
    """The slots of one list; empty ones at the end are padding where there are more than any form has."""
    slots = [slot.strip() for slot in raw.split("@")]
    return slots if len(slots) <= MOST_SLOTS else slots[: max(_filled(slots), 1)]


def _rejoined(
    raw: str, relations: list[str], names: list[str], units: list[str], file: str, issues: list[Issue]
) -> list[str]:
    """The units as many as the 称谓; those that may be another relative's are left out, with an error."""
    message = (
        f"单位及职务有 {len(units)} 栏，称谓有 {len(relations)} 栏：可能因逗号而错位，已重新拼接，请核对"
    )
    issues.append(Issue(file, FAMILY_LABEL, "family.units_rejoined", message, raw))
    joined = rejoin_units(units, len(relations), max(_filled(relations), _filled(names)))
    unsure = [
        names[at] or relations[at] for at, unit in enumerate(joined) if unit is None and at < len(names)
    ]
    if None in joined:
        message = (
            f"分不清{'、'.join(filter(None, unsure)) or '家庭成员'}各自的单位及职务，未采用，请对照原表补录"
        )
        issues.append(Issue(file, FAMILY_LABEL, "family.units_unsure", message, raw, severity="error"))
    return [unit or "" for unit in joined]


def _filled(slots: list[str]) -> int:
    """How many slots there are up to the last that is not empty."""
    return max((at for at, slot in enumerate(slots, 1) if slot), default=0)


def write_lrm(form: AppointmentForm) -> tuple[bytes, bytes | None]:
    """Write one `.lrm` file and its photo (写出 lrm): the text in GB18030, the photo's bytes for the `.pic`.

    Marks the format needs for itself are written as their typographic twins: `"` as “ ”, `@` and `#` full-width.
    """
    fields = [""] * FIELD_COUNT
    for index, attribute in _PLACES.items():
        fields[index] = getattr(form, attribute)
    if form.awards and states_no_awards(form.awards):
        fields[18] = _NO_AWARDS_IN_LRM
    fields[5] = form.party_joining.translate(_BRACKETS)
    for index, halves in _EDUCATION_PLACES.items():
        fields[index] = "@".join("#".join(_slot(getattr(form, name)) for name in half) for half in halves)
    members = [member for member in form.family if not member.blank]
    members += [FamilyMember()] * (FAMILY_SLOTS - len(members))
    for offset, spec in enumerate(FAMILY_FIELDS):
        fields[_FAMILY_INDEX + offset] = "@".join(
            _slot(getattr(member, spec.attribute)) for member in members
        )
    record = _SEPARATOR.join(_curly(legal(value)).replace("\n", "\r\n") for value in fields)
    return f'"{record}"'.encode("gb18030"), form.photo


_FULL_WIDTH = str.maketrans("@#", "＠＃")


def _slot(value: str) -> str:
    return value.translate(_FULL_WIDTH)


def _curly(value: str) -> str:
    """Straight quotes as opening and closing ones in turn."""
    first, *rest = value.split('"')
    return first + "".join(("”" if at % 2 else "“") + part for at, part in enumerate(rest))


def lrm_losses(form: AppointmentForm, file: str) -> list[Issue]:
    """What `write_lrm` would drop or spell otherwise (lrm 不能保存的内容), to be told before it is written."""
    issues = [
        Issue(
            file,
            _BY_ATTRIBUTE[name].label,
            "lrm.not_held",
            "lrm 格式没有这一项，不会写出",
            getattr(form, name),
        )
        for name in _NOT_HELD
        if getattr(form, name)
    ]
    foreign = [
        *form.unknown,
        *form.family_unknown,
        *(text for member in form.family for text in member.foreign),
    ]
    typed = [*form.attributes.items(), *(pair for member in form.family for pair in member.attributes)]
    issues += [
        Issue(file, "文件", "lrm.not_held", "lrm 格式没有未知元素、注释和属性，不会写出", text)
        for text in (*foreign, *(name + attributes for name, attributes in typed))
    ]
    if form.party_joining.translate(_BRACKETS) != form.party_joining:
        message = "入党时间中的括号在 lrm 中去掉"
        issues.append(Issue(file, PARTY_JOINED, "lrm.mark_replaced", message, form.party_joining))
    texts = [
        (spec.label, getattr(form, spec.attribute)) for spec in FIELDS if spec.attribute not in _NOT_HELD
    ]
    texts += [
        (spec.label, getattr(member, spec.attribute)) for member in form.family for spec in FAMILY_FIELDS
    ]
    slotted = {
        _BY_ATTRIBUTE[name].label for halves in _EDUCATION_PLACES.values() for half in halves for name in half
    }
    slotted |= {spec.label for spec in FAMILY_FIELDS}
    for label, text in texts:
        if '"' in text or (label in slotted and _slot(text) != text):
            message = f"{label}中的英文引号、“@”或“#”在 lrm 中改写为全角"
            issues.append(Issue(file, label, "lrm.mark_replaced", message, text))
    return issues
