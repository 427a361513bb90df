"""A district of ninety people, an account of every role, loaded once; every test works in a transaction of its own."""

from __future__ import annotations

from datetime import date

import pytest
from django.http import FileResponse
from django.test import Client

from ganbu.access.current import acting
from ganbu.access.roles import roles
from ganbu.access.services import create_account, grant
from ganbu.engine.records import Records
from ganbu.findings.services import run_adopted
from ganbu.records import writing
from ganbu.records.local import adopt
from ganbu.records.models import Card, UnitNode
from ganbu.synthetic import build_district
from ganbu.vocabulary import load_vocabulary

PASSWORD = "correct horse battery"
SIZE = 90
AS_OF = date(2026, 6, 30)


@pytest.fixture(scope="session")
def district():
    made = build_district(SIZE, 7, AS_OF)
    for name in ("file_audit", "file_review", "file_issue", "material", "custody"):
        made[name] = []  # files begin empty here
    return made


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker, district):
    with django_db_blocker.unblock(), acting(name="测试"):
        adopt(["national", "demo", "registers"])
        writing.load(Records.from_rows(district, load_vocabulary()), reason="测试数据")
        first = Card.objects.exclude(node=None).order_by("place", "pk").first()
        for name in roles():
            account = create_account(
                name, roles()[name].label, PASSWORD, first.pk if name == "cadre" else "", False
            )
            grant(account, name, first.node.unit if name == "unit_contact" else "")
        create_account("nobody", "没有角色", PASSWORD, must_change=False)
        run_adopted(AS_OF)


@pytest.fixture
def someone(db):
    """A person with posts, in the unit of the unit contact."""
    return Card.objects.exclude(node=None).order_by("place", "pk").first()


@pytest.fixture
def stranger(db, someone):
    """A person outside the unit of the unit contact."""
    inside = UnitNode.objects.filter(path__startswith=someone.node.path)
    return Card.objects.exclude(node=None).exclude(node__in=inside).exclude(seats__node__in=inside).order_by("-place").first()  # fmt: skip


@pytest.fixture
def sign_in(db, django_user_model):
    """A browser signed in as a role."""

    def enter(role: str) -> Client:
        client = Client()
        client.force_login(
            django_user_model.objects.get(username=role), "django.contrib.auth.backends.ModelBackend"
        )
        return client

    return enter


@pytest.fixture(autouse=True)
def downloads_are_closed(monkeypatch):
    """What a web server does at the end of a response, and the test client does not."""
    opened = []
    real = FileResponse.set_headers

    def noted(self, stream):
        opened.append(stream)
        return real(self, stream)

    monkeypatch.setattr(FileResponse, "set_headers", noted)
    yield
    for stream in opened:
        stream.close()
