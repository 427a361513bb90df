"""No grant lends its reach to another: two roles over two scopes give exactly what each gives, not their mixture."""

from __future__ import annotations

import io
import zipfile
from datetime import date

import pytest
from django.test import Client
from django.urls import reverse

from ganbu.access import services
from ganbu.access.current import acting
from ganbu.access.models import Account, AuditEntry
from ganbu.access.perms import Rights
from ganbu.access.services import AccessError, create_account, grant
from ganbu.dates import PartialDate
from ganbu.engine.evaluator import Evaluator
from ganbu.engine.policy import load_pack
from ganbu.errors import PackError
from ganbu.findings.models import EvaluationRun, Finding
from ganbu.findings.services import marked
from ganbu.formats.lrmx import read_lrmx
from ganbu.records import queries
from ganbu.records.local import vocabulary
from ganbu.records.models import MODELS, Card, Handout
from ganbu.records.people import merge_people, undo_merge
from ganbu.records.writing import writing
from ganbu.vocabulary import load_vocabulary
from ganbu.web import worker
from ganbu.web.query import forbidden

WORDS = load_vocabulary().registers
PASSWORD = "correct horse battery"


def somebody(name: str, *grants: tuple[str, str]) -> Client:
    account = create_account(name, name, PASSWORD, must_change=False)
    for role, unit in grants:
        grant(account, role, unit)
    client = Client()
    client.force_login(account, "django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def mixed(someone):
    """The cadre section of one unit, and the file room of all."""
    return somebody("mixed", ("cadre_section", someone.node.unit), ("file_room", ""))


def test_an_action_of_one_grant_is_not_done_in_the_scope_of_another(mixed, someone, stranger):
    assert mixed.get(reverse("add", args=[someone.pk, "appointment"])).status_code == 200
    assert mixed.get(reverse("person", args=[stranger.pk])).status_code == 200, "the file room sees them"
    assert mixed.get(reverse("add", args=[stranger.pk, "appointment"])).status_code == 403
    assert mixed.get(reverse("add", args=[stranger.pk, "material"])).status_code == 200


def test_a_sensitive_register_is_seen_only_where_the_role_that_sees_it_reaches(mixed, someone, stranger):
    with acting(name="测试"), writing("add", "测试") as act:
        act.add(WORDS["sanction"], [{"sanction_id": f"S-{p}", "person": p, "kind": "政务记过", "date": PartialDate(2020, 5, 1)} for p in (someone.pk, stranger.pk)])  # fmt: skip
    assert "政务记过" in mixed.get(reverse("person", args=[someone.pk]), {"tab": "sanction"}).content.decode()
    for place in (reverse("person", args=[stranger.pk]), reverse("history", args=[stranger.pk]), reverse("growth", args=[stranger.pk])):  # fmt: skip
        assert "政务记过" not in mixed.get(place, {"tab": "sanction"}).content.decode()
    pair = mixed.get("/people/compare/", {"person": [someone.pk, stranger.pk]}).content.decode()
    assert "处分处理" not in pair


def test_conditions_on_a_sensitive_register_need_it_everywhere(someone):
    account = create_account("asks", "asks", PASSWORD, must_change=False)
    grant(account, "leader")
    grant(account, "supervision", someone.node.unit)
    may = Rights(account)
    assert may.everywhere("people.query", WORDS["sanction"]) and not may.everywhere("people.query", WORDS["report_check"])  # fmt: skip
    assert forbidden("any(个人事项查核, 结论 = '瞒报')", may) == "个人事项查核"
    assert forbidden("any(处分处理, 种类 = '诫勉')", may) == ""


def test_whoever_may_import_for_a_part_only_may_not_import(someone):
    client = somebody("part", ("cadre_section", someone.node.unit))
    assert client.get("/imports/").status_code == 403
    assert "/imports/" not in client.get("/people/").content.decode()


@pytest.mark.parametrize("role", ["file_room", "supervision"])
def test_who_may_not_change_people_may_not_make_them(role, sign_in):
    assert sign_in(role).post("/people/new/", {"name": "冒名", "reason": "x", "sure": "1"}).status_code == 403
    assert not Card.objects.filter(name="冒名").exists()


def test_somebody_new_has_a_reason_and_is_within_ones_own_scope(someone, stranger):
    client = somebody("maker", ("cadre_section", someone.node.unit))
    told = {"name": "新来的", "sex": "男", "sure": "1"}
    assert "事由" in client.post("/people/new/", told).content.decode()
    outside = client.post("/people/new/", told | {"reason": "调入", "statistics_unit": stranger.node.unit})
    assert outside.status_code == 422 and "权限范围内" in outside.content.decode()
    assert not Card.objects.filter(name="新来的").exists()
    inside = client.post("/people/new/", told | {"reason": "调入", "statistics_unit": someone.node.name})
    assert inside.status_code == 302
    assert Card.objects.get(name="新来的").node == someone.node


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("id_number", "123", "身份证号不对"),
        ("statistics_unit", "没有的单位", "没有编号或名称"),
        ("name", "", "不能为空"),
    ],
)
def test_what_a_form_takes_is_looked_at(sign_in, someone, field, value, complaint):
    row = MODELS["person"].objects.get(f_person_id=someone.pk, superseded_at__isnull=True).row
    page = sign_in("cadre_section").post(reverse("edit", args=[someone.pk, "person", someone.pk]), {field: value, "reason": "x", "row": row})  # fmt: skip
    assert page.status_code == 422 and complaint in page.content.decode()


