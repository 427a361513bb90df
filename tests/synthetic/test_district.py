"""The made-up district is the same every time, uses only words of the vocabulary, and looks like a county."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from ganbu.engine.records import Records
from ganbu.errors import MisuseError
from ganbu.synthetic import build_district
from ganbu.synthetic.units import lay_out
from ganbu.vocabulary import load_vocabulary


@pytest.mark.parametrize("people", [37, 1300])
def test_the_same_seed_gives_the_same_district_of_any_size(people):
    one = build_district(people)
    assert build_district(people) == one and build_district(people, seed=7) != one


@pytest.mark.parametrize("people", [1, 7, 1799])
def test_any_size(people):
    made = build_district(people)
    assert (
        len(made["person"]) == people and sum(unit.get("staff_count", 0) for unit in made["unit"]) == people
    )
    with pytest.raises(MisuseError):
        build_district(0)


def test_every_row_fits_the_vocabulary_and_points_at_something(district):
    words = load_vocabulary()
    records = Records.from_rows(district)
    ids = {
        name: {row[words.registers[name].id_field] for row in records.rows(name)} for name in records.tables
    }
    for name in records.tables:
        for row in records.rows(name):
            for spec in words.registers[name].fields.values():
                if spec.kind == "ref" and row.get(spec.name) is not None:
                    assert row[spec.name] in ids[spec.target], (name, spec.name, row)


def test_every_register_has_rows(district):
    assert [name for name in load_vocabulary().registers if not district.get(name)] == []


def test_nobody_is_a_mentor_or_nominator_or_relative_of_himself(district):
    for name, other in (("mentorship", "mentor"), ("nomination", "nominator"), ("kin", "relative")):
        assert all(row["person"] != row[other] for row in district[name])


# -- posts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("people", [400, 1799])
def test_a_post_has_one_holder_and_a_person_one_post(people):
    made = build_district(people)
    now = [row for row in made["appointment"] if row["main"] and not row.get("end_date")]
    assert max(Counter(row["post"] for row in now).values()) == 1
    assert Counter(row["person"] for row in now) == Counter(p["person_id"] for p in made["person"])


def test_more_people_get_more_staff_seats_but_no_more_leaders():
    few, many = (
        Counter(seat.leading for seat in lay_out(Random(1), people).seats) for people in (1100, 1799)
    )
    assert many[True] == few[True] and many.total() == 1799 > few.total() >= 1100


def test_an_appointment_is_a_promotion_exactly_when_the_level_rises(large_district):
    order = load_vocabulary().codes["post_level"].order
    posts = {}
    for row in large_district["appointment"]:
        if row["main"]:
            posts.setdefault(row["person"], []).append(row)
        else:
            assert row["promotion"] is False
    seen = Counter()
    for rows in posts.values():
        assert rows[0]["promotion"] is False
        for before, after in pairwise(rows):
            if before["level"] and after["level"]:  # half a percent of the levels are lost
                rises = order.index(after["level"]) > order.index(before["level"])
                assert after["promotion"] is rises, (before, after)
                seen[rises] += 1
    assert seen[True] > 1000 and seen[False] > 1000


def test_a_career_begins_among_the_staff(district):
    staff = {"科员", "民警", "职员", "法官助理", "检察官助理"}
    first = {}
    for row in district["appointment"]:
        first.setdefault(row["person"], row["title"])
    assert set(first.values()) == staff


HEADS = {
    "县人民法院": "院长", "县人民检察院": "检察长", "县纪委监委": "书记、监委主任", "县委组织部": "部长", "县委政法委": "书记", "县公安局": "局长", "县财政局": "局长",
    "青山镇": "党委书记", "县融媒体中心": "主任", "县国有资产经营公司": "董事长",
}  # fmt: skip


def test_the_head_of_a_unit_bears_the_title_that_fits_it(district):
    names = {unit["unit_id"]: unit["name"] for unit in district["unit"]}
    heads = {}
    for post in district["post"]:
        heads.setdefault(names[post["unit"]], post["name"])
    assert {name: heads[name] for name in HEADS} == HEADS
    assert {name for name, title in heads.items() if title == "局长"} == {
        n for n in heads if n.endswith("局")
    }
    assert "镇长" in {post["name"] for post in district["post"] if names[post["unit"]] == "青山镇"}


def test_the_establishment_fits_the_unit(district):
    category = {unit["unit_id"]: unit["category"] for unit in district["unit"]}
    found = {(category[p["statistics_unit"]], p["establishment"], p["category"]) for p in district["person"]}
    for unit, establishment, person in found:
        if unit == "事业单位":
            assert (establishment, person) in {
                ("事业编制(其他)", "事业单位管理人员"),
                ("事业编制(参公)", "参照管理事业单位工作人员"),
            }
        elif unit == "国有企业":
            assert (establishment, person) == ("其他", "企业管理人员")
        else:
            assert (establishment, person) == ("行政编制", "公务员")
    assert {"事业编制(其他)", "事业编制(参公)", "其他", "行政编制"} == {e for _, e, _ in found}


def test_only_who_is_in_the_service_has_a_rank_and_a_day_of_entry(district):
    people = {p["person_id"]: p for p in district["person"]}
    served = {k for k, p in people.items() if p["category"] in ("公务员", "参照管理事业单位工作人员")}
    assert {row["person"] for row in district["rank"]} <= served
    assert {k for k, p in people.items() if p.get("entry_date")} == served


# -- shares ---------------------------------------------------------------------------------------------------


def test_every_grade_occurs_and_in_the_shares_of_a_real_corps(large_district):
    grades = Counter(row["grade"] for row in large_district["assessment"])
    assert set(grades) == {"优秀", "称职", "基本称职", "不称职", "不确定等次", "未参加"}
    share = {grade: n / grades.total() for grade, n in grades.items()}
    assert 0.10 < share["优秀"] < 0.25 and share["称职"] > 0.7
    assert 0 < share["不称职"] < share["基本称职"] < 0.02


def test_the_dirt_of_the_record_has_its_shares(large_district):
    people = large_district["person"]
    born = Counter(len(p["birth_date"] or "") for p in people)
    assert 0.005 < born[0] / len(people) < 0.015 and 0.005 < born[4] / len(people) < 0.015
    posts = [row for row in large_district["appointment"] if row["main"]]
    lost = {name: sum(row[name] is None for row in posts) / len(posts) for name in ("kind", "level")}
    assert 0.015 < lost["kind"] < 0.025 and 0.003 < lost["level"] < 0.008


def test_opinions_tests_effects_and_findings_are_realistic(large_district):
    opinions = Counter(row.get("opinion") for row in large_district["opinion"])
    assert opinions.most_common(1)[0][0] == "无不同意见" and opinions[None] > 0
    assert all(
        (row.get("opinion") is None) == (row.get("replied_on") is None) for row in large_district["opinion"]
    )
    assert {"网络测试", "任前测试", "入学测试", "结业测试"} <= {row["part"] for row in large_district["exam"]}
    sanctioned = {(row["person"], row["date"]) for row in large_district["sanction"]}
    assert {(row["person"], row["start_date"]) for row in large_district["effect"]} <= sanctioned
    cards = {(row["person"], row["date"]) for row in large_district["finding"] if row["policy"] == "红黄牌"}
    assert cards == {(row["person"], row["date"]) for row in large_district["warning"]}


def test_children_mostly_bear_the_surname_of_their_father(district):
    people = {p["person_id"]: p for p in district["person"]}
    spouse = {r["person"]: r["name"] for r in district["family"] if r["relation"] in ("妻子", "丈夫")}
    same = []
    for row in district["family"]:
        person = people[row["person"]]
        if row["relation"] in ("子", "女"):
            father = person["name"] if person["sex"] == "男" else spouse[row["person"]]
            same.append(row["name"][0] == father[0])
        elif row["relation"] == "父亲":
            same.append(row["name"][0] == person["name"][0])
    assert 0.94 < sum(same) / len(same) < 1
