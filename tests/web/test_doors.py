"""Every address as every role: who may not is refused, guesses tell nothing, no verb slips through, refusals are noted."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from ganbu.access.current import acting
from ganbu.access.middleware import ANYBODY, SIGNED_IN
from ganbu.access.models import Account, AuditEntry
from ganbu.access.perms import Rights
from ganbu.access.roles import ACTIONS, roles
from ganbu.findings.models import Finding
from ganbu.records import batches
from ganbu.records.dossier import audits
from ganbu.records.models import MODELS, Change, Handout, Request, SavedQuery
from ganbu.records.writing import writing

VERBS = ("get", "post", "put", "patch", "delete", "options", "trace")
EVERYBODY = (*roles(), "nobody")


@pytest.fixture
def places(db, someone, tmp_path):
    """An address for every name, over things that are there."""
    account = Account.objects.get(username="cadre_section")
    with acting(account):
        audit = audits.open_audit(someone.pk, "两初一复", "动议", "测试")
        with writing("file", "测试") as act:
            row = {
                "file_issue_id": "DW1",
                "person": someone.pk,
                "audit": audit,
                "element": "年龄",
                "category": "一般性问题",
            }
            act.add(audits.register("file_issue"), [row])
    team = MODELS["team"].objects.filter(superseded_at__isnull=True).first()
    made = Request.objects.create(account=account, person=someone.pk, register="person", identity=someone.pk, values={"field": "health", "old": "", "new": "健康"}, reason="测试")  # fmt: skip
    batch = batches.open_batch(account, "测试", tmp_path)
    given = {
        "pk": {
            "account-act": account.pk, "grant-confirm": account.pk, "grant-take": account.grants.first().pk,
            "reasons": Finding.objects.filter(register="person").first().pk,
            "export": Handout.objects.create(account=account, kind="pdf").pk, "import": batch.pk, "import-issues": batch.pk, "undo-change": Change.objects.order_by("-pk").first().pk,
            "query-drop": SavedQuery.objects.create(account=account, name="x", condition="性别 = '女'").pk, "request-decide": made.pk,
        },
        "act": "factor", "person": someone.pk, "kind": "lrmx", "field": "id_number", "register": "appointment",
        "identity": MODELS["appointment"].objects.filter(f_person=someone.pk, superseded_at__isnull=True).first().f_appointment_id,
        "team": team.f_team_id, "unit": someone.node.unit, "name": "visit_log",
    }  # fmt: skip
    found = {}
    for pattern in get_resolver().url_patterns:
        names = pattern.pattern.converters
        values = {key: given[key] if key != "pk" else given["pk"][pattern.name] for key in names}
        if pattern.name in ("file-audit", "file-sign", "file-form", "file-issue"):
            values = {"identity": "DW1" if pattern.name == "file-issue" else audit}
        found[pattern.name] = (reverse(pattern.name, kwargs=values), pattern.callback)
    return found


def test_every_view_has_a_door_and_every_action_is_known():
    for pattern in get_resolver().url_patterns:
        actions = getattr(pattern.callback, "door", None)
        assert actions, f"{pattern.name} has no door"
        assert set(actions) <= {ANYBODY, SIGNED_IN, *ACTIONS}
    assert {action for role in roles().values() for action in role.actions} == set(ACTIONS)


def test_nobody_passes_without_signing_in(places):
    for name, (url, view) in places.items():
        for verb in VERBS:
            response = getattr(Client(), verb)(url)
            if view.door == (ANYBODY,):
                assert response.status_code < 500
            else:
                assert (response.status_code, response["Location"].split("?")[0]) == (302, "/login/"), (
                    name,
                    verb,
                )


@pytest.mark.no_cover  # every page there is, each covered by its own tests
@pytest.mark.parametrize("role", EVERYBODY)
def test_every_address_as_every_role(places, sign_in, role):
    may = Rights(Account.objects.get(username=role)).may
    for name, (url, view) in places.items():
        if name in ("logout", "set_language"):
            continue
        client = sign_in(role)
        client.raise_request_exception = False
        allowed = view.door[0] in (ANYBODY, SIGNED_IN) or any(may(action) for action in view.door)
        for verb in VERBS:
            response = getattr(client, verb)(url)
            if response.streaming:
                list(response)  # a download closes its file when it was read
            status = response.status_code
            assert status < 500, (role, name, verb)
            if verb in ("put", "patch", "delete", "options", "trace"):
                assert status == 405, (role, name, verb, status)
            elif not allowed:
                answers = {"get": "GET", "post": "POST"}[verb] in view.methods
                assert status == (403 if answers else 405), (role, name, verb, status)


def test_refusals_are_in_the_audit_chain(sign_in):
    sign_in("audit_admin").get("/people/")
    entry = AuditEntry.objects.first()
    assert (entry.action, entry.subject, entry.account.username) == ("refused", "/people/", "audit_admin")


@pytest.mark.parametrize("role", ["unit_contact", "cadre"])
def test_a_guessed_identity_outside_the_scope_is_not_there(sign_in, stranger, role):
    client = sign_in(role)
    for name, extra in (("person", {}), ("photo", {}), ("history", {}), ("request-make", {})):
        assert client.get(reverse(name, kwargs={"person": stranger.pk, **extra})).status_code == 404, name
    assert AuditEntry.objects.filter(action="refused").exists()
    assert client.get(reverse("person", kwargs={"person": "nobody-of-that-name"})).status_code == 404


def test_whoever_is_inside_the_scope_is_there(sign_in, someone):
    for role in ("unit_contact", "cadre", "leader", "cadre_section", "supervision", "file_room"):
        assert sign_in(role).get(reverse("person", kwargs={"person": someone.pk})).status_code == 200, role


def test_a_unit_outside_the_scope_and_its_team_are_not_there(sign_in, someone, stranger):
    client = sign_in("unit_contact")
    assert client.get(reverse("unit", args=[someone.node.unit])).status_code == 200
    assert client.get(reverse("unit", args=[stranger.node.unit])).status_code == 404
    team = MODELS["team"].objects.filter(f_unit=stranger.node.unit, superseded_at__isnull=True).first()
    if team is not None:
        assert client.get(reverse("team", args=[team.f_team_id])).status_code == 404


def test_search_shows_only_the_scope(sign_in, stranger, someone):
    assert "没有找到" in sign_in("unit_contact").get("/people/", {"q": stranger.name}).content.decode()
    assert someone.name in sign_in("unit_contact").get("/people/", {"q": someone.name}).content.decode()


def test_sensitive_registers_are_for_those_who_may(sign_in, someone):
    assert "家庭成员" not in sign_in("unit_contact").get(reverse("person", args=[someone.pk])).content.decode().split("还缺")[0]  # fmt: skip
    before = AuditEntry.objects.filter(action="read.sensitive").count()
    page = sign_in("cadre_section").get(reverse("person", args=[someone.pk]), {"tab": "family"})
    assert "查看已留痕" in page.content.decode()
    assert AuditEntry.objects.filter(action="read.sensitive").count() == before + 1


def test_a_person_sees_their_own_and_asks_for_corrections(sign_in, someone):
    client = sign_in("cadre")
    assert client.get("/own/").headers["Location"] == reverse("person", args=[someone.pk])
    response = client.post(reverse("request-make", args=[someone.pk]), {"what": f"person|{someone.pk}|health", "value": "良好", "reason": "体检报告"})  # fmt: skip
    assert response.status_code == 302
    assert (
        client.post(reverse("request-decide", args=[Request.objects.get().pk]), {"act": "grant"}).status_code
        == 403
    )


def test_every_page_is_guarded_by_headers(sign_in):
    response = sign_in("cadre_section").get("/people/")
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert response["X-Frame-Options"] == "DENY" and response["Cache-Control"] == "no-store"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_a_form_without_its_token_is_refused(django_user_model, db):
    client = Client(enforce_csrf_checks=True)
    client.force_login(
        django_user_model.objects.get(username="cadre_section"), "django.contrib.auth.backends.ModelBackend"
    )
    assert client.post("/findings/run/").status_code == 403
