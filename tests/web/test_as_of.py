"""Units and teams as they were on a day, and as was known at a moment; slow statements are told."""

from __future__ import annotations

import logging
from datetime import date, datetime

import pytest
from django.urls import reverse

from ganbu.access.models import AuditEntry
from ganbu.dates import PartialDate
from ganbu.records.asof import cards_on, sitting, tree_on
from ganbu.records.cards import turning
from ganbu.records.local import vocabulary
from ganbu.records.models import MODELS, Card, Change, UnitNode
from ganbu.records.writing import writing
from ganbu.vocabulary import load_vocabulary
from tests.web.test_pages import rows_of

WORDS = load_vocabulary().registers


@pytest.fixture
def client(sign_in):
    return sign_in("cadre_section")


@pytest.fixture
def posts(someone):
    with writing("add", "测试") as act:
        act.add(WORDS["person"], [{"person_id": "X1", "name": "甲某", "birth_date": PartialDate(1980, 5, 1)}])
        act.add(WORDS["appointment"], [
            {"appointment_id": "XA1", "person": "X1", "unit": someone.node.unit, "title": "科长", "start_date": PartialDate(2010, 3), "end_date": PartialDate(2015)},
            {"appointment_id": "XA2", "person": "X1", "unit": someone.node.unit, "title": "局长", "start_date": PartialDate(2016, 1, 1), "end_date": PartialDate(2020, 6)},
            {"appointment_id": "XA3", "person": "X1", "unit": someone.node.unit, "title": "主任", "end_date": PartialDate(2008, 2, 29)},
        ])  # fmt: skip
    return act.change


@pytest.mark.parametrize(
    ("day", "titles"),
    [
        (date(2008, 2, 28), {"主任"}), (date(2008, 2, 29), set()), (date(2010, 2, 28), set()), (date(2010, 3, 1), {"科长"}),
        (date(2015, 12, 30), {"科长"}), (date(2015, 12, 31), set()), (date(2020, 6, 29), {"局长"}), (date(2020, 6, 30), set()),
    ],
)  # fmt: skip
def test_who_sat_where_on_a_day(posts, day, titles):
    assert set(sitting(day).filter(f_person="X1").values_list("f_title", flat=True)) == titles
    card = cards_on(["X1"], day)["X1"]
    assert all(title in card.post for title in titles)


def test_what_was_known_before_is_not_what_is_known_now(posts):
    before = datetime(2020, 1, 1)
    assert not sitting(date(2012, 1, 1), before).filter(f_person="X1").exists()
    assert cards_on(["X1"], date(2012, 1, 1), before) == {}
    made = Change.objects.get(pk=posts.pk).made_at
    assert sitting(date(2012, 1, 1), made).filter(f_person="X1").count() == 1
    assert list(cards_on(["X1"], date(2012, 1, 1), made)) == ["X1"]


def test_a_unit_and_its_team_as_they_were(client, someone, posts):
    place = reverse("unit", args=[someone.node.unit])
    assert "甲某" in client.get(place, {"as_of": "2012-01-01"}).content.decode()
    assert "科长" in client.get(place, {"as_of": "2012-01-01"}).content.decode()
    assert "甲某" not in client.get(place, {"as_of": "2009-01-01"}).content.decode()
    assert "甲某" not in client.get(place, {"as_of": "2012-01-01", "known_at": "2020-01-01"}).content.decode()
    assert "日期应写作" in client.get(place, {"as_of": "9999-12-31"}).content.decode()
    team = MODELS["team"].objects.filter(superseded_at__isnull=True).first()
    page = client.get(reverse("team", args=[team.f_team_id]), {"as_of": "1990-01-01"}).content.decode()
    assert "现在看到的是 1990-01-01 的情况" in page
    today = client.get(reverse("team", args=[team.f_team_id])).content.decode()
    assert "看哪一天" in today and "现在看到的是" not in today


def test_cards_turn_on_the_day_a_post_ends(someone):
    with writing("add", "测试") as act:
        act.add(WORDS["person"], [{"person_id": "X2", "name": "乙某"}])
        act.add(WORDS["appointment"], [{"appointment_id": "XB", "person": "X2", "unit": someone.node.unit, "title": "科员", "start_date": PartialDate(2020, 1, 1), "end_date": PartialDate(2099, 6, 15)}])  # fmt: skip
    assert Card.objects.get(pk="X2").node == someone.node
    assert "X2" in turning(date(2099, 6, 15)) and "X2" in turning(date(2099, 6, 20))
    assert "X2" not in turning(date(2099, 7, 15))


