"""Careers that obey time (虚构履历): birth, study, work, party, posts, ranks.

Nothing a person does in office is dated before the day the person starts work; posts follow each other without a gap,
but for one career in twenty-five.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from ganbu.dates import add_months, full_months
from ganbu.synthetic.identity import id_number
from ganbu.synthetic.names import person_name
from ganbu.synthetic.units import MIDDLE, Layout, Row, Seat

LADDER = ["科员", "乡科级副职", "乡科级正职", "县处级副职"]
# Each step of a career: age at least, age on the average and its spread, months at least before the next step.
STEPS = {
    "科员": (23, 38, 10, 36),
    MIDDLE: (28, 42, 7, 0),
    "乡科级副职": (30, 44, 6, 24),
    "乡科级正职": (36, 49, 5, 24),
    "县处级副职": (42, 51, 4, 0),
}
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
RANKED = ("公务员", "参照管理事业单位工作人员")
FIRST_RANKS = date(2019, 6, 1)
PLACES = ["虚构县", "青山镇", "河口镇", "邻江县", "子虚县", "乌有市"]
SCHOOLS = ["虚构大学", "省立师范学院", "江南理工大学", "北方农业大学"]
MAJORS = ["法学", "汉语言文学", "会计学", "土木工程", "农学", "行政管理", "计算机科学与技术", "经济学"]
GAP_SHARE = 0.04


@dataclass
class Life:
    """What later chapters of a person's story need to know (人生): true days, whatever the record will say."""

    key: str
    name: str
    sex: str
    birth: date
    work: date
    seat: Seat
    posts: list[tuple[date, str]] = field(default_factory=list)

    def since(self, earliest: date) -> date:
        """That day, or the day the person started work when it is later."""
        return max(self.work, earliest)

    def unit_on(self, day: date) -> str:
        """The unit the person worked in on that day."""
        held = [unit for start, unit in self.posts if start <= day]
        return held[-1] if held else self.posts[0][1]

    def age_on(self, day: date) -> int:
        """Full years of age."""
        return full_months(self.birth, day) // 12


def a_day(random: Random, first: date, last: date) -> date:
    """A day between two days, both included."""
    return first if last <= first else first + timedelta(days=random.randint(0, (last - first).days))


def month(day: date) -> str:
    """A date as a résumé gives it: to the month."""
    return f"{day.year:04}-{day.month:02}"


def careers(
    random: Random, layout: Layout, people: int, as_of: date
) -> tuple[dict[str, list[Row]], list[Life]]:
    """Persons with education, appointments, portfolios and ranks; one seat each, one holder a seat."""
    rows: dict[str, list[Row]] = {
        name: [] for name in ("person", "education", "appointment", "portfolio", "rank")
    }
    ladder = layout.ladder()
    lives = [
        _person(random, rows, at + 1, seat, ladder, as_of) for at, seat in enumerate(layout.seats[:people])
    ]
    return rows, lives


def _age(random: Random, seat: Seat, sex: str) -> int:
    least, mean, spread, _ = STEPS[seat.step]
    most = 60 if sex == "男" or seat.level == "县处级副职" else 55
    return min(most, max(least, round(random.gauss(mean, spread))))


def _person(
    random: Random, rows: dict[str, list[Row]], number: int, seat: Seat, ladder: dict[str, list[Seat]], as_of: date
) -> Life:  # fmt: skip
    key = f"G{number:06}"
    sex = "男" if random.random() < (0.78 if seat.leading else 0.6) else "女"
    age = _age(random, seat, sex)
    birth = a_day(random, add_months(as_of, -12 * age - 12), add_months(as_of, -12 * age))
    graduate = random.random() < 0.12 and age >= 27
    leaving_month = random.choice([6, 7, 7, 7, 7, 8])
    while (leaves := date(birth.year + (25 if graduate else 22), leaving_month, 1)) > add_months(as_of, -7):
        birth = add_months(birth, -12)
    work = leaves + timedelta(days=random.randint(0, 27))
    grown_up = add_months(birth, 12 * 20)
    in_party = random.random() < (0.94 if seat.leading else 0.72)
    party = a_day(random, grown_up, max(grown_up, min(add_months(birth, 12 * 33), as_of)))
    home = random.choice(PLACES)
    name = person_name(random, sex)
    life = Life(key, name, sex, birth, work, seat)
    row = {
        "person_id": key, "name": name, "id_number": id_number(birth, sex, number) if random.random() < 0.95 else None, "sex": sex, "birth_date": birth.isoformat(),
        "ethnic_group": random.choices(["汉族", "回族", "满族", "苗族"], [94, 3, 2, 1])[0], "native_place": home, "birth_place": home, "growth_place": home,
        "political_status": "中共党员" if in_party else random.choice(["群众", "民盟", "无党派"]), "party_date": month(party) if in_party else None,
        "work_start": month(work), "health": "健康", "category": seat.style.person_category, "identity": "干部", "status": "现职",
        "management": "市级党委管理" if seat.level == "县处级副职" else "县级党委管理", "establishment": seat.style.establishment,
        "current_post_text": seat.unit_name + seat.title, "spouse_abroad": random.random() < 0.004, "children_abroad": random.random() < 0.006,
        "statistics_unit": seat.unit,
    }  # fmt: skip
    rows["person"].append(row)
    _education(random, rows, life, leaves, graduate, as_of)
    _posts(random, rows, life, ladder, as_of)
    entry = _entry(random, row, life)
    if entry and row["category"] in RANKED:
        _rank(random, rows, life, entry, as_of)
    if random.random() < GAP_SHARE:
        _leave_a_gap(random, rows, life)
    return life


