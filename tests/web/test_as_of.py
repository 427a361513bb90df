"""Units and teams as they were on a day, and as was known at a moment; slow statements are told."""

from __future__ import annotations

import logging
from datetime import date, datetime

import pytest
from django.urls import reverse

from ganbu.dates import PartialDate
from ganbu.records.cards import cards_on, turning
from ganbu.records.local import vocabulary
from ganbu.records.models import MODELS, Card, Change
from ganbu.records.writing import writing
from ganbu.vocabulary import load_vocabulary
from ganbu.web.units import sitting

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
    place = reverse("unit", args=[someone.node_id])
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
