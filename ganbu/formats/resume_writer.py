"""The résumé as it should be written (规范简历): two blanks after the dates, nine after an open one, CRLF.

A row the reader could not read (an issue of severity `error`) is written back as typed: nothing is lost by
reading a damaged résumé and writing it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ganbu.dates import PartialDate
from ganbu.formats.issues import Issue
from ganbu.formats.resume import BracketLine, InnerEntry, Resume, ResumeEntry, month_span

# A text that begins with one of these would be read as part of the date before it.
_WOULD_GLUE = re.compile("[0-9０-９.．。·/／年月日号份度级届起草至到今~～〜〰∼–—―─－‐‑‒−-]")


def date_text(day: PartialDate) -> str:
    """`YYYY.MM`, or `YYYY` where the month is unknown (年月)."""
    return f"{day.year:04}.{day.month:02}" if day.month else f"{day.year:04}"


def entry_head(entry: ResumeEntry) -> str:
    """The dates of a line with the blanks after them (起止时间).

    >>> entry_head(ResumeEntry(PartialDate(2015, 11), None, "", open=True))
    '2015.11--         '
    """
    start = date_text(entry.start)
    if entry.open:
        return f"{start}--{' ' * 9}"
    return f"{start}--{date_text(entry.end)}  " if entry.end else f"{start}  "


def inner_head(piece: InnerEntry | BracketLine) -> str:
    """The dates inside a bracket, without blanks (其间起止)."""
    if piece.start and piece.end:
        return f"{date_text(piece.start)}--{date_text(piece.end)}"
    only = piece.start or piece.end
    if only is None:
        return ""
    if piece.open:
        return f"{date_text(only)}起"
    return date_text(only) if only.month else f"{date_text(only)}年"


def _inner_text(piece: InnerEntry | BracketLine) -> str:
    head = inner_head(piece)
    return head + ("  " if head and _WOULD_GLUE.match(piece.text) else "") + piece.text


def _with_brackets(entry: ResumeEntry) -> str:
    """The text with its 其间 brackets put back where they stood."""
    text = entry.text
    for at in sorted({piece.at for piece in entry.inner}, reverse=True):
        pieces = "；".join(_inner_text(piece) for piece in entry.inner if piece.at == at)
        text = f"{text[:at]}（其间：{pieces}）{text[at:]}"
    return text


def _unread(issues: tuple[Issue, ...]) -> bool:
    return any(issue.severity == "error" for issue in issues)


def _as_typed(raw: str) -> list[str]:
    return [line.strip() for line in raw.split("\n")]


def _entry_lines(entry: ResumeEntry) -> list[str]:
    unread = _unread(entry.issues) or any(_unread(piece.issues) for piece in entry.inner)
    return _as_typed(entry.raw) if unread and entry.raw else [entry_head(entry) + _with_brackets(entry)]


def line_in_which_it_ends(study: BracketLine, entries: tuple[ResumeEntry, ...]) -> int:
    """The entry a bracket line is written after (其间所附条目): the first that still runs when it ends."""
    own = month_span(study)
    if own is None:
        return min(study.after, len(entries) - 1)
    spans = [month_span(entry) or (0, 0) for entry in entries]
    holding = [i for i, (first, last) in enumerate(spans) if first <= own[1] <= last]
    begun = [i for i, (first, _) in enumerate(spans) if first <= own[1]]
    return holding[0] if holding else begun[-1] if begun else len(entries) - 1


def _study_lines(studies: list[BracketLine], unread: set[int]) -> Iterator[str]:
    """Bracket lines, one row each; a typed line with an unread row is given back whole, once."""
    given = set[int]()
    for study in studies:
        if study.raw and study.line in unread:
            if study.line not in given:
                yield from _as_typed(study.raw)
            given.add(study.line)
        else:
            yield f"（{_inner_text(study)}）"


def _lines(resume: Resume) -> Iterator[str]:
    yield from resume.prologue
    unread = {study.line for study in resume.studies if _unread(study.issues)}
    under: dict[int, list[BracketLine]] = {}
    for study in resume.studies:
        under.setdefault(line_in_which_it_ends(study, resume.entries), []).append(study)
    yield from _study_lines(under.get(-1, []), unread)
    for position, entry in enumerate(resume.entries):
        yield from _entry_lines(entry)
        yield from _study_lines(under.get(position, []), unread)
    if resume.tail:
        yield ""
        yield from resume.tail.split("\n")


def write_resume(resume: Resume) -> str:
    """The canonical text (规范简历文本), each line ended by CRLF; memberships last, after an empty line."""
    return "".join(line + "\r\n" for line in _lines(resume))
