"""The résumé text (简历): a lenient reader that keeps every line as typed and reports what it could not take.

Patterns run on a matching copy of the same length (digits, dots, dashes, brackets and blanks made plain),
and what is stored is cut from the typed text by the same positions, so no Han text is ever rewritten.

>>> resume = parse_resume("２００２．０７至今　某县司法局科员（其间：2004.9-2007.6某大学学习）")
>>> entry = resume.entries[0]
>>> entry.start.iso(), entry.open, entry.text, entry.inner[0].end.iso()
('2002-07', True, '某县司法局科员', '2007-06')
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from ganbu.dates import PartialDate
from ganbu.formats.issues import Issue

FIELD = "简历"
Kind = Literal["post", "study"]


@dataclass(frozen=True, slots=True)
class Study:
    """What a study line names (学习经历): school, department, major, degree; empty where not named."""

    school: str = ""
    department: str = ""
    major: str = ""
    degree: str = ""


@dataclass(frozen=True, slots=True)
class InnerEntry:
    """A study or posting inside one line (其间): `at` is where its bracket stood in the line's text.

    One date alone is the end where the text speaks of a degree, else the start; without date both are None.
    """

    start: PartialDate | None
    end: PartialDate | None
    text: str
    open: bool = False
    kind: Kind = "post"
    at: int = 0
    raw: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    issues: tuple[Issue, ...] = field(default=(), compare=False)

    @property
    def study(self) -> Study | None:
        """The study named (学习经历), None for a post."""
        return read_study(self.text) if self.kind == "study" else None


@dataclass(frozen=True, slots=True)
class BracketLine:
    """A study or posting across several lines (跨段其间), on a line of its own.

    `parents` are the positions of the entries it overlaps; `after` is the entry it was typed under, -1 for none.
    """

    start: PartialDate | None
    end: PartialDate | None
    text: str
    open: bool = False
    kind: Kind = "post"
    parents: tuple[int, ...] = ()
    after: int = field(default=-1, compare=False)
    raw: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    issues: tuple[Issue, ...] = field(default=(), compare=False)

    @property
    def study(self) -> Study | None:
        """The study named (学习经历), None for a post."""
        return read_study(self.text) if self.kind == "study" else None


@dataclass(frozen=True, slots=True)
class ResumeEntry:
    """One dated line (简历条目): `text` is as typed without its 其间 brackets, which are in `inner`.

    `raw` holds the typed lines joined by LF. Equality is equality of content, not of typing.
    """

    start: PartialDate
    end: PartialDate | None
    text: str
    open: bool = False
    kind: Kind = "post"
    inner: tuple[InnerEntry, ...] = ()
    raw: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    issues: tuple[Issue, ...] = field(default=(), compare=False)

    @property
    def study(self) -> Study | None:
        """The study named (学习经历), None for a post."""
        return read_study(self.text) if self.kind == "study" else None


@dataclass(frozen=True, slots=True)
class Resume:
    """A whole résumé (简历): dated lines, bracket lines, the closing paragraph, and the lines as typed."""

    entries: tuple[ResumeEntry, ...] = ()
    studies: tuple[BracketLine, ...] = ()
    tail: str = ""
    prologue: tuple[str, ...] = ()
    issues: tuple[Issue, ...] = field(default=(), compare=False)
    raw: tuple[str, ...] = field(default=(), compare=False)


Row = ResumeEntry | InnerEntry | BracketLine
FOREVER = 10_000 * 12


def month_span(row: Row) -> tuple[int, int] | None:
    """First and last month a row can cover (起止月), counted as year x 12 + month; None without any date."""
    first, last = row.start or row.end, row.end or row.start
    if first is None or last is None:
        return None
    return first.year * 12 + (first.month or 1), FOREVER if row.open else last.year * 12 + (last.month or 12)


def overlaps(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two spans share time (时间重叠); a shared boundary month is no overlap between real spans."""
    if one[0] >= one[1] or other[0] >= other[1]:
        return one[0] <= other[1] and other[0] <= one[1]
    return one[0] < other[1] and other[0] < one[1]


