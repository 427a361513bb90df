"""Append-only by the database itself (只增不改): whatever way a statement comes, a row is only added, or superseded once.

A sealed column may be re-written, so that keys can be rotated; its content is authenticated by the seal and covered by
the digest of the change that wrote it.
"""

from __future__ import annotations

from django.db import connections, models

from ganbu.access.models import AuditEntry
from ganbu.records.models import MODELS, LocalRow, Recorded
from ganbu.vocabulary import load_vocabulary

_MESSAGE = "ganbu: the record is append-only"
_FREE = ("meta_superseded_at", "meta_superseded_by")


def install(using: str = "default") -> None:
    """Put the triggers in place, replacing older ones."""
    connection = connections[using]
    known = set(connection.introspection.table_names())
    recorded: dict[str, type[Recorded]] = {**MODELS, "": LocalRow}
    statements = []
    for name, model in recorded.items():
        register = load_vocabulary().registers.get(name)
        sealed = [f.name for f in register.fields.values() if f.sealed] if register else []
        statements += _statements(connection.vendor, model, (*_FREE, *sealed), known)
    statements += _statements(connection.vendor, AuditEntry, None, known)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _statements(
    vendor: str, model: type[models.Model], free: tuple[str, ...] | None, known: set[str]
) -> list[str]:
    """The statements for one table; with `free` None nothing at all may change."""
    table = model._meta.db_table
    if table not in known:
        return []
    columns = [f.column for f in model._meta.concrete_fields]
    kept = [c for c in columns if free is None or c not in free]
    if vendor == "sqlite":
        same = " AND ".join(f'OLD."{c}" IS NEW."{c}"' for c in kept)
        once = (
            "AND ((OLD.meta_superseded_at IS NULL AND (NEW.meta_superseded_at IS NULL) = (NEW.meta_superseded_by IS NULL)) "
            "OR (OLD.meta_superseded_at IS NEW.meta_superseded_at AND OLD.meta_superseded_by IS NEW.meta_superseded_by))"
            if free is not None
            else "AND 0"
        )
        return [
            f'DROP TRIGGER IF EXISTS "{table}_keep"',
            f'DROP TRIGGER IF EXISTS "{table}_stay"',
            f'CREATE TRIGGER "{table}_keep" BEFORE UPDATE ON "{table}" WHEN NOT ({same} {once}) '
            f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END",
            f'CREATE TRIGGER "{table}_stay" BEFORE DELETE ON "{table}" BEGIN SELECT RAISE(ABORT, \'{_MESSAGE}\'); END',
        ]
    allowed = "false"
    if free is not None:
        gone = " - ".join(["to_jsonb({0})", *(f"'{c}'" for c in free)])
        allowed = (
            f"({gone.format('OLD')}) = ({gone.format('NEW')}) AND ("
            "(OLD.meta_superseded_at IS NULL AND (NEW.meta_superseded_at IS NULL) = (NEW.meta_superseded_by IS NULL)) OR "
            "(OLD.meta_superseded_at IS NOT DISTINCT FROM NEW.meta_superseded_at AND OLD.meta_superseded_by IS NOT DISTINCT FROM NEW.meta_superseded_by))"
        )
    return [
        f"""CREATE OR REPLACE FUNCTION "{table}_guard"() RETURNS trigger AS $guard$ BEGIN
        IF TG_OP = 'UPDATE' AND {allowed} THEN RETURN NEW; END IF;
        RAISE EXCEPTION '{_MESSAGE}'; END $guard$ LANGUAGE plpgsql""".replace(
            "UPDATE' AND false", "UPDATE' AND 1 = 0"
        ),
        f'DROP TRIGGER IF EXISTS "{table}_keep" ON "{table}"',
        f'CREATE TRIGGER "{table}_keep" BEFORE UPDATE OR DELETE ON "{table}" FOR EACH ROW EXECUTE FUNCTION "{table}_guard"()',
        f'DROP TRIGGER IF EXISTS "{table}_stay" ON "{table}"',
        f'CREATE TRIGGER "{table}_stay" BEFORE TRUNCATE ON "{table}" EXECUTE FUNCTION "{table}_guard"()',
    ]
