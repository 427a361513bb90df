"""Entering, second factor, lock-out, sessions, and the three administrators."""

from __future__ import annotations

from datetime import date

import pytest
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from ganbu.access import services
from ganbu.access.current import acting
from ganbu.access.models import Account, AuditEntry, SessionOf
from ganbu.access.perms import Rights
from ganbu.access.roles import roles

PASSWORD = "correct horse battery"
pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    return services.create_account("zhang", "张", PASSWORD, must_change=False)


def enter(client: Client, name: str = "zhang", password: str = PASSWORD, **more):
    return client.post("/login/", {"username": name, "password": password, **more})


def test_entering_and_leaving_are_noted(account):
    client = Client()
    assert enter(client).headers["Location"] == "/"
    assert client.get("/").status_code == 200
    client.post("/logout/")
    assert client.get("/").headers["Location"].startswith("/login/")
    assert [e.action for e in AuditEntry.objects.order_by("id")][-2:] == ["login", "logout"]


def test_the_name_is_the_same_in_upper_case_and_nowhere_else_leads_out(account):
    assert enter(Client(), "ZHANG").status_code == 302
    assert enter(Client(), next="https://evil.example/").headers["Location"] == "/"
    assert enter(Client(), next="/help/").headers["Location"] == "/help/"


def test_five_failures_lock_out_and_each_is_noted(account):
    client = Client()
    for _n in range(4):
        assert enter(client, password="wrong").status_code == 401
    assert enter(client, password="wrong").status_code == 429
    assert enter(client).status_code == 429
    assert AuditEntry.objects.filter(action="login.refused").count() >= 5


def test_an_account_that_was_disabled_does_not_enter(account):
    services.set_active(account, False)
    assert enter(Client()).status_code == 401


def test_a_given_password_must_be_changed_first(account):
    services.set_password(account, "a new one given", by_owner=False)
    client = Client()
    enter(client, password="a new one given")
    assert client.get("/").headers["Location"] == "/password/"
    wrong = client.post("/password/", {"old": "a new one given", "new": "short", "again": "short"})
    assert "密码不合要求" in wrong.content.decode()
    for old, new, again in (("x", "long enough 1", "long enough 1"), ("a new one given", "long enough 1", "other"), ("a new one given", "a new one given", "a new one given")):  # fmt: skip
        assert client.post("/password/", {"old": old, "new": new, "again": again}).status_code == 200
    assert client.post("/password/", {"old": "a new one given", "new": "long enough 1", "again": "long enough 1"}).status_code == 302  # fmt: skip
    assert client.get("/").status_code == 200


def test_the_second_factor(account, settings):
    settings.SECOND_FACTOR = True
    client = Client()
    enter(client)
    assert client.get("/").headers["Location"] == "/second-factor/"
    assert "data:image/svg+xml" in client.get("/second-factor/").content.decode()
    device = TOTPDevice.objects.get(user=account)
    assert "验证码不对" in client.post("/second-factor/", {"code": "000000"}).content.decode()
    device.refresh_from_db()
    device.throttle_reset()
    page = client.post("/second-factor/", {"code": f"{totp(device.bin_key):06d}"}).content.decode()
    spare = page.split("<li>")[1].split("</li>")[0]
    assert client.get("/").status_code == 200
    other = Client()
    enter(other)
    assert "data:image" not in other.get("/second-factor/").content.decode()
    assert other.post("/second-factor/", {"code": spare}).status_code == 302
    third = Client()
    enter(third)
    assert third.post("/second-factor/", {"code": spare}).status_code == 200, "a spare code works once"


def test_no_more_sessions_than_allowed(account, settings):
    first, *rest = [Client() for _n in range(settings.SESSIONS_PER_ACCOUNT + 1)]
    for client in (first, *rest):
        enter(client)
    assert first.get("/").status_code == 302 and rest[-1].get("/").status_code == 200
    assert SessionOf.objects.filter(account=account).count() == settings.SESSIONS_PER_ACCOUNT