_STUDY_WORDS = re.compile(
    "学习|读书|就读|进修|攻读|在读|学员|研究生|本科|大专|专科|中专|学士|硕士|博士|毕业|专业"
)
_POST_WORDS = re.compile("工作|任教|教师|讲师|教授|助教|博士后|辅导员|科研")
# A title counts where a phrase ends with it: `研究生处处长` is a post, `县委书记研修班学习` is not.
_TITLES = re.compile(
    "(?:(?<!班)长|主任|书记|(?<!学生会)主席|委员|常委|经理|总监|科员|办事员|干事|干部|秘书|文书|调研员|巡视员|研究员|会计|出纳|职员|民警|法官|检察官|"
    "工程师|经济师|会计师|医师|医生|技术员|助理|专员|战士)(?:候选人)?(?=兼|$|[\\s，,、；;。:：(（)）])"
)
_DEGREE_WORDS = re.compile("毕业|获|取得")


def classify(text: str) -> Kind:
    """Study or post (学习或任职), by its words; a post wins in doubt.

    >>> classify("某大学法律专业学习"), classify("某大学研究生工作部干事"), classify("教育厅研究生处处长")
    ('study', 'post', 'post')
    """
    held = _POST_WORDS.search(text) or _TITLES.search(text)
    return "study" if _STUDY_WORDS.search(text) and not held else "post"


# Lengths are bounded, so that a long text without a school costs no time by the square.
_SCHOOL = re.compile(
    r"\s{0,4}(?:就读于|毕业于|考入|进入|在|于|到|入)?\s{0,4}"
    r"(?P<school>[^，。；、,;（(]{1,60}?(?:大学|学院|学校|党校|研究院|行政学院))\s{0,4}"
    r"(?P<department>[^，。；、,;（(]{0,40}?(?:学院|系(?!统)|(?:研究)所))?\s{0,4}"
    r"(?:(?P<major>[^，。；、,;（(]{1,40}?)专业)?"
)
_DEGREE = re.compile("(?:获得?|取得|授予)(?P<degree>[^，。；、,;（）()获]{0,40}?(?:学士|硕士|博士))")


def read_study(text: str) -> Study:
    """School, department, major and degree of a study text (院校、院系、专业、学位), empty where not named.

    >>> read_study("某大学法学院法律专业学习（获法学学士学位）")
    Study(school='某大学', department='法学院', major='法律', degree='法学学士')
    """
    place, degree = _SCHOOL.match(text), _DEGREE.search(text)
    school, department, major = place.group("school", "department", "major") if place else ("", "", "")
    return Study(school, department or "", (major or "").strip(), degree["degree"].strip() if degree else "")


def _same_length_table() -> dict[int, str]:
    plain = {
        " ": "\t\v\f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))),
        ".": "．。·•﹒｡",
        "-": "–—―─－‐‑‒−﹣﹘",
        "~": "～〜〰∼",
        "/": "／",
        "(": "（﹙",
        ")": "）﹚",
        ":": "：﹕",
        ";": "；﹔",
        ",": "，﹐",
    }
    table = {ord(typed): to for to, forms in plain.items() for typed in forms}
    return table | {ord("０") + digit: str(digit) for digit in range(10)}


_TABLE = _same_length_table()
_ZERO_WIDTH = re.compile("[\u200b\u200c\u200d\u2060\ufeff]")
_LINE_END = re.compile(r"\r\n|\r|\n|&#(?:13|x0?[dD]);\n?")


def _date_pattern(name: str) -> str:
    """A date with groups y (year), m, n, g (month) and d, e (day), each prefixed.

    The day repeats the month's separator, so that `1999.09-07` stays a range and `1998-9-2002-7` too.
    """
    dotted = (
        rf" ?(?P<{name}s>[./年-]) ?(?P<{name}m>[0-9][0-9]?)(?![0-9])"
        rf"(?: ?月份?(?: ?(?P<{name}d>[0-9][0-9]?) ?[日号])?|(?P={name}s)(?P<{name}e>[0-9][0-9]?)(?![0-9])日?)?"
    )
    glued = rf"(?P<{name}n>[0-9][0-9](?:[0-9][0-9])?|[0-9])(?![0-9])月?"
    before_number = rf"[./年-](?P<{name}g>0[1-9]|1[0-2])(?=[0-9]{{3}})"
    year_only = r"年?(?![0-9年度级届])(?! ?[./年] ?[0-9])"
    return rf"(?P<{name}y>(?:19|20)[0-9][0-9])(?:{dotted}|{glued}|{before_number}|{year_only})"


