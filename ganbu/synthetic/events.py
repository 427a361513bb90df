"""What happened along the way (虚构经历): grades, awards, sanctions, training, secondments, deeds.

Nothing here is dated before the person started work or after the as-of day; only plans, and the end of an effect that is
running, lie ahead.
"""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from ganbu.dates import add_months
from ganbu.synthetic.careers import Life, a_day, month
from ganbu.synthetic.family import family, relatives
from ganbu.synthetic.recorder import Recorder
from ganbu.synthetic.selections import (
    opinions_on_honours,
    selections,
    tests_of_a_course,
    tests_of_the_year,
)
from ganbu.synthetic.units import Row

# The lowest grade first: each begins where luck falls below its bound.
GRADES = ((-3.3, "不称职"), (-2.75, "基本称职"), (1.05, "称职"), (99.0, "优秀"))
SANCTIONS = {  # kind: branch, months of effect, what it bars
    "诫勉": ("诫勉", 6, "不得提拔重用"),
    "党内警告": ("党纪处分", 12, "不得提拔"),
    "政务警告": ("政务处分", 6, "不得晋升"),
    "政务记过": ("政务处分", 12, "不得晋升"),
    "党内严重警告": ("党纪处分", 18, "不得提拔"),
    "批评教育": ("其他", 0, ""),
}
AWARDING = {"县级": "县委县政府", "市级": "市委市政府", "省级": "省委省政府"}


def events(random: Random, units: list[Row], lives: list[Life], as_of: date) -> dict[str, list[Row]]:
    """Everything that is not a career, for every unit and everybody."""
    record = Recorder()
    _units(random, record, [row["unit_id"] for row in units[1:]], as_of)
    leaders = [life for life in lives if life.seat.leading]
    for life in lives:
        _grades(random, record, life, as_of)
        _marks(random, record, life, as_of)
        _training(random, record, life, as_of)
        _service(random, record, life, units, as_of)
        if life.seat.leading:
            _leadership(random, record, life, as_of)
        _promise(random, record, life, leaders, as_of)
        _file(random, record, life, as_of)
        family(random, record, life, as_of)
    relatives(random, record, lives, as_of)
    selections(random, record, lives, as_of)
    return record.rows


def _units(random: Random, record: Recorder, units: list[str], as_of: date) -> None:
    places: dict[int, list[str]] = {}
    for year in range(as_of.year - 3, as_of.year):
        order = units[:]
        random.shuffle(order)
        places[year] = order
        confirmed = date(year + 1, 2, 20)
        for place, unit in enumerate(order, 1):
            last = places[year - 1].index(unit) + 1 if year - 1 in places else None
            grade = "优秀" if place <= len(order) * 0.3 else "合格" if place < len(order) - 1 else "不合格"
            record.add("unit_assessment", unit=unit, year=year, grade=grade, score=f"{98 - 20 * place / len(order):.2f}", place=place, group_size=len(order), last_place=last,
                       confirmed_on=confirmed if confirmed <= as_of else None, decision_months=random.choice([6, 12]) if grade == "不合格" else None)  # fmt: skip
    for unit in units:
        for back in range(1, 7):
            day = add_months(as_of, -back).replace(day=25)
            if random.random() < 0.93:
                zero = random.random() < 0.5
                count = "0" if zero else str(random.randint(1, 6))
                record.add("unit_record", unit=unit, date=day, kind="监督信息", period=month(day), count=count, zero=zero)  # fmt: skip
        record.add("metric", unit=unit, date=date(as_of.year - 1, 12, 31), year=as_of.year - 1, name="任务完成率", value=f"{random.uniform(78, 100):.2f}", target="95")  # fmt: skip
    for at in range(12):
        start = a_day(random, add_months(as_of, -30), add_months(as_of, -3))
        record.add("project", name=f"重点项目{at + 1}", kind=random.choice(["招商引资", "重点项目", "社会治理"]), unit=random.choice(units), level="县级", start_date=start, planned_end=add_months(start, 24))  # fmt: skip


