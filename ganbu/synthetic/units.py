"""Units, posts and teams of a made-up district (虚构机构)."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from ganbu.synthetic.names import TOWNS

Row = dict[str, Any]
PEOPLE_PER_COPY = 1200
MIDDLE = "中层"


@dataclass(frozen=True)
class Style:
    """How a kind of unit names its people (职务名称): `leaders` head first, `middle` its sections' heads."""

    leaders: tuple[str, ...]
    middle: tuple[str, ...]
    staff: str = "科员"
    head_level: str = "乡科级正职"
    second_principal: str = ""
    establishment: str = "行政编制"
    person_category: str = "公务员"


_OFFICE = ("办公室主任", "财务股股长", "业务股股长", "法规股股长")
_PARTY_OFFICE = ("办公室主任", "综合科科长", "业务一科科长", "业务二科科长")
_INSTITUTION = ("综合科科长", "财务科科长", "业务一科科长", "业务二科科长")
_COUNTY_LEADER = "县处级副职"  # the head sits in the county's own leadership
STYLES = {
    "局": Style(("局长", "副局长", "副局长", "党组成员"), _OFFICE),
    "部": Style(("部长", "常务副部长", "副部长", "部务会成员"), _PARTY_OFFICE, head_level=_COUNTY_LEADER),
    "政法委": Style(("书记", "常务副书记", "副书记", "委员"), _PARTY_OFFICE, head_level=_COUNTY_LEADER),
    "纪委": Style(
        ("书记、监委主任", "副书记、监委副主任", "常委", "监委委员"),
        ("办公室主任", "第一纪检监察室主任", "第二纪检监察室主任", "案件审理室主任"),
        head_level=_COUNTY_LEADER,
    ),
    "公安局": Style(
        ("局长", "政委", "副局长", "党委委员"),
        ("指挥中心主任", "警务保障室主任", "刑侦大队大队长", "治安大队大队长"),
        "民警",
        _COUNTY_LEADER,
    ),
    "检察院": Style(
        ("检察长", "副检察长", "副检察长", "检委会专职委员"),
        ("办公室主任", "第一检察部主任", "第二检察部主任", "第三检察部主任"),
        "检察官助理",
        _COUNTY_LEADER,
    ),
    "法院": Style(
        ("院长", "副院长", "副院长", "审委会专职委员"),
        ("办公室主任", "立案庭庭长", "民事审判庭庭长", "刑事审判庭庭长"),
        "法官助理",
        _COUNTY_LEADER,
    ),
    "镇": Style(
        ("党委书记", "镇长", "党委副书记", "党委委员、副镇长", "党委委员、组织委员", "党委委员、纪委书记", "副镇长"),
        ("党政综合办公室主任", "财政所所长", "社会事务办公室主任", "综合行政执法队队长"),
        second_principal="镇长",
    ),
    "街道": Style(
        ("党工委书记", "办事处主任", "党工委副书记", "副主任", "组织委员"),
        ("党政综合办公室主任", "财政管理办公室主任", "社区建设办公室主任", "综合行政执法队队长"),
        second_principal="办事处主任",
    ),
    "事业单位": Style(
        ("主任", "副主任"), _INSTITUTION, "职员", establishment="事业编制(其他)", person_category="事业单位管理人员"
    ),
    "参公单位": Style(
        ("主任", "副主任"), _INSTITUTION, establishment="事业编制(参公)", person_category="参照管理事业单位工作人员"
    ),
    "国有企业": Style(
        ("董事长", "总经理", "副总经理"),
        ("综合部经理", "财务部经理", "投资部经理", "资产管理部经理"),
        "职员",
        second_principal="总经理",
        establishment="其他",
        person_category="企业管理人员",
    ),
}  # fmt: skip
DEPARTMENTS = [
    ("县纪委监委", "纪检监察", "纪委"), ("县委组织部", "组织", "部"), ("县委宣传部", "宣传", "部"), ("县委统战部", "统战", "部"), ("县委政法委", "政法", "政法委"),
    ("县公安局", "公安", "公安局"), ("县人民检察院", "检察", "检察院"), ("县人民法院", "法院", "法院"), ("县司法局", "司法行政", "局"), ("县发展和改革局", "发改", "局"),
    ("县教育局", "教育", "局"), ("县科技局", "科技", "局"), ("县工业和信息化局", "工信", "局"), ("县民政局", "民政", "局"), ("县财政局", "财政", "局"),
    ("县人力资源和社会保障局", "人社", "局"), ("县自然资源局", "自然资源", "局"), ("县生态环境局", "生态环境", "局"), ("县住房和城乡建设局", "住建", "局"),
    ("县交通运输局", "交通", "局"), ("县水利局", "水利", "局"), ("县农业农村局", "农业农村", "局"), ("县商务局", "商务", "局"), ("县文化和旅游局", "文旅", "局"),
    ("县卫生健康局", "卫健", "局"), ("县退役军人事务局", "退役军人", "局"), ("县应急管理局", "应急", "局"), ("县审计局", "审计", "局"),
    ("县市场监督管理局", "市场监管", "局"), ("县统计局", "统计", "局"), ("县医疗保障局", "医保", "局"), ("县信访局", "信访", "局"),
]  # fmt: skip
INSTITUTIONS = [
    ("县融媒体中心", "宣传", "事业单位"),
    ("县疾病预防控制中心", "卫健", "事业单位"),
    ("县公共资源交易中心", "发改", "参公单位"),
    ("县招商服务中心", "商务", "事业单位"),
]
LEGAL_SYSTEMS = ("公安", "检察", "法院", "司法行政", "政法")
SENSITIVE = {
    "纪检监察": "纪检监察",
    "组织": "干部人事",
    "审计": "审计",
    "财政": "资金管理",
    "发改": "项目审批",
    "公安": "执纪执法",
    "市场监管": "执纪执法",
}


