"""Time in the made-up district: nothing before the first day of work, nothing after the as-of day."""

from datetime import date

import pytest

from ganbu.dates import PartialDate, add_months
from ganbu.synthetic import build_district
from ganbu.vocabulary import load_vocabulary

# What may lie ahead: plans, and the end of an effect that is still running.
AHEAD = {("project", "planned_end"), ("secondment", "planned_end"), ("effect", "end_date")}
# What comes before work by its nature; the studies of people in work are held to it below.
BEFORE_WORK = {"person", "education", "family"}
DAYS = [
    (1200, date(2026, 6, 30)),
    (300, date(2026, 1, 3)),
    (300, date(2024, 2, 29)),
    (300, date(2026, 12, 31)),
]


@pytest.fixture(scope="module", params=DAYS, ids=lambda case: f"{case[0]}-{case[1]}")
def made(request):
    people, day = request.param
    return build_district(people, as_of=day), day


def dates(made):
    """Every date of every row: register, row, field, the date."""
    for name, rows in made.items():
        for spec in load_vocabulary().registers[name].fields.values():
            if spec.kind == "date":
                for row in rows:
                    if row.get(spec.name):
                        yield name, row, spec.name, PartialDate.parse(row[spec.name])


def first_days(made):
    """The day each person started work, to the day where the record knows it."""
    return {
        p["person_id"]: p["work_start"] if p["entry_way"] not in ("考录", "选调") else p["entry_date"]
        for p in made["person"]
    }


def test_nothing_comes_after_the_as_of_day_but_plans_and_five_awards_typed_ahead(made):
    district, day = made
    late = [
        (name, row)
        for name, row, field, found in dates(district)
        if found.first() > day and (name, field) not in AHEAD
    ]
    assert {name for name, _ in late} == {"award"} and len(late) == 5
    assert all(row["award_id"].startswith("award-f") for _, row in late)
    assert max(row["year"] for row in district["assessment"] + district["unit_assessment"]) < day.year


def test_nothing_a_person_does_in_office_comes_before_the_first_day_of_work(made):
    district, _ = made
    started = first_days(district)
    seen = set()
    for name, row, field, found in dates(district):
        if name not in BEFORE_WORK and "person" in row:
            first = PartialDate.parse(started[row["person"]])
            assert found.last() >= first.first(), (name, field, row)
            seen.add(name)
    assert len(seen) > 20
    for row in district["assessment"]:
        assert row["year"] >= int(started[row["person"]][:4])


def test_the_first_post_begins_in_the_month_of_starting_work(made):
    first = {}
    for row in made[0]["appointment"]:
        first.setdefault(row["person"], row["start_date"][:7])
    assert first == {p["person_id"]: p["work_start"] for p in made[0]["person"]}


def test_full_time_studies_end_before_work_and_the_others_begin_in_it(made):
    started = first_days(made[0])
    for row in made[0]["education"]:
        if row["mode"] == "全日制":
            assert row["start_date"] < row["end_date"] <= started[row["person"]][:7]
        else:
            assert started[row["person"]][:7] <= row["start_date"] < row["end_date"]


def test_what_ends_ends_after_it_began(made):
    pairs = {"date": ("lifted_on", "revoked_on", "closed_on"), "sent_on": ("replied_on",), "start_date": ("end_date", "planned_end", "released_on")}  # fmt: skip
    for rows in made[0].values():
        for row in rows:
            for begin, ends in pairs.items():
                for end in ends:
                    if row.get(begin) and row.get(end):
                        first, last = PartialDate.parse(row[begin]), PartialDate.parse(row[end])
                        assert first.first() <= last.last(), row


def test_project_work_begins_after_the_project_and_a_portfolio_after_the_post(made):
    district = made[0]
    begun = {row["project_id"]: row["start_date"] for row in district["project"]}
    assert all(row["start_date"] >= begun[row["project"]] for row in district["assignment"])
    present = {
        r["person"]: r["start_date"] for r in district["appointment"] if r["main"] and not r.get("end_date")
    }
    assert all(row["start_date"] >= present[row["person"]] for row in district["portfolio"])


def test_mentors_and_nominators_were_in_work_by_then(made):
    started = first_days(made[0])
    for name, other, field in (("mentorship", "mentor", "start_date"), ("nomination", "nominator", "date")):
        assert all(row[field] >= started[row[other]] for row in made[0][name])


def test_nobody_starts_work_as_a_child_or_joins_the_party_before_eighteen(made):
    for person in made[0]["person"]:
        if person["birth_date"] and len(person["birth_date"]) == 10:
            born = date.fromisoformat(person["birth_date"])
            assert person["work_start"] >= f"{born.year + 18}"
            if person.get("party_date"):
                assert person["party_date"] >= add_months(born, 12 * 18).isoformat()[:7]


def test_relatives_are_born_by_the_as_of_day_and_no_parent_is_younger_than_fifteen(made):
    district, day = made
    people = {p["person_id"]: p for p in district["person"]}
    born = {
        k: p["birth_date"][:7] for k, p in people.items() if p["birth_date"] and len(p["birth_date"]) == 10
    }
    spouses = {r["person"]: r["birth_date"] for r in district["family"] if r["relation"] in ("妻子", "丈夫")}

    def fifteen_later(month):
        return f"{int(month[:4]) + 15}{month[4:]}"

    for row in district["family"]:
        assert row["birth_date"] <= day.isoformat()[:7]
        own = born.get(row["person"])
        if row["relation"] in ("子", "女"):
            assert row["birth_date"] >= fifteen_later(spouses[row["person"]])
            assert own is None or row["birth_date"] >= fifteen_later(own)
        elif row["relation"] in ("父亲", "母亲") and own:
            assert own >= fifteen_later(row["birth_date"])


def test_one_career_in_twenty_five_has_months_nobody_explains(large_district):
    posts = {}
    for row in large_district["appointment"]:
        if row["main"]:
            posts.setdefault(row["person"], []).append(row)
    left = {row["person"]: row["end_date"] for row in large_district["education"] if row["mode"] == "全日制"}
    with_gap = set()
    for person, rows in posts.items():
        ends = [left.get(person, rows[0]["start_date"][:7]), *(row.get("end_date") for row in rows)]
        for end, row in zip(ends, rows, strict=False):
            assert end <= row["start_date"][:7]
            if end < row["start_date"][:7]:
                with_gap.add(person)
    assert 0.03 < len(with_gap) / len(posts) < 0.05