def _grades(random: Random, record: Recorder, life: Life, as_of: date) -> None:
    """One grade a year: none is settled in the year of joining, a few years are missed or not assessed."""
    bent = random.gauss(0, 1)
    for year in range(max(life.work.year, as_of.year - 8), as_of.year):
        confirmed = date(year + 1, 2, random.randint(1, 28))
        if random.random() < 0.012 or confirmed > as_of:
            continue
        luck = bent * 0.5 + random.gauss(0, 1)
        grade = next(grade for bound, grade in GRADES if luck < bound)
        if year == life.work.year or random.random() < 0.004:
            grade = "不确定等次"
        elif random.random() < 0.003:
            grade = "未参加"
        place = max(1, min(20, round(10 - 5 * luck)))
        record.add("assessment", person=life.key, year=year, grade=grade, unit=life.unit_on(date(year, 12, 31)), score=f"{max(55, min(99, 85 + 4 * luck)):.2f}", place=place, group_size=20,
                   track="强" if luck > 0.6 else "弱" if luck < -1.5 else "中", confirmed_on=confirmed, recorded_at=f"{confirmed.isoformat()}T09:00:00")  # fmt: skip


def _marks(random: Random, record: Recorder, life: Life, as_of: date) -> None:
    """Awards, sanctions with the effects they have, deeds, warning cards."""
    if random.random() < 0.2:
        level = random.choice(list(AWARDING))
        name = random.choice(["三等功", "嘉奖", "先进工作者"])
        record.add("award", person=life.key, name=name, level=level, body=AWARDING[level], date=a_day(random, life.work, as_of))  # fmt: skip
    if random.random() < 0.035:
        _sanction(random, record, life, as_of)
    for _ in range(random.choices([0, 1, 2], [7, 2, 1])[0]):
        good = random.random() < 0.7
        record.add("deed", person=life.key, date=a_day(random, life.since(add_months(as_of, -24)), as_of), direction="正面" if good else "负面", item=random.choice(["急难险重", "群众表扬"] if good else ["督办通知", "迟报"]),
                   field="全程积分", points=str(random.choice([1, 2]) if good else -random.choice([1, 2, 3])), evidence=random.choice(["已核实", "已核实", "核实中"]), source="监督科")  # fmt: skip
    if random.random() < 0.02:
        day = a_day(random, life.since(add_months(as_of, -18)), as_of)
        card = random.choice(["黄牌", "红牌"])
        record.add("warning", person=life.key, date=day, level=card, scheme="红黄牌", ground="组内排名靠后")
        record.add("finding", person=life.key, policy="红黄牌", outcome=card, date=day, confirmed=random.random() < 0.9)  # fmt: skip


def _sanction(random: Random, record: Recorder, life: Life, as_of: date) -> None:
    kind = random.choices(list(SANCTIONS), [5, 4, 3, 2, 1, 4])[0]
    branch, months, bars = SANCTIONS[kind]
    day = a_day(random, life.since(add_months(as_of, -60)), as_of)
    over = add_months(day, months)
    lifted = over if branch == "政务处分" and over <= as_of else None
    told = min(as_of, day + timedelta(days=10))
    record.add("sanction", person=life.key, kind=kind, branch=branch, date=day, months=months or None, lifted_on=lifted,
               reason="虚构事由", recorded_at=f"{told.isoformat()}T10:00:00")  # fmt: skip
    if bars:
        refuted = a_day(random, day, as_of) if random.random() < 0.05 else None
        record.add("effect", person=life.key, kind=bars, start_date=day, end_date=over - timedelta(days=1), ground=f"{kind}影响期", released_on=refuted)  # fmt: skip