def test_slow_statements_are_told_without_their_values(client, settings, caplog):
    settings.SLOW_QUERY_MS = 0.0001
    from django.test import Client

    fresh = Client()
    fresh.cookies = client.cookies
    with caplog.at_level(logging.WARNING, "ganbu.slow"):
        assert fresh.get("/people/", {"q": "zhang"}).status_code == 200
    told = [r.getMessage() for r in caplog.records if r.name == "ganbu.slow"]
    assert told and all("zhang" not in one for one in told) and any("/people/" in one for one in told)


def test_the_record_read_piece_by_piece_is_the_whole_record(db):
    from ganbu.records.corps import reading
    from ganbu.records.snapshot import snapshot

    whole = snapshot(vocabulary=vocabulary())
    with reading() as store:
        assert set(store.records.tables) == set(whole.tables) and "finding" in store.records.tables
        for name, table in store.records.tables.items():
            assert table.num_rows == whole.tables[name].num_rows
        assert store.records.tables.get("nothing") is None and len(store.records.tables) == len(whole.tables)


# -- every page looks from the day asked for ----------------------------------------------------------------------------


def read(client, place, **asked):
    """The words of a page, without the form that asks for a day."""
    return client.get(place, asked).content.decode()


@pytest.fixture
def bureau(posts, someone):
    """A bureau that was abolished in 2015, below the unit of somebody, with somebody in it."""
    with writing("add", "测试") as act:
        act.add(WORDS["unit"], [{"unit_id": "old/1", "name": "已撤的局", "parent": someone.node.unit, "founded_on": PartialDate(2001), "abolished_on": PartialDate(2015, 6, 30), "leaders_authorised": 3}])  # fmt: skip
        act.add(WORDS["appointment"], [{"appointment_id": "XA4", "person": "X1", "unit": "old/1", "title": "调研员", "main": True, "start_date": PartialDate(2010, 3), "end_date": PartialDate(2015, 6, 30)}])  # fmt: skip
    return act.change


def test_the_tree_as_it_was(client, someone, bureau):
    below = reverse("children", args=[someone.node.unit])
    assert "已撤的局" not in read(client, below) and "已撤的局" not in read(client, "/units/", q="已撤")
    assert "已撤的局" in read(client, below, as_of="2012-01-01")
    assert "已撤的局" in read(client, "/units/", q="已撤", as_of="2012-01-01")
    assert "已撤的局" not in read(client, below, as_of="2015-06-30"), "its last day was the one before"
    assert "已撤的局" in read(client, below, as_of="2015-06-29")
    assert "已撤的局" not in read(client, below, as_of="2000-12-31")
    assert "已撤的局" not in read(client, below, as_of="2012-01-01", known_at="2020-01-01")
    page = read(client, reverse("unit", args=["old/1"]), as_of="2012-01-01")
    assert "甲某" in page and "调研员" in page and someone.node.name in page and "新设下级机构" not in page
    assert client.get(reverse("unit", args=["old/1"])).status_code == 404
    node = tree_on(date(2012, 1, 1)).nodes["old/1"]
    assert (node.people, node.people_under, node.depth) == (1, 1, someone.node.depth + 1)
    assert tree_on(date(2012, 1, 1)).nodes[someone.node.unit].people_under >= 1


def test_the_tree_then_stays_inside_the_scope(sign_in, someone, bureau):
    contact = sign_in("unit_contact")
    assert "已撤的局" in read(contact, "/units/", q="已撤", as_of="2012-01-01")
    assert contact.get(reverse("unit", args=["old/1"]), {"as_of": "2012-01-01"}).status_code == 200
    other = next(n for n in tree_on(date(2012, 1, 1)).nodes.values() if n.depth == 1 and not someone.node.unit.startswith(n.unit))  # fmt: skip
    if other.unit != someone.node.unit:
        assert contact.get(reverse("unit", args=[other.unit]), {"as_of": "2012-01-01"}).status_code == 404


def test_the_tree_of_today_made_anew_is_the_tree_that_is_kept(db):
    then = {key: (node.name, node.depth) for key, node in tree_on(date.today()).nodes.items()}
    assert then == {unit: (name, depth) for unit, name, depth in UnitNode.objects.values_list("unit", "name", "depth")}  # fmt: skip
    assert sum(n.people for n in tree_on(date.today()).nodes.values()) > 0


