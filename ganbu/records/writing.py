"""The one way a row gets into the record (登记): by a change that says who and why, in one transaction, with its digest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pyarrow as pa
from django.db import DataError, IntegrityError, connection, transaction

from ganbu.access import audit
from ganbu.access.current import current
from ganbu.access.models import AuditEntry
from ganbu.access.sealing import SealError, keys
from ganbu.engine.record_files import plain_text
from ganbu.engine.records import PRECISION, Records
from ganbu.errors import RecordsError
from ganbu.records.columns import from_column, place_of, to_column
from ganbu.records.models import MODELS, Change, LocalRow, Photo, Recorded, field_name
from ganbu.vocabulary import Register, load_vocabulary

Row = dict[str, Any]
_CHUNK = 5000
_MODULUS = 1 << 512


class Stale(RecordsError):
    """The row was corrected by somebody else meanwhile (已被他人更正)."""


class Writing:
    """A change being made (一次变更). Use `writing(...)`."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self.made_at = connection.ops.adapt_datetimefield_value(change.made_at)
        self.rows: Counter[str] = Counter()
        self.people: set[str] = set()
        self.units = False
        self.sums: dict[str, int] = {}

    def add(self, register: Register, rows: Iterable[Mapping[str, Any]], origin: str = "") -> int:
        """Add rows of plain values; each must have its identity. Returns how many. Raises RecordsError."""
        count = 0
        batch: list[tuple[Any, ...]] = []
        for row in rows:
            stored, line = self._stored(register, row)
            meta = self._meta(register, row, origin)
            self._sum_row(register, str(row[register.id_field]), line, meta)
            batch.append((*stored, *meta))
            self._noted(register, row)
            count += 1
            if len(batch) == _CHUNK:
                self._insert(register, batch)
                batch = []
        if batch:
            self._insert(register, batch)
        self.rows[register.name] += count
        return count

    def correct(
        self, register: Register, identity: str, values: Mapping[str, Any], expected: int | None = None
    ) -> Row:
        """Supersede the row that holds now by one with other values. Raises Stale and RecordsError."""
        old = current_row(register, identity)
        if old is None or (expected is not None and old.row != expected):
            raise Stale(f"{register.label} {identity}：已被他人更正，请重新打开后再改")
        plain = row_values(register, old)
        fresh = {**plain, **values}
        self.supersede(register, [old])
        self.add(register, [fresh], old.origin)
        return fresh

    def supersede(self, register: Register, rows: Iterable[Recorded]) -> None:
        """End rows: they were thought true until now (失效). Raises RecordsError for what is only ever added to."""
        rows = list(rows)
        if register.append and rows and self.change.kind not in ("undo", "merge"):
            raise RecordsError(f"{register.label}只能续记，不能更改或作废")
        keys = [row.row for row in rows]
        model: Any = LocalRow if register.local else MODELS[register.name]
        ended = 0
        for at in range(0, len(keys), 500):
            ended += model.objects.filter(row__in=keys[at : at + 500], superseded_at__isnull=True).update(
                superseded_at=self.change.made_at, superseded_by=self.change
            )
        if ended != len(keys):
            raise Stale(f"{register.label}：已被他人更正，请重新打开后再改")
        for row in rows:
            self._noted(register, row_values(register, row))
            self._sum(register.name, ending(identity_of(register, row), self.change.made_at))
        self.rows[f"{register.name}-"] += len(keys)

    def photo(self, person: str, image: bytes, kind: str) -> None:
        """Add a portrait; the one added last holds."""
        self.photos([(person, image, kind)])

    def photos(self, images: Iterable[tuple[str, bytes, str]]) -> None:
        """Add portraits: person, image, media type."""
        found = []
        for person, image, kind in images:
            found.append(Photo(person=person, image=image, kind=kind, change=self.change))
            self._sum("photo", canonical_photo(person, image, kind))
        Photo.objects.bulk_create(found, batch_size=100)
        self.rows["photo"] += len(found)

    def refreshed(self) -> None:
        """Bring the cards up to date already, so that what was written can be looked at within the change."""
        from ganbu.records.cards import refresh

        refresh(self.people, self.units)

    def _noted(self, register: Register, row: Mapping[str, Any]) -> None:
        if register.name == "person":
            self.people.add(str(row[register.id_field]))
        elif register.subject == "person" and register.subject_field:
            self.people.add(str(row.get(register.subject_field)))
        elif register.name == "unit":
            self.units = True

    def _sum(self, name: str, line: bytes) -> None:
        self.sums[name] = (self.sums.get(name, 0) + _number(line)) % _MODULUS

    def _sum_row(self, register: Register, identity: str, line: bytes, meta: tuple[Any, ...]) -> None:
        _change, _by, recorded, ended, *told = meta
        self._sum(register.name, line + known(recorded, *told))
        if ended is not None:
            self._sum(register.name, ending(identity, ended))

    def _stored(self, register: Register, row: Mapping[str, Any]) -> tuple[tuple[Any, ...], bytes]:
        """The values of a row as they are stored, and as its digest sees them."""
        identity = str(row.get(register.id_field) or "")
        if not identity:
            raise RecordsError(f"{register.label}：缺少{register.fields[register.id_field].label}")
        if len(identity) > 80:
            raise RecordsError(f"{register.label}：编号“{identity[:40]}…”超过 80 字")
        if register.local:
            values = local_values(register, row)
            subject = str(row.get(register.subject_field) or "") if register.subject_field else ""
            columns = (register.name, identity, subject, json.dumps(values, ensure_ascii=False))
            return columns, canonical_local(identity, subject, values)
        try:
            stored = {
                name: None if (value := row.get(name)) is None else to_column(register, item, value, identity)
                for name, item in register.fields.items()
            }
        except ValueError as error:
            raise RecordsError(f"{register.label} {identity}：{error}") from error
        sealed = {name: plain_text(row[name]) for name in register.sealed if stored[name]}
        return tuple(stored.values()), canonical({**stored, **sealed})

    def _meta(self, register: Register, row: Mapping[str, Any], origin: str) -> tuple[Any, ...]:
        own = "source" in register.fields
        ended = row.get("superseded_at")
        begun = row.get("recorded_at")
        stamp = connection.ops.adapt_datetimefield_value
        return (
            self.change.pk,
            self.change.pk if ended is not None else None,
            stamp(begun) if begun else self.made_at,
            None if ended is None else stamp(ended),
            (origin or str((not own and row.get("source")) or self.change.origin))[:300],
            str(("evidence" not in register.fields and row.get("evidence")) or ""),
            str(row.get("confidentiality") or ""),
        )

    def add_table(self, register: Register, table: pa.Table) -> None:
        """Add the rows of a typed Arrow table of the engine, column by column."""
        identities = table[register.id_field].to_pylist()
        if long := next((key for key in identities if len(key) > 80), None):
            raise RecordsError(f"{register.label}：编号“{long[:40]}…”超过 80 字")
        columns, plain = stored_columns(register, table, identities)
        told = [name for name in ("recorded_at", "superseded_at", "source", "evidence") if name in table.column_names and name not in register.fields]  # fmt: skip
        if told:
            keys = [{**row, register.id_field: key} for key, row in zip(identities, table.select(told).to_pylist(), strict=True)]  # fmt: skip
            meta = [self._meta(register, row, "") for row in keys]
        else:
            meta = [self._meta(register, {}, "")] * len(identities)
        names = list(register.fields)
        lines = zip(*(plain.get(name, columns[name]) for name in names), strict=True)
        for identity, values, about in zip(identities, lines, meta, strict=True):
            self._sum_row(register, identity, canonical(dict(zip(names, values, strict=True))), about)
        rows = [
            (*stored, *about) for stored, about in zip(zip(*columns.values(), strict=True), meta, strict=True)
        ]
        for at in range(0, len(rows), _CHUNK):
            self._insert(register, rows[at : at + _CHUNK])
        self.rows[register.name] += len(rows)
        if register.name == "person":
            self.people.update(identities)
        elif register.subject == "person" and register.subject_field:
            self.people.update(key for key in table[register.subject_field].to_pylist() if key)
        self.units |= register.name == "unit"

    def _insert(self, register: Register, rows: list[tuple[Any, ...]]) -> None:
        meta = [
            "meta_change",
            "meta_superseded_by",
            "meta_recorded_at",
            "meta_superseded_at",
            "meta_origin",
            "meta_evidence",
            "meta_confidentiality",
        ]
        if register.local:
            table, columns = LocalRow._meta.db_table, ["register", "identity", "subject", "values", *meta]
        else:
            table, columns = MODELS[register.name]._meta.db_table, [*register.fields, *meta]
        insert_rows(table, columns, rows)


