"""One 任免审批表 (干部任免审批表) as offices exchange it: its 34 elements, and the rules every format shares.

Values are text, trimmed and with dates as digits; empty means not stated. `FIELDS` is the one table from which
the `.lrmx` and `.lrm` readers and writers take element names, labels and limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Protocol

from ganbu.dates import PartialDate
from ganbu.formats.issues import Issue
from ganbu.formats.text import digits, has_damaged_dot, read_date, trim

Kind = Literal["text", "lines", "date", "name", "sex", "ethnic_group"]


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of the form (表项): `limit` is the vendor's limit in characters, 0 for none."""

    element: str
    attribute: str
    label: str
    limit: int = 0
    kind: Kind = "text"

    @property
    def line_breaks(self) -> bool:
        """Whether line breaks are part of the value (可换行)."""
        return self.kind == "lines"


_EDUCATION = tuple(
    FormField(f"{element}_{part}", f"{attribute}_{suffix}", label + name, limit)
    for element, attribute, label in (
        ("QuanRiZhiJiaoYu", "full_time", "全日制"),
        ("ZaiZhiJiaoYu", "in_service", "在职"),
    )
    for part, suffix, name, limit in (
        ("XueLi", "education", "学历", 54),
        ("XueWei", "degree", "学位", 54),
        ("XueLi_BiYeYuanXiaoXi", "school", "学历毕业院校系及专业", 90),
        ("XueWei_BiYeYuanXiaoXi", "degree_school", "学位毕业院校系及专业", 90),
    )
)
FIELDS = (
    FormField("XingMing", "name", "姓名", 18, "name"),
    FormField("XingBie", "sex", "性别", 1, "sex"),
    FormField("ChuShengNianYue", "birth_date", "出生年月", 8, "date"),
    FormField("MinZu", "ethnic_group", "民族", 18, "ethnic_group"),
    FormField("JiGuan", "native_place", "籍贯", 18),
    FormField("ChuShengDi", "birth_place", "出生地", 18),
    FormField("RuDangShiJian", "party_joining", "入党时间", 18),
    FormField("CanJiaGongZuoShiJian", "work_start", "参加工作时间", 8, "date"),
    FormField("JianKangZhuangKuang", "health", "健康状况", 18),
    FormField("ZhuanYeJiShuZhiWu", "professional_title", "专业技术职务", 90),
    FormField("ShuXiZhuanYeYouHeZhuanChang", "major", "熟悉专业有何专长", 110),
    *_EDUCATION,
    FormField("XianRenZhiWu", "current_post", "现任职务", 324),
    FormField("NiRenZhiWu", "proposed_post", "拟任职务", 324),
    FormField("NiMianZhiWu", "removed_post", "拟免职务", 324),
    FormField("JianLi", "resume", "简历", 0, "lines"),
    FormField("JiangChengQingKuang", "awards", "奖惩情况", 552, "lines"),
    FormField("NianDuKaoHeJieGuo", "assessments", "年度考核结果", 414, "lines"),
    FormField("RenMianLiYou", "reasons", "任免理由", 552, "lines"),
    FormField("ChengBaoDanWei", "reporting_unit", "呈报单位", 252, "lines"),
    FormField("JiSuanNianLingShiJian", "age_date", "计算年龄时间", 8, "date"),
    FormField("TianBiaoShiJian", "filled_date", "填表时间", 8, "date"),
    FormField("TianBiaoRen", "filled_by", "填表人", 18),
    FormField("ShenFenZheng", "id_number", "身份证号", 18),
    FormField("Version", "version", "版本"),
)
FAMILY_ELEMENT, MEMBER_ELEMENT, PHOTO_ELEMENT = "JiaTingChengYuan", "Item", "ZhaoPian"
FAMILY_LABEL, PHOTO_LABEL = "家庭成员", "照片"
FAMILY_FIELDS = (
    FormField("ChengWei", "relation", "家庭成员称谓", 18),
    FormField("XingMing", "name", "家庭成员姓名", 18, "name"),
    FormField("ChuShengRiQi", "birth_date", "家庭成员出生日期", 8, "date"),
    FormField("ZhengZhiMianMao", "political_status", "家庭成员政治面貌", 18),
    FormField("GongZuoDanWeiJiZhiWu", "work", "家庭成员工作单位及职务", 124),
)


@dataclass(frozen=True, slots=True)
class FamilyMember:
    """One row of the family list (家庭成员及重要社会关系).

    `foreign` holds elements and comments inside the row that no field is for, as XML text; `attributes` those of
    `Item` and of its elements, by element name.
    """

    relation: str = ""
    name: str = ""
    birth_date: str = ""
    political_status: str = ""
    work: str = ""
    foreign: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def blank(self) -> bool:
        """Whether it is only padding (空行)."""
        values = (self.relation, self.name, self.birth_date, self.political_status, self.work, self.foreign)
        return not any(values)


