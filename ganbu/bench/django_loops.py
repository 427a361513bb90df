"""The reference rules as loops over Django objects (对象循环), rows prefetched: how most personnel systems do it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import django
import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings

from ganbu.bench.yardsticks import CONDITIONS, RANKS, SCORES, facts_of, judged, ranked

CHILDREN = ("appointment", "assessment", "award", "sanction")


def main(folder: Path) -> float:
    """Fill a database in memory, time the loops over it, leave what they found in `found.parquet`."""
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField"
    )  # fmt: skip
    django.setup()
    from django.db import connection, models

    kinds = {
        "date": models.DateField,
        "int64": models.BigIntegerField,
        "bool": models.BooleanField,
        "string": models.CharField,
    }
    made = {}
    for name in ("unit", "person", *CHILDREN):
        table = pq.read_table(folder / f"{name}.parquet")
        fields: dict[str, object] = {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "bench"})}
        for column in table.schema:
            kind = kinds["date" if pa.types.is_date(column.type) else str(column.type)]
            more = {"max_length": 60} if kind is models.CharField else {}
            fields[column.name] = kind(null=True, primary_key=column.name == f"{name}_id", **more)
        if name in CHILDREN:
            fields["person"] = models.ForeignKey(
                "bench.person", models.CASCADE, related_name=f"{name}s", db_column="person"
            )
        made[name] = model = type(name, (models.Model,), fields)
        with connection.schema_editor() as editor:
            editor.create_model(model)
        rows = table.rename_columns(
            ["person_id" if c == "person" else c for c in table.column_names]
        ).to_pylist()
        model.objects.bulk_create([model(**row) for row in rows], batch_size=500)  # type: ignore[attr-defined]
    begun = time.process_time()
    found = []
    for person in made["person"].objects.prefetch_related(*(f"{name}s" for name in CHILDREN)):  # type: ignore[attr-defined]
        facts = facts_of(person, *(list(getattr(person, f"{name}s").all()) for name in CHILDREN))
        found.append({"person_id": person.pk, **facts, **judged(facts)})
    ranked(found, dict(made["unit"].objects.values_list("unit_id", "region")))  # type: ignore[attr-defined]
    seconds = time.process_time() - begun
    names = ("person_id", *CONDITIONS, *SCORES, *RANKS)
    pq.write_table(pa.table({name: [row[name] for row in found] for name in names}), folder / "found.parquet")
    return seconds


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
