"""What is handed out about many people (成批导出): rosters with and without photos, the overview, forms in a zip.

A few are made at once; more are a task for the worker, whose file waits for whoever asked.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.utils.translation import gettext, gettext_lazy
from xlsxwriter.image import Image

from ganbu.access.models import Account
from ganbu.access.perms import Rights
from ganbu.dates import PartialDate, full_years
from ganbu.engine.records import Records
from ganbu.formats.form import AppointmentForm, photo_type
from ganbu.formats.lrm import write_lrm
from ganbu.formats.lrmx import write_lrmx
from ganbu.formats.paper import form_docx, form_pdf
from ganbu.records import queries
from ganbu.records.forms import forms_of
from ganbu.records.generic import TAKEN, write_package
from ganbu.records.models import Card, Handout
from ganbu.records.snapshot import snapshot
from ganbu.vocabulary import load_vocabulary
from ganbu.web.setup import form_layout
from ganbu.web.sheets import TYPE as XLSX
from ganbu.web.sheets import Sheet, mark_of

AT_ONCE = 200  # people whose forms are made while the browser waits
KEPT_DAYS = 7
CHUNK = 200
Columns = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Kind:
    """A way of handing out: what it is called, its suffix and type; `form` makes the file of one person."""

    label: Any
    suffix: str
    type: str
    form: Callable[[AppointmentForm], list[tuple[str, bytes]]] | None = None

    @property
    def together(self) -> str:
        """The suffix of what is handed out about many: files of single people go into a zip."""
        return "zip" if self.form else self.suffix


def _docx(form: AppointmentForm) -> list[tuple[str, bytes]]:
    return [("docx", form_docx(form, form_layout(settings.HOME)))]


def _lrm(form: AppointmentForm) -> list[tuple[str, bytes]]:
    text, picture = write_lrm(form)
    return [("lrm", text), *([("pic", picture)] if picture else [])]


WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
KINDS = {
    "docx": Kind(gettext_lazy("任免审批表 docx"), "docx", WORD, _docx),
    "pdf": Kind(gettext_lazy("任免审批表 pdf"), "pdf", "application/pdf", lambda form: [("pdf", form_pdf(form))]),
    "lrmx": Kind(gettext_lazy("任免审批表 lrmx"), "lrmx", "application/xml", lambda form: [("lrmx", write_lrmx(form))]),
    "lrm": Kind(gettext_lazy("任免审批表 lrm"), "lrm", "text/plain", _lrm),
    "xlsx": Kind(gettext_lazy("花名册"), "xlsx", XLSX),
    "album": Kind(gettext_lazy("带照片的名册"), "xlsx", XLSX),
    "overview": Kind(gettext_lazy("干部情况一览表"), "xlsx", XLSX),
    "generic": Kind(gettext_lazy("通用格式 zip"), "zip", "application/zip"),
}  # fmt: skip


def file_name(form: AppointmentForm, person: str, kind: str) -> str:
    """A name that any file system takes."""
    plain = "".join(c if c.isalnum() or c in "·-" else "_" for c in f"{form.name}-{person}")
    return f"{plain}.{kind}"


def shown_to(form: AppointmentForm, number: bool, family: bool) -> AppointmentForm:
    """A form without what the account may not see of the person."""
    return replace(
        form,
        id_number=form.id_number if number else "",
        family=form.family if family else [],
        family_unknown=form.family_unknown if family else (),
    )


def reach(may: Rights, action: str) -> tuple[bool, bool]:
    """Whether identity numbers and family may be seen of everybody an action may be done with."""
    own = set(may.scope(action).parts)
    family = load_vocabulary().registers["family"]
    return own <= set(may.scope("people.reveal").parts), may.everywhere(action, family)


# -- making -----------------------------------------------------------------------------------------------------


def write(
    kind: str,
    people: Sequence[str],
    stream: IO[bytes],
    seen: tuple[bool, bool],
    mark: str,
    tick: Callable[[int], None] | None = None,
) -> None:
    """Write a hand-out about some people into a stream. Raises FormatError.

    `seen` says whether identity numbers and family are in it; `mark` stands at the foot of every sheet.
    """
    tick = tick or (lambda _done: None)
    if KINDS[kind].form is not None:
        _zip(kind, people, stream, seen, tick)
    elif kind == "generic":
        _generic(people, stream, seen, tick)
    else:
        {"xlsx": _roster, "album": _album, "overview": _overview}[kind](people, stream, mark, tick)


def _forms(people: Sequence[str], tick: Callable[[int], None]) -> Iterator[tuple[str, AppointmentForm]]:
    for at in range(0, len(people), CHUNK):
        found = forms_of(list(people[at : at + CHUNK]))
        for key in people[at : at + CHUNK]:
            if key in found:
                yield key, found[key]
        tick(min(at + CHUNK, len(people)))


def _zip(
    kind: str, people: Sequence[str], stream: IO[bytes], seen: tuple[bool, bool], tick: Callable[[int], None]
) -> None:
    make = KINDS[kind].form
    assert make is not None
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, form in _forms(people, tick):
            for suffix, content in make(shown_to(form, *seen)):
                archive.writestr(file_name(form, key, suffix), content)


def _generic(
    people: Sequence[str], stream: IO[bytes], seen: tuple[bool, bool], tick: Callable[[int], None]
) -> None:
    """All of them in one package of the generic form, with their units and portraits."""
    registers = [name for name in TAKEN if seen[1] or name != "family"]

    def parts() -> Iterator[tuple[Records, list[str]]]:
        for at in range(0, len(people), CHUNK):
            part = list(people[at : at + CHUNK])
            yield snapshot(registers, part, sealed=any(seen)), part
            tick(min(at + CHUNK, len(people)))

    units = snapshot(("unit",)).rows("unit")
    write_package(parts(), units, stream, date.today(), queries.images_of, seen)


def _cards(people: Sequence[str]) -> Iterator[Card]:
    for at in range(0, len(people), CHUNK):
        found = {
            card.pk: card
            for card in Card.objects.select_related("node").filter(pk__in=people[at : at + CHUNK])
        }
        yield from (found[key] for key in people[at : at + CHUNK] if key in found)


# What each sheet shows: label and width of its columns.
ROSTER = (
    ("编号", 12), ("姓名", 10), ("性别", 6), ("出生", 11), ("现任职务", 36), ("职务层次", 14), ("职级", 14), ("最高学历", 12),
    ("政治面貌", 10), ("机构", 20), ("完整度", 8),
)  # fmt: skip
ALBUM = (
    ("照片", 14),
    ("姓名", 10),
    ("性别", 6),
    ("出生", 11),
    ("现任职务", 40),
    ("职务层次", 14),
    ("最高学历", 12),
)
OVERVIEW = (
    ("姓名", 9), ("性别", 5), ("民族", 6), ("籍贯", 12), ("出生年月", 9), ("年龄", 5), ("入党时间", 9), ("参加工作", 9), ("全日制教育", 22),
    ("在职教育", 22), ("专业技术职务", 12), ("现任职务", 34), ("近年考核", 26), ("奖惩", 26),
)  # fmt: skip


def _sheet(kind: str, columns: Columns, stream: IO[bytes], mark: str, streamed: bool = True) -> Sheet:
    told = [(gettext(label), width) for label, width in columns]
    return Sheet(stream, str(KINDS[kind].label), told, mark, streamed)


def _roster(people: Sequence[str], stream: IO[bytes], mark: str, tick: Callable[[int], None]) -> None:
    sheet = _sheet("xlsx", ROSTER, stream, mark)
    for number, c in enumerate(_cards(people), 1):
        unit = c.node.name if c.node else ""
        sheet.add((c.pk, c.name, c.sex, c.birth, c.post, c.level, c.rank, c.education, c.political_status, unit, c.completeness))  # fmt: skip
        if number % CHUNK == 0:
            tick(number)
    sheet.close()


def _album(people: Sequence[str], stream: IO[bytes], mark: str, tick: Callable[[int], None]) -> None:
    sheet = _sheet("album", ALBUM, stream, mark, streamed=False)
    for at in range(0, len(people), CHUNK):
        part = list(people[at : at + CHUNK])
        photos = queries.images_of(part)
        for card in _cards(part):
            line = sheet.add(("", card.name, card.sex, card.birth, card.post, card.level, card.education))
            sheet.sheet.set_row(line, 96)
            if image := photos.get(card.pk):
                sheet.sheet.insert_image(line, 0, f"photo.{photo_type(image)}", {"image_data": io.BytesIO(image), **_scale(image), "x_offset": 3, "y_offset": 3, "object_position": 1})  # fmt: skip
        tick(min(at + CHUNK, len(people)))
    sheet.close()


def _scale(image: bytes) -> dict[str, float]:
    """How much smaller a portrait must be to stand in a row of the album."""
    told = Image(io.BytesIO(image))
    factor = min(96 / max(told.width, 1), 120 / max(told.height, 1))
    return {"x_scale": factor, "y_scale": factor}


def _overview(people: Sequence[str], stream: IO[bytes], mark: str, tick: Callable[[int], None]) -> None:
    sheet = _sheet("overview", OVERVIEW, stream, mark)
    today = date.today()
    for _key, f in _forms(people, tick):
        sheet.add((
            f.name, f.sex, f.ethnic_group, f.native_place, f.birth_date, _age(f.birth_date, today), f.party_joining, f.work_start,
            " ".join(filter(None, (f.full_time_education, f.full_time_school))), " ".join(filter(None, (f.in_service_education, f.in_service_school))),
            f.professional_title, f.current_post, f.assessments, f.awards,
        ))  # fmt: skip
    sheet.close()


def _age(birth: str, day: date) -> int | None:
    """Whole years at a day, of a birth as a form writes it, 197503."""
    digits = "".join(c for c in birth if c.isdigit())
    try:
        return full_years(PartialDate(int(digits[:4]), int(digits[4:6])).first(), day)
    except ValueError:
        return None


# -- in the background ------------------------------------------------------------------------------------------


def ask(account: Account, kind: str, people: list[str], seen: tuple[bool, bool]) -> Handout:
    """A task for the worker (排队导出)."""
    return Handout.objects.create(
        account=account, kind=kind, people=people, total=len(people), seen=list(seen)
    )


def folder() -> Path:
    """Where finished ones wait."""
    return Path(settings.HOME) / "exports"


def make(job: Handout) -> None:
    """Do it (生成): whole or not at all. Raises FormatError."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    name = f"{uuid.uuid4().hex}.{KINDS[job.kind].together}"

    def tick(done: int) -> None:
        Handout.objects.filter(pk=job.pk).update(done=done)

    with tempfile.NamedTemporaryFile(dir=folder(), delete=False) as stream:
        try:
            write(
                job.kind,
                job.people,
                stream,
                (bool(job.seen[0]), bool(job.seen[1])),
                mark_of(job.account),
                tick,
            )
        except BaseException:
            Path(stream.name).unlink()
            raise
    shutil.move(stream.name, folder() / name)
    Handout.objects.filter(pk=job.pk).update(state="ready", file=name, done=job.total)


def forget_old() -> None:
    """Files nobody fetched go after a week."""
    for job in Handout.objects.filter(made_at__lt=datetime.now() - timedelta(days=KEPT_DAYS)):
        if job.file:
            (folder() / job.file).unlink(missing_ok=True)
        job.delete()
