"""Checks of a résumé (简历校核): what a careful reader would ask about, each a small function.

The letters are those of the checklist: a to n.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date

from ganbu.dates import PartialDate
from ganbu.formats.issues import Issue
from ganbu.formats.resume import FIELD, Resume, Row, month_span

YOUNGEST = 15
Ask = Callable[..., None]
_STYLE = re.compile(r"^\s*\d{4}\.\d{2}--(?:\d{4}\.\d{2}  |         )\S")


def _month(day: PartialDate | None) -> int | None:
    return None if day is None or day.month is None else day.year * 12 + day.month


def check_resume(
    resume: Resume,
    file: str = "",
    birth: PartialDate | None = None,
    work_start: PartialDate | None = None,
    current_post: str = "",
    degrees: Iterable[str] = (),
    post_starts: Iterable[PartialDate] = (),
    trainings: Iterable[tuple[PartialDate, PartialDate]] = (),
    today: date | None = None,
) -> list[Issue]:
    """Everything worth asking (校核意见), in the order of the checklist."""
    found: list[Issue] = []

    def ask(code: str, message: str, raw: str = "", line: int = 0) -> None:
        found.append(Issue(file, FIELD, f"resume.{code}", message, raw, line=line))

    for row in _all_rows(resume):
        if (
            row.start
            and row.end
            and (row.end.year, row.end.month or 12) < (row.start.year, row.start.month or 1)
        ):
            ask("reversed", f"起 {row.start} 晚于止 {row.end}", row.raw, row.line)
    _neighbours(resume, ask)
    _open_ends(resume, ask)
    _first_job(resume, work_start, ask)
    _age(resume, birth, ask)
    _children(resume, ask)
    _degrees(resume, list(degrees), ask)
    if current_post and resume.entries and not _contains(resume.entries[-1].text, current_post):
        ask(
            "current_post",
            f"现任职务“{current_post}”不在最后一段经历中",
            resume.entries[-1].raw,
            resume.entries[-1].line,
        )
    edges = {_month(entry.start) for entry in resume.entries}
    for start in post_starts:
        if _month(start) is not None and _month(start) not in edges:
            ask("post_boundary", f"任职时间 {start} 在简历中没有对应的起点")
    for entry in resume.entries:
        first = entry.raw.split("\n")[0]
        if first and not _STYLE.match(first):
            ask("style", "日期或分隔符不是规范写法（2002.07--2008.03 加两个空格）", first, entry.line)
    _future(resume, today or date.today(), ask)
    seen: dict[str, int] = {}
    for entry in resume.entries:
        if entry.raw in seen:
            ask("duplicate", f"与第 {seen[entry.raw]} 行重复", entry.raw, entry.line)
        seen.setdefault(entry.raw, entry.line)
    _trainings(resume, list(trainings), ask)
    return found


def _all_rows(resume: Resume) -> list[Row]:
    return [*resume.entries, *(inner for entry in resume.entries for inner in entry.inner), *resume.studies]


def _neighbours(resume: Resume, ask: Ask) -> None:
    for one, two in zip(resume.entries, resume.entries[1:], strict=False):
        end, start = _month(one.end), _month(two.start)
        if end is None or start is None or end == start:
            continue
        gap = start - end
        ask(
            "gap" if gap > 0 else "overlap",
            f"与上一段{'间断' if gap > 0 else '重叠'} {abs(gap)} 个月",
            two.raw,
            two.line,
        )


def _open_ends(resume: Resume, ask: Ask) -> None:
    still = [entry for entry in resume.entries if entry.open]
    if len(still) > 1:
        ask("several_open", f"有 {len(still)} 段没有结束时间", still[0].raw, still[0].line)
    for entry in still:
        if entry is not resume.entries[-1]:
            ask("open_not_last", "没有结束时间，却不是最后一段", entry.raw, entry.line)


def _first_job(resume: Resume, work_start: PartialDate | None, ask: Ask) -> None:
    wanted = _month(work_start)
    if wanted is None or not resume.entries:
        return
    first = _month(resume.entries[0].start)
    if first is not None and first > wanted:
        ask(
            "late_start",
            f"第一段经历晚于参加工作时间 {work_start}",
            resume.entries[0].raw,
            resume.entries[0].line,
        )
    elif wanted not in {_month(entry.start) for entry in resume.entries}:
        ask("work_boundary", f"参加工作时间 {work_start} 不是任何一段的起点")


def _age(resume: Resume, birth: PartialDate | None, ask: Ask) -> None:
    born = _month(birth)
    if born is None or not resume.entries:
        return
    first = _month(resume.entries[0].start)
    if first is not None and first - born < YOUNGEST * 12:
        ask("too_young", f"第一段经历时不满 {YOUNGEST} 周岁", resume.entries[0].raw, resume.entries[0].line)


def _children(resume: Resume, ask: Ask) -> None:
    for entry in resume.entries:
        outer = month_span(entry)
        for child in entry.inner:
            inner = month_span(child)
            if outer and inner and not (outer[0] <= inner[0] and inner[1] <= outer[1]):
                ask(
                    "child_outside",
                    "“其间”的时间超出所在的一段",
                    child.raw or child.text,
                    child.line or entry.line,
                )


def _studies(resume: Resume) -> Iterator[str]:
    for row in _all_rows(resume):
        if row.kind == "study":
            yield row.text


def _degrees(resume: Resume, degrees: list[str], ask: Ask) -> None:
    texts = list(_studies(resume))
    if any(degrees) and not texts:
        ask("degree_without_study", f"有学历学位（{'、'.join(d for d in degrees if d)}），简历中没有学习经历")
    if texts and not any(degrees):
        ask("study_without_degree", "简历中有学习经历，没有填写学历学位")


def _contains(text: str, post: str) -> bool:
    plain = re.sub(r"[\s、，,；;（）()]", "", text)
    pieces = [piece for piece in re.split(r"[\s、，,；;]", post) if piece]
    return all(re.sub(r"[（）()]", "", piece) in plain for piece in pieces)


def _future(resume: Resume, today: date, ask: Ask) -> None:
    now = today.year * 12 + today.month
    rows: list[Row] = [*resume.entries, *resume.studies]
    for row in rows:
        for day in (row.start, row.end):
            if _month(day) is not None and (_month(day) or 0) > now:
                ask("future", f"日期 {day} 在将来", row.raw, row.line)


def _trainings(resume: Resume, trainings: list[tuple[PartialDate, PartialDate]], ask: Ask) -> None:
    noted = {_month(row.start) for row in _all_rows(resume)}
    for start, end in trainings:
        first, last = _month(start), _month(end)
        if first is not None and last is not None and last - first >= 3 and first not in noted:
            ask("training_not_noted", f"{start} 至 {end} 的培训满三个月，简历中没有注明")
