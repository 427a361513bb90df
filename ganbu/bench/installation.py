"""An installation at work (整套系统的速度): loading, snapshot, evaluation, import, documents, pages, in a folder of its own."""

from __future__ import annotations

import io
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from ganbu.bench import ordinary
from ganbu.bench.engine import DifferenceError
from ganbu.web import setup

AS_OF = date(2026, 6, 30)
PACKS = ("national", "demo", "registers")
WHO = "bench"
FORMS = 100  # as many as the ordinary way is timed with
TURNS = 2  # so often ours and the ordinary way are timed in turn


def opened(folder: Path, people: int) -> dict[str, Any]:
    """A database in `folder` with a made-up district, made once and used again; what making it took."""
    setup.start(folder)
    setup.migrate()
    from ganbu.access.current import acting
    from ganbu.access.models import Account
    from ganbu.access.services import create_account, grant
    from ganbu.engine.records import Records
    from ganbu.findings.services import run_adopted
    from ganbu.records import writing
    from ganbu.records.local import adopt, vocabulary
    from ganbu.records.models import Card
    from ganbu.synthetic import build_district

    with acting(name="bench"):
        if not Account.objects.filter(username=WHO).exists():
            account = create_account(WHO, WHO, f"{WHO} {WHO} {WHO}", must_change=False)
            grant(account, "cadre_section")
        if Card.objects.exists():
            return {"people": Card.objects.count()}
        adopt(list(PACKS))
        records = Records.from_rows(build_district(people, 7, AS_OF), vocabulary())
        rows = sum(table.num_rows for table in records.tables.values())
        _none, load = _taken(lambda: writing.load(records, reason="bench"))
        _none, run = _taken(lambda: run_adopted(AS_OF))
    return {"people": people, "rows": rows, "load_cpu_s": load, "evaluate_adopted_cpu_s": run}