@dataclass(slots=True)
class AppointmentForm:
    """One 任免审批表 (干部任免审批表).

    `unknown` holds foreign elements and comments as XML text, in their order, `family_unknown` those among the
    family; `attributes` the attributes of known elements as typed in a tag, by element name. Two forms are equal when their contents are; `version` and `issues` tell of the file, not of the person.
    """

    name: str = ""
    sex: str = ""
    birth_date: str = ""
    ethnic_group: str = ""
    native_place: str = ""
    birth_place: str = ""
    party_joining: str = ""
    work_start: str = ""
    health: str = ""
    professional_title: str = ""
    major: str = ""
    full_time_education: str = ""
    full_time_degree: str = ""
    full_time_school: str = ""
    full_time_degree_school: str = ""
    in_service_education: str = ""
    in_service_degree: str = ""
    in_service_school: str = ""
    in_service_degree_school: str = ""
    current_post: str = ""
    proposed_post: str = ""
    removed_post: str = ""
    resume: str = ""
    awards: str = ""
    assessments: str = ""
    reasons: str = ""
    family: list[FamilyMember] = field(default_factory=list)
    reporting_unit: str = ""
    age_date: str = ""
    filled_date: str = ""
    filled_by: str = ""
    id_number: str = ""
    photo: bytes | None = None
    unknown: tuple[str, ...] = ()
    family_unknown: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    version: str = field(default="", compare=False)
    issues: list[Issue] = field(default_factory=list, compare=False)


_ETHNIC_GROUPS = frozenset(
    [
        "汉",
        "蒙古",
        "回",
        "藏",
        "维吾尔",
        "苗",
        "彝",
        "壮",
        "布依",
        "朝鲜",
        "满",
        "侗",
        "瑶",
        "白",
        "土家",
        "哈尼",
        "哈萨克",
        "傣",
        "黎",
        "傈僳",
        "佤",
        "畲",
        "高山",
        "拉祜",
        "水",
        "东乡",
        "纳西",
        "景颇",
        "柯尔克孜",
        "土",
        "达斡尔",
        "仫佬",
        "羌",
        "布朗",
        "撒拉",
        "毛南",
        "仡佬",
        "锡伯",
        "阿昌",
        "普米",
        "塔吉克",
        "怒",
        "乌孜别克",
        "俄罗斯",
        "鄂温克",
        "德昂",
        "保安",
        "裕固",
        "京",
        "塔塔尔",
        "独龙",
        "鄂伦春",
        "赫哲",
        "门巴",
        "珞巴",
        "基诺",
    ]
)
_SEX_CODES = {"1": "男", "2": "女"}
DATE_REMARKS = {
    "date.year_only": "只有年份，没有月份",
    "date.month_ambiguous": "按 1 月读取，也可能是丢了 0 的 10 月，请核对",
    "date.unreadable": "不是日期，应为 YYYYMM 或 YYYYMMDD",
    "date.year_out_of_range": "年份不在 1900–2100 之间",
    "date.month_out_of_range": "月份不在 1–12 之间",
    "date.day_out_of_range": "这个月没有这一天",
}


def read_field(spec: FormField, raw: str, file: str, issues: list[Issue], line: int = 0) -> str:
    """A field's value from its typed text (取值): trimmed and normalised; whatever was not plain goes to `issues`.

    A date that cannot be read keeps its text, with an issue of severity `error`.
    """
    value = trim(raw, spec.line_breaks)
    if not value:
        return ""

    def report(code: str, message: str, normalised: str | None = None, severity: str = "warning") -> None:
        issues.append(Issue(file, spec.label, code, message, raw, normalised, severity, line))

    if value != raw.strip() and value != raw.replace("\r\n", "\n").strip():
        report("text.repaired", f"{spec.label}中的换行、转义或不可见字符已整理", value, "note")
    if spec.kind == "date":
        return _read_date_field(spec.label, value, report)
    if spec.kind == "name" and has_damaged_dot(value):
        report("name.damaged_dot", f"姓名“{value}”中的间隔号“·”已损坏")
    if spec.kind == "sex" and value in _SEX_CODES:
        report("sex.code", f"性别代码“{value}”读作“{_SEX_CODES[value]}”", _SEX_CODES[value], "note")
        return _SEX_CODES[value]
    if spec.kind == "ethnic_group" and value in _ETHNIC_GROUPS:
        report("ethnic_group.short", f"民族“{value}”读作“{value}族”", value + "族", "note")
        return value + "族"
    if spec.limit and len(value) > spec.limit:
        report("text.too_long", f"{spec.label}有 {len(value)} 字，审批表编辑器至多 {spec.limit} 字")
    return value


class _Report(Protocol):
    def __call__(
        self, code: str, message: str, normalised: str | None = None, severity: str = "warning"
    ) -> None: ...


def _read_date_field(label: str, value: str, report: _Report) -> str:
    read, code = read_date(value)
    if read is None:
        report(
            code or "date.unreadable",
            f"{label}“{value}”{DATE_REMARKS[code or 'date.unreadable']}",
            severity="error",
        )
        return value
    stored = digits(read)
    if code:
        report(code, f"{label}“{value}”{DATE_REMARKS[code]}", stored)
    elif stored != value:
        report("date.normalised", f"{label}“{value}”读作 {read}", stored, "note")
    return stored