# Nine blanks stand for a missing end date, so an end date or 今 is sought within eight.
_HEAD = re.compile(
    rf" *{_date_pattern('s')}"
    r"(?:(?P<since> ?起(?!草))"
    r"| {0,8}[-~至到]{1,12} {0,8}(?:"
    rf"{_date_pattern('e')}|(?P<now>至?今(?![日年天后明])|现在|目前)"
    r"|(?P<bare>[0-9][0-9]?(?= ?月)|(?<! )(?:0[1-9]|1[0-2])(?![0-9])) ?月?)"
    r"|(?P<dash> {0,8}[-~]{1,12}))?"
)
_BRACKET_LINE = re.compile(r" *\( *(?:其间|期间)?[ :,]*(?=(?:19|20)[0-9][0-9])")
_INNER = re.compile(r"\( *(?:其间|期间)[ :,]*")
_NEXT_BRACKET = re.compile(r" *\( *(?:其间|期间)?[ :,]*(?=(?:19|20)[0-9][0-9])")
_MARKS = re.compile(r"[();,]")
_HAN = re.compile("[\u3001-\u303f\u3400-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff]")


class _Remarks:
    """The issues of one row while it is read (问题)."""

    def __init__(self, file: str, line: int) -> None:
        self.file, self.line, self.issues = file, line, list[Issue]()

    def add(
        self, code: str, message: str, raw: str = "", normalised: str | None = None, severity: str = "warning"
    ) -> None:
        self.issues.append(Issue(self.file, FIELD, code, message, raw, normalised, severity, self.line))


class _Block:
    """A line that opens something with the lines that continue it; `plain` is the matching copy of `text`."""

    def __init__(self, line: int, head: re.Match[str] | None, raw: str, text: str, plain: str) -> None:
        self.line, self.head, self.raw, self.after_blank = line, head, [raw], False
        self._text, self._plain = [text], [plain]

    @property
    def text(self) -> str:
        """The text as typed, without its dates."""
        self._text = ["".join(self._text)]
        return self._text[0]

    @property
    def plain(self) -> str:
        """The matching copy, as long as the text."""
        self._plain = ["".join(self._plain)]
        return self._plain[0]

    def join(self, raw: str, text: str, plain: str) -> None:
        """Continue the text (续行): Han meets Han without a blank, anything else with one."""
        self.raw.append(raw)
        last = self._text[-1][-1:]
        gap = "" if not last or (_HAN.match(last) and _HAN.match(text[0])) else " "
        self._text += [gap, text] if gap else [text]
        self._plain += [gap, plain] if gap else [plain]


@dataclass(frozen=True, slots=True)
class _Head:
    start: PartialDate | None
    end: PartialDate | None
    open: bool
    length: int


@lru_cache(maxsize=4096)
def _partial(year: int, month: int | None) -> PartialDate:
    return PartialDate(year, month)


def _read_date(match: re.Match[str], name: str, remarks: _Remarks) -> PartialDate | None:
    """The date in the groups `name`: month precision, or year with an issue where the month is missing or wrong."""
    groups = match.group(name + "y", name + "m", name + "n", name + "g", name + "d", name + "e")
    year, dotted, glued, before_number, day, day_again = groups
    if year is None:
        return None
    digits = dotted or glued or before_number
    if digits is None:
        remarks.add("date.year_only", f"“{year}”只有年份，应写到月：{year}.MM", year, year)
        return _partial(int(year), None)
    month = int(digits[:2])
    if not 1 <= month <= 12:
        message = f"月份“{digits[:2]}”不在 01–12 之间，只采用年份 {year}，请核对原件改正"
        remarks.add("date.month_out_of_range", message, f"{year}.{digits[:2]}", year, "error")
        return _partial(int(year), None)
    if day or day_again or len(digits) == 4:
        remarks.add(
            "date.day_dropped", "简历日期只写到月，日未采用", match[0].strip(), f"{year}.{month:02}", "note"
        )
    return _partial(int(year), month)


