"""Careers that obey time (虚构履历): birth, study, work, party, posts, ranks."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

from ganbu.dates import add_months
from ganbu.synthetic.names import person_name
from ganbu.synthetic.units import Layout, Row, Seat

LADDER = ["科员", "乡科级副职", "乡科级正职"]
RANKS = [
    "二级科员",
    "一级科员",
    "四级主任科员",
    "三级主任科员",
    "二级主任科员",
    "一级主任科员",
    "四级调研员",
    "三级调研员",
    "二级调研员",
]
PLACES = ["虚构县", "青山镇", "河口镇", "邻江县", "东平市", "山南市"]
SCHOOLS = ["虚构大学", "省立师范学院", "江南理工大学", "北方农业大学"]
MAJORS = ["法学", "汉语言文学", "会计学", "土木工程", "农学", "行政管理", "计算机科学与技术", "经济学"]


def a_day(random: Random, first: date, last: date) -> date:
    """A day between two days, both included."""
    return first if last <= first else first + timedelta(days=random.randint(0, (last - first).days))


def month(day: date) -> str:
    """A date as a résumé gives it: to the month."""
    return f"{day.year:04}-{day.month:02}"


def careers(random: Random, layout: Layout, people: int, as_of: date) -> dict[str, list[Row]]:
    """Persons with education, appointments, portfolios and ranks; one seat each while seats last."""
    rows: dict[str, list[Row]] = {
        name: [] for name in ("person", "education", "appointment", "portfolio", "rank")
    }
    for at in range(people):
        seat = layout.seats[at % len(layout.seats)]
        _person(random, rows, f"G{at + 1:06}", seat, layout, as_of)
    return rows


def _age(random: Random, seat: Seat) -> int:
    if seat.level == "乡科级正职":
        return min(60, max(36, round(random.gauss(49, 5))))
    if seat.leading:
        return min(59, max(30, round(random.gauss(44, 6))))
    return min(60, max(23, round(random.gauss(38, 10))))


def _person(
    random: Random, rows: dict[str, list[Row]], key: str, seat: Seat, layout: Layout, as_of: date
) -> None:
    sex = "男" if random.random() < (0.78 if seat.leading else 0.6) else "女"
    birth = a_day(
        random, add_months(as_of, -12 * _age(random, seat) - 12), add_months(as_of, -12 * _age(random, seat))
    )
    birth = min(birth, add_months(as_of, -12 * 23))
    graduate = random.random() < 0.12
    out_of_school = date(birth.year + (25 if graduate else 22), 7, 1)
    work = min(a_day(random, out_of_school, add_months(out_of_school, 10)), add_months(as_of, -6))
    in_party = random.random() < (0.94 if seat.leading else 0.72)
    party = a_day(
        random,
        add_months(birth, 12 * 20),
        max(add_months(birth, 12 * 20), min(add_months(birth, 12 * 33), as_of)),
    )
    home = random.choice(PLACES)
    rows["person"].append({
        "person_id": key, "name": person_name(random, sex), "sex": sex, "birth_date": birth.isoformat(), "ethnic_group": random.choices(["汉族", "回族", "满族", "苗族"], [94, 3, 2, 1])[0],
        "native_place": home, "birth_place": home, "growth_place": home, "political_status": "中共党员" if in_party else random.choice(["群众", "民盟", "无党派"]),
        "party_date": month(party) if in_party else None, "work_start": month(work), "health": "健康", "category": "公务员" if seat.category not in ("事业单位", "国有企业") else "事业单位管理人员",
        "identity": "干部", "status": "现职", "management": "县级党委管理", "establishment": "行政编制", "entry_way": random.choice(["考录", "选调", "调任"]), "entry_date": work.isoformat(),
        "current_post_text": seat.title, "spouse_abroad": random.random() < 0.004, "children_abroad": random.random() < 0.006, "statistics_unit": seat.unit,
    })  # fmt: skip
    _education(random, rows, key, birth, out_of_school, graduate, as_of)
    _posts(random, rows, key, seat, layout, work, as_of)
    _ranks(random, rows, key, seat, work, as_of)


def _education(
    random: Random, rows: dict[str, list[Row]], key: str, birth: date, out: date, graduate: bool, as_of: date
) -> None:
    level = "研究生" if graduate else random.choices(["大学", "大专"], [8, 2])[0]
    rows["education"].append({
        "education_id": f"{key}-E1", "person": key, "mode": "全日制", "level": level, "degree": "硕士" if graduate else "学士" if level == "大学" else None,
        "school": random.choice(SCHOOLS), "major": random.choice(MAJORS), "start_date": f"{out.year - (3 if graduate else 4)}-09", "end_date": month(out),
    })  # fmt: skip
    later = date(out.year + random.randint(4, 12), 7, 1)
    if random.random() < 0.3 and later < as_of:
        rows["education"].append({
            "education_id": f"{key}-E2", "person": key, "mode": "在职", "level": random.choice(["大学", "省委党校研究生", "研究生"]), "school": "省委党校",
            "major": "公共管理", "start_date": f"{later.year - 3}-09", "end_date": month(later),
        })  # fmt: skip


def _posts(
    random: Random, rows: dict[str, list[Row]], key: str, seat: Seat, layout: Layout, work: date, as_of: date
) -> None:
    """From the first job to the present seat; each step up after some years, some stays very long."""
    steps = LADDER[: LADDER.index(seat.level) + 1]
    years = max(1, (as_of - work).days // 365)
    stay = min(
        years - 1,
        max(0, round(random.expovariate(1 / 4)) if random.random() > 0.06 else random.randint(9, 14)),
    )
    present = add_months(as_of, -12 * stay - random.randint(0, 11))
    present = max(present, add_months(work, 6 if len(steps) == 1 else 60))
    present = min(present, add_months(as_of, -1))
    edges = [work]
    for _ in range(len(steps) - 1 + (1 if random.random() < 0.5 else 0)):
        edges.append(
            a_day(random, add_months(edges[-1], 24), max(add_months(edges[-1], 25), add_months(present, -24)))
        )
    edges = sorted({edge for edge in edges if edge < present} | {work})
    for at, edge in enumerate(edges):
        end = edges[at + 1] if at + 1 < len(edges) else present
        level = steps[min(at, max(0, len(steps) - 2))]
        other = random.choice(layout.seats)
        number = len(rows["appointment"]) + 1
        rows["appointment"].append({
            "appointment_id": f"A{number:07}", "person": key, "unit": other.unit, "team": other.team if level != "科员" and other.team else None, "post": None,
            "title": "科员" if level == "科员" else "副职" if level == "乡科级副职" else "正职", "kind": "其他" if level == "科员" else "副职", "level": level,
            "leading": level != "科员", "team_member": level != "科员", "main": True, "start_date": month(edge), "end_date": month(end), "way": "委任", "nature": "任职",
            "promotion": at > 0, "grassroots": other.category in ("乡镇", "街道"), "outside": False, "removal_reason": "交流",
        })  # fmt: skip
    number = len(rows["appointment"]) + 1
    rows["appointment"].append({
        "appointment_id": f"A{number:07}", "person": key, "unit": seat.unit, "team": seat.team or None, "post": seat.post, "title": seat.title, "kind": seat.kind, "level": seat.level,
        "leading": seat.leading, "team_member": seat.leading, "main": True, "start_date": present.isoformat(), "document_number": f"虚组干〔{present.year}〕{random.randint(1, 200)}号",
        "way": "委任", "nature": "任职", "promotion": len(steps) > 1, "grassroots": seat.category in ("乡镇", "街道"), "sensitive": seat.sensitive,
        "outside": random.random() < 0.3, "elected": seat.category == "乡镇" and seat.leading,
    })  # fmt: skip
    if seat.leading:
        since = a_day(random, present, as_of)
        rows["portfolio"].append(
            {
                "portfolio_id": f"F{len(rows['portfolio']) + 1:06}",
                "person": key,
                "unit": seat.unit,
                "field": random.choice(["党建", "财务", "项目建设", "安全生产", "信访维稳", "教育卫生"]),
                "start_date": since.isoformat(),
            }
        )
    if seat.leading and random.random() < 0.04:
        rows["appointment"].append({
            "appointment_id": f"A{len(rows['appointment']) + 1:07}", "person": key, "unit": random.choice(layout.seats).unit, "title": "指挥部副指挥长", "kind": "其他", "level": seat.level,
            "leading": False, "team_member": False, "main": False, "start_date": a_day(random, present, as_of).isoformat(), "nature": "兼任",
        })  # fmt: skip


def _ranks(random: Random, rows: dict[str, list[Row]], key: str, seat: Seat, work: date, as_of: date) -> None:
    if seat.category in ("事业单位", "国有企业"):
        return
    years = (as_of - work).days // 365
    top = min(len(RANKS) - 1, years // 4 if seat.leading else years // 5)
    start = max(date(2019, 6, 1), add_months(as_of, -12 * random.randint(0, 5) - random.randint(0, 11)))
    rows["rank"].append(
        {
            "rank_id": f"R{len(rows['rank']) + 1:06}",
            "person": key,
            "rank": RANKS[top],
            "start_date": start.isoformat(),
        }
    )


def value_or_none(value: Any, keep: bool) -> Any:
    """The value, or nothing."""
    return value if keep else None