def _entry(random: Random, row: Row, life: Life) -> date | None:
    """How and when the person came into the service; who was moved in from elsewhere came with a later post."""
    if row["category"] not in RANKED:
        row["entry_way"] = "招聘" if row["category"] == "企业管理人员" else "公开招聘"
        return None
    later = [start for start, _ in life.posts[1:]]
    row["entry_way"] = random.choices(["考录", "选调", "调任"], [70, 18, 12])[0]
    if row["entry_way"] == "调任" and not later:
        row["entry_way"] = "考录"
    entry = later[-1] if row["entry_way"] == "调任" else life.work
    row["entry_date"] = entry.isoformat()
    return entry


def _education(
    random: Random, rows: dict[str, list[Row]], life: Life, leaves: date, graduate: bool, as_of: date
) -> None:
    level = "研究生" if graduate else random.choices(["大学", "大专"], [8, 2])[0]
    years = 3 if graduate or level == "大专" else 4
    rows["education"].append({
        "education_id": f"{life.key}-E1", "person": life.key, "mode": "全日制", "level": level, "degree": "硕士" if graduate else "学士" if level == "大学" else None,
        "school": random.choice(SCHOOLS), "major": random.choice(MAJORS), "start_date": f"{leaves.year - years}-09", "end_date": month(leaves),
    })  # fmt: skip
    later = date(leaves.year + random.randint(4, 12), 7, 1)
    if random.random() < 0.3 and later < as_of:
        rows["education"].append({
            "education_id": f"{life.key}-E2", "person": life.key, "mode": "在职", "level": random.choice(["大学", "省委党校研究生", "研究生"]), "school": "省委党校",
            "major": "公共管理", "start_date": f"{later.year - 3}-09", "end_date": month(later),
        })  # fmt: skip


def _posts(
    random: Random, rows: dict[str, list[Row]], life: Life, ladder: dict[str, list[Seat]], as_of: date
) -> None:
    """From the first job to the present seat, each step up after some years; some stay very long."""
    seat = life.seat
    stay = round(random.expovariate(1 / 4)) if random.random() > 0.06 else random.randint(9, 14)
    least = add_months(life.work, sum(STEPS[step][3] for step in _steps_below(seat)))
    present = a_day(random, add_months(as_of, -12 * stay - 12), add_months(as_of, -12 * stay - 1))
    present = min(max(present, least), add_months(as_of, -1))
    held = _earlier_posts(random, life, ladder, present) if present > add_months(life.work, 3) else []
    if not held:
        present = life.work
    starts = [start for start, _ in held] + [present]
    before = ""
    for at, (start, other) in enumerate(held):
        end, up = starts[at + 1], (held[at + 1][1] if at + 1 < len(held) else seat).level != other.level
        rows["appointment"].append({
            "appointment_id": _number(rows), "person": life.key, "unit": other.unit, "team": other.team or None, "post": None, "title": other.title, "kind": other.kind,
            "level": other.level, "leading": other.leading, "team_member": other.leading, "main": True, "start_date": month(start), "end_date": month(end), "way": "委任",
            "nature": "任职", "promotion": _is_promotion(before, other.level), "grassroots": other.category in ("乡镇", "街道"), "outside": False,
            "removal_reason": "晋升" if up else "交流",
        })  # fmt: skip
        before = other.level
    elected = seat.category == "乡镇" and seat.leading
    rows["appointment"].append({
        "appointment_id": _number(rows), "person": life.key, "unit": seat.unit, "team": seat.team or None, "post": seat.post, "title": seat.title, "kind": seat.kind, "level": seat.level,
        "leading": seat.leading, "team_member": seat.leading, "main": True, "start_date": present.isoformat(), "document_number": f"虚组干〔{present.year}〕{random.randint(1, 200)}号",
        "way": "选任" if elected else "委任", "nature": "任职", "promotion": _is_promotion(before, seat.level), "grassroots": seat.category in ("乡镇", "街道"),
        "sensitive": seat.sensitive, "outside": bool(held) and random.random() < 0.3, "elected": elected,
    })  # fmt: skip
    life.posts = [(start, other.unit) for start, other in held] + [(present, seat.unit)]
    if seat.leading:
        _beside_the_post(random, rows, life, present, ladder, as_of)