def _same_year_end(
    start: PartialDate | None, digits: str, typed: str, remarks: _Remarks
) -> PartialDate | None:
    """An end written without year (止月缺年): the start's year where that can be, else nothing and an error."""
    month = int(digits)
    if start and start.month and start.month <= month <= 12:
        end = _partial(start.year, month)
        remarks.add("date.year_missing", f"止月缺年份，按同年 {end} 采用，请核对", typed, end.iso())
        return end
    remarks.add("date.year_missing", "止月缺年份且不能与起始同年，未采用，请补写年份", typed, None, "error")
    return None


def _read_head(match: re.Match[str], remarks: _Remarks) -> _Head:
    start, end = _read_date(match, "s", remarks), _read_date(match, "e", remarks)
    if match["bare"]:
        end = _same_year_end(start, match["bare"], match[0].strip(), remarks)
    still = bool(match["since"] or match["now"] or match["dash"])
    length = match.end()
    plain = match.string
    if match["dash"] and length < len(plain) and plain[length] not in " :":
        remarks.add("resume.open_without_blank", "起始日期后缺止日期，按“至今”采用，请核对", match[0].strip())
    while length < len(plain) and plain[length] in " :":
        length += 1
    return _Head(start, end, still, length)


def _has_month_or_range(match: re.Match[str] | None) -> bool:
    """Whether a head is surely a date and not a year in a sentence (`2008年度…`)."""
    if match is None:
        return False
    month = match["sm"] or match["sn"] or match["sg"]
    return bool(month or match["ey"] or match["now"] or match["bare"] or match["dash"] or match["since"])


def _opens_entry(match: re.Match[str] | None, plain: str) -> bool:
    if match is None:
        return False
    return _has_month_or_range(match) or match.end() == len(plain) or plain[match.end()] == " "


@dataclass(slots=True)
class _Bracket:
    """A 其间 bracket in a text: the pieces as (from, to), where it ends, and how many brackets stayed open."""

    pieces: list[tuple[int, int]]
    end: int
    unclosed: int


def _read_bracket(plain: str, begin: int, undated_pieces: bool) -> _Bracket:
    """Follow a bracket from just inside it, splitting where a new piece begins."""
    depth, piece, cuts = 1, begin, list[tuple[int, int]]()
    for mark in _MARKS.finditer(plain, begin):
        sign, at = mark[0], mark.start()
        if sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
            if not depth:
                return _Bracket([*cuts, (piece, at)], at + 1, 0)
        elif depth == 1 and _begins_piece(plain, at, sign, undated_pieces):
            cuts.append((piece, at))
            piece = at + 1
    return _Bracket([*cuts, (piece, len(plain))], len(plain), depth)


def _begins_piece(plain: str, at: int, sign: str, undated_pieces: bool) -> bool:
    return (sign == ";" and undated_pieces) or _has_month_or_range(_HEAD.match(plain, at + 1))


def _stripped(plain: str, begin: int, end: int) -> tuple[int, int]:
    while begin < end and plain[begin] == " ":
        begin += 1
    while begin < end and plain[end - 1] == " ":
        end -= 1
    return begin, end


def _read_piece(text: str, plain: str, file: str, line: int) -> InnerEntry:
    """One piece of a bracket: a range, one date, or none, and its text."""
    remarks = _Remarks(file, line)
    match = _HEAD.match(plain)
    sure = match is not None and (_opens_entry(match, plain) or match[0].endswith("年"))
    if match is None or not sure:
        return InnerEntry(None, None, text, False, classify(text), raw=text, line=line)
    head = _read_head(match, remarks)
    body = text[head.length :]
    start, end = head.start, head.end
    if not head.open and end is None and match["bare"] is None and _DEGREE_WORDS.search(body):
        start, end = None, start
    return InnerEntry(
        start, end, body, head.open, classify(body), raw=text, line=line, issues=tuple(remarks.issues)
    )


def _report_unclosed(bracket: _Bracket, text: str, begin: int, remarks: _Remarks) -> None:
    if not bracket.unclosed:
        return
    typed = text[begin:]
    if bracket.unclosed == 1:
        remarks.add("resume.bracket_unclosed", "“（”缺少“）”，按到行末为止采用", typed)
    else:
        remarks.add(
            "resume.bracket_unclosed", "括号层次不清，无法确定“其间”到何处，请补齐“）”", typed, None, "error"
        )