def test_a_form_goes_out_without_what_one_may_not_see(sign_in, someone):
    number = next(iter(queries.known(queries.held(someone.pk))["person"])).values["id_number"]
    full = read_lrmx(sign_in("cadre_section").get(reverse("form", args=[someone.pk, "lrmx"])).content, "x")
    assert full.id_number == number and full.family
    told = read_lrmx(sign_in("leader").get(reverse("form", args=[someone.pk, "lrmx"])).content, "x")
    assert told.id_number == "" and told.family, "leaders see family, not numbers"
    assert AuditEntry.objects.filter(action="print").latest("id").detail["number"] is False


def test_a_finding_that_rests_on_a_hidden_register_is_hidden(sign_in, someone):
    run = EvaluationRun.objects.first()
    for reads in ("", "|observer_log|"):
        Finding.objects.create(run=run, pack="x", policy=f"规则{reads}", register="person", subject=someone.pk, outcome="提醒", reads=reads)  # fmt: skip
    own, section = sign_in("cadre"), sign_in("cadre_section")
    place = reverse("person", args=[someone.pk])
    assert "规则|observer_log|" in section.get(place).content.decode()
    assert "规则|observer_log|" not in own.get(place).content.decode()
    assert "规则|observer_log|" not in sign_in("leader").get("/findings/", {"q": ""}).content.decode()
    hidden = Finding.objects.get(reads="|observer_log|")
    assert own.get(reverse("reasons", args=[hidden.pk])).status_code == 404


def test_what_a_policy_rests_on_is_followed_through_facts_and_effects(db):
    evaluator = Evaluator(load_pack("national"), date(2026, 6, 30))
    assert evaluator.reads("处分影响期") == {"sanction", "person"}
    assert {"rank", "assessment", "sanction"} <= evaluator.reads("职级晋升资格"), (
        "by the effects of another policy"
    )
    assert "kin" in evaluator.reads("亲属回避") and "sanction" not in evaluator.reads("任职满十年交流")
    assert marked(evaluator.reads("职级晋升资格")) == "|sanction|"


# -- resetting and entering -------------------------------------------------------------------------------------------