def _is_promotion(before: str, level: str) -> bool:
    return before in LADDER and LADDER.index(level) > LADDER.index(before)


def _number(rows: dict[str, list[Row]]) -> str:
    return f"A{len(rows['appointment']) + 1:07}"


def _steps_below(seat: Seat) -> list[str]:
    """What a person has to have been before: every level below, and staff before the head of a section."""
    return ["科员"] if seat.middle else LADDER[: LADDER.index(seat.level)]


def _earlier_posts(
    random: Random, life: Life, ladder: dict[str, list[Seat]], present: date
) -> list[tuple[date, Seat]]:
    """Start and kind of each post before the present one: every step below, the spare months spread among them."""
    below = _steps_below(life.seat)
    least = {step: STEPS[step][3] for step in below} if below else {"科员": 1}
    below = below or ["科员"]
    first = life.work.replace(day=1)
    spare = max(0, full_months(first, present) - sum(least.values()))
    cuts = sorted(random.randint(0, spare) for _ in below[1:])
    held: list[tuple[date, Seat]] = []
    start = 0
    for step, low, high in zip(below, [0, *cuts], [*cuts, spare], strict=True):
        length = least[step] + high - low
        parts = [start]
        if length >= 48 and random.random() < 0.5:
            parts.append(start + random.randint(24, length - 12))
        for part in parts:
            middle = step == "科员" and part > 0 and random.random() < 0.5
            seat = random.choice(ladder[MIDDLE if middle else step])
            held.append((life.work if part == 0 else add_months(first, part), seat))
        start += length
    return held


def _beside_the_post(
    random: Random, rows: dict[str, list[Row]], life: Life, present: date, ladder: dict[str, list[Seat]], as_of: date
) -> None:  # fmt: skip
    """What a leader is in charge of, and for a few a second office."""
    rows["portfolio"].append({
        "portfolio_id": f"F{len(rows['portfolio']) + 1:06}", "person": life.key, "unit": life.seat.unit,
        "field": random.choice(["党建", "财务", "项目建设", "安全生产", "信访维稳", "教育卫生"]), "start_date": a_day(random, present, as_of).isoformat(),
    })  # fmt: skip
    if random.random() < 0.04:
        rows["appointment"].append({
            "appointment_id": _number(rows), "person": life.key, "unit": random.choice(ladder["科员"]).unit, "title": "指挥部副指挥长", "kind": "其他", "level": life.seat.level,
            "leading": False, "team_member": False, "main": False, "start_date": a_day(random, present, as_of).isoformat(), "nature": "兼任", "promotion": False,
        })  # fmt: skip


def _rank(random: Random, rows: dict[str, list[Row]], life: Life, entry: date, as_of: date) -> None:
    years = full_months(life.work, as_of) // 12
    top = min(len(RANKS) - 1, years // 4 if life.seat.leading else years // 5)
    earliest = max(FIRST_RANKS, entry)
    if earliest > as_of:
        return
    start = max(earliest, add_months(as_of, -12 * random.randint(0, 5) - random.randint(0, 11)))
    rows["rank"].append({
        "rank_id": f"R{len(rows['rank']) + 1:06}", "person": life.key, "rank": RANKS[top], "start_date": start.isoformat(),
    })  # fmt: skip


def _leave_a_gap(random: Random, rows: dict[str, list[Row]], life: Life) -> None:
    """Some months nobody explains, after a post or, where there was only one, after school."""
    months = random.randint(2, 9)
    posts = [row for row in rows["appointment"][-8:] if row["person"] == life.key and row.get("end_date")]
    row = (
        random.choice(posts) if posts else next(r for r in rows["education"][-2:] if r["person"] == life.key)
    )
    end = date.fromisoformat(f"{row['end_date']}-01")
    start = date.fromisoformat(f"{row['start_date']}-01")
    row["end_date"] = month(max(add_months(end, -months), min(add_months(start, 1), add_months(end, -1))))
