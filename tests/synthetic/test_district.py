"""The made-up district is the same every time, obeys time, and uses only words of the vocabulary."""

import pytest

from ganbu.engine.records import Records
from ganbu.errors import MisuseError
from ganbu.synthetic import build_district
from ganbu.vocabulary import load_vocabulary


@pytest.fixture(scope="module")
def district():
    return build_district(400)


def test_the_same_seed_gives_the_same_district(district):
    assert build_district(400) == district and build_district(400, seed=7) != district


def test_careers_obey_time(district):
    born = {p["person_id"]: p["birth_date"] for p in district["person"] if p["birth_date"]}
    for row in district["appointment"]:
        assert (
            not row.get("end_date")
            or row["start_date"] <= row["end_date"]
            or row["start_date"][:7] == row["end_date"][:7]
        )
        if row["person"] in born:
            assert int(row["start_date"][:4]) - int(born[row["person"]][:4]) >= 17


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


def test_shares_are_those_of_a_real_corps(district):
    grades = [row["grade"] for row in district["assessment"]]
    assert 0.10 < grades.count("优秀") / len(grades) < 0.25
    assert 0 < sum(p["birth_date"] is None or len(p["birth_date"]) == 4 for p in district["person"]) < 20
    assert any(row["date"] > "2026-06-30" for row in district["award"])


@pytest.mark.parametrize("people", [1, 7, 1300])
def test_any_size(people):
    assert len(build_district(people)["person"]) == people
    with pytest.raises(MisuseError):
        build_district(0)