def test_lists_of_people_as_they_were(client, someone, bureau):
    told = read(client, "/people/", unit="old/1", as_of="2012-01-01")
    assert "甲某" in told and "调研员" in told and "完整度" not in told and "选中的花名册" not in told
    assert "甲某" in read(client, "/people/", unit=someone.node.unit, as_of="2012-01-01", q="甲某")
    assert "甲某" not in read(client, "/people/", unit="old/1", as_of="2016-01-01", q="乙")
    assert "甲某" not in read(client, "/people/", q="甲某", known_at="2020-01-01").replace("“甲某”", "").replace('value="甲某"', "")  # fmt: skip
    assert "as_of=2012-01-01" in told, "the links keep the day"


def test_teams_as_they_were(client, someone, posts):
    with writing("add", "测试") as act:
        act.add(WORDS["team"], [{"team_id": "XT", "name": "试验班子", "unit": someone.node.unit, "authorised": 2}])  # fmt: skip
        act.add(WORDS["appointment"], [{"appointment_id": "XA5", "person": "X1", "unit": someone.node.unit, "team": "XT", "team_member": True, "title": "委员", "start_date": PartialDate(2010, 3), "end_date": PartialDate(2015, 6, 30)}])  # fmt: skip

    def members(**asked):
        return [
            line["members"] for line in client.get("/teams/", {"q": "试验班子", **asked}).context["lines"]
        ]

    assert members() == [0] and members(as_of="2012-01-01") == [1] and members(known_at="2020-01-01") == []
    assert client.get(reverse("team", args=["XT"]), {"known_at": "2020-01-01"}).status_code == 404
    with writing("add", "测试") as act:
        act.add(WORDS["education"], [
            {"education_id": "XE1", "person": "X1", "major": "农学", "end_date": PartialDate(2005, 7)},
            {"education_id": "XE2", "person": "X1", "major": "法学", "end_date": PartialDate(2014, 7)},
        ])  # fmt: skip
    for day, studied in (("2014-06-30", "农学"), ("2014-07-01", "法学")):
        structure = dict(client.get(reverse("team", args=["XT"]), {"as_of": day}).context["structure"])
        assert structure["专业"] == [(studied, 1, 100)], "what was studied last, of what was finished by then"


def test_a_query_by_what_was_known(client, posts):
    asked = {"condition": "姓名 = '甲某'"}
    assert client.get("/query/", asked).context["page"].paginator.count == 1
    assert client.get("/query/", {**asked, "known_at": "2020-01-01"}).context["page"].paginator.count == 0
    made = Change.objects.get(pk=posts.pk).made_at
    with writing("edit", "测试") as act:
        act.correct(WORDS["person"], "X1", {"person_id": "X1", "name": "甲改", "birth_date": PartialDate(1980, 5, 1)})  # fmt: skip
    assert client.get("/query/", asked).context["page"].paginator.count == 0
    then = client.get("/query/", {**asked, "known_at": made.isoformat()}).context["page"]
    assert [card.name for card in then] == ["甲某"]
    condition = {"condition": "any(任职, 职务名称 = '科长' and 任职时间 <= 2012-01-01)"}
    assert client.get("/query/", {**condition, "as_of": "2012-01-01", "known_at": made.isoformat()}).context["page"].paginator.count == 1  # fmt: skip


def test_a_cross_table_of_a_day_opens_to_the_people_of_that_day(client, posts):
    asked = {"condition": "姓名 = '甲某'", "as_of": "2012-01-01", "down": "age", "across": "unit"}
    page = client.get("/query/cross/", asked)
    (row,) = page.context["rows"]
    assert (row["label"], row["total"]) == ("35 岁及以下", 1), "she was 31 then"
    opened = client.get(row["cells"][0]["url"])
    assert [card.pk for card in opened.context["page"]] == ["X1"]
    assert [r["label"] for r in client.get("/query/cross/", {**asked, "as_of": "2020-05-01"}).context["rows"]] == ["36–40"]  # fmt: skip
    sheet = client.get(row["url"] + "&xlsx=1")
    rows = rows_of(sheet)
    assert "X1" in {r[0] for r in rows} and "完整度" not in rows[0], "that is told of today's record only"
    assert "2012-01-01" in str(AuditEntry.objects.filter(action="export").first().detail)


