"""What happened along the way (虚构经历): grades, awards, sanctions, training, secondments, deeds, family."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

from ganbu.dates import add_months
from ganbu.synthetic.careers import a_day, month
from ganbu.synthetic.names import person_name
from ganbu.synthetic.units import Row

NAMES = (
    "assessment", "other_assessment", "unit_assessment", "award", "sanction", "training", "secondment", "project", "assignment", "deed", "warning", "talk",
    "family", "kin", "report_check", "file_element", "opinion", "ballot_result", "exam", "pool_member", "mentorship", "nomination", "leave", "work_log",
    "unit_record", "metric", "selection", "candidate",
)  # fmt: skip


class Recorder:
    """Rows by register, each with the next number as its identity."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {name: [] for name in NAMES}

    def add(self, register: str, **values: Any) -> str:
        """Add a row; dates become text."""
        key = f"{register}-{len(self.rows[register]) + 1}"
        row = {f"{register}_id": key}
        row.update(
            {k: v.isoformat() if isinstance(v, date) else v for k, v in values.items() if v is not None}
        )
        self.rows[register].append(row)
        return key


def events(random: Random, base: dict[str, list[Row]], as_of: date) -> dict[str, list[Row]]:
    """Everything that is not a career, for everybody."""
    record = Recorder()
    unit_of = {
        row["person"]: row["unit"]
        for row in base["appointment"]
        if row.get("main") and not row.get("end_date")
    }
    leader = {row["person"] for row in base["appointment"] if row.get("leading") and not row.get("end_date")}
    _units(random, record, base, as_of)
    keys = [row["person_id"] for row in base["person"]]
    for person in base["person"]:
        key = person["person_id"]
        work = date.fromisoformat(person["entry_date"])
        _grades(random, record, key, unit_of.get(key), work, as_of)
        _marks(random, record, key, work, as_of)
        _training(random, record, key, key in leader, as_of)
        _service(random, record, key, unit_of.get(key), key in leader, work, keys, base, as_of)
        _family(random, record, person, work)
    _relatives(random, record, base, keys)
    _selections(random, record, base, as_of)
    return record.rows


def _units(random: Random, record: Recorder, base: dict[str, list[Row]], as_of: date) -> None:
    places: dict[int, list[str]] = {}
    units = [row["unit_id"] for row in base["unit"][1:]]
    for year in range(as_of.year - 3, as_of.year):
        order = units[:]
        random.shuffle(order)
        places[year] = order
        for place, unit in enumerate(order, 1):
            last = places[year - 1].index(unit) + 1 if year - 1 in places else None
            grade = "优秀" if place <= len(order) * 0.3 else "合格" if place < len(order) - 1 else "不合格"
            record.add("unit_assessment", unit=unit, year=year, grade=grade, score=f"{98 - place * 0.35:.2f}", place=place, group_size=len(order), last_place=last,
                       confirmed_on=date(year + 1, 2, 20), decision_months=random.choice([6, 12]) if grade == "不合格" else None)  # fmt: skip
    for unit in units:
        for back in range(1, 7):
            day = add_months(as_of, -back)
            if random.random() < 0.93:
                zero = random.random() < 0.5
                record.add(
                    "unit_record",
                    unit=unit,
                    date=date(day.year, day.month, 25),
                    kind="监督信息",
                    period=month(day),
                    count="0" if zero else str(random.randint(1, 6)),
                    zero=zero,
                )
        record.add(
            "metric",
            unit=unit,
            date=date(as_of.year - 1, 12, 31),
            year=as_of.year - 1,
            name="任务完成率",
            value=f"{random.uniform(78, 100):.2f}",
            target="95",
        )
    for at in range(12):
        start = a_day(random, add_months(as_of, -30), add_months(as_of, -3))
        record.add(
            "project",
            name=f"重点项目{at + 1}",
            kind=random.choice(["招商引资", "重点项目", "社会治理"]),
            unit=random.choice(units),
            level="县级",
            start_date=start,
            planned_end=add_months(start, 24),
        )


def _grades(random: Random, record: Recorder, key: str, unit: str | None, work: date, as_of: date) -> None:
    bent = random.gauss(0, 1)
    for year in range(max(work.year, as_of.year - 8), as_of.year):
        if random.random() < 0.012:
            continue
        luck = bent * 0.5 + random.gauss(0, 1)
        grade = "优秀" if luck > 1.05 else "基本称职" if luck < -2.75 else "不称职" if luck < -3.3 else "称职"
        if year == work.year or random.random() < 0.004:
            grade = "不确定等次"
        confirmed = date(year + 1, 2, random.randint(1, 28))
        place = max(1, min(20, round(10 - 5 * luck)))
        record.add("assessment", person=key, year=year, grade=grade, unit=unit, score=f"{max(55, min(99, 85 + 4 * luck)):.2f}", place=place, group_size=20,
                   track="强" if luck > 0.6 else "弱" if luck < -1.5 else "中", confirmed_on=confirmed, recorded_at=f"{confirmed.isoformat()}T09:00:00")  # fmt: skip