@dataclass(frozen=True)
class Seat:
    """A post that one person fills (席位)."""

    post: str
    unit: str
    unit_name: str
    category: str
    style: Style
    team: str
    title: str
    kind: str
    level: str
    leading: bool
    middle: bool
    sensitive: str | None

    @property
    def step(self) -> str:
        """The step of a career it stands on (台阶)."""
        return MIDDLE if self.middle else self.level


@dataclass
class Layout:
    """The units with their posts and teams, and the seats in the order they are filled."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {"unit": [], "post": [], "team": []})
    seats: list[Seat] = field(default_factory=list)

    def ladder(self) -> dict[str, list[Seat]]:
        """The seats by step of a career: the level of the post, but heads of sections, of the level of staff, apart."""
        found: dict[str, list[Seat]] = {}
        for seat in self.seats:
            found.setdefault(seat.step, []).append(seat)
        return found


def lay_out(random: Random, people: int) -> Layout:
    """As many units as the people need, and a seat for everybody: where they run out, more staff, never more leaders.

    The seats come leaders first, so that a small district still has its teams; `people` of them are taken.
    """
    layout = Layout()
    layout.rows["unit"].append(
        {"unit_id": "U000", "name": "虚构县", "category": "县级党政", "system": "政府", "level": "县处级", "region": "虚构县"}
    )  # fmt: skip
    copies = max(1, round(people / PEOPLE_PER_COPY))
    for copy in range(copies):
        tag = "" if copies == 1 else f"（{copy + 1}）"
        for name, system, style in DEPARTMENTS:
            category = "政法机关" if system in LEGAL_SYSTEMS else "县级机关"
            _unit(layout, random, name + tag, category, system, style)
        for at, town in enumerate(TOWNS):
            style = "街道" if at >= 16 else "镇"
            category = "街道" if style == "街道" else "乡镇"
            _unit(layout, random, town + style + tag, category, "乡镇街道", style, town + style, at < 3)
        for name, system, style in INSTITUTIONS:
            _unit(layout, random, name + tag, "事业单位", system, style)
        _unit(layout, random, "县国有资产经营公司" + tag, "国有企业", "国资", "国有企业")
    _more_staff(layout, people)
    layout.seats.sort(key=lambda seat: 0 if seat.leading else 1 if seat.middle else 2)
    _headcount(layout, random, people)
    return layout


def _unit(
    layout: Layout,
    random: Random,
    name: str,
    category: str,
    system: str,
    style_name: str,
    region: str = "虚构县",
    remote: bool = False,
) -> None:
    style = STYLES[style_name]
    leaders, middle = style.leaders, style.middle
    unit = f"U{len(layout.rows['unit']):03}"
    team = f"T{unit[1:]}"
    principals = 2 if style.second_principal else 1
    layout.rows["unit"].append({
        "unit_id": unit, "name": name, "parent": "U000", "category": category, "system": system, "level": "副县处级" if style_name in ("纪委", "检察院", "法院") else "乡科级",
        "region": region, "group": category, "remote": remote, "leaders_authorised": len(leaders), "principals_authorised": principals,
        "deputies_authorised": len(leaders) - principals, "middle_authorised": len(middle),
        "population": random.randint(12, 60) * 1000 if category in ("乡镇", "街道") else None,
    })  # fmt: skip
    layout.rows["team"].append(
        {"team_id": team, "name": f"{name}领导班子", "unit": unit, "category": category, "authorised": len(leaders)}
    )  # fmt: skip
    money = next((title for title in middle if "财" in title or "保障" in title), middle[0])
    for number, title in enumerate((*leaders, *middle, *[style.staff] * random.randint(8, 14))):
        leading, is_middle = number < len(leaders), len(leaders) <= number < len(leaders) + len(middle)
        principal = leading and (number == 0 or title == style.second_principal)
        sensitive = SENSITIVE.get(system) if leading or is_middle else None
        if is_middle and title == money:
            sensitive = sensitive or "财务"
        level = (
            style.head_level
            if number == 0
            else "乡科级正职"
            if principal
            else "乡科级副职"
            if leading
            else "科员"
        )
        kind = "正职" if principal or is_middle else "副职" if leading else "其他"
        _seat(layout, Seat(f"P{unit[1:]}-{number:02}", unit, name, category, style, team if leading else "", title, kind, level, leading, is_middle, sensitive))  # fmt: skip


def _seat(layout: Layout, seat: Seat) -> None:
    layout.seats.append(seat)
    layout.rows["post"].append({
        "post_id": seat.post, "name": seat.title, "unit": seat.unit, "kind": seat.kind, "level": seat.level, "leading": seat.leading,
        "sensitive": seat.sensitive, "authorised": 1, "middle": seat.middle,
    })  # fmt: skip


def _more_staff(layout: Layout, people: int) -> None:
    """Staff seats, unit by unit in turn, until everybody has one."""
    last: dict[str, Seat] = {seat.unit: seat for seat in layout.seats}
    numbers = {unit: int(seat.post.rpartition("-")[2]) for unit, seat in last.items()}
    units = list(last)
    for at in range(people - len(layout.seats)):
        unit = units[at % len(units)]
        seat = last[unit]
        numbers[unit] += 1
        post = f"P{unit[1:]}-{numbers[unit]:02}"
        _seat(layout, Seat(post, unit, seat.unit_name, seat.category, seat.style, "", seat.style.staff, "其他", "科员", False, False, None))  # fmt: skip


def _headcount(layout: Layout, random: Random, people: int) -> None:
    """The establishment of each unit, a little below its seats now and then, and how many it really has."""
    seats: dict[str, list[Seat]] = {}
    taken: dict[str, int] = {}
    for at, seat in enumerate(layout.seats):
        seats.setdefault(seat.unit, []).append(seat)
        taken[seat.unit] = taken.get(seat.unit, 0) + (at < people)
    for unit in layout.rows["unit"]:
        if (own := seats.get(unit["unit_id"])) is None:
            continue
        posts = len(own) - random.randint(0, 2)
        establishment = own[0].style.establishment
        if establishment == "行政编制":
            unit["headcount"] = posts
        elif establishment.startswith("事业编制"):
            unit["institution_headcount"] = posts
        unit["staff_count"] = taken[unit["unit_id"]]
