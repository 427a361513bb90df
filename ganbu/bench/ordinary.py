"""The same work as ordinary programs do it (平常写法): a file, an object, a cell at a time. The yardstick of import, documents and pages.

They do less: no résumé is checked, nobody is told apart, nothing is previewed or has a history. What both do is compared.
"""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

PAGE = 50
SHOWN = ("XingMing", "XingBie", "ChuShengNianYue", "MinZu", "JiGuan", "XianRenZhiWu", "QuanRiZhiJiaoYu_XueLi")


def import_files(folder: Path) -> dict[str, Any]:
    """Forms into a database in memory by Django, an object for everything; CPU seconds, and whom it found. A process of its own."""
    import django
    from django.conf import settings

    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField"
    )  # fmt: skip
    django.setup()
    from django.db import connection, models, transaction
    from lxml import etree

    class Bench(models.Model):
        class Meta:
            abstract, app_label = True, "bench"

    class Person(Bench):
        number = models.CharField(max_length=18, unique=True)
        name = models.CharField(max_length=60)
        form = models.JSONField()
        photo = models.TextField()

    class Relative(Bench):
        person = models.ForeignKey(Person, models.CASCADE)
        name = models.CharField(max_length=60)
        form = models.JSONField()

    class Line(Bench):
        person = models.ForeignKey(Person, models.CASCADE)
        since = models.CharField(max_length=10)
        until = models.CharField(max_length=10)
        text = models.TextField()

    with connection.schema_editor() as editor:
        for model in (Person, Relative, Line):
            editor.create_model(model)
    begun, refused = time.process_time(), 0
    for path in sorted(folder.rglob("*.lrmx")):
        try:
            root = etree.fromstring(_text(path).encode())
        except etree.XMLSyntaxError:
            refused += 1  # a damaged form
            continue
        told = {item.tag: item.text or "" for item in root if not len(item)}
        photo = told.pop("ZhaoPian", "")
        with transaction.atomic():
            values = {"name": told["XingMing"], "form": told, "photo": photo}
            person, _new = Person._default_manager.update_or_create(
                number=told["ShenFenZheng"], defaults=values
            )
            for item in root.iterfind("JiaTingChengYuan/Item"):
                form = {part.tag: part.text or "" for part in item}
                if form["XingMing"]:
                    Relative._default_manager.create(person=person, name=form["XingMing"], form=form)
            for text in told["JianLi"].splitlines():
                since, _, rest = text.partition("--")
                until, _, did = rest.partition(" ")
                Line._default_manager.create(person=person, since=since[:10], until=until[:10], text=did)
    seconds = time.process_time() - begun
    names = sorted(Person._default_manager.values_list("name", flat=True))
    return {"cpu_s": seconds, "names": names, "refused": refused}


def _text(path: Path) -> str:
    """A file as text, in any of the ways in which forms are written, without what it says of that itself."""
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        told = content.decode("utf-16")
    else:
        try:
            told = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            told = content.decode("gb18030")
    return re.sub(r"^\s*<\?xml.*?\?>", "", told)


def form_docx(template: bytes, values: dict[str, Any]) -> bytes:
    """One form by docxtpl as its manual shows it: the template opened, filled and saved anew for everybody."""
    from docxtpl import DocxTemplate

    filled = DocxTemplate(io.BytesIO(template))
    filled.render(values)
    stream = io.BytesIO()
    filled.save(stream)
    return stream.getvalue()


def form_template(names: Iterable[str]) -> bytes:
    """A form of two columns: what is asked, and its name in double braces."""
    import docx

    made = docx.Document()
    names = list(names)
    table = made.add_table(len(names), 2)
    for row, name in zip(table.rows, names, strict=True):
        row.cells[0].text, row.cells[1].text = name, "{{ " + name + " }}"
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def form_pdf(values: dict[str, Any]) -> bytes:
    """One form by reportlab: a table of two columns in the Chinese font every reader has."""
    from reportlab.lib.styles import ParagraphStyle  # type: ignore[import-untyped,unused-ignore]
    from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped,unused-ignore]
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # type: ignore[import-untyped,unused-ignore]
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Table  # type: ignore[import-untyped,unused-ignore]

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    style = ParagraphStyle("cell", fontName="STSong-Light", wordWrap="CJK")
    rows = [[Paragraph(escape(text), style) for text in pair] for pair in values.items()]
    stream = io.BytesIO()
    SimpleDocTemplate(stream).build(
        [Table(rows, colWidths=(120, 320), style=[("GRID", (0, 0), (-1, -1), 0.5, "black")])]
    )
    return stream.getvalue()


def roster(rows: Iterable[Sequence[Any]]) -> bytes:
    """A workbook by openpyxl."""
    import openpyxl  # type: ignore[import-untyped,unused-ignore]

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def people_page(search: str = "") -> str:
    """A list of people as generic views show it: everybody fetched, sorted and searched in Python; each cell its own query."""
    from django.template import Context, Engine

    people = [one for one in _rows("person") if search in one.f_name]
    lines = []
    for person in sorted(people, key=lambda one: one.f_name)[:PAGE]:
        posts = _rows("appointment").filter(f_person=person.f_person_id, f_end_date__isnull=True)
        units = [_unit(post.f_unit) for post in posts]
        schools = _rows("education").filter(f_person=person.f_person_id)
        lines.append({"person": person, "posts": list(posts), "units": units, "schools": list(schools)})
    table = """<p>{{ total }}</p><table>{% for line in lines %}<tr><td>{{ line.person.f_name }}</td><td>{{ line.person.f_gender }}</td>
    <td>{{ line.person.f_birth_date }}</td><td>{% for post in line.posts %}{{ post.f_title }} {% endfor %}</td>
    <td>{{ line.units|join:" " }}</td><td>{% for one in line.schools %}{{ one.f_level }} {% endfor %}</td></tr>{% endfor %}</table>"""
    return str(Engine().from_string(table).render(Context({"total": len(people), "lines": lines})))


def person_page(person: str) -> str:
    """One person: a query for every register about people, and one for the unit of every post."""
    from django.template import Context, Engine

    from ganbu.vocabulary import load_vocabulary

    parts = []
    for register in load_vocabulary().registers.values():
        own = register.id_field if register.name == "person" else register.subject_field if register.subject == "person" else ""  # fmt: skip
        if not own:
            continue
        rows = list(_rows(register.name).filter(**{f"f_{own}": person}))
        shown = [[(item.label, getattr(row, f"f_{item.name}")) for item in register.fields.values() if not item.sealed] for row in rows]  # fmt: skip
        units = [_unit(row.f_unit) for row in rows] if register.name == "appointment" else []
        parts.append({"label": register.label, "rows": shown, "units": units})
    page = """{% for part in parts %}<h2>{{ part.label }}</h2>{% for row in part.rows %}<dl>{% for label, value in row %}<dt>{{ label }}</dt>
    <dd>{{ value }}</dd>{% endfor %}</dl>{% endfor %}{{ part.units|join:" " }}{% endfor %}"""
    return str(Engine().from_string(page).render(Context({"parts": parts})))


def _rows(register: str) -> Any:
    from ganbu.records.models import MODELS

    return MODELS[register]._default_manager.filter(superseded_at__isnull=True)


def _unit(key: str | None) -> str:
    found = _rows("unit").filter(f_unit_id=key).first() if key else None
    return str(found.f_name) if found else ""


if __name__ == "__main__":
    print(json.dumps(import_files(Path(sys.argv[1]))))