def _marks(random: Random, record: Recorder, key: str, work: date, as_of: date) -> None:
    if random.random() < 0.2:
        record.add(
            "award",
            person=key,
            name=random.choice(["三等功", "嘉奖", "先进工作者"]),
            level=random.choice(["县级", "市级", "省级"]),
            body="县委县政府",
            date=a_day(random, work, as_of),
        )
    if random.random() < 0.035:
        kind = random.choices(
            ["诫勉", "党内警告", "政务警告", "政务记过", "党内严重警告", "批评教育"], [5, 4, 3, 2, 1, 4]
        )[0]
        day = a_day(random, add_months(as_of, -60), as_of)
        branch = (
            "党纪处分"
            if kind.startswith("党内")
            else "政务处分"
            if kind.startswith("政务")
            else "诫勉"
            if kind == "诫勉"
            else "其他"
        )
        record.add("sanction", person=key, kind=kind, branch=branch, date=day, months={"诫勉": 6, "党内警告": 12, "党内严重警告": 18, "政务警告": 6, "政务记过": 12}.get(kind),
                   reason="虚构事由", recorded_at=f"{(day + timedelta(days=10)).isoformat()}T10:00:00")  # fmt: skip
    for _ in range(random.choices([0, 1, 2], [7, 2, 1])[0]):
        good = random.random() < 0.7
        record.add("deed", person=key, date=a_day(random, add_months(as_of, -24), as_of), direction="正面" if good else "负面", item=random.choice(["急难险重", "群众表扬"] if good else ["督办通知", "迟报"]),
                   field="全程积分", points=str(random.choice([1, 2]) if good else -random.choice([1, 2, 3])), evidence=random.choice(["已核实", "已核实", "核实中"]), source="监督科")  # fmt: skip
    if random.random() < 0.02:
        record.add(
            "warning",
            person=key,
            date=a_day(random, add_months(as_of, -18), as_of),
            level=random.choice(["黄牌", "红牌"]),
            scheme="红黄牌",
            ground="组内排名靠后",
        )


def _training(random: Random, record: Recorder, key: str, leader: bool, as_of: date) -> None:
    for year in range(as_of.year - 3, as_of.year + 1):
        for _ in range(random.randint(1, 3)):
            end = a_day(random, date(year, 1, 10), min(date(year, 12, 20), as_of))
            if end > as_of:
                continue
            days = random.randint(1, 12 if leader else 6)
            record.add("training", person=key, name=random.choice(["党的理论轮训", "年轻干部班", "专业能力班", "网络学院"]), kind=random.choice(["理论党性", "专业化能力", "任职培训", "网络培训"]), level=random.choice(["县级", "市级"]),
                       start_date=end - timedelta(days=days - 1), end_date=end, hours=str(days * 7.5), days=str(days), full_time=random.random() < 0.6, passed=True)  # fmt: skip


def _service(
    random: Random,
    record: Recorder,
    key: str,
    unit: str | None,
    leader: bool,
    work: date,
    keys: list[str],
    base: dict[str, list[Row]],
    as_of: date,
) -> None:
    if random.random() < 0.12:
        start = a_day(random, max(work, add_months(as_of, -48)), add_months(as_of, -2))
        planned = add_months(start, random.choice([6, 12, 24]))
        record.add("secondment", person=key, kind=random.choice(["上挂", "下挂", "驻村第一书记", "一线锻炼", "信访锻炼"]), host=random.choice(base["unit"][1:])["unit_id"], sending=unit, start_date=start,
                   end_date=planned if planned <= as_of else None, planned_end=planned, result=random.choice(["合格", "优秀"]) if planned <= as_of else None)  # fmt: skip
    if record.rows["project"] and random.random() < 0.06:
        record.add(
            "assignment",
            person=key,
            project=random.choice(record.rows["project"])["project_id"],
            role="成员",
            start_date=a_day(random, add_months(as_of, -20), as_of),
        )
    if random.random() < 0.5:
        record.add(
            "talk",
            person=key,
            date=a_day(random, add_months(as_of, -14), as_of),
            kind=random.choice(["谈心", "任职谈话", "提醒谈话"]),
            talker_role="分管领导",
        )
    if leader:
        day = date(as_of.year, 1, 20)
        valid = random.randint(60, 90)
        excellent, competent = round(valid * random.uniform(0.3, 0.8)), 0
        competent = random.randint(0, valid - excellent)
        rest = valid - excellent - competent
        basic = random.randint(0, rest)
        record.add(
            "ballot_result",
            person=key,
            date=day,
            year=as_of.year - 1,
            kind="年度测评",
            due=100,
            present=95,
            issued=95,
            returned=93,
            valid=valid,
            excellent=excellent,
            competent=competent,
            basic=basic,
            incompetent=rest - basic,
        )
        record.add(
            "report_check",
            person=key,
            date=a_day(random, add_months(as_of, -30), as_of),
            kind="随机抽查",
            result=random.choices(["一致", "漏报"], [95, 5])[0],
            closed=True,
        )
        for kind in ("单位考绩", "区级领导考评", "年终考核组考评", "组织日常考评", "单位主要领导考评"):
            if random.random() < 0.97:
                record.add(
                    "other_assessment",
                    person=key,
                    kind=kind,
                    date=date(as_of.year - 1, 12, 20),
                    period=str(as_of.year - 1),
                    score=f"{random.uniform(80, 96):.1f}",
                )
        if random.random() < 0.5:
            record.add(
                "work_log",
                person=key,
                date=a_day(random, add_months(as_of, -3), as_of),
                kind="月报告",
                unit=unit,
            )
    if random.random() < 0.1:
        record.add(
            "pool_member",
            person=key,
            pool="优秀年轻干部",
            tier=random.choice(["正职", "副职"]),
            source="单位推荐",
            unit=unit,
            entered_on=a_day(random, add_months(as_of, -36), as_of),
        )
        record.add(
            "mentorship",
            person=key,
            mentor=random.choice(keys),
            start_date=a_day(random, add_months(as_of, -12), as_of),
            kind="帮带",
        )
        record.add(
            "nomination",
            person=key,
            nominator=random.choice(keys),
            unit=unit,
            date=a_day(random, add_months(as_of, -24), as_of),
            round=str(as_of.year - 1),
            tier="正职",
            outcome=random.choice(["提拔", "考察未用", "未入围"]),
            outside=random.random() < 0.4,
        )
    for element in ("年龄", "党龄"):
        if random.random() < 0.9:
            record.add(
                "file_element",
                person=key,
                element=element,
                result=random.choices(["一致", "存疑"], [97, 3])[0],
                date=date(2020, 6, 1),
            )
    if random.random() < 0.03:
        start = a_day(random, add_months(as_of, -12), as_of)
        record.add(
            "leave",
            person=key,
            kind="病假",
            start_date=start,
            end_date=start + timedelta(days=20),
            workdays=14,
        )