def _brackets(plain: str, begin: int, undated_pieces: bool) -> Iterator[_Bracket]:
    """The bracket that opens before `begin`, and those glued to it that begin with a date: `（…）（…）`."""
    bracket = _read_bracket(plain, begin, undated_pieces)
    yield bracket
    while glued := _NEXT_BRACKET.match(plain, bracket.end):
        if not _has_month_or_range(_HEAD.match(plain, glued.end())):
            return
        bracket = _read_bracket(plain, glued.end(), undated_pieces)
        yield bracket


def _pieces(block: _Block, bracket: _Bracket, file: str) -> Iterator[InnerEntry]:
    for begin, end in bracket.pieces:
        begin, end = _stripped(block.plain, begin, end)
        if begin < end:
            yield _read_piece(block.text[begin:end], block.plain[begin:end], file, block.line)


def _take_inner(block: _Block, file: str, remarks: _Remarks) -> tuple[str, tuple[InnerEntry, ...]]:
    """The text without its 其间 brackets, and what stood in them."""
    opening = _INNER.search(block.plain)
    if not opening:
        return block.text, ()
    kept, inner, position = "", list[InnerEntry](), 0
    while opening:
        kept += block.text[position : opening.start()]
        at = len(kept.rstrip())
        found, position = list[InnerEntry](), opening.end()
        for bracket in _brackets(block.plain, opening.end(), undated_pieces=True):
            _report_unclosed(bracket, block.text, opening.start(), remarks)
            found += [replace(piece, at=at) for piece in _pieces(block, bracket, file)]
            position = bracket.end
        kept = kept.rstrip() if found else kept + block.text[opening.start() : position]
        inner += found
        opening = _INNER.search(block.plain, position)
    return (kept + block.text[position:]).rstrip(), tuple(inner)


def _read_entry(block: _Block, file: str) -> ResumeEntry:
    remarks = _Remarks(file, block.line)
    assert block.head is not None
    head = _read_head(block.head, remarks)
    assert head.start is not None
    if block.after_blank:
        remarks.add(
            "resume.continuation_after_blank", "空行后的文字按上一条的续行采用，请核对", block.raw[-1]
        )
    text, inner = _take_inner(block, file, remarks)
    if head.end is None and not head.open and not block.head["bare"]:
        remarks.add("resume.range_missing", "只有一个日期，应写作 YYYY.MM--YYYY.MM", block.raw[0])
    if not text:
        remarks.add("resume.text_missing", "日期后没有经历文字，请补写", block.raw[0])
    return ResumeEntry(
        head.start,
        head.end,
        text,
        head.open,
        classify(text),
        inner,
        "\n".join(block.raw),
        block.line,
        tuple(remarks.issues),
    )


def _read_bracket_line(block: _Block, after: int, file: str) -> list[BracketLine]:
    """The rows of a bracket line; text after its closing bracket joins the last of them, with a warning."""
    opening = _BRACKET_LINE.match(block.plain)
    assert opening is not None
    remarks = _Remarks(file, block.line)
    raw = "\n".join(block.raw)
    found, position = list[InnerEntry](), 0
    for bracket in _brackets(block.plain, opening.end(), undated_pieces=False):
        _report_unclosed(bracket, block.text, 0, remarks)
        found += _pieces(block, bracket, file)
        position = bracket.end
    rest = block.text[position:].strip()
    if rest:
        remarks.add("resume.text_after_bracket", f"“）”之后还有文字“{rest}”，并入该条，请核对", raw)
        text = found[-1].text + rest
        found[-1] = replace(found[-1], text=text, kind=classify(text))
    if after < 0:
        remarks.add("resume.prologue", "“其间”行之前没有简历条目，请核对顺序", raw)
    return [
        BracketLine(
            piece.start,
            piece.end,
            piece.text,
            piece.open,
            piece.kind,
            (),
            after,
            raw,
            block.line,
            (*piece.issues, *remarks.issues) if piece is found[0] else piece.issues,
        )
        for piece in found
    ]