def _training(random: Random, record: Recorder, life: Life, as_of: date) -> None:
    for year in range(as_of.year - 3, as_of.year + 1):
        for _ in range(random.randint(1, 3)):
            days = random.randint(1, 12 if life.seat.leading else 6)
            first = max(date(year, 1, 10), life.work + timedelta(days=days))
            last = min(date(year, 12, 20), as_of)
            if first > last:
                continue
            end = a_day(random, first, last)
            record.add("training", person=life.key, name=random.choice(["党的理论轮训", "年轻干部班", "专业能力班", "网络学院"]), kind=random.choice(["理论党性", "专业化能力", "任职培训", "网络培训"]), level=random.choice(["县级", "市级"]),
                       start_date=end - timedelta(days=days - 1), end_date=end, hours=str(days * 7.5), days=str(days), full_time=random.random() < 0.6, passed=True)  # fmt: skip


def _service(random: Random, record: Recorder, life: Life, units: list[Row], as_of: date) -> None:
    """Secondments, project work, talks, leave, the yearly test."""
    if random.random() < 0.12:
        start = a_day(random, life.since(add_months(as_of, -48)), add_months(as_of, -2))
        planned = add_months(start, random.choice([6, 12, 24]))
        over = planned <= as_of
        host = random.choice([row["unit_id"] for row in units[1:] if row["unit_id"] != life.seat.unit])
        record.add("secondment", person=life.key, kind=random.choice(["上挂", "下挂", "驻村第一书记", "一线锻炼", "信访锻炼"]), host=host, sending=life.unit_on(start), start_date=start,
                   end_date=planned if over else None, planned_end=planned, result=random.choice(["合格", "优秀"]) if over else None)  # fmt: skip
    if random.random() < 0.06:
        project = random.choice(record.rows["project"])
        first = life.since(date.fromisoformat(project["start_date"]))
        record.add("assignment", person=life.key, project=project["project_id"], role="成员", start_date=a_day(random, first, as_of))  # fmt: skip
    if random.random() < 0.5:
        day = a_day(random, life.since(add_months(as_of, -14)), as_of)
        record.add("talk", person=life.key, date=day, kind=random.choice(["谈心", "任职谈话", "提醒谈话"]), talker_role="分管领导")  # fmt: skip
    if random.random() < 0.03:
        start = a_day(random, life.since(add_months(as_of, -12)), as_of)
        end = start + timedelta(days=20)
        record.add("leave", person=life.key, kind="病假", start_date=start, end_date=end if end <= as_of else None, workdays=14)  # fmt: skip
    if random.random() < 0.2:
        tests_of_the_year(random, record, life, as_of)
    if random.random() < 0.05:
        opinions_on_honours(random, record, life, as_of)


def _leadership(random: Random, record: Recorder, life: Life, as_of: date) -> None:
    """What is asked of leaders every year: the ballot, the check of their reports, marks from five sides."""
    last_year = as_of.year - 1
    day = date(as_of.year, 1, 20)
    if life.work <= day <= as_of:
        _yearly_ballot(random, record, life, day)
    checked = a_day(random, life.since(add_months(as_of, -30)), as_of)
    record.add("report_check", person=life.key, date=checked, kind="随机抽查", result=random.choices(["一致", "漏报"], [95, 5])[0], closed=True)  # fmt: skip
    if life.work <= (day := date(last_year, 12, 20)):
        for kind in ("单位考绩", "区级领导考评", "年终考核组考评", "组织日常考评", "单位主要领导考评"):
            if random.random() < 0.97:
                record.add("other_assessment", person=life.key, kind=kind, date=day, period=str(last_year), score=f"{random.uniform(80, 96):.1f}")  # fmt: skip
    if random.random() < 0.5:
        day = a_day(random, life.since(add_months(as_of, -3)), as_of)
        record.add("work_log", person=life.key, date=day, kind="月报告", unit=life.seat.unit)
    if random.random() < 0.25:
        day = a_day(random, life.since(add_months(as_of, -12)), as_of)
        outcome = random.choices(["合格", "政治不合格", "德有严重问题"], [196, 2, 2])[0]
        record.add("finding", person=life.key, policy="政治素质考察", outcome=outcome, date=day, confirmed=random.random() < 0.9)  # fmt: skip