def _taken(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.process_time()
    found = work()
    return found, time.process_time() - begun


# -- the snapshot ----------------------------------------------------------------------------------------------


def snapshot_bench(folder: Path, people: int) -> dict[str, Any]:
    """Rows per second from the database to the engine: all of it, and again after one person changed.

    `ratio_to_orm` is CPU seconds over those of Django reading the same rows one by one, without making columns of them.
    """
    found = opened(folder, people)
    from ganbu.access.current import acting
    from ganbu.records.corps import reading
    from ganbu.records.local import vocabulary
    from ganbu.records.models import MODELS, Card
    from ganbu.records.snapshot import snapshot
    from ganbu.records.writing import writing

    turns = []
    for _ in range(TURNS):  # the first loads what the program needs
        whole, ours = _taken(lambda: snapshot(vocabulary=vocabulary(), sealed=False))
        read, theirs = _taken(
            lambda: {name: len(list(model._default_manager.values_list())) for name, model in MODELS.items()}
        )
        turns.append((ours, theirs))
    seconds, by_orm = (min(taken) for taken in zip(*turns, strict=True))
    rows = sum(table.num_rows for table in whole.tables.values())
    found |= {"rows": rows, "snapshot_cpu_s": seconds, "rows_per_cpu_s": rows / seconds}
    told = {name: table.num_rows for name, table in whole.tables.items() if name in read}
    if told != {name: read[name] for name in told}:
        raise DifferenceError(f"快照的行数与数据库不同：{told}，{read}")
    found |= {"orm_cpu_s": by_orm, "ratio_to_orm": (seconds / rows) / (by_orm / sum(read.values()))}
    with reading() as store:
        _none, found["first_reading_cpu_s"] = _taken(lambda: len(store.records.tables))
    register = vocabulary().registers["award"]
    person = Card.objects.values_list("pk", flat=True)[0]
    with acting(name="bench"), writing("add", "bench") as act:
        act.add(register, [{"award_id": f"bench{time.time_ns()}", "person": person, "name": "bench"}])

    def again() -> int:
        with reading() as store:
            return len(store.records.tables)

    _none, found["after_one_change_cpu_s"] = _taken(again)
    return found


# -- imports and documents ------------------------------------------------------------------------------------


def import_bench(folder: Path, files: int) -> dict[str, Any]:
    """lrmx files per CPU second, from reading to rows in the database.

    `ratio_to_ordinary` is CPU seconds over those of a program that reads each with lxml and saves Django objects.
    """
    from ganbu.synthetic import build_district, write_lrmx_folder

    setup.start(folder)
    setup.migrate()
    from ganbu.access.current import acting
    from ganbu.records import batches
    from ganbu.records.models import Card

    source = folder / "bench-lrmx"
    shutil.rmtree(source, ignore_errors=True)
    count = write_lrmx_folder(build_district(files, 11, AS_OF), source, files, 11)
    had = Card.objects.exists()
    with acting(name="bench"):
        report, seconds = _taken(lambda: batches.import_files(source, {}, False, False))
    command = [sys.executable, "-m", "ganbu.bench.ordinary", str(source)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    ordinary = json.loads(done.stdout)
    shutil.rmtree(source, ignore_errors=True)
    if not had:  # else some of them were here already; ours reads more of the damaged ones
        missed = Counter(ordinary["names"]) - Counter(Card.objects.values_list("name", flat=True))
        _equal("没有导入的人", missed, Counter())
    return {
        "files": count, "new": report.new, "import_cpu_s": seconds, "files_per_cpu_s": count / seconds, "ordinary_cpu_s": ordinary["cpu_s"], "ordinary_refused": ordinary["refused"],
        "ratio_to_ordinary": seconds / ordinary["cpu_s"],
    }  # fmt: skip


def _equal(what: str, ours: Any, theirs: Any) -> None:
    if ours != theirs:
        raise DifferenceError(f"{what}与平常写法的不同：{str(ours)[:200]}，{str(theirs)[:200]}")


def documents_bench(folder: Path, people: int) -> dict[str, Any]:
    """任免审批表 per CPU second as docx, pdf and lrmx, and a roster's rows.

    The docx is compared with docxtpl filling a plain form for each person anew, the pdf with reportlab setting a plain
    table of the same words, the roster with openpyxl writing the same cells.
    """
    opened(folder, people)
    from ganbu.formats.paper import paper_values
    from ganbu.formats.tables import read_table
    from ganbu.records.forms import forms_of
    from ganbu.records.models import Card
    from ganbu.web.handouts import write

    keys = list(Card.objects.order_by("place").values_list("pk", flat=True)[:people])
    found: dict[str, Any] = {"people": len(keys)}

    def written(kind: str, whose: list[str]) -> io.BytesIO:
        stream = io.BytesIO()
        write(kind, whose, stream, (True, True), "")
        return stream

    for kind in ("docx", "pdf", "lrmx", "xlsx"):
        made, seconds = _taken(partial(written, kind, keys))
        found |= {f"{kind}_cpu_s": seconds, f"{kind}_per_cpu_s": len(keys) / seconds, f"{kind}_bytes": made.tell()}  # fmt: skip
    few = keys[:FORMS]
    values = [paper_values(form) for form in forms_of(few).values()]
    told = [{name: value for name, value in one.items() if isinstance(value, str)} for one in values]
    template = ordinary.form_template(told[0])
    rows = [row for row in read_table("花名册.xlsx", written("xlsx", keys).getvalue()).rows if any(row)]
    for kind, whose, work in (
        ("docx", few, lambda: [ordinary.form_docx(template, one) for one in values]),
        ("pdf", few, lambda: [ordinary.form_pdf(one) for one in told]),
        ("xlsx", keys, lambda: ordinary.roster(rows)),
    ):
        turns = [(_taken(partial(written, kind, whose))[1], *_taken(work)) for _ in range(TURNS)]
        if kind == "xlsx":
            _equal("花名册", rows, read_table("花名册.xlsx", turns[0][1]).rows)
        ours, theirs = min(turn[0] for turn in turns), min(turn[2] for turn in turns)
        found |= {
            f"{kind}_ordinary_per_cpu_s": len(whose) / theirs,
            f"{kind}_ratio_to_ordinary": ours / theirs,
        }
    return found


# -- pages -----------------------------------------------------------------------------------------------------


def web_bench(folder: Path, people: int, repeats: int = 20) -> dict[str, Any]:
    """Pages as an account of the section sees them: median and p95 of the server's milliseconds, statements, kilobytes.

    The list, the search and the page of a person are asked in turn with the same written as generic views do it.
    """
    found: dict[str, Any] = opened(folder, people)
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from ganbu.access.models import Account
    from ganbu.records.models import MODELS, Card, UnitNode

    # In this process only: its client is no browser somebody could sign in with.
    settings.ALLOWED_HOSTS, settings.SECOND_FACTOR = ["testserver"], False
    client = Client()
    client.force_login(Account.objects.get(username=WHO), "django.contrib.auth.backends.ModelBackend")
    cards = list(Card.objects.exclude(node=None).order_by("place")[: repeats * 7 : 7])
    teams = list(MODELS["team"].objects.filter(superseded_at__isnull=True)[:repeats])  # type: ignore[attr-defined]
    units = list(UnitNode.objects.filter(depth=1).order_by("place")[:repeats])
    then = {"as_of": "2020-06-30"}

    def asked(at: int) -> dict[str, tuple[str, dict[str, str]]]:
        card, team, unit = cards[at % len(cards)], teams[at % len(teams)], units[at % len(units)]
        return {
            "people": ("/people/", {}), "search": ("/people/", {"q": card.pinyin[:5]}), "person": (reverse("person", args=[card.pk]), {}),
            "tree": ("/units/", {}), "expand": (reverse("children", args=[unit.unit]), {}), "unit": (reverse("unit", args=[unit.unit]), {}),
            "teams": ("/teams/", {}), "team": (reverse("team", args=[team.f_team_id]), {}), "findings": ("/findings/", {}), "files": ("/files/", {}),
            "query": ("/query/", {"condition": f"性别 = '女' and 年龄 <= {30 + at % 20}"}), "cross": ("/query/cross/", {}),
            "people_then": ("/people/", then), "tree_then": ("/units/", then), "team_then": (reverse("team", args=[team.f_team_id]), then),
        }  # fmt: skip

    def page(place: str, values: dict[str, str]) -> str:
        response = client.get(place, values)
        if response.status_code != 200:
            raise AssertionError(f"{place} {response.status_code}")
        return response.content.decode()

    def measured(work: Callable[[int], str], times: int) -> dict[str, Any]:
        taken, statements, size = [], 0, 0
        for at in range(-1, times):  # the first is not counted: what is kept between pages is made then
            begun = time.perf_counter()
            with CaptureQueriesContext(connection) as queries:
                told = work(at)
            if at >= 0:
                taken.append(1000 * (time.perf_counter() - begun))
                statements, size = max(statements, len(queries)), max(size, len(told.encode()))
        return {
            "median_ms": round(statistics.median(taken), 1), "p95_ms": round(sorted(taken)[int(0.95 * (len(taken) - 1))], 1),
            "statements": statements, "kilobytes": round(size / 1000, 1),
        }  # fmt: skip

    for name in asked(0):
        found[name] = measured(lambda at, name=name: page(*asked(at)[name]), repeats)  # type: ignore[misc]
    few, total = min(repeats, 3), Card.objects.count()
    found["cards"] = total  # `people` and `files` are pages
    for card in cards[:few]:
        for told, plain in ((page("/people/", {"q": card.name}), ordinary.people_page(card.name)), (page(reverse("person", args=[card.pk]), {}), ordinary.person_page(card.pk))):  # fmt: skip
            _equal("网页上的人", card.name in told, card.name in plain)
    _equal("列表的人数", f"<p>{total}</p>" in ordinary.people_page(), True)
    for name, work in (
        ("people", lambda _at: ordinary.people_page()),
        ("search", lambda at: ordinary.people_page(cards[at % len(cards)].name)),
        ("person", lambda at: ordinary.person_page(cards[at % len(cards)].pk)),
    ):
        plainly = found[f"{name}_ordinary"] = measured(work, few)
        found[name]["ratio_to_ordinary"] = round(found[name]["median_ms"] / plainly["median_ms"], 4)
    return found