def insert_rows(table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Insert rows as fast as the database takes them."""
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor, connection.wrap_database_errors:
        if connection.vendor == "postgresql":
            with cursor.cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["?"] * len(columns))
            connection.connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', rows)


@contextmanager
def writing(kind: str, reason: str = "", origin: str = "", undoes: Change | None = None) -> Iterator[Writing]:
    """Make a change: all of it or nothing, with an audit entry and the derived cards brought up to date. Raises Stale."""
    try:
        with transaction.atomic():
            yield from _writing(kind, reason, origin, undoes)
    except DataError as error:
        raise RecordsError("有一处内容太长，登记不了") from error
    except IntegrityError as error:
        raise Stale("编号与已有的重复，或他人同时登记了同一处，请重新打开后再办") from error


def _writing(kind: str, reason: str, origin: str, undoes: Change | None) -> Iterator[Writing]:
    from ganbu.records.cards import refresh

    who = current()
    change = Change.objects.create(
        made_at=datetime.now(), account=who.account, actor=str(who.account or who.name), kind=kind,
        reason=reason, origin=origin[:300], undoes=undoes,
    )  # fmt: skip
    act = Writing(change)
    yield act
    change.rows = dict(act.rows)
    change.digest = digest_of(change, act.sums)
    change.save(update_fields=["rows", "digest"])
    refresh(act.people, act.units)
    subject = next(iter(act.people)) if len(act.people) == 1 else ""
    audit.append(
        f"record.{kind}", subject, change=change.pk, rows=change.rows, reason=reason, digest=change.digest
    )


def canonical(stored: Mapping[str, Any]) -> bytes:
    """A row as its digest sees it: what is stored by field, secrets in plain."""
    return "\x1f".join([f"{name}={value}" for name, value in stored.items() if value is not None]).encode()


def canonical_local(identity: str, subject: str, values: Mapping[str, Any]) -> bytes:
    """The same of a local row, by name of field: a database may keep the keys of JSON in an order of its own."""
    return canonical({"": f"{identity}\x1e{subject}", **dict(sorted(values.items()))})


def canonical_photo(person: str, image: bytes, kind: str) -> bytes:
    """The same of a portrait."""
    return f"{person}\x1f{kind}\x1f{hashlib.sha256(image).hexdigest()}".encode()


def known(recorded_at: Any, origin: str, evidence: str, confidentiality: str) -> bytes:
    """What stands beside the fields of a row, as its digest sees it."""
    return f"\x1e{recorded_at}\x1e{origin}\x1e{evidence}\x1e{confidentiality}".encode()


def ending(identity: str, at: Any) -> bytes:
    """The end of a row, as the digest of the change that ended it sees it."""
    return f"ended {identity} {at}".encode()


def local_values(register: Register, row: Mapping[str, Any]) -> dict[str, str]:
    """The values of a local row as they are stored: plain texts, in the order of the fields."""
    return {k: plain_text(row[k]) for k in register.fields if row.get(k) is not None and row.get(k) != ""}


def stored_columns(
    register: Register, table: pa.Table, identities: list[str]
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The columns of a typed table as they are stored, and the plain text of those that are sealed."""
    columns: dict[str, list[Any]] = {}
    plain: dict[str, list[Any]] = {}
    for name, item in register.fields.items():
        values = table[name].to_pylist()
        if item.kind == "date":
            known = table[name + PRECISION].to_pylist() if name + PRECISION in table.column_names else [None] * len(values)  # fmt: skip
            values = [
                f"{precision:04}" if day is None and precision else None if day is None else day.isoformat()[:7] if precision else day.isoformat()
                for day, precision in zip(values, known, strict=True)
            ]  # fmt: skip
        elif item.kind in ("text", "code", "ref", "id"):
            values = [value or None for value in values]
        if item.sealed:
            plain[name] = values
            seal = keys().seal
            values = [
                v and seal(v, place_of(register, item, key))
                for v, key in zip(values, identities, strict=True)
            ]
        columns[name] = values
    return columns, plain


def _number(line: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(line).digest(), "big")


def digest_of(change: Change, sums: Mapping[str, int]) -> str:
    """The digest of a change: who, when, why, and the sums of the registers, which do not depend on the order of rows."""
    told = [
        str(change.made_at), change.account_id, change.actor, change.kind, change.reason, change.origin, change.undoes_id,
        {name: f"{value:x}" for name, value in sorted(sums.items())},
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()


def current_row(register: Register, identity: str) -> Any:
    """The row of that identity that holds now, or None."""
    if register.local:
        return LocalRow.objects.filter(
            register=register.name, identity=identity, superseded_at__isnull=True
        ).first()
    model: Any = MODELS[register.name]
    return model.objects.filter(
        **{field_name(register.id_field): identity, "superseded_at__isnull": True}
    ).first()


def identity_of(register: Register, row: Any) -> str:
    """The identity of a stored row."""
    return str(row.identity if register.local else getattr(row, field_name(register.id_field)))


def row_values(register: Register, row: Any) -> Row:
    """The plain values of a stored row: dates as PartialDate, decimals as Decimal, secrets opened."""
    if register.local:
        found: Row = {register.id_field: row.identity}
        typed = Records.from_rows({register.name: [{**row.values, **found}]}, _with(register))
        return {k: v for k, v in typed.rows(register.name)[0].items() if v is not None}
    identity = getattr(row, field_name(register.id_field))
    values = {
        name: from_column(register, item, getattr(row, field_name(name)), identity)
        for name, item in register.fields.items()
    }
    return {name: value for name, value in values.items() if value is not None}


def _with(register: Register) -> Any:
    from ganbu.records.snapshot import with_register

    return with_register(register)


def load(records: Records, kind: str = "load", reason: str = "", origin: str = "") -> Change:
    """Put a whole record in (整体载入), with the history it has; identities that hold already are refused by the database."""
    with writing(kind, reason, origin) as act:
        for name in sorted(records.tables, key=lambda n: (n != "unit", n)):
            register = records.vocabulary.registers[name]
            if register.local:
                act.add(register, records.rows(name))
            else:
                act.add_table(register, records.tables[name])
    return act.change


@transaction.atomic
def undo(change: Change, reason: str = "") -> Change:
    """Take a change back as a whole (撤销): what it added ends, what it ended holds again.

    Raises RecordsError, and does nothing, where later work builds on it.
    """
    change = Change.objects.select_for_update(of=("self",)).get(pk=change.pk)
    if change.undoes_id or hasattr(change, "undone_by"):
        raise RecordsError("这次变更已经撤销过，或本身就是撤销")
    registers = all_registers()
    blocked: list[str] = []
    plan: list[tuple[Register, list[Any], list[Any]]] = []
    sources: list[Any] = [*MODELS.values(), LocalRow]
    for model in sources:
        found: dict[str, tuple[list[Any], list[Any]]] = {}
        for at, of in enumerate(({"change": change}, {"superseded_by": change})):
            for row in model.objects.filter(**of).order_by("row"):
                name = row.register if model is LocalRow else model._meta.db_table.removeprefix("record_")
                found.setdefault(name, ([], []))[at].append(row)
        for name, (added, ended) in found.items():
            blocked += [
                f"{registers[name].label} {identity_of(registers[name], row)}"
                for row in added
                if row.superseded_by_id not in (None, change.pk)
            ]
            plan.append((registers[name], added, ended))
    blocked += _built_upon(change, plan)
    if blocked:
        raise RecordsError(f"这次变更之后又有改动，撤销会丢掉它：{'、'.join(blocked[:5])}{' 等' if len(blocked) > 5 else ''} {len(blocked)} 处；请先撤销后来的变更")  # fmt: skip
    with writing("undo", reason, f"撤销 {change.pk}", undoes=change) as act:
        for register, added, ended in plan:
            act.supersede(register, [row for row in added if row.superseded_at is None])
            own = {row.row for row in added}
            for row in ended:
                if row.row not in own:
                    act.add(register, [row_values(register, row)], row.origin)
    return act.change


def _built_upon(change: Change, plan: list[tuple[Register, list[Any], list[Any]]]) -> list[str]:
    """Rows of other changes that are about, or name, something that this change made (后来的登记)."""
    found: list[str] = []
    for register, added, ended in plan:
        if not register.key or register.local:
            continue
        made = {identity_of(register, row) for row in added} - {identity_of(register, row) for row in ended}
        for other in all_registers().values() if made else ():
            for link in other.links_to(register.name):
                found += _naming(other, link.name, sorted(made), change)
            if len(found) > 20:
                return found
    return found


def _naming(other: Register, link: str, made: list[str], change: Change) -> list[str]:
    if other.local and link != other.subject_field:
        return []
    model: Any = LocalRow if other.local else MODELS[other.name]
    field, own = ("subject", {"register": other.name}) if other.local else (field_name(link), {})
    rows: list[Any] = []
    for at in range(0, len(made), 400):
        of = model.objects.filter(superseded_at__isnull=True, **own, **{f"{field}__in": made[at : at + 400]})
        rows += of.exclude(change=change)[:20]
    return [f"{other.label} {identity_of(other, row)}" for row in rows]


def all_registers() -> Mapping[str, Register]:
    """The registers of the vocabulary and those that adopted packs declare."""
    from ganbu.records.local import vocabulary

    return vocabulary().registers


@audit.unreadable_told
def verify() -> Iterator[str]:
    """What is wrong with the record (核验档案): rows that do not fit the digest of the change that wrote them.

    The audit chain tells the digest of every change, so that one made anew after the fact, or taken out, shows too.
    """
    sums: dict[int, dict[str, int]] = {}

    def add(change: int, name: str, line: bytes) -> None:
        of = sums.setdefault(change, {})
        of[name] = (of.get(name, 0) + _number(line)) % _MODULUS

    for name, model in MODELS.items():
        register, source = load_vocabulary().registers[name], model.objects  # type: ignore[attr-defined]
        fields = [field_name(f) for f in register.fields]
        sealed = [(at, item) for at, item in enumerate(register.fields.values()) if item.sealed]
        identity = list(register.fields).index(register.id_field)
        about = ("recorded_at", "origin", "evidence_state", "confidentiality")
        ends = ("change_id", "superseded_by_id", "superseded_at", "row")
        for row in source.order_by("row").values_list(*fields, *about, *ends).iterator(5000):
            *values, recorded, origin, evidence, secrecy, change_id, ended_by, ended_at, number = row
            key = row[identity]
            try:
                for at, item in sealed:
                    values[at] = values[at] and keys().open(values[at], place_of(register, item, key))
            except SealError as error:
                yield f"{register.label} 第 {number} 行：{error}"
            line = canonical(dict(zip(register.fields, values, strict=True)))
            add(change_id, name, line + known(recorded, origin, evidence, secrecy))
            if ended_by or ended_at:
                add(ended_by or change_id, name, ending(key, ended_at))
    for local in LocalRow.objects.order_by("row").iterator(5000):
        line = canonical_local(local.identity, local.subject, local.values)
        line += known(local.recorded_at, local.origin, local.evidence_state, local.confidentiality)
        add(local.change_id, local.register, line)
        if local.superseded_by_id or local.superseded_at:
            add(local.superseded_by_id or local.change_id, local.register, ending(local.identity, local.superseded_at))  # fmt: skip
    for photo in Photo.objects.order_by("id").iterator(100):
        add(photo.change_id, "photo", canonical_photo(photo.person, bytes(photo.image), photo.kind))
    told = {d.get("change"): d.get("digest") for d in AuditEntry.objects.filter(action__startswith="record.").values_list("detail", flat=True)}  # fmt: skip
    for change in Change.objects.order_by("id").iterator(2000):
        name = f"变更第 {change.pk} 号（{change.made_at:%Y-%m-%d %H:%M:%S} {change.kind}）"
        if digest_of(change, sums.pop(change.pk, {})) != change.digest:
            yield f"{name}写入的内容与指纹不符"
        elif told.get(change.pk) != change.digest:
            yield f"{name}的指纹与审计记录里的不符"
        told.pop(change.pk, None)
    for number in sorted(told.keys() | sums.keys()):
        yield f"变更第 {number} 号不见了"
