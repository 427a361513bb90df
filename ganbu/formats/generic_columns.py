"""Columns of the generic form (通用格式的栏): which field each is for, and values as the form writes them.

Codes are those of the vocabulary's tables; a word without a national code is written as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from ganbu.dates import PartialDate
from ganbu.formats.form import DATE_REMARKS, FAMILY_LABEL
from ganbu.formats.text import digits, read_date
from ganbu.vocabulary import CodeTable, load_vocabulary

KEY, TYPE, DATA_VERSION = "A0000", "23", "2017.01"
# The sets a package lists and their columns, in order.
COLUMNS: dict[str, tuple[str, ...]] = {
    name: tuple(text.split())
    for name, text in {
        "A01": (
            "A0000 A0101 A0104 A0107 A0111A A0114A A0115A A0117 A0128 A0134 A0140 A0141 A0144 A3921 A3927 A0160 A0163 A0165 A0184 A0187A "
            "A0192 A0192A A0123 A0221 A0288 A0192E A0192C A0196 A0197 A0195 A1701 A14Z101 A15Z101 A15Z191 A0120 A0121 A0122 A2949 A0180"
        ),
        "A02": "A0000 A0201A A0201B A0201D A0201E A0215A A0219 A0223 A0225 A0243 A0245 A0247 A0251B A0255 A0265 A0267 A0272 A0281 A0279",
        "A05": "A0000 A0531 A0501B A0504 A0511 A0517 A0524 A0526 A0528B A0530 A0532",
        "A06": "A0000 A0601 A0602 A0604 A0607 A0611 A0699",
        "A08": (
            "A0000 A0801A A0801B A0901A A0901B A0804 A0807 A0904 A0814 A0824 A0827 A0837 A0811 A0831 A0832 A0838 A0839 A0834 A0835 A0899"
        ),
        "A14": "A0000 A1404A A1404B A1407 A1411A A1414 A1415 A1424 A1428",
        "A15": "A0000 A1517 A1521",
        "A30": "A0000 A3001 A3004 A3007A A3038",
        "A33": "A0000",
        "A36": "A0000 A3601 A3604A A3607 A3627 A3611 SORTID",
        "A57": "A0000 A5714",
        "B01": (
            "B0101 B0104 B0114 B0111 B0117 B0121 B0124 B0127 B0131 B0194 B0227 B0232 B0233 B0236 B0234 B0150 B0183 B0185 B0164 B0167 "
            "B0268 B0269 B0238 B0239 B0180 SORTID"
        ),
        "A99Z1": "A0000 A99Z101 A99Z102 A99Z103 A99Z104 A99Z191 A99Z195",
    }.items()
}  # fmt: skip
# A post level is no register of ours: posts have it. Its lines have the fields level, start_date and end_date.
LEVEL = "post_level"
SETS = {"A01": "person", "A02": "appointment", "A05": "rank", "A08": "education", "A14": "award", "A15": "assessment", "A36": "family", "B01": "unit"}  # fmt: skip
REGISTERS = ("person", "appointment", "rank", LEVEL, "education", "award", "assessment", "family")


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a field is for (有登记处的栏): how its text becomes the field's value.

    `word` is a text whose codes are read as words; `table` the code table of `code` and `word`; `coded` whether a word
    is written as its code.
    """

    name: str
    field: str
    label: str
    kind: str
    table: str = ""
    coded: bool = True


# Where the vocabulary names no column, or another one, and texts that the form writes in code.
_PLACES = {
    "person": {"A2949": "entry_date"},
    "rank": {"A0501B": "rank", "A0504": "start_date", "A0517": "end_date"},
    LEVEL: {"A0501B": "level", "A0504": "start_date", "A0517": "end_date"},
    "award": {"A1414": "level", "A1415": ""},
}
_WORDS = {
    "A0247": "selection_way",
    "A1404B": "award_or_sanction",
    "A3627": "political_status",
    "A0128": "health",
}
_AS_WORDS = ("A0128", "A3604A")
# 批准机关级别 (ZB03) of the levels of an award; the office that gives it has one.
_AWARD_LEVELS = {"101": "国家级", "104A": "省级", "105": "市级", "107": "县级", "109": "乡镇"}
_FLAGS = {"1": True, "0": False, "true": True, "false": False, "是": True, "否": False}
_INTEGER = re.compile(r"[+-]?\d{1,15}")
NO_PARENT = "-1"
# What the form calls columns and sets that no register of ours has.
LABELS = {
    "A0140": "入党时间文字",
    "A3921": "第二党派",
    "A3927": "第三党派",
    "A0192": "现工作单位及职务简称",
    "A0221": "现职务层次",
    "A0288": "任现职务层次时间",
    "A0192E": "现职级",
    "A0192C": "任现职级时间",
    "A0196": "专业技术职务",
    "A0197": "是否具有两年以上基层工作经历",
    "A14Z101": "奖惩综述",
    "A15Z101": "年度考核结果综述",
    "A0120": "级别",
    "A0122": "专业技术类公务员任职资格",
    "A0180": "备注",
    "A0201A": "任职机构名称",
    "A0223": "职务排序",
    "A0225": "集体内排序",
    "A0255": "任职状态",
    "A0281": "职务输出标识",
    "A0801A": "学历名称",
    "A0901B": "学位代码",
    "B0124": "隶属关系",
    "B0194": "法人单位标识",
    "B0232": "事业编制数（参照）",
    "B0236": "工勤编制数",
    "B0234": "其他编制数",
    "B0180": "备注",
    "SORTID": "排序号",
    "A06": "专业技术",
    "A99Z1": "补充信息",
}


