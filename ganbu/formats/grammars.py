"""The small grammars inside form fields (小语法): party joining, yearly assessments, awards and sanctions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from ganbu.dates import PartialDate
from ganbu.formats.issues import Issue
from ganbu.formats.text import digits, read_date

PARTY_JOINED, ASSESSMENTS, AWARDS = "入党时间", "年度考核结果", "奖惩情况"

_PARTY_NAMES = {
    "中国国民党革命委员会": "民革",
    "中国民主同盟": "民盟",
    "中国民主建国会": "民建",
    "中国民主促进会": "民进",
    "中国农工民主党": "农工党",
    "中国致公党": "致公党",
    "台湾民主自治同盟": "台盟",
    "农工党": "农工党",
    "农工": "农工党",
    "致公党": "致公党",
    "致公": "致公党",
    "九三学社": "九三学社",
    "九三": "九三学社",
    "民革": "民革",
    "民盟": "民盟",
    "民建": "民建",
    "民进": "民进",
    "台盟": "台盟",
    "无党派人士": "无党派",
    "无党派": "无党派",
}
_DATE = r"\d{4}\s*(?:[.．。\-/年]\s*\d{1,2}\s*月?|\d{2}(?!\d)|年)?(?:\s*[.．。\-/]?\s*\d{1,2}\s*日?)?"
_JOINING = re.compile(
    rf"(?:中国共产党|中共党员|中共)?\s*[（(]?(?P<ccp>{_DATE})"
    rf"|(?P<party>{'|'.join(_PARTY_NAMES)})(?:[（(]?(?P<dropped>{_DATE}))?"
    r"|(?P<member>中国共产党党员|中国共产党|中共党员|中共)"
    r"|(?P<none>群众|\(无\)|（无）|无)"
    r"|(?P<separator>[；;、，,\s（()）])"
    r"|(?P<unread>[^；;、，,\s（()）]+)"
)


@dataclass(frozen=True, slots=True)
class PartyJoining:
    """Party membership (入党时间): month of joining the CPC, other parties, or explicitly none (群众)."""

    ccp: PartialDate | None = None
    parties: tuple[str, ...] = ()
    none: bool = False
    issues: tuple[Issue, ...] = ()


def read_party_joining(text: str, file: str = "") -> PartyJoining:
    """Read 入党时间 (2.3.1): a month, party names, or both. Empty text and 群众 are none.

    >>> party = read_party_joining("200108；民建")
    >>> party.ccp.iso(), party.parties
    ('2001-08', ('民建',))
    """
    ccp: PartialDate | None = None
    parties: list[str] = []
    issues: list[Issue] = []

    def report(code: str, message: str, raw: str, severity: str = "warning") -> None:
        issues.append(Issue(file, PARTY_JOINED, code, message, raw, severity=severity))

    member = False
    for token in _JOINING.finditer(text):
        member = member or bool(token["member"])
        if token["party"]:
            parties.append(_PARTY_NAMES[token["party"]])
            if token["dropped"]:
                report("party.date_dropped", f"“{token[0]}”中的日期不属于入党时间，未采用", token[0], "note")
        elif token["unread"]:
            report("party.unreadable", f"“{token[0]}”不是入党时间或党派名称", token[0], "error")
        elif token["ccp"]:
            date, code = read_date(token["ccp"])
            if code:
                report(code, f"入党时间“{token['ccp']}”有误", token[0], "warning" if date else "error")
            if ccp and date:
                report("party.date_repeated", f"入党时间不止一个，“{token['ccp']}”未采用", token[0], "error")
            ccp = ccp or date
    if member and not ccp and not issues:
        report("party.date_missing", "写明中共党员，但没有入党时间", text, "error")
    stated = bool(ccp or parties or any(issue.severity == "error" for issue in issues))
    return PartyJoining(ccp, tuple(dict.fromkeys(parties)), not stated, tuple(issues))


def write_party_joining(joining: PartyJoining, medium: Literal["file", "paper"] = "file") -> str:
    """Write 入党时间 (入党时间): `YYYYMM；民建` in a file, `YYYY.MM；民建` on paper, no brackets.

    >>> write_party_joining(PartyJoining(PartialDate(2001, 8), ("民建",)), "paper")
    '2001.08；民建'
    """
    month = (
        [digits(joining.ccp) if medium == "file" else joining.ccp.iso().replace("-", ".")]
        if joining.ccp
        else []
    )
    return "；".join([*month, "、".join(joining.parties)] if joining.parties else month)


GRADES = (
    "基本称职",
    "基本合格",
    "不称职",
    "不合格",
    "不确定等次",
    "未确定等次",
    "不定等次",
    "未定等次",
    "未参加考核",
    "不进行考核",
    "优秀",
    "称职",
    "合格",
)
_RANGE_MARK = "[-–—―─－~～〜〰至到]"
_YEAR = r"(?:19|20)\d\d"
_ASSESSED = re.compile(
    rf"(?P<first>{_YEAR})\s*年?度?\s*{_RANGE_MARK}{{1,4}}\s*(?P<last>{_YEAR})(?!\d)"
    rf"|(?P<year>{_YEAR})(?!\d)"
    rf"|(?P<grade>{'|'.join(GRADES)})"
    r"|(?P<stop>[。；;])"
)
_LONGEST_RANGE = 30


@dataclass(frozen=True, slots=True)
class Assessment:
    """One yearly assessment (年度考核): year and grade as typed."""

    year: int
    grade: str


def read_assessments(text: str, file: str = "") -> tuple[tuple[Assessment, ...], tuple[Issue, ...]]:
    """Read 年度考核结果 (2.3.2): years wait for the next grade word of their sentence; oldest first.

    >>> [(a.year, a.grade) for a in read_assessments("2022年、2023年均为称职；2024年优秀。")[0]]
    [(2022, '称职'), (2023, '称职'), (2024, '优秀')]
    """
    grades: dict[int, str] = {}
    issues: list[Issue] = []
    pending: list[int] = []

    def report(code: str, message: str) -> None:
        issues.append(Issue(file, ASSESSMENTS, code, message, text, severity="error"))

    def drop_pending() -> None:
        if pending:
            report("assessment.no_grade", f"{'、'.join(map(str, pending))} 年没有写考核等次")
            pending.clear()

    for token in _ASSESSED.finditer(_half_width_digits(text)):
        if token["first"]:
            first, last = int(token["first"]), int(token["last"])
            if 0 <= last - first <= _LONGEST_RANGE:
                pending += range(first, last + 1)
            else:
                report("assessment.range", f"年度区间“{token[0]}”有误")
        elif token["year"]:
            pending.append(int(token["year"]))
        elif token["stop"]:
            drop_pending()
        elif not pending:
            report("assessment.no_year", f"“{token['grade']}”没有写年度")
        else:
            for year in pending:
                if grades.setdefault(year, token["grade"]) != token["grade"]:
                    report(
                        "assessment.year_repeated", f"{year} 年有两个不同的等次，采用先写的“{grades[year]}”"
                    )
            pending.clear()
    drop_pending()
    if text and not grades and not issues and text not in _NOTHING:
        report("assessment.unreadable", "没有找到年度和等次")
    return tuple(Assessment(year, grades[year]) for year in sorted(grades)), tuple(issues)


def write_assessments(assessments: Iterable[Assessment], newest: int = 2) -> str:
    """Write 年度考核结果 (年度考核结果): the newest years, neighbours of one grade together, newest last.

    >>> write_assessments([Assessment(2022, "称职"), Assessment(2023, "称职"), Assessment(2024, "优秀")], 3)
    '2022年、2023年年度考核均为称职；2024年优秀。'
    """
    chosen = sorted(assessments, key=lambda assessment: assessment.year)[-newest:] if newest > 0 else []
    groups = [
        (grade, [each.year for each in group]) for grade, group in groupby(chosen, lambda each: each.grade)
    ]
    parts = [_grade_sentence(years, grade, first=index == 0) for index, (grade, years) in enumerate(groups)]
    return "；".join(parts) + "。" if parts else ""


def _grade_sentence(years: Sequence[int], grade: str, first: bool) -> str:
    many = len(years) > 1
    verb = ("年度考核均为" if many else "年度考核为") if first else ("均为" if many else "")
    return "、".join(f"{year}年" for year in years) + verb + grade


def _half_width_digits(text: str) -> str:
    return text.translate({ord("０") + digit: str(digit) for digit in range(10)})


_NOTHING = frozenset({"", "无", "(无)", "（无）", "无。"})
_SANCTION = re.compile(
    "警告|记过|记大过|降级|降职|撤职|开除|留党察看|撤销党内|政务处分|党纪处分|处分|诫勉|通报批评|责令辞职|免职处理"
)
_APPROVED = re.compile(
    r"^(?P<date>[^，,经]*?)[，,]?\s*经(?P<authority>[^，,]+?)批准[，,]?(?P<name>.+)$", re.S
)
_DATED = re.compile(rf"^(?P<date>{_DATE})[，,]?\s*(?P<name>.*)$", re.S)
_OPENING, _CLOSING = "（(《“〔【", "）)》”〕】"


@dataclass(frozen=True, slots=True)
class AwardOrSanction:
    """One award or sanction (奖惩): date, approving authority and name where written; `raw` is the typed item."""

    raw: str
    name: str
    date: PartialDate | None = None
    authority: str = ""
    sanction: bool = False


def states_no_awards(text: str) -> bool:
    """Whether 奖惩情况 says there are none (无奖惩): empty, 无, (无) or （无）."""
    return text.strip() in _NOTHING


def read_awards(text: str, file: str = "") -> tuple[tuple[AwardOrSanction, ...], tuple[Issue, ...]]:
    """Read 奖惩情况 (2.3.3): items end with `；`, `。` or a line break outside brackets.

    >>> (item,), _ = read_awards("2019.05，经市委批准，记三等功。")
    >>> item.date.iso(), item.authority, item.name, item.sanction
    ('2019-05', '市委', '记三等功', False)
    """
    if states_no_awards(text):
        return (), ()
    items = tuple(_read_award(part) for part in _split_items(text))
    undated = [item for item in items if item.date is None]
    issues = [
        Issue(file, AWARDS, "award.undated", f"“{item.raw}”没有可用的日期", item.raw) for item in undated
    ]
    return items, tuple(issues)


def write_awards(items: Iterable[AwardOrSanction]) -> str:
    """Write 奖惩情况 (奖惩情况): the items as typed, joined by `；`; 无 when there are none."""
    parts = [item.raw for item in items]
    return "；".join(parts) + "。" if parts else "无"


def _split_items(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, mark in enumerate(text):
        if mark in _OPENING:
            depth += 1
        elif mark in _CLOSING:
            depth = max(depth - 1, 0)
        elif mark == "\n" or (mark in "；;。" and not depth):
            parts.append(text[start:at])
            start, depth = at + 1, 0
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def _read_award(raw: str) -> AwardOrSanction:
    plain = _half_width_digits(raw)
    sanction = bool(_SANCTION.search(raw))
    if match := _APPROVED.match(plain):
        return AwardOrSanction(
            raw, match["name"].strip(), read_date(match["date"])[0], match["authority"], sanction
        )
    if match := _DATED.match(plain):
        return AwardOrSanction(raw, match["name"].strip() or raw, read_date(match["date"])[0], "", sanction)
    return AwardOrSanction(raw, raw, None, "", sanction)