def _family(random: Random, record: Recorder, person: Row, work: date) -> None:
    birth = date.fromisoformat(person["birth_date"])
    key, male = person["person_id"], person["sex"] == "男"
    if random.random() < 0.88:
        record.add(
            "family",
            person=key,
            relation="妻子" if male else "丈夫",
            name=person_name(random, "女" if male else "男"),
            birth_date=month(add_months(birth, random.randint(-36, 36))),
            political_status="群众",
            work="某单位职工",
        )
        if work.year - birth.year < 60:
            record.add(
                "family",
                person=key,
                relation=random.choice(["子", "女"]),
                name=person_name(random, "男"),
                birth_date=month(add_months(birth, 12 * random.randint(25, 33))),
                political_status="群众",
                work="学生",
            )
    record.add(
        "family",
        person=key,
        relation="父亲",
        name=person["name"][0] + "父",
        birth_date=month(add_months(birth, -12 * random.randint(22, 32))),
        political_status="群众",
        work="退休",
    )


def _relatives(random: Random, record: Recorder, base: dict[str, list[Row]], keys: list[str]) -> None:
    """A few relatives among the cadres, some of them in one unit, so that avoidance has something to find."""
    by_unit: dict[str, list[str]] = {}
    for row in base["appointment"]:
        if not row.get("end_date") and row.get("main"):
            by_unit.setdefault(row["unit"], []).append(row["person"])
    for _ in range(max(1, len(keys) // 100)):
        one = random.choice(keys)
        other = random.choice(keys)
        if random.random() < 0.4:
            other = random.choice(random.choice(list(by_unit.values())))
            same = [unit for unit, members in by_unit.items() if other in members]
            one = random.choice(by_unit[same[0]]) if same else one
        if one != other:
            path, link = random.choice([("S", "婚姻"), ("B", "血亲"), ("P.B.C", "血亲"), ("C.S.P", "姻亲")])
            record.add("kin", person=one, relative=other, path=path, link=link, since="2010-01-01")


def _selections(random: Random, record: Recorder, base: dict[str, list[Row]], as_of: date) -> None:
    leaders = [row for row in base["appointment"] if row.get("leading") and not row.get("end_date")]
    for at in range(max(1, len(leaders) // 40)):
        row = random.choice(leaders)
        day = a_day(random, add_months(as_of, -2), as_of)
        selection = record.add(
            "selection",
            name=f"选任事项{at + 1}",
            unit=row["unit"],
            date=day,
            kind="提拔",
            posts=1,
            promotions=random.randint(1, 4),
            candidates=random.randint(1, 4),
            effective_competition=random.random() < 0.5,
            due=11,
            present=random.randint(7, 11),
        )
        record.add("candidate", name=f"人选{at + 1}", selection=selection, person=row["person"], date=day, target_level="乡科级正职" if row["level"] == "乡科级副职" else "县处级副职", target_kind="正职", target_unit=row["unit"], exceptional=False,
                   meeting_votes=random.randint(20, 60), meeting_valid=70, talk_votes=random.randint(5, 20), talk_total=22, attending=75, basic=random.randint(0, 8), incompetent=random.randint(0, 4), valid=70, evaluation=str(random.randint(78, 97)))  # fmt: skip
