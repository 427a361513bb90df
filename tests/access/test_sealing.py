"""Encrypted fields and the audit chain: nothing opens out of its place, and a changed byte shows."""

from __future__ import annotations

import sqlite3

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError
from hypothesis import given
from hypothesis import strategies as st

from ganbu.access import audit
from ganbu.access.current import acting
from ganbu.access.models import AuditEntry
from ganbu.access.sealing import Keys, SealError


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    Keys.begin(folder)
    return Keys(folder)


@given(text=st.text(max_size=200), place=st.text(max_size=40))
def test_what_is_sealed_opens_in_its_place_only(held, text, place):
    sealed = held.seal(text, place)
    assert held.open(sealed, place) == text
    with pytest.raises(SealError):
        held.open(sealed, place + "x")


def test_a_changed_byte_does_not_open(held):
    sealed = held.seal("370102197803141234", "a")
    broken = sealed[:-4] + ("A" if sealed[-4] != "A" else "B") + sealed[-3:]
    with pytest.raises(SealError, match="改动"):
        held.open(broken, "a")
    with pytest.raises(SealError, match="没有第 9 号"):
        held.open("9:" + sealed.partition(":")[2], "a")


def test_old_values_open_after_a_rotation(tmp_path):
    Keys.begin(tmp_path)
    keys = Keys(tmp_path)
    sealed, mark = keys.seal("甲", "p"), keys.mark("甲")
    assert keys.rotate() == "2"
    fresh = Keys(tmp_path)
    assert (
        fresh.open(sealed, "p") == "甲"
        and fresh.seal("乙", "p").startswith("2:")
        and fresh.mark("甲") == mark
    )
    assert (tmp_path / "field-keys.json").stat().st_mode & 0o077 == 0


@pytest.mark.django_db
def test_the_chain_is_whole_and_shows_a_change(monkeypatch):
    with acting(name="甲"):
        for n in range(5):
            audit.append("test", f"s{n}", n=n)
    assert list(audit.verify()) == []
    count, head = audit.head()
    assert count == AuditEntry.objects.count() and head == AuditEntry.objects.first().digest
    entry = AuditEntry.objects.all()[2]
    real = audit.digest
    monkeypatch.setattr(audit, "digest", lambda e: real(e) if e.pk != entry.pk else "0")
    assert "被改动" in next(audit.verify())


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement", ["UPDATE access_auditentry SET subject = 'x'", "DELETE FROM access_auditentry"]
)
def test_the_database_refuses_to_change_the_chain(statement):
    audit.append("test", "s")
    with pytest.raises((DatabaseError, sqlite3.DatabaseError), match="append-only"), transaction.atomic(), connection.cursor() as cursor:  # fmt: skip
        cursor.execute(statement)


def test_keys_that_are_gone_are_never_made_anew(tmp_path):
    with pytest.raises(SealError, match="请从备份放回"):
        Keys(tmp_path)
    Keys.begin(tmp_path)
    first = (tmp_path / "field-keys.json").read_bytes()
    Keys.begin(tmp_path)
    assert (tmp_path / "field-keys.json").read_bytes() == first