def titled(code: str) -> str:
    """A column or set with its code, for messages."""
    return f"{LABELS[code]} {code}" if code in LABELS else code


def _places(name: str, register: str) -> tuple[Column, ...]:
    words = load_vocabulary()
    if register == LEVEL:
        spec = {item.name: item for item in words.registers["rank"].fields.values()}
        spec["level"] = words.registers["appointment"].fields["level"]
    else:
        spec = dict(words.registers[register].fields)
    own = _PLACES.get(register, {})
    placed = {} if register in ("rank", LEVEL) else {item.national: item.name for item in spec.values() if item.national}  # fmt: skip
    placed |= own
    found = []
    for column in COLUMNS[name]:
        item = spec.get(placed.get(column, ""))
        if item is None or (column == KEY and register != "unit"):
            continue
        label = f"{FAMILY_LABEL}{item.label}" if register == "family" else item.label
        kind = "award_level" if column == "A1414" else "leading" if column == "A0219" else "word" if column in _WORDS else item.kind  # fmt: skip
        found.append(
            Column(column, item.name, label, kind, _WORDS.get(column, item.target), column not in _AS_WORDS)
        )
    return tuple(found)


PLACES: dict[str, tuple[Column, ...]] = {
    register: _places(name, register) for name, register in [*SETS.items(), ("A05", LEVEL)]
}


# -- values as texts ----------------------------------------------------------------------------------------------


def codes_of(table: str) -> CodeTable:
    return load_vocabulary().codes[table]


def as_text(column: Column, value: Any) -> str:
    """A value as the form writes it."""
    if value is None or value == "":
        return ""
    if column.kind == "date":
        return digits(value) if isinstance(value, PartialDate) else digits(PartialDate.parse(str(value)))
    if column.kind == "bool":
        return "1" if value else "0"
    if column.kind == "leading":
        return "1" if value else "2"
    if column.kind == "award_level":
        return next((code for code, word in _AWARD_LEVELS.items() if word == value), str(value))
    if column.kind in ("code", "word") and column.coded:
        return codes_of(column.table).code_of(str(value)) or str(value)
    return str(value)


class Unread(Exception):
    """A text that is no value of its column: code, what is wrong, and how bad it is."""

    def __init__(self, code: str, message: str, severity: Literal["error", "warning"] = "error") -> None:
        self.code, self.message, self.severity = code, message, severity


def as_value(column: Column, text: str) -> Any:
    """A text as the value of a field. Raises Unread."""
    if column.kind == "date":
        found, code = read_date(text)
        if found is None:
            told = code or "date.unreadable"
            raise Unread(told, f"{column.label}“{text}”{DATE_REMARKS[told]}")
        return found
    if column.kind == "int":
        if not _INTEGER.fullmatch(text):
            raise Unread("cell.unreadable", f"{column.label}“{text}”应为整数")
        return int(text)
    if column.kind in ("bool", "leading"):
        if column.kind == "leading" and text == "2":
            return False
        if text.lower() not in _FLAGS:
            raise Unread("cell.unreadable", f"{column.label}“{text}”应为 1 或 {2 if column.kind == 'leading' else 0}")  # fmt: skip
        return _FLAGS[text.lower()]
    if column.kind == "word":
        codes = codes_of(column.table)
        return codes.canonical(text) if text in codes.values or text in codes.old else text
    if column.kind == "award_level":
        word = _AWARD_LEVELS.get(text) or codes_of("award_level").canonical(text)
        if word is None:
            raise Unread("code.unknown", f"“{text}”不对应任何奖励级别，未采用", "warning")
        return word
    if column.kind == "code":
        codes = codes_of(column.table)
        word = codes.canonical(text) or (codes.canonical(text + "族") if column.table == "ethnic_group" else None)  # fmt: skip
        if word is None and codes.closed:
            raise Unread("code.unknown", f"“{text}”不在代码表“{codes.label}”中，未采用", "warning")
        return word or text
    return text