def test_who_is_reset_by_another_does_nothing_until_confirmed(sign_in):
    account = create_account("target", "某人", PASSWORD, must_change=False)
    grant(account, "cadre_section")
    system, security = sign_in("system_admin"), sign_in("security_admin")
    assert system.post(reverse("account-act", args=[account.pk, "password"]), {"password": "another horse battery"}).status_code == 302  # fmt: skip
    account.refresh_from_db()
    assert account.suspended and account.must_change and not Rights(account).may("people.read")
    assert "授权暂停" in security.get("/grants/").content.decode()
    assert system.post(reverse("grant-confirm", args=[account.pk])).status_code == 403
    assert security.post(reverse("grant-confirm", args=[account.pk])).status_code == 302
    assert Rights(Account.objects.get(pk=account.pk)).may("people.read")


@pytest.mark.parametrize("act", ["password", "factor"])
def test_the_administrators_are_reset_at_the_machine_only(sign_in, act):
    security = Account.objects.get(username="security_admin")
    page = sign_in("system_admin").post(reverse("account-act", args=[security.pk, act]), {"password": "another horse battery"}, follow=True)  # fmt: skip
    assert "三员分立" in page.content.decode()
    security.refresh_from_db()
    assert security.check_password(PASSWORD) and not security.suspended
    services.set_password(security, "another horse battery", by_owner=False)
    assert security.check_password("another horse battery")


def test_an_account_has_a_name(db):
    with pytest.raises(AccessError, match="请填账号"):
        create_account("", "某人", PASSWORD)


def test_upper_and_lower_case_count_as_one_account(db, settings):
    create_account("zhang", "张", PASSWORD, must_change=False)
    for name in ("zhang", "Zhang", "zHang", "zhAng", "zhaNg"):
        Client().post("/login/", {"username": name, "password": "wrong"})
    assert Client().post("/login/", {"username": "ZHANG", "password": PASSWORD}).status_code == 429


def test_the_password_waits_for_the_second_factor(db, settings):
    settings.SECOND_FACTOR = True
    client = somebody("factor", ("leader", ""))
    assert client.get("/password/").headers["Location"] == reverse("second-factor")
    assert client.post("/password/", {"old": PASSWORD, "new": "x", "again": "x"}).headers["Location"] == reverse("second-factor")  # fmt: skip


def test_the_address_comes_from_the_proxy_where_there_is_one(db, settings):
    for behind, expected in ((False, "127.0.0.1"), (True, "10.0.0.9")):
        settings.BEHIND_PROXY = behind
        Client().post("/login/", {"username": f"x{behind}", "password": "wrong"}, headers={"X-Forwarded-For": "1.2.3.4, 10.0.0.9"})  # fmt: skip
        assert AuditEntry.objects.latest("id").address == expected


def test_what_no_database_takes_is_turned_away(sign_in):
    client = sign_in("cadre_section")
    assert client.get("/people/", {"q": "a\x00b"}).status_code == 400
    assert client.get("/people/", {"unit": "²"}).status_code == 200
    assert client.get("/people/roster/", {"unit": "²"}).status_code == 200


def test_the_way_back_keeps_its_query(db):
    there = Client().get("/people/?q=x&unit=3").headers["Location"]
    assert there == "/login/?next=%2Fpeople%2F%3Fq%3Dx%26unit%3D3"