def test_people_side_by_side_as_they_were(client, someone, posts):
    told = read(client, "/people/compare/", person="X1", as_of="2012-01-01")
    assert "科长" in told and "31" in told
    assert "科长" not in read(client, "/people/compare/", person="X1", as_of="2012-01-01", known_at="2020-01-01")  # fmt: skip


def test_declared_registers_as_they_were(client, someone):
    register = vocabulary().registers["visit_log"]
    with writing("add", "测试") as act:
        act.add(register, [{"visit_id": "V1", "person": someone.pk, "date": PartialDate(2020, 5, 1), "purpose": "某某村"}])  # fmt: skip
    place = reverse("register", args=["visit_log"])
    assert "某某村" in read(client, place) and "某某村" in read(client, place, as_of="2020-05-01")
    assert "某某村" not in read(client, place, as_of="2020-04-30")
    assert "某某村" not in read(client, place, known_at="2020-06-01")
    assert "按模板成批填" in read(client, place) and "按模板成批填" not in read(
        client, place, as_of="2020-05-01"
    )
    assert client.get("/registers/", {"known_at": "2020-06-01"}).status_code == 200


def test_growth_as_it_was(client, someone, posts):
    place = reverse("growth", args=["X1"])
    assert "科长" in read(client, place, as_of="2012-01-01") or "任职" not in read(client, place)
    assert "科长" not in read(client, place, as_of="2009-01-01")


def test_whoever_had_not_begun_to_work_is_not_in_the_lists_of_a_day(client, someone):
    with writing("add", "测试") as act:
        act.add(WORDS["person"], [{"person_id": "X9", "name": "丙某", "birth_date": PartialDate(1990, 1), "work_start": PartialDate(2012, 7), "current_post_text": "现在的职务"}])  # fmt: skip
    for day, there in (("2012-06-30", False), ("2012-07-01", True)):
        assert [c.pk for c in client.get("/people/", {"q": "丙某", "as_of": day}).context["page"]] == (["X9"] if there else [])  # fmt: skip
        asked = {"condition": "姓名 = '丙某'", "as_of": day}
        assert client.get("/query/", asked).context["page"].paginator.count == there
    assert "现在的职务" not in read(client, "/people/", q="丙某", as_of="2020-01-01")
    assert "现在的职务" in read(client, "/people/", q="丙某")


def test_an_end_that_lay_ahead_had_not_come(client, someone, posts):
    tab = reverse("person", args=["X1"])
    assert "2020-06" not in read(client, tab, tab="appointment", as_of="2018-01-01")
    assert "2020-06" in read(client, tab, tab="appointment", as_of="2020-07-01")
    assert "2020-06" in read(client, tab, tab="appointment"), "today everything is told, planned ends too"


def test_the_file_of_a_person_as_it_was(client, someone):
    with writing("add", "测试") as act:
        act.add(WORDS["material"], [{"material_id": "XM1", "person": someone.pk, "category": "三 考核鉴定", "name": "鉴定表甲", "received_on": PartialDate(2015, 3, 1)}])  # fmt: skip
        act.add(WORDS["file_audit"], [{"file_audit_id": "XF1", "person": someone.pk, "scheme": "两初一复", "stage": "动议", "matter": "提拔事甲", "opened_on": PartialDate(2015, 3, 1), "closed_on": PartialDate(2016, 5, 1), "conclusion": "通过"}])  # fmt: skip
    place = reverse("file", args=[someone.pk])
    assert "鉴定表甲" in read(client, place) and "提出审核" in read(client, place)
    then = read(client, place, as_of="2015-06-01")
    assert "鉴定表甲" in then and "提拔事甲" in then and "通过" not in then, "it was under way"
    assert "提出审核" not in then, "only to look at"
    assert "csrfmiddlewaretoken" not in then.partition("<main")[2].partition("</main")[0]
    assert "通过" in read(client, place, as_of="2016-05-01")
    assert "鉴定表甲" not in read(client, place, as_of="2015-02-28")
    assert "鉴定表甲" not in read(client, place, known_at="2020-01-01")


def test_links_keep_the_moment_to_the_second(client, someone):
    asked = client.get("/people/", {"known_at": "2026-06-30T17:00:05"}).context["when"]
    assert asked.link == f"?as_of={date.today()}&known_at=2026-06-30T17%3A00%3A05"
