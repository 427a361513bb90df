"""The small grammars inside form fields (小语法): party joining, yearly assessments, awards and sanctions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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
# Blanks are bounded everywhere: `\s*` beside `\s*` takes time by the square and cube on a long run of them.
_GAP = r"\s{0,4}"
_DATE = (
    rf"\d{{4}}(?:\d{{4}}(?!\d)|{_GAP}(?:[.．。\-/年]{_GAP}\d{{1,2}}{_GAP}月?|\d{{2}}(?!\d)|年)?"
    rf"(?:{_GAP}[.．。\-/]?{_GAP}\d{{1,2}}{_GAP}日?)?)"
)
_STATUSES = {
    "中共预备党员": "预备党员",
    "预备党员": "预备党员",
    "中国共产主义青年团团员": "共青团员",
    "中国共青团员": "共青团员",
    "共青团员": "共青团员",
    "团员": "共青团员",
    "中国共产党党员": "中共党员",
    "中国共产党": "中共党员",
    "中共党员": "中共党员",
    "中共": "中共党员",
    "党员": "中共党员",
}
_JOINING = re.compile(
    rf"(?:中国共产党|中共党员|中共)?{_GAP}[（(]?(?P<ccp>{_DATE})"
    rf"|(?P<party>{'|'.join(_PARTY_NAMES)})(?:[（(]?(?P<dropped>{_DATE}))?"
    rf"|(?P<status>{'|'.join(_STATUSES)})"
    r"|(?P<none>群众|\(无\)|（无）|无)"
    r"|(?P<separator>[；;、，,\s（()）]+)"
    r"|(?P<unread>[^；;、，,\s（()）]+)"
)


@dataclass(frozen=True, slots=True)
class PartyJoining:
    """Party membership (入党时间): date of joining the CPC, other parties, or explicitly none (群众).

    `status` is 中共党员, 预备党员 or 共青团员 where the field says so in words.
    """

    ccp: PartialDate | None = None
    parties: tuple[str, ...] = ()
    none: bool = False
    issues: tuple[Issue, ...] = ()
    status: str = ""

    @property
    def political_status(self) -> str:
        """The political status the field tells (政治面貌), empty when it tells none."""
        if self.status == "预备党员" or (self.status and not self.ccp):
            return self.status
        return "中共党员" if self.ccp else self.parties[0] if self.parties else ""


def read_party_joining(text: str, file: str = "") -> PartyJoining:
    """Read 入党时间 (2.3.1): a date, party names, or both; 预备党员 and 共青团员 too. Empty text and 群众 are none.

    >>> party = read_party_joining("200108；民建")
    >>> party.ccp.iso(), party.parties
    ('2001-08', ('民建',))
    """
    ccp: PartialDate | None = None
    parties: list[str] = []
    issues: list[Issue] = []

    def report(code: str, message: str, raw: str, severity: str = "warning") -> None:
        issues.append(Issue(file, PARTY_JOINED, code, message, raw, severity=severity))

    status = ""
    for token in _JOINING.finditer(text):
        if token["status"]:
            status = status or _STATUSES[token["status"]]
        elif token["party"]:
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
    if status == "中共党员" and not ccp and not issues:
        report("party.date_missing", "写明中共党员，但没有入党时间", text, "error")
    if status == "共青团员" and ccp:
        report("party.date_dropped", "共青团员后的日期不是入党时间，未采用", text)
        ccp = None
    stated = bool(ccp or parties or status or any(issue.severity == "error" for issue in issues))
    return PartyJoining(ccp, tuple(dict.fromkeys(parties)), not stated, tuple(issues), status)


def write_party_joining(joining: PartyJoining, medium: Literal["file", "paper"] = "file") -> str:
    """Write 入党时间 (入党时间): `YYYYMM；民建` in a file, `YYYY.MM；民建` on paper, no brackets.

    >>> write_party_joining(PartyJoining(PartialDate(2001, 8), ("民建",)), "paper")
    '2001.08；民建'
    """
    parts = [joining.status] if joining.status in ("预备党员", "共青团员") else []
    if joining.ccp:
        month = PartialDate(joining.ccp.year, joining.ccp.month)
        parts.append(digits(month) if medium == "file" else month.iso().replace("-", "."))
    return "；".join([*parts, "、".join(joining.parties)] if joining.parties else parts)


GRADES = (
    "基本称职",
    "基本合格",
    "不称职",
    "不合格",
    "不确定等次",
    "未确定等次",
    "不定等次",
    "未定等次",
    "未确定",
    "未参加考核",
    "不进行考核",
    "优秀",
    "良好",
    "称职",
    "合格",
)
_RANGE_MARK = "[-–—―─－~～〜〰至到]"
_YEAR = r"(?:19|20)\d\d"
_ASSESSED = re.compile(
    rf"(?P<first>{_YEAR}){_GAP}年?度?{_GAP}{_RANGE_MARK}{{1,4}}{_GAP}(?P<last>{_YEAR})(?!\d)"
    rf"|(?P<year>{_YEAR})(?!\d)"
    rf"|(?P<grade>{'|'.join(GRADES)})"
    r"|(?P<each>分别)"
    r"|(?P<stop>[。；;])"
)
_LONGEST_RANGE = 30


@dataclass(frozen=True, slots=True)
class Assessment:
    """One yearly assessment (年度考核): year and grade as typed."""

    year: int
    grade: str


@dataclass(slots=True)
class _Clause:
    """Years and the grades that follow them (一句考核): `each` where 分别 pairs them in order."""

    years: list[int]
    grades: list[str]
    each: bool = False

    def pairs(self) -> list[tuple[int, str]] | None:
        """Each year with its grade, None where it cannot be known which is which."""
        if self.each:
            same = len(self.years) == len(self.grades)
            return list(zip(self.years, self.grades, strict=True)) if same else None
        return [(year, self.grades[0]) for year in self.years] if len(set(self.grades)) == 1 else None


def read_assessments(text: str, file: str = "") -> tuple[tuple[Assessment, ...], tuple[Issue, ...]]:
    """Read 年度考核结果 (2.3.2): years wait for the next grade word of their sentence; oldest first.

    With 分别 years and grades are paired in order. Where their numbers differ nothing is taken.

    >>> [(a.year, a.grade) for a in read_assessments("2022年、2023年均为称职；2024年优秀。")[0]]
    [(2022, '称职'), (2023, '称职'), (2024, '优秀')]
    >>> [(a.year, a.grade) for a in read_assessments("2022、2023年度分别为称职、优秀")[0]]
    [(2022, '称职'), (2023, '优秀')]
    """
    grades: dict[int, str] = {}
    issues: list[Issue] = []

    def report(code: str, message: str) -> None:
        issues.append(Issue(file, ASSESSMENTS, code, message, text, severity="error"))

    for clause in _clauses(text, report):
        years = "、".join(map(str, clause.years))
        if not clause.grades:
            report("assessment.no_grade", f"{years} 年没有写考核等次")
        elif not clause.years:
            report("assessment.no_year", f"“{'、'.join(clause.grades)}”没有写年度")
        elif (pairs := clause.pairs()) is None:
            message = f"{years} 年与等次“{'、'.join(clause.grades)}”对不上，未采用，请逐年写明"
            report("assessment.unpaired", message)
        else:
            for year, grade in pairs:
                if grades.setdefault(year, grade) != grade:
                    message = f"{year} 年有两个不同的等次，采用先写的“{grades[year]}”"
                    report("assessment.year_repeated", message)
    if text and not grades and not issues and text not in _NOTHING:
        report("assessment.unreadable", "没有找到年度和等次")
    return tuple(Assessment(year, grades[year]) for year in sorted(grades)), tuple(issues)


def _clauses(text: str, report: Callable[[str, str], None]) -> Iterator[_Clause]:
    """The text cut where a sentence ends and where a year follows a grade."""
    clause = _Clause([], [])
    for token in _ASSESSED.finditer(_half_width_digits(text)):
        ended = token["stop"] or ((token["first"] or token["year"]) and clause.grades)
        if ended and (clause.years or clause.grades):
            yield clause
            clause = _Clause([], [])
        if token["first"]:
            first, last = int(token["first"]), int(token["last"])
            if 0 <= last - first <= _LONGEST_RANGE:
                clause.years += range(first, last + 1)
            else:
                report("assessment.range", f"年度区间“{token[0]}”有误")
        elif token["year"]:
            clause.years.append(int(token["year"]))
        elif token["each"]:
            clause.each = True
        elif token["grade"]:
            clause.grades.append(token["grade"])
    if clause.years or clause.grades:
        yield clause


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
    if approved := _read_approved(plain):
        date, authority, name = approved
        return AwardOrSanction(raw, name, read_date(date)[0], authority, sanction)
    if match := _DATED.match(plain):
        return AwardOrSanction(raw, match["name"].strip() or raw, read_date(match["date"])[0], "", sanction)
    return AwardOrSanction(raw, raw, None, "", sanction)


def _read_approved(plain: str) -> tuple[str, str, str] | None:
    """Date, authority and name of `2019.05，经市委批准，记三等功`, None for anything else."""
    date, by, rest = plain.partition("经")
    date = date.rstrip()
    date = date[:-1] if date.endswith(("，", ",")) else date
    authority, approved, name = rest.partition("批准")
    if not by or not approved or not authority or any(comma in date + authority for comma in "，,"):
        return None
    name = name.removeprefix("，").removeprefix(",").strip()
    return (date, authority, name) if name else None
