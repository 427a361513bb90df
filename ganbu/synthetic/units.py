"""Units, posts and teams of a made-up district (虚构机构)."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from ganbu.synthetic.names import TOWNS

Row = dict[str, Any]
DEPARTMENTS = [
    ("县纪委监委", "纪检监察"), ("县委组织部", "组织"), ("县委宣传部", "宣传"), ("县委统战部", "统战"), ("县委政法委", "政法"),
    ("县公安局", "公安"), ("县人民检察院", "检察"), ("县人民法院", "法院"), ("县司法局", "司法行政"), ("县发展和改革局", "发改"),
    ("县教育局", "教育"), ("县科技局", "科技"), ("县工业和信息化局", "工信"), ("县民政局", "民政"), ("县财政局", "财政"),
    ("县人力资源和社会保障局", "人社"), ("县自然资源局", "自然资源"), ("县生态环境局", "生态环境"), ("县住房和城乡建设局", "住建"),
    ("县交通运输局", "交通"), ("县水利局", "水利"), ("县农业农村局", "农业农村"), ("县商务局", "商务"), ("县文化和旅游局", "文旅"),
    ("县卫生健康局", "卫健"), ("县退役军人事务局", "退役军人"), ("县应急管理局", "应急"), ("县审计局", "审计"),
    ("县市场监督管理局", "市场监管"), ("县统计局", "统计"), ("县医疗保障局", "医保"), ("县信访局", "信访"),
]  # fmt: skip
INSTITUTIONS = [
    ("县融媒体中心", "宣传"),
    ("县疾病预防控制中心", "卫健"),
    ("县公共资源交易中心", "发改"),
    ("县招商服务中心", "商务"),
]
SENSITIVE = {
    "纪检监察": "纪检监察",
    "组织": "干部人事",
    "审计": "审计",
    "财政": "资金管理",
    "发改": "项目审批",
    "公安": "执纪执法",
    "市场监管": "执纪执法",
}
LEADERS = {
    "乡镇": [
        "党委书记",
        "镇长",
        "党委副书记",
        "党委委员、副镇长",
        "党委委员、组织委员",
        "党委委员、纪委书记",
        "副镇长",
    ],
    "街道": ["党工委书记", "办事处主任", "党工委副书记", "副主任", "组织委员"],
}


@dataclass
class Seat:
    """A post that one person fills (席位)."""

    post: str
    unit: str
    team: str
    title: str
    kind: str
    level: str
    leading: bool
    sensitive: str | None
    middle: bool = False
    category: str = ""


@dataclass
class Layout:
    """The units with their posts and teams, and the seats in the order they are filled."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {"unit": [], "post": [], "team": []})
    seats: list[Seat] = field(default_factory=list)


def lay_out(random: Random, people: int) -> Layout:
    """As many units as the people need: departments, towns and streets, institutions, an enterprise or two."""
    layout = Layout()
    layout.rows["unit"].append(
        {
            "unit_id": "U000",
            "name": "虚构县",
            "category": "县级党政",
            "system": "政府",
            "level": "县处级",
            "region": "虚构县",
        }
    )
    copies = max(1, round(people / 1200))
    for copy in range(copies):
        tag = "" if copies == 1 else f"（{copy + 1}）"
        for name, system in DEPARTMENTS:
            category = "政法机关" if system in ("公安", "检察", "法院", "司法行政", "政法") else "县级机关"
            _unit(
                layout,
                random,
                name + tag,
                category,
                system,
                "虚构县",
                ["局长", "副局长", "副局长", "党组成员"],
            )
        for at, town in enumerate(TOWNS):
            street = at >= 16
            kind = "街道" if street else "乡镇"
            name = f"{town}{'街道' if street else '镇'}{tag}"
            _unit(
                layout,
                random,
                name,
                kind,
                "乡镇街道",
                f"{town}{'街道' if street else '镇'}",
                LEADERS[kind],
                remote=at < 3,
            )
        for name, system in INSTITUTIONS:
            _unit(layout, random, name + tag, "事业单位", system, "虚构县", ["主任", "副主任"])
        _unit(
            layout,
            random,
            "县国有资产经营公司" + tag,
            "国有企业",
            "国资",
            "虚构县",
            ["董事长", "总经理", "副总经理"],
        )
    return layout


def _unit(
    layout: Layout,
    random: Random,
    name: str,
    category: str,
    system: str,
    region: str,
    leaders: list[str],
    remote: bool = False,
) -> None:
    unit = f"U{len(layout.rows['unit']):03}"
    team = f"T{unit[1:]}"
    middle, staff = 4, random.randint(8, 14)
    layout.rows["unit"].append({
        "unit_id": unit, "name": name, "parent": "U000", "category": category, "system": system, "level": "乡科级", "region": region,
        "group": category, "remote": remote, "headcount": len(leaders) + middle + staff - random.randint(0, 2), "leaders_authorised": len(leaders),
        "principals_authorised": 1, "deputies_authorised": len(leaders) - 1, "middle_authorised": middle,
        "staff_count": len(leaders) + middle + staff, "population": random.randint(12, 60) * 1000 if category in ("乡镇", "街道") else None,
    })  # fmt: skip
    layout.rows["team"].append(
        {
            "team_id": team,
            "name": f"{name}领导班子",
            "unit": unit,
            "category": category,
            "authorised": len(leaders),
        }
    )
    titles = (
        [(title, True) for title in leaders]
        + [(f"科室{at + 1}科长", False) for at in range(middle)]
        + [("科员", False)] * staff
    )
    for at, (title, leading) in enumerate(titles):
        principal = at == 0 or title in ("镇长", "办事处主任", "总经理")
        is_middle = not leading and title != "科员"
        kind = "正职" if principal or is_middle else "副职" if leading else "其他"
        level = ("乡科级正职" if principal else "乡科级副职") if leading else "科员"
        sensitive = SENSITIVE.get(system) if leading or is_middle else None
        if title == "科室1科长":
            sensitive = sensitive or "财务"
        post = f"P{unit[1:]}{at:02}"
        layout.rows["post"].append({
            "post_id": post, "name": title, "unit": unit, "kind": kind, "level": level, "leading": leading, "sensitive": sensitive,
            "authorised": 1, "middle": is_middle,
        })  # fmt: skip
        layout.seats.append(
            Seat(
                post,
                unit,
                team if leading else "",
                title,
                kind,
                level,
                leading,
                sensitive,
                is_middle,
                category,
            )
        )
    # Leaders first, so that a small district still has its teams.
    layout.seats.sort(key=lambda seat: 0 if seat.leading else 1 if seat.middle else 2)