def test_idle_sessions_end(account, settings):
    client = Client()
    enter(client)
    client.get("/")
    session = client.session
    session["seen"] = session["seen"] - settings.SESSION_IDLE_MINUTES * 60 - 1
    session.save()
    assert client.get("/").headers["Location"] == "/login/"


def test_the_three_administrators_hold_nothing_else(account):
    services.grant(account, "system_admin")
    for role in roles():
        if role != "system_admin":
            with pytest.raises(services.AccessError, match="三员分立"):
                services.grant(account, role)
    other = services.create_account("li", "李", PASSWORD)
    services.grant(other, "leader")
    with pytest.raises(services.AccessError, match="三员分立"):
        services.grant(other, "audit_admin")


def test_none_of_the_three_does_anothers_work():
    single = {name: role.actions for name, role in roles().items() if role.single}
    assert set(single) == {"system_admin", "security_admin", "audit_admin"}
    for name, actions in single.items():
        assert all(not actions & other for n, other in single.items() if n != name)
        assert not any(action.startswith(("people", "units", "rules")) for action in actions)


def test_nobody_grants_themselves(account):
    with acting(account), pytest.raises(services.AccessError, match="自己"):
        services.grant(account, "leader")


def test_a_grant_has_its_time(account):
    services.grant(account, "leader", until=date(2026, 7, 1))
    assert Rights(account, date(2026, 6, 30)).may("people.read")
    assert not Rights(Account.objects.get(pk=account.pk), date(2026, 7, 1)).may("people.read")


def test_weak_passwords_and_taken_names(account):
    for weak in ("short", "1234567890", "password123"):
        with pytest.raises(services.AccessError, match="密码"):
            services.create_account("wang", "王", weak)
    with pytest.raises(services.AccessError, match="已经有了"):
        services.create_account("ZHANG", "张", PASSWORD)
    with pytest.raises(services.AccessError, match="没有角色"):
        services.grant(account, "leadr")


def test_pages_of_the_administrators(account):
    system = services.create_account("sys", "系统", PASSWORD, must_change=False)
    security = services.create_account("sec", "安全", PASSWORD, must_change=False)
    auditor = services.create_account("aud", "审计", PASSWORD, must_change=False)
    for one, role in ((system, "system_admin"), (security, "security_admin"), (auditor, "audit_admin")):
        services.grant(one, role)
    client = Client()
    enter(client, "sys")
    assert (
        client.post("/accounts/", {"username": "new", "name": "新", "password": PASSWORD}).status_code == 302
    )
    assert "已经有了" in client.post("/accounts/", {"username": "new", "name": "新", "password": PASSWORD}).content.decode()  # fmt: skip
    made = Account.objects.get(username="new")
    for act, status in (("disable", 302), ("enable", 302), ("factor", 302), ("nonsense", 404)):
        assert client.post(f"/accounts/{made.pk}/{act}/").status_code == status
    assert client.post(f"/accounts/{made.pk}/password/", {"password": "another long one"}).status_code == 302
    client.post(f"/accounts/{system.pk}/disable/")
    assert Account.objects.get(pk=system.pk).is_active
    client = Client()
    enter(client, "sec")
    assert (
        client.post(
            "/grants/", {"account": made.username, "role": "leader", "until": "2027-01-01"}
        ).status_code
        == 302
    )
    assert (
        "三员分立"
        in client.post("/grants/", {"account": made.username, "role": "audit_admin"}).content.decode()
    )
    assert client.post(f"/grants/{made.grants.get().pk}/take/").status_code == 302
    client = Client()
    enter(client, "aud")
    assert "new" in client.get("/audit/", {"action": "account", "actor": "系统", "day": date.today().isoformat()}).content.decode()  # fmt: skip
    assert "日期应写作" in client.get("/audit/", {"day": "x"}).content.decode()
    assert "完整" in client.post("/audit/verify/").content.decode()