# -- large exports ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pdf", "docx", "lrmx", "lrm", "album", "overview", "generic"])
def test_a_large_export_is_made_by_the_worker_and_fetched_by_whoever_asked(sign_in, settings, tmp_path, kind, monkeypatch):  # fmt: skip
    settings.HOME = tmp_path
    monkeypatch.setattr("ganbu.web.printing.AT_ONCE", 2)
    client = sign_in("cadre_section")
    people = list(Card.objects.order_by("place").values_list("pk", flat=True)[:4])
    assert client.get("/people/roster/", {"person": people, "kind": kind}).headers["Location"] == "/exports/"
    assert "progress" in client.get("/exports/").content.decode()
    while worker.step():
        pass
    job = Handout.objects.get()
    assert (job.state, job.done, job.total) == ("ready", 4, 4), job.told
    content = b"".join(client.get(reverse("export", args=[job.pk])).streaming_content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert len([n for n in names if n.endswith(kind)]) == 4 or kind in ("album", "overview", "generic")
    assert sign_in("supervision").get(reverse("export", args=[job.pk])).status_code == 404
    assert AuditEntry.objects.filter(action="export.fetch").count() == 1
    entry = AuditEntry.objects.filter(action="export").latest("id")
    assert entry.detail["people"] == people and entry.detail["rows"] == 4


def test_an_export_that_fails_says_so(sign_in, settings, tmp_path, monkeypatch):
    settings.HOME = tmp_path
    monkeypatch.setattr("ganbu.web.printing.AT_ONCE", 0)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "form.docx").write_bytes(b"not a document")
    client = sign_in("cadre_section")
    client.get("/people/roster/", {"kind": "docx"})
    assert worker.step()
    assert Handout.objects.get().state == "failed"
    assert "没有完成" in client.get("/exports/").content.decode()
    assert list((tmp_path / "exports").iterdir()) == []


def test_there_is_one_worker(settings, tmp_path):
    settings.HOME = tmp_path
    with worker.alone() as first, worker.alone() as second:
        assert (first, second) == (True, False)


# -- taking back what was recorded by hand ------------------------------------------------------------------------------


def test_a_correction_is_taken_back_by_who_may_make_it(sign_in, someone):
    section = sign_in("cadre_section")
    row = MODELS["person"].objects.get(f_person_id=someone.pk, superseded_at__isnull=True)
    section.post(reverse("edit", args=[someone.pk, "person", someone.pk]), {"health": "良好", "reason": "体检", "row": row.row})  # fmt: skip
    now = MODELS["person"].objects.get(f_person_id=someone.pk, superseded_at__isnull=True)
    assert now.f_health == "良好"
    place = reverse("undo-change", args=[now.change_id])
    assert (
        f"撤销第 {now.change_id} 号变更"
        in section.get(reverse("history", args=[someone.pk])).content.decode()
    )
    assert sign_in("supervision").post(place).status_code == 403, "they may not change people"
    assert sign_in("leader").post(place).status_code == 403
    assert section.post(place).status_code == 302
    held = MODELS["person"].objects.get(f_person_id=someone.pk, superseded_at__isnull=True)
    assert held.f_health == row.f_health
    again = section.post(place, follow=True)
    assert "已经撤销过" in again.content.decode() or again.status_code == 403
    assert f"撤销第 {now.change_id} 号变更\">" not in section.get(reverse("history", args=[someone.pk])).content.decode()  # fmt: skip


# -- who fills in a declared register, and how often ----------------------------------------------------------------------


def test_a_register_is_filled_in_by_those_it_names(sign_in, someone, stranger):
    own, section = sign_in("cadre"), sign_in("cadre_section")
    assert own.get(reverse("add", args=[someone.pk, "work_diary"])).status_code == 200
    assert own.post(reverse("add", args=[someone.pk, "wish_form"]), {"reason": "年度意愿"}).status_code == 302
    assert own.get(reverse("add", args=[stranger.pk, "work_diary"])).status_code == 404
    for name in ("mentor_note", "observer_log"):
        assert own.get(reverse("add", args=[someone.pk, name])).status_code == 403
    assert sign_in("unit_contact").get(reverse("add", args=[someone.pk, "observer_log"])).status_code == 403
    assert section.get(reverse("add", args=[someone.pk, "observer_log"])).status_code == 200
    assert own.get(reverse("register", args=["observer_log"])).status_code == 404
    page = own.get(reverse("register", args=["wish_form"])).content.decode()
    assert someone.name in page and "由谁填：干部本人、干部科" in page