def _with_parents(study: BracketLine, spans: list[tuple[int, int] | None]) -> BracketLine:
    own = month_span(study)
    if own is None:
        return study
    return replace(study, parents=tuple(i for i, span in enumerate(spans) if span and overlaps(own, span)))


@dataclass(slots=True)
class _Layout:
    """The lines sorted by what they belong to (分段)."""

    prologue: list[tuple[int, str]]
    blocks: list[_Block]
    tail: list[str]


def _trim(text: str, plain: str) -> tuple[str, str]:
    begin, end = _stripped(plain, 0, len(plain))
    return text[begin:end], plain[begin:end]


def _lay_out(raw: list[str], typed: list[str], plain: list[str]) -> _Layout:
    """Sort lines into prologue, blocks and tail; what follows the last block after an empty line is the tail."""
    layout = _Layout([], [], [])
    waiting = list[tuple[str, str, str]]()
    blank_seen = False
    for number, (raw_line, typed_line, plain_line) in enumerate(zip(raw, typed, plain, strict=True), 1):
        text, copy = _trim(typed_line, plain_line)
        if not copy:
            blank_seen = True
            continue
        block = _open_block(number, raw_line, text, copy)
        if block:
            _continue(layout, waiting, after_blank=True)
            layout.blocks.append(block)
            blank_seen = False
        elif not layout.blocks:
            layout.prologue.append((number, text))
        elif blank_seen:
            waiting.append((raw_line, text, copy))
        else:
            layout.blocks[-1].join(raw_line, text, copy)
    layout.tail = [text for _, text, _ in waiting]
    return layout


def _continue(layout: _Layout, waiting: list[tuple[str, str, str]], after_blank: bool) -> None:
    for lines in waiting:
        layout.blocks[-1].join(*lines)
        layout.blocks[-1].after_blank = after_blank
    waiting.clear()


def _open_block(number: int, raw: str, text: str, plain: str) -> _Block | None:
    """A block when the line begins with a date or with a bracket and a date, else None."""
    head = _HEAD.match(plain)
    if head and _opens_entry(head, plain):
        length = head.end()
        while length < len(plain) and plain[length] in " :":
            length += 1
        return _Block(number, head, raw, text[length:], plain[length:])
    bracket = _BRACKET_LINE.match(plain)
    if bracket and _has_month_or_range(_HEAD.match(plain, bracket.end())):
        return _Block(number, None, raw, text, plain)
    return None


def _read_blocks(blocks: list[_Block], file: str) -> tuple[list[ResumeEntry], list[BracketLine]]:
    entries, studies = list[ResumeEntry](), list[BracketLine]()
    for block in blocks:
        if block.head:
            entries.append(_read_entry(block, file))
        else:
            studies += _read_bracket_line(block, len(entries) - 1, file)
    if studies:
        spans = [month_span(entry) for entry in entries]
        studies = [_with_parents(study, spans) for study in studies]
    return entries, studies


def _all_issues(
    layout: _Layout, entries: list[ResumeEntry], studies: list[BracketLine], file: str
) -> list[Issue]:
    message = "第一条简历之前的文字未采用，请移到相应条目"
    issues = [
        Issue(file, FIELD, "resume.prologue", message, text, line=number) for number, text in layout.prologue
    ]
    for entry in entries:
        issues += entry.issues
        for piece in entry.inner:
            issues += piece.issues
    for study in studies:
        issues += study.issues
    return sorted(issues, key=lambda issue: issue.line)


def parse_resume(text: str, file: str = "") -> Resume:
    """Read a résumé (读简历) in any of the ways offices type it; never raises, reports in `issues`.

    `file` is only named in the issues. `raw` holds the input's lines untouched; `text` fields are as typed
    but for invisible zero-width characters.
    """
    raw = _LINE_END.split(text)
    typed = [_ZERO_WIDTH.sub("", line) for line in raw] if _ZERO_WIDTH.search(text) else raw
    plain = "\n".join(typed).translate(_TABLE).split("\n")
    layout = _lay_out(raw, typed, plain)
    entries, studies = _read_blocks(layout.blocks, file)
    issues = _all_issues(layout, entries, studies, file)
    prologue = tuple(line for _, line in layout.prologue)
    return Resume(tuple(entries), tuple(studies), "\n".join(layout.tail), prologue, tuple(issues), tuple(raw))
