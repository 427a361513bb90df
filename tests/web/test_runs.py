"""Runs kept whole: what they said can be read, verified, and computed again."""

import shutil
from datetime import date, timedelta

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ganbu.cli import app
from ganbu.engine import keep
from ganbu.errors import GanbuError, MisuseError, RecordsError
from ganbu.findings import kept, services
from ganbu.findings.kept import runs
from ganbu.findings.models import EvaluationRun, Finding
from ganbu.records.local import vocabulary
from ganbu.records.models import MODELS
from ganbu.records.writing import writing
from tests.web.test_pages import text_of

DAY = date(2026, 6, 30)


def told(*words):
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def client(sign_in):
    return sign_in("cadre_section")


@pytest.fixture
def run(db, monkeypatch):
    monkeypatch.setattr("ganbu.web.commands.ready", lambda: None)  # the tests have their own database
    made = services.run_adopted(DAY)
    yield made
    shutil.rmtree(runs() / str(made.pk), ignore_errors=True)


def test_a_fingerprint_is_of_what_is_said_not_of_how_it_lies():
    one = pa.table({"对象": ["b", "a"], "结果": ["x", None], "数值": pa.array([1, 2], pa.int64())})
    two = one.take(pa.array([1, 0]))
    assert keep.fingerprint(one) == keep.fingerprint(two)
    other = pa.table({"对象": ["b", "a"], "结果": ["x", ""], "数值": pa.array([1, 2], pa.int64())})
    assert keep.fingerprint(other) != keep.fingerprint(one), "nothing is not an empty text"
    assert keep.fingerprint(one.rename_columns(["对象", "结果", "分"])) != keep.fingerprint(one)


def test_everything_a_run_said_is_kept_and_what_is_acted_on_is_in_the_database(run):
    assert run.kept and run.rules.keys() == set(run.packs)
    pack, policy, rows, _print = max(run.kept, key=lambda one: one[2])
    table = keep.get(runs() / str(run.pk) / pack, policy)
    assert table.num_rows == rows > 0
    assert table["对象"].to_pylist() == sorted(table["对象"].to_pylist()), (
        "one subject is found without reading all"
    )
    counts = {(one[0], one[1]): one[2] for one in run.counts}
    assert sum(counts[pack, policy].values()) == rows
    finding = Finding.objects.filter(run=run).first()
    rows = keep.get(runs() / str(run.pk) / finding.pack, finding.policy, finding.subject).to_pylist()
    assert finding.outcome in {row["结果"] for row in rows} and {row["对象"] for row in rows} == {
        finding.subject
    }
    silent = {(pack, policy) for pack, policy, *_ in run.kept} - set(
        Finding.objects.filter(run=run).values_list("pack", "policy")
    )
    assert silent, "what asks nothing of anybody is kept all the same"


def test_a_changed_byte_is_found_and_a_lost_file_too(run):
    assert kept.verify() == []
    pack, policy, *_ = run.kept[0]
    folder = runs() / str(run.pk) / pack
    table = keep.get(folder, policy)
    keep.put(table.slice(1), folder, policy)
    (wrong,) = kept.verify()
    assert policy in wrong and "指纹不符" in wrong
    path = folder / keep.file_name(policy)
    path.write_bytes(path.read_bytes()[:-20])
    assert "读不出来" in kept.verify()[0]
    path.unlink()
    with pytest.raises(RecordsError, match="读不出来"):
        keep.get(folder, policy)


def test_a_run_says_the_same_again_though_the_record_has_changed(run, someone):
    assert all(one.same for one in kept.replay(run))
    register = vocabulary().registers["award"]
    with writing("edit", reason="更正") as act:
        act.supersede(register, MODELS["award"].objects.filter(superseded_at__isnull=True)[:3])
        row = {
            "award_id": "新的",
            "person": someone.pk,
            "name": "先进",
            "date": DAY - timedelta(days=30),
            "level": "省级",
        }
        act.add(register, [row])
    assert all(one.same for one in kept.replay(run)), "known at the moment of the run"
    second = services.run_adopted(DAY)
    assert all(one.same for one in kept.replay(second))
    shutil.rmtree(runs() / str(second.pk))


def test_a_run_that_says_something_else_names_whom(run):
    pack, policy, rows, _print = next(one for one in run.kept if one[2] > 1)
    folder = runs() / str(run.pk) / pack
    table = keep.get(folder, policy)
    changed = table.set_column(
        table.column_names.index("结果"),
        "结果",
        pa.array(["别的", *table["结果"].to_pylist()[1:]], pa.string()),
    )
    run.kept = [[pack, policy, rows, keep.put(changed, folder, policy)]]
    run.save()
    (one,) = kept.replay(run)
    assert not one.same and one.changed == [table["对象"][0].as_py()]
    done = told("replay", str(run.pk))
    assert isinstance(done.exception, GanbuError) and policy in done.output


def test_runs_and_replays_on_the_command_line(run):
    listed = told("runs")
    assert str(run.pk) in listed.output and "没有改过" in listed.output
    done = told("replay", str(run.pk))
    assert done.exit_code == 0 and f"{len(run.kept)} 条规则，结果与当时完全相同" in done.output
    assert isinstance(told("replay", "999999").exception, MisuseError)
    old = EvaluationRun.objects.create(as_of=DAY, known_at=run.known_at, packs=[])
    assert isinstance(told("replay", str(old.pk)).exception, MisuseError)
    run.rules = dict.fromkeys(run.rules, "0" * 64) | {"没有/这个": "1"}
    run.save()
    assert "改过" in told("runs").output


def test_the_reasons_of_a_finding_tell_since_when(run, client, someone):
    one = Finding.objects.filter(run=run, register="person").first()
    second = services.run_adopted(DAY)
    again = Finding.objects.get(
        run=second, policy=one.policy, subject=one.subject, pack=one.pack, outcome=one.outcome, due=one.due
    )
    page = client.get(f"/findings/{again.pk}/")
    assert "历次结论" in text_of(page)
    told_by = [(then.run.pk, then.outcome) for then in page.context["past"]]
    assert len(told_by) == 1 and told_by[0][1] == one.outcome and told_by[0][0] < second.pk, "by the earliest"
    shutil.rmtree(runs() / str(second.pk))