def test_who_owes_an_entry_is_listed_until_it_is_there(sign_in, someone):
    section = sign_in("cadre_section")
    place = reverse("register-due", args=["mentor_note"])
    with acting(name="测试"), writing("add", "测试") as act:
        act.add(WORDS["mentorship"], [{"mentorship_id": "MT", "person": someone.pk, "mentor": someone.pk, "start_date": PartialDate(2020, 1, 1)}])  # fmt: skip
    before = section.get(place).content.decode()
    assert before.count(f">{someone.name}<") == 2 and "已过期" in before, "this month and the last"
    today = date.today()
    with acting(name="测试"), writing("add", "测试") as act:
        act.add(vocabulary().registers["mentor_note"], [{"note_id": "N1", "person": someone.pk, "date": PartialDate(today.year, today.month, today.day)}])  # fmt: skip
    assert section.get(place).content.decode().count(f">{someone.name}<") == 1
    assert section.get(reverse("register-due", args=["risk_filing"])).status_code == 404, "it has no cadence"


@pytest.mark.parametrize(
    ("spec", "complaint"), [({"evry": "month"}, "是否想写：every"), ({"every": "monthly"}, "every 应为")]
)
def test_what_a_register_cannot_say_is_refused(spec, complaint):
    fields = {"x_id": {"type": "id"}, "person": {"type": "ref(person)"}}
    with pytest.raises(PackError, match=complaint):
        load_vocabulary().with_registers(
            {"x": {"label": "表", "subject": "person", "fields": fields, **spec}}
        )


# -- what a grant is for ------------------------------------------------------------------------------------------------


def test_a_grant_gives_only_what_its_purpose_needs(someone):
    account = create_account("for", "for", PASSWORD, must_change=False)
    with pytest.raises(AccessError, match="没有用途“好奇”"):
        grant(account, "cadre_section", purpose="好奇")
    grant(account, "cadre_section", purpose="统计分析")
    client = Client()
    client.force_login(account, "django.contrib.auth.backends.ModelBackend")
    assert client.get("/query/cross/").status_code == 200
    for place in (reverse("person", args=[someone.pk]), "/imports/", "/exports/"):
        assert client.get(place).status_code in (403, 404)
    held = account.grants.get()
    held.purpose = "不在表里的"
    assert not Rights(account.__class__.objects.get(pk=account.pk)).may("people.write")
    account.grants.update(purpose="不在表里的")
    assert not Rights(account.__class__.objects.get(pk=account.pk)).may("people.find"), (
        "unknown gives nothing"
    )


def test_the_security_administrator_chooses_a_purpose(sign_in):
    create_account("chosen", "某人", PASSWORD, must_change=False)
    page = sign_in("security_admin").post("/grants/", {"account": "chosen", "role": "leader", "purpose": "选拔任用"}, follow=True).content.decode()  # fmt: skip
    assert "选拔任用" in page
    assert Account.objects.get(username="chosen").grants.get().purpose == "选拔任用"


def test_an_account_goes_with_whom_it_was_merged_into_and_back(sign_in, someone, stranger):
    account = Account.objects.get(username="cadre")
    assert account.person == someone.pk
    with acting(name="测试"):
        change = merge_people(stranger.pk, [someone.pk], "重复")
    account.refresh_from_db()
    assert account.person == stranger.pk
    assert sign_in("cadre").get("/own/").headers["Location"] == reverse("person", args=[stranger.pk])
    assert sign_in("cadre_section").post(reverse("undo-change", args=[change.pk])).status_code == 302
    account.refresh_from_db()
    assert account.person == someone.pk
    with acting(name="测试"):
        again = merge_people(stranger.pk, [someone.pk], "重复")
        Account.objects.filter(username="cadre").update(person="另一人")
        undo_merge(again, "撤销")
    account.refresh_from_db()
    assert account.person == "另一人", "what was settled since stays"
