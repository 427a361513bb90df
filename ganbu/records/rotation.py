"""Changing the field keys (更换密钥): everything sealed is opened with the old key and sealed with the new one."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from ganbu.access import audit
from ganbu.access.sealing import keys
from ganbu.records.columns import place_of
from ganbu.records.models import MODELS
from ganbu.vocabulary import load_vocabulary


def rotate() -> str:
    """Begin a new key and re-seal every value, in one transaction; returns the name of the new key."""
    name = keys().rotate()
    held = keys()
    with transaction.atomic():
        for register in load_vocabulary().registers.values():
            sealed = [item for item in register.fields.values() if item.sealed]
            if not sealed:
                continue
            model: Any = MODELS[register.name]
            table = model._meta.db_table
            columns = ", ".join(f'"{item.name}" = %s' for item in sealed)
            names = [f"f_{register.id_field}", *(f"f_{item.name}" for item in sealed)]
            rows = list(model.objects.order_by("row").values_list("row", *names))
            with connection.cursor() as cursor:
                for row, identity, *values in rows:
                    fresh = [
                        value and held.seal(held.open(value, place), place)
                        for item, value in zip(sealed, values, strict=True)
                        for place in [place_of(register, item, identity)]
                    ]
                    if any(fresh):
                        cursor.execute(f'UPDATE "{table}" SET {columns} WHERE "row" = %s', [*fresh, row])
        audit.append("keys.rotate", "", key=name)
    return name