_PHOTO_TYPES = ((b"\xff\xd8\xff", "jpeg"), (b"\x89PNG\r\n\x1a\n", "png"), (b"BM", "bmp"))


def photo_type(photo: bytes) -> str:
    """`jpeg`, `png` or `bmp` by the first bytes (照片类型), empty for anything else."""
    return next((name for magic, name in _PHOTO_TYPES if photo.startswith(magic)), "")


def read_photo(photo: bytes, file: str, issues: list[Issue]) -> bytes | None:
    """The portrait's own bytes (照片): a JPEG ends at its FFD9, the zeros one writer leaves behind are cut.

    None for no photo, and for bytes that are no JPEG, PNG or BMP (an issue says so).
    """
    if not photo.strip(b"\0 \r\n\t"):
        return None
    kind = photo_type(photo)
    if not kind:
        message = "照片不是 JPEG、PNG 或 BMP，未采用"
        issues.append(Issue(file, PHOTO_LABEL, "photo.unknown_type", message, severity="error"))
        return None
    end = _jpeg_end(photo) if kind == "jpeg" else len(photo)
    if end == len(photo):
        return photo
    empty = not photo[end:].strip(b"\0 \r\n\t")
    message = (
        f"照片末尾{'' if empty else '不属于照片的'} {len(photo) - end} 个{'空' if empty else ''}字节已去除"
    )
    issues.append(
        Issue(file, PHOTO_LABEL, "photo.zero_tail" if empty else "photo.tail", message, severity="note")
    )
    return photo[:end]


_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})
_SCAN_END = re.compile(rb"\xff+[^\xff\x00\xd0-\xd7]", re.S)


def _jpeg_end(photo: bytes) -> int:
    """Where a JPEG's own end mark FFD9 is behind: by its segments, so that a preview inside does not end it.

    Where the segments cannot be followed, the last FFD9 that only padding follows.
    """
    at = 2
    while at + 2 <= len(photo) and photo[at] == 0xFF:
        marker = photo[at + 1]
        if marker == 0xD9:
            return at + 2
        if marker == 0xFF or marker in _BARE_MARKERS:
            at += 1 if marker == 0xFF else 2
            continue
        size = int.from_bytes(photo[at + 2 : at + 4], "big")
        if size < 2:
            break
        at += 2 + size
        if marker == 0xDA:
            found = _SCAN_END.search(photo, at)
            if found is None:
                break
            at = found.end() - 2
    picture = photo.rstrip(b"\0 \r\n\t")
    return len(picture) if picture.endswith(b"\xff\xd9") else len(photo)


_DEATH = re.compile("去世|逝世|已故|死亡|病故")


def full_years_by_month(birth: str, at: str) -> int | None:
    """Age in full years by month (周岁): None where either date lacks its month or birth is later."""
    born, then = read_date(birth)[0], read_date(at)[0]
    if born is None or then is None or born.month is None or then.month is None:
        return None
    years = then.year - born.year - (then.month < born.month)
    return years if years >= 0 else None


def age_date_of(form: AppointmentForm, today: date) -> str:
    """The date ages are counted at (计算年龄时间): as stated, else the filling date, else today."""
    readable = (text for text in (form.age_date, form.filled_date) if read_date(text)[0])
    return next(readable, digits(PartialDate(today.year, today.month, today.day)))


def age_at_form_date(form: AppointmentForm, today: date) -> int | None:
    """The person's age as the form prints it (年龄): full years by month at `age_date_of`.

    >>> age_at_form_date(AppointmentForm(birth_date="197508", age_date="20250731"), date(2026, 1, 1))
    49
    """
    return full_years_by_month(form.birth_date, age_date_of(form, today))


def family_age_at_form_date(form: AppointmentForm, member: FamilyMember, today: date) -> int | None:
    """A relative's age as the form prints it (家庭成员年龄), None for one who has died."""
    if _DEATH.search(member.work):
        return None
    return full_years_by_month(member.birth_date, age_date_of(form, today))


_RELATION_RANKS = (
    re.compile("妻子?|丈?夫|爱人|配偶"),
    re.compile("(?:独生|[长大次小幼二三四五六七养继])?(?:儿子|女儿|子|女)"),
    re.compile("[养继]?父亲?"),
    re.compile("[养继]?母亲?"),
)


def in_printing_order(family: Iterable[FamilyMember]) -> list[FamilyMember]:
    """The family as the form prints it (家庭成员排序): spouse, children oldest first, father, mother, others."""

    def rank(member: FamilyMember) -> tuple[int, str]:
        relation = "".join(member.relation.split())
        place = next(
            (i for i, words in enumerate(_RELATION_RANKS) if words.fullmatch(relation)), len(_RELATION_RANKS)
        )
        born = read_date(member.birth_date)[0]
        return place, (born.iso() if born else "9999") if place == 1 else ""

    return sorted(family, key=rank)
