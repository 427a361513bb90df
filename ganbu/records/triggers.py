"""Append-only by the database itself (只增不改): whatever way a statement comes, a row is only added, or superseded once,
and only by a change that is being made: one whose digest is not drawn yet. A change with its digest is as it is for ever.

A sealed column may be re-written, so that keys can be rotated; its content is authenticated by the seal and covered by
the digest of the change that wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connections, models

from ganbu.access.models import AuditEntry
from ganbu.records.models import MODELS, Change, LocalRow, Photo
from ganbu.vocabulary import load_vocabulary

_MESSAGE = "ganbu: the record is append-only"
_ENDS = ("meta_superseded_at", "meta_superseded_by")


@dataclass(frozen=True)
class Guarded:
    """A table and what may happen to its rows."""

    model: type[models.Model]
    change: str = ""  # the column that names the change that adds a row
    ends: bool = False  # whether a row may be superseded
    sealed: tuple[str, ...] = ()  # columns that may be re-written, never emptied
    until: str = ""  # a condition on the old row while which everything may change

    @property
    def table(self) -> str:
        """Its name."""
        return self.model._meta.db_table

    @property
    def kept(self) -> list[str]:
        """The columns that never change."""
        free = {*self.sealed, *(_ENDS if self.ends else ())}
        return [str(f.column) for f in self.model._meta.concrete_fields if f.column not in free]


def guarded() -> list[Guarded]:
    """Every table that only grows."""
    found = [Guarded(AuditEntry), Guarded(Change, until="OLD.digest = ''"), Guarded(Photo, "change_id")]
    found.append(Guarded(LocalRow, "meta_change", True))
    for name, model in MODELS.items():
        register = load_vocabulary().registers[name]
        sealed = tuple(f.name for f in register.fields.values() if f.sealed)
        found.append(Guarded(model, "meta_change", True, sealed))
    return found


def install(using: str = "default") -> None:
    """Put the triggers in place, replacing older ones."""
    connection = connections[using]
    known = set(connection.introspection.table_names())
    make = _sqlite if connection.vendor == "sqlite" else _postgresql
    with connection.cursor() as cursor:
        for one in guarded():
            if one.table in known and Change._meta.db_table in known:
                for statement in make(one):
                    cursor.execute(statement)


def _open(column: str) -> str:
    return f"EXISTS (SELECT 1 FROM \"{Change._meta.db_table}\" c WHERE c.id = {column} AND c.digest = '')"


def _rules(one: Guarded, same: str) -> tuple[str, str]:
    """When a row may be added, and when it may change; `same` is the database's word for equal or both empty."""
    may_add = _open(f'NEW."{one.change}"') if one.change else "1 = 1"
    parts = [f'OLD."{c}" {same} NEW."{c}"' for c in one.kept]
    parts += [f'(OLD."{c}" IS NULL) = (NEW."{c}" IS NULL)' for c in one.sealed]
    if one.ends:
        at, by = _ENDS
        untouched = f"OLD.{at} {same} NEW.{at} AND OLD.{by} {same} NEW.{by}"
        ended = f"OLD.{at} IS NULL AND NEW.{at} IS NOT NULL AND {_open(f'NEW.{by}')}"
        parts.append(f"(({untouched}) OR ({ended}))")
    may_change = " AND ".join(parts) if one.ends else "1 = 0"
    return may_add, f"({one.until}) OR ({may_change})" if one.until else may_change


def _sqlite(one: Guarded) -> list[str]:
    may_add, may_change = _rules(one, "IS")
    # FAIL needs no journal per row, as ABORT does; the transaction around is rolled back anyway.
    refuse = f"BEGIN SELECT RAISE(FAIL, '{_MESSAGE}'); END"
    names = [f'"{one.table}_{what}"' for what in ("keep", "stay", "come")]
    return [
        *(f"DROP TRIGGER IF EXISTS {name}" for name in names),
        f'CREATE TRIGGER {names[0]} BEFORE UPDATE ON "{one.table}" WHEN NOT ({may_change}) {refuse}',
        f'CREATE TRIGGER {names[1]} BEFORE DELETE ON "{one.table}" {refuse}',
        f'CREATE TRIGGER {names[2]} BEFORE INSERT ON "{one.table}" WHEN NOT ({may_add}) {refuse}',
    ]


def _postgresql(one: Guarded) -> list[str]:
    may_add, may_change = _rules(one, "IS NOT DISTINCT FROM")
    return [
        f"""CREATE OR REPLACE FUNCTION "{one.table}_guard"() RETURNS trigger AS $guard$ BEGIN
        IF TG_OP = 'INSERT' THEN IF {may_add} THEN RETURN NEW; END IF;
        ELSIF TG_OP = 'UPDATE' THEN IF {may_change} THEN RETURN NEW; END IF; END IF;
        RAISE EXCEPTION '{_MESSAGE}'; END $guard$ LANGUAGE plpgsql""",
        f'DROP TRIGGER IF EXISTS "{one.table}_keep" ON "{one.table}"',
        f'CREATE TRIGGER "{one.table}_keep" BEFORE INSERT OR UPDATE OR DELETE ON "{one.table}" FOR EACH ROW EXECUTE FUNCTION "{one.table}_guard"()',
        f'DROP TRIGGER IF EXISTS "{one.table}_stay" ON "{one.table}"',
        f'CREATE TRIGGER "{one.table}_stay" BEFORE TRUNCATE ON "{one.table}" EXECUTE FUNCTION "{one.table}_guard"()',
    ]
