"""Reading the record for pages (档案查询): whom somebody may see, and everything held about one subject in one statement."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL

from ganbu.access.models import Grant
from ganbu.access.perms import Rights, Scope
from ganbu.access.roles import Role
from ganbu.access.sealing import keys
from ganbu.dates import PartialDate
from ganbu.errors import RecordsError
from ganbu.formats.text import name_key
from ganbu.records.columns import from_column
from ganbu.records.local import vocabulary
from ganbu.records.models import MODELS, Card, LocalRow, Photo, Seat, UnitNode
from ganbu.vocabulary import Field, Register

Row = dict[str, Any]


# -- whom -----------------------------------------------------------------------------------------------------


def visible(scope: Scope) -> QuerySet[Card]:
    """The people inside a scope (可见人员)."""
    cards = Card.objects.select_related("node")
    if scope.everybody:
        return cards
    inside = Q(pk=scope.person) if scope.person else Q(pk__in=())
    for part in scope.parts:
        here = Q()
        if part.managements:
            here &= Q(management__in=part.managements)
        if part.unit:
            top = UnitNode.objects.filter(unit=part.unit).values_list("path", flat=True).first()
            if top is None:
                continue
            here &= Q(Exists(Seat.objects.filter(card=OuterRef("pk"), node__path__startswith=top)))
        inside |= here
    return cards.filter(inside)


def rights_on(may: Rights, card: Card) -> Rights:
    """The rights over one person (对某人的权限): those of the grants that cover them, so that no grant lends its reach to another."""
    tops = {g.unit for g, _role in may.held if g.unit}
    paths = dict(UnitNode.objects.filter(unit__in=tops).values_list("unit", "path")) if tops else {}
    seats = list(Seat.objects.filter(card=card).values_list("node__path", flat=True)) if tops else []

    def covers(grant: Grant, role: Role) -> bool:
        if role.own:
            return card.pk == may.account.person
        below = not grant.unit or (
            grant.unit in paths and any(path.startswith(paths[grant.unit]) for path in seats)
        )
        return below and (not grant.managements or card.management in grant.managements)

    return may.narrowed(covers)


def visible_units(scope: Scope) -> QuerySet[UnitNode]:
    """The units inside a scope (可见机构)."""
    if any(not part.unit for part in scope.parts):
        return UnitNode.objects.all()
    paths = UnitNode.objects.filter(unit__in=[part.unit for part in scope.parts]).values_list(
        "path", flat=True
    )
    inside = Q(pk__in=())
    for path in paths:
        inside |= Q(path__startswith=path)
    return UnitNode.objects.filter(inside)


def _begins(field: str, text: str) -> Q:
    """That a field begins with a text, as each database has an index for it: a range in SQLite, LIKE in PostgreSQL."""
    if connection.vendor == "postgresql":
        return Q(**{f"{field}__startswith": text})
    return Q(**{f"{field}__gte": text, f"{field}__lt": text + "\U0010ffff"})


def one_of(field: str, values: list[str]) -> Q:
    """Rows whose field is one of many values, all in one parameter."""
    postgresql = connection.vendor == "postgresql"
    statement = (
        "SELECT jsonb_array_elements_text(%s::jsonb)" if postgresql else "SELECT value FROM json_each(%s)"
    )
    return Q(**{f"{field}__in": RawSQL(statement, [json.dumps(values)])})  # noqa: S611 - one bound parameter


def find(cards: QuerySet[Card], text: str) -> QuerySet[Card]:
    """People by name, pinyin, initials, former name, identity number or its last four, or a part of the post (查找)."""
    for word in text.replace("\x00", "").split()[:5]:
        plain = word.lower().replace("'", "")
        if re.fullmatch(r"\d{17}[\dXx]", word):
            cards = cards.filter(number_mark=keys().mark(word.upper()))
        elif re.fullmatch(r"\d{3}[\dXx]", word):
            cards = cards.filter(tail_mark=keys().mark(word.upper()))
        elif plain.isascii():
            cards = cards.filter(_begins("pinyin", plain) | _begins("initials", plain) | Q(pk=word))
        else:
            key = name_key(word)
            cards = cards.filter(Q(name__contains=key) | Q(former__contains=key) | Q(post__contains=word))
    return cards


# -- what is held about one subject -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """A row of the record with its two dates (档案行): `values` opened when first asked for."""

    register: Register
    identity: str
    stored: Mapping[str, Any]
    row: int
    change: int
    superseded_by: int | None
    recorded_at: datetime
    superseded_at: datetime | None
    origin: str
    evidence: str
    cache: Row = field(default_factory=dict, compare=False)

    @property
    def values(self) -> Row:
        """Plain values: dates as PartialDate, decimals as Decimal, secrets opened."""
        if not self.cache:
            for name, item in self.register.fields.items():
                value = self.stored.get(name)
                if value is None or value == "":
                    continue
                if self.register.local:
                    self.cache[name] = _typed(item, value)
                else:
                    self.cache[name] = from_column(self.register, item, value, self.identity)
        return self.cache

    def day(self, name: str) -> PartialDate | None:
        """A date of the row."""
        value = self.values.get(name) if name else None
        return value if isinstance(value, PartialDate) else None

    def happened_by(self, day: date) -> bool:
        """Whether the row had come true by a day."""
        name = self.register.happened
        value = self.values.get(name) if name else None
        if isinstance(value, int):
            return value <= day.year
        return not isinstance(value, PartialDate) or value.first() <= day

    def on(self, day: date) -> Held:
        """The row as it stood on a day: an end that lay ahead had not come, nor what was told of it (与引擎所见相同)."""
        ended = self.register.ended
        end = next((self.day(name) for name in ended if self.register.fields[name].kind == "date"), None)
        if end is None or end.last() <= day:
            return self
        return replace(self, stored={k: v for k, v in self.stored.items() if k not in ended}, cache={})

    def holds_on(self, day: date) -> bool:
        """Whether the row was true on a day: begun, and none of its ends reached."""
        if not self.happened_by(day):
            return False
        for name in self.register.ended[:1] or ("end_date",):
            end = self.day(name) if name in self.register.fields else None
            if end is not None and end.last() <= day:
                return False
        return True


def _typed(item: Any, value: str) -> Any:
    if item.kind == "date":
        return PartialDate.parse(value)
    if item.kind == "int":
        return int(value)
    if item.kind == "bool":
        return value == "true"
    return value


def held(subject: str, kind: str = "person", registers: list[str] | None = None) -> dict[str, list[Held]]:
    """Everything ever recorded about a person, unit, team... by register, in one statement (全部档案)."""
    words = vocabulary()
    chosen = []
    for name, register in words.registers.items():
        if register.local or (registers is not None and name not in registers):
            continue
        about = (
            register.id_field if name == kind else register.subject_field if register.subject == kind else ""
        )
        if kind == "unit" and not about:
            links = register.links_to("unit")
            about = links[0].name if name in ("post", "team", "selection", "project") and links else ""
        if kind == "team" and name == "appointment":
            about = "team"
        if about:
            chosen.append((name, about))
    parts, parameters = [], []
    for name, about in chosen:
        parts.append(_object_query(name, about))
        parameters.append(subject)
    parts.append(_local_query())
    parameters.append(subject)
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), parameters)
        raw = cursor.fetchall()
    found: dict[str, list[Held]] = {}
    for name, text in raw:
        stored = json.loads(text)
        register_name = stored["register"] if name == "" else name
        known = words.registers.get(register_name)
        if known is None:
            continue
        found.setdefault(register_name, []).append(_held(known, stored))
    for name, rows in found.items():
        order = words.registers[name].order or words.registers[name].happened
        rows.sort(key=lambda r: (str(r.stored.get(order) or "") if order else "", r.row))
    return found


def _object_query(name: str, about: str) -> str:
    model = MODELS[name]
    table = model._meta.db_table
    columns = [f.column for f in model._meta.concrete_fields]
    if connection.vendor == "postgresql":
        return f'SELECT \'{name}\', to_jsonb(t)::text FROM "{table}" t WHERE "{about}" = %s'
    told = ", ".join(f"'{c}', \"{c}\"" for c in columns)
    return f'SELECT \'{name}\', json_object({told}) FROM "{table}" WHERE "{about}" = %s'


def _local_query() -> str:
    table = LocalRow._meta.db_table
    columns = [f.column for f in LocalRow._meta.concrete_fields]
    if connection.vendor == "postgresql":
        return f"SELECT '', to_jsonb(t)::text FROM \"{table}\" t WHERE subject = %s"
    told = ", ".join(f"'{c}', " + (f'json("{c}")' if c == "values" else f'"{c}"') for c in columns)
    return f"SELECT '', json_object({told}) FROM \"{table}\" WHERE subject = %s"


def _held(register: Register, stored: Row) -> Held:
    ended = stored["meta_superseded_at"]
    return Held(
        register=register,
        identity=str(stored["identity"] if register.local else stored[register.id_field]),
        stored={**stored["values"], register.id_field: stored["identity"]} if register.local else stored,
        row=stored["row"],
        change=stored["meta_change"],
        superseded_by=stored["meta_superseded_by"],
        recorded_at=_moment(stored["meta_recorded_at"]),
        superseded_at=_moment(ended) if ended else None,
        origin=stored["meta_origin"],
        evidence=stored["meta_evidence"],
    )


def _moment(text: str) -> datetime:
    """A moment in local time: PostgreSQL tells its offset with it, SQLite does not."""
    return datetime.fromisoformat(text).replace(tzinfo=None)


def known(rows: dict[str, list[Held]], moment: datetime | None = None) -> dict[str, list[Held]]:
    """The rows that were known at a moment, or are known now."""
    if moment is None:
        return {name: [r for r in of if r.superseded_at is None] for name, of in rows.items()}
    return {
        name: [
            r for r in of if r.recorded_at <= moment and (r.superseded_at is None or r.superseded_at > moment)
        ]
        for name, of in rows.items()
    }


def identified(item: Field, text: str) -> str:
    """The identity of what a form names by identity or by name (编号或姓名). Raises RecordsError."""
    register = vocabulary().registers[item.target]
    model: Any = MODELS[item.target]
    key, now = f"f_{register.id_field}", {"superseded_at__isnull": True}
    found = list(model.objects.filter(**{key: text}, **now).values_list(key, flat=True)[:1])
    if not found and register.name_field:
        named = {f"f_{register.name_field}": name_key(text) if item.target == "person" else text}
        found = list(model.objects.filter(**named, **now).values_list(key, flat=True)[:2])
    if not found:
        raise RecordsError(f"{item.label}：没有编号或名称为“{text[:40]}”的{register.label}")
    if len(found) > 1:
        raise RecordsError(f"{item.label}：叫“{text[:40]}”的不止一个，请写编号")
    return str(found[0])


def portraits(people: Iterable[str]) -> QuerySet[Photo]:
    """Portraits that hold, those recorded later last; one that was undone does not."""
    return Photo.objects.filter(person__in=people, change__undone_by__isnull=True).order_by("id")


def images_of(people: Iterable[str]) -> dict[str, bytes]:
    """The images of portraits by person."""
    return {one.person: bytes(one.image) for one in portraits(people)}


def portrait(person: str) -> Photo | None:
    """The portrait of a person (照片)."""
    return portraits([person]).last()


def names_of(kind: str, identities: set[str]) -> dict[str, str]:
    """The names of units, posts, teams, projects or people that rows refer to."""
    wanted = sorted(identities)
    if not wanted:
        return {}
    if kind == "person":
        return dict(Card.objects.filter(pk__in=wanted).values_list("pk", "name"))
    if kind == "unit":
        found = dict(UnitNode.objects.filter(unit__in=wanted).values_list("unit", "name"))
        wanted = [one for one in wanted if one not in found]
        if not wanted:
            return found
    else:
        found = {}
    register = vocabulary().registers[kind]
    if not register.name_field or kind not in MODELS:
        return found
    rows: Any = MODELS[kind].objects.filter(  # type: ignore[attr-defined]
        superseded_at__isnull=True, **{f"f_{register.id_field}__in": wanted}
    )
    return {**found, **dict(rows.values_list(f"f_{register.id_field}", f"f_{register.name_field}"))}