def _yearly_ballot(random: Random, record: Recorder, life: Life, day: date) -> None:
    valid = random.randint(60, 90)
    excellent = round(valid * random.uniform(0.3, 0.8))
    competent = random.randint(0, valid - excellent)
    rest = valid - excellent - competent
    basic = random.randint(0, rest)
    record.add("ballot_result", person=life.key, date=day, year=day.year - 1, kind="年度测评", due=100, present=95, issued=95, returned=93, valid=valid,
               excellent=excellent, competent=competent, basic=basic, incompetent=rest - basic)  # fmt: skip


def _promise(random: Random, record: Recorder, life: Life, leaders: list[Life], as_of: date) -> None:
    """The young who are in the pool, have a mentor and were put forward; mentor and nominator are other leaders."""
    if life.age_on(as_of) > 45 or random.random() > 0.2:
        return
    unit = life.seat.unit
    entered = a_day(random, life.since(add_months(as_of, -36)), as_of)
    record.add("pool_member", person=life.key, pool="优秀年轻干部", tier=random.choice(["正职", "副职"]), source="单位推荐", unit=unit, entered_on=entered)  # fmt: skip
    if random.random() < 0.5:
        tests_of_a_course(random, record, life, entered, as_of)
    others = [leader for leader in random.sample(leaders, min(2, len(leaders))) if leader is not life]
    if not others:
        return
    day = a_day(random, max(life.since(add_months(as_of, -12)), others[0].work), as_of)
    record.add("mentorship", person=life.key, mentor=others[0].key, start_date=day, kind="帮带")
    day = a_day(random, max(life.since(add_months(as_of, -24)), others[-1].work), as_of)
    record.add("nomination", person=life.key, nominator=others[-1].key, unit=unit, date=day, round=str(day.year), tier="正职",
               outcome=random.choice(["提拔", "考察未用", "未入围"]), outside=random.random() < 0.4)  # fmt: skip


def _file(random: Random, record: Recorder, life: Life, as_of: date) -> None:
    """The audit of the personal file: of everybody in June 2020, of who came later within the year of joining."""
    audit = date(2020, 6, 1)
    day = audit if life.work <= audit <= as_of else min(as_of, add_months(life.work, random.randint(1, 6)))
    for element in ("年龄", "党龄"):
        if random.random() < 0.9:
            result = random.choices(["一致", "存疑"], [97, 3])[0]
            record.add("file_element", person=life.key, element=element, result=result, date=day)
    _papers(record, life, day)


def _papers(record: Recorder, life: Life, day: date) -> None:
    """What the file holds, who handed it in, and of every tenth person an audit that passed."""
    number = len(record.rows["material"])
    paper = {"category": "一 履历", "made_on": day, "pages": 8, "copies": 1, "original": True}
    record.add("material", person=life.key, name="干部履历表", received_on=day, **paper)
    if number % 10:
        return
    record.add("custody", person=life.key, kind="归档", date=day, material="干部履历表", from_party="单位联络员", to_party="档案室", carrier="档案员", **paper)  # fmt: skip
    audit = record.add("file_audit", person=life.key, scheme="两初一复", stage="考察", matter=f"{day.year}年干部调整", opened_on=day, closed_on=day, conclusion="通过", signed="已签字", signed_on=day)  # fmt: skip
    for number_of, reviewer in ((1, "审核甲"), (1, "审核乙"), (2, "审核丙")):
        record.add("file_review", person=life.key, audit=audit, round=number_of, reviewer=reviewer, element="经历", found="连续", material="干部履历表", page="3", result="一致", date=day)  # fmt: skip
    if number % 40 == 0:
        record.add("file_issue", person=life.key, audit=audit, element="工龄", category="一般性问题", ground="起算日期写法不一", owner="所在单位", opened_on=day, due_on=add_months(day, 1), closed_on=day, conclusion="查清无误", report="已与单位核实", determined_by="审核丙")  # fmt: skip
