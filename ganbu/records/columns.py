"""How fields of the vocabulary stand in a database (字段的存储): partial dates as text, decimals as whole numbers, secrets sealed.

Values in Python are those of the engine's `Records.rows`: PartialDate, Decimal, int, bool and str.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.db import models

from ganbu.access.sealing import keys
from ganbu.dates import PartialDate
from ganbu.engine.record_files import plain_text
from ganbu.vocabulary import Field, Register


def column_for(item: Field) -> models.Field[Any, Any]:
    """The database column of a field; every one may be unknown."""
    options: dict[str, Any] = {"verbose_name": item.label, "null": True, "db_column": item.name}
    if item.sealed:
        return models.TextField(**options)
    if item.kind in ("int", "decimal"):
        return models.BigIntegerField(**options)
    if item.kind == "bool":
        return models.BooleanField(**options)
    if item.kind == "date":
        return models.CharField(max_length=10, **options)
    if item.kind in ("id", "ref"):
        return models.CharField(max_length=80, **options)
    return models.TextField(**options)


def place_of(register: Register, item: Field, identity: str) -> str:
    """What a sealed value is bound to."""
    return f"{register.name}/{item.name}/{identity}"


def to_column(register: Register, item: Field, value: Any, identity: str) -> Any:
    """A Python value as it is stored; exact, or an error. Raises ValueError."""
    if value is None or value == "":
        return None
    if item.sealed:
        return keys().seal(plain_text(value), place_of(register, item, identity))
    if item.kind == "date":
        return value.iso() if isinstance(value, PartialDate) else value.isoformat() if isinstance(value, date) else str(value)  # fmt: skip
    if item.kind == "decimal":
        scaled = Decimal(value).scaleb(item.scale)
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{item.label}“{value}”应为至多 {item.scale} 位小数")
        return int(scaled)
    return value


def from_column(register: Register, item: Field, stored: Any, identity: str) -> Any:
    """A stored value as Python has it. Raises SealError."""
    if stored is None:
        return None
    if item.sealed:
        stored = keys().open(stored, place_of(register, item, identity))
    if item.kind == "date":
        return PartialDate.parse(stored)
    if item.kind == "decimal":
        return Decimal(int(stored)).scaleb(-item.scale)
    if item.kind == "bool":
        return bool(stored)
    if item.kind == "int":
        return int(stored)
    return stored
