"""Selections (虚构选任): candidates with votes, the opinions asked about them, their tests and what was found."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from random import Random

from ganbu.dates import add_months
from ganbu.synthetic.careers import LADDER, Life, a_day
from ganbu.synthetic.recorder import Recorder

AGENCIES = ("纪委", "公安", "信访", "检察院")
NEXT_LEVEL = {**dict(pairwise(LADDER)), LADDER[-1]: "县处级正职"}


def selections(random: Random, record: Recorder, lives: list[Life], as_of: date) -> None:
    """Matters under way in the last two months, each with one candidate."""
    leaders = [life for life in lives if life.seat.leading] or lives
    for at in range(max(1, len(leaders) // 40)):
        life = random.choice(leaders)
        day = a_day(random, life.since(add_months(as_of, -2)), as_of)
        name = f"选任事项{at + 1}"
        selection = record.add(
            "selection", name=name, unit=life.seat.unit, date=day, kind="提拔", posts=1, promotions=random.randint(1, 4), candidates=random.randint(1, 4),
            effective_competition=random.random() < 0.5, due=11, present=random.randint(7, 11),
        )  # fmt: skip
        record.add(
            "candidate", name=f"人选{at + 1}", selection=selection, person=life.key, date=day, target_level=NEXT_LEVEL[life.seat.level], target_kind="正职",
            target_unit=life.seat.unit, exceptional=False, meeting_votes=random.randint(20, 60), meeting_valid=70, talk_votes=random.randint(5, 20),
            talk_total=22, attending=75, basic=random.randint(0, 8), incompetent=random.randint(0, 4), valid=70, evaluation=str(random.randint(78, 97)),
        )  # fmt: skip
        _opinions(random, record, life, AGENCIES, day, name, as_of)
        record.add(
            "finding", person=life.key, policy="政治素质考察", outcome=random.choices(["合格", "政治不合格"], [98, 2])[0], date=day, confirmed=random.random() < 0.9
        )  # fmt: skip
        if random.random() < 0.8:
            _test_before_office(random, record, life, day, name, as_of)


def opinions_on_honours(random: Random, record: Recorder, life: Life, as_of: date) -> None:
    """Once a year two agencies are asked about those proposed for an honour."""
    day = date(as_of.year, 2, 10)
    if day > as_of:
        day = date(as_of.year - 1, 2, 10)
    if life.work <= day:
        _opinions(random, record, life, AGENCIES[:2], day, f"{day.year - 1}年度评优", as_of)


def _opinions(
    random: Random, record: Recorder, life: Life, agencies: tuple[str, ...], day: date, batch: str, as_of: date
) -> None:  # fmt: skip
    sent = min(as_of, day + timedelta(days=random.randint(0, 5)))
    for agency in agencies:
        replied = sent + timedelta(days=random.randint(2, 12))
        answered = replied <= as_of and random.random() < 0.97
        opinion = random.choices(
            ["无不同意见", "同意", "有不同意见", "建议暂缓", "不同意"], [70, 26, 2, 1, 1]
        )[0]
        record.add(
            "opinion", person=life.key, agency=agency, sent_on=sent, replied_on=replied if answered else None, opinion=opinion if answered else None, batch=batch
        )  # fmt: skip


def _test_before_office(
    random: Random, record: Recorder, life: Life, day: date, batch: str, as_of: date
) -> None:
    score = _score(random)
    record.add("exam", person=life.key, date=day, batch=batch, part="任前测试", score=score)
    again = day + timedelta(days=14)
    if float(score) < 60 and again <= as_of:
        record.add("exam", person=life.key, date=again, batch=batch, part="任前补考", score=_score(random))


def tests_of_the_year(random: Random, record: Recorder, life: Life, as_of: date) -> None:
    """The test on the network that part of the corps takes in the fourth quarter."""
    last = date(as_of.year - 1, 12, 20)
    if life.work <= add_months(last, -2):
        day = a_day(random, add_months(last, -2), last)
        record.add("exam", person=life.key, date=day, batch=f"{day.year}年四季度", part="网络测试", score=_score(random))  # fmt: skip


def tests_of_a_course(random: Random, record: Recorder, life: Life, start: date, as_of: date) -> None:
    """The tests at the beginning and the end of the course for young cadres."""
    for part, day in (("入学测试", start), ("结业测试", add_months(start, 3))):
        if day <= as_of:
            record.add("exam", person=life.key, date=day, batch=f"{start.year}年年轻干部班", part=part, score=_score(random))  # fmt: skip


def _score(random: Random) -> str:
    return f"{max(30.0, min(100.0, random.gauss(80, 10))):.1f}"
