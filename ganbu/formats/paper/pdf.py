"""The form as pdf (任免审批表 pdf), set by typst; no network, no package."""

from __future__ import annotations

import json
import tempfile
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import typst

from ganbu.errors import FormatError
from ganbu.formats.form import AppointmentForm, photo_type
from ganbu.formats.paper.page import NO_PHOTO, paper_values

FONTS = ("FangSong_GB2312", "FangSong", "SimSun", "Noto Serif CJK SC", "Source Han Serif SC", "Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Zen Hei")  # fmt: skip


@cache
def _fonts() -> typst.Fonts:
    """The fonts of this machine: finding them takes longer than setting a form."""
    return typst.Fonts()


@cache
def chinese_fonts() -> tuple[str, ...]:
    """Those of the known Chinese fonts that this machine has."""
    have = set(_fonts().families())
    return tuple(name for name in FONTS if name in have)


def needed_fonts() -> tuple[str, ...]:
    """Those fonts. Raises FormatError when the machine has none."""
    if not chinese_fonts():
        raise FormatError("这台机器没有中文字体，打印不出 pdf；请安装一种（如 fonts-noto-cjk），或改用 docx")
    return chinese_fonts()


def form_pdf(form: AppointmentForm, today: date | None = None) -> bytes:
    """Two pages A4. Raises FormatError when the machine has no Chinese font."""
    fonts = needed_fonts()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        values = {**paper_values(form, today), "fonts": list(fonts), "photo": "", "no_photo": ""}
        (folder / "form.typ").write_bytes(files("ganbu.formats.paper").joinpath("form.typ").read_bytes())
        if form.photo:
            name = f"photo.{photo_type(form.photo)}"
            (folder / name).write_bytes(form.photo)
            try:
                return _set(folder, {**values, "photo": name})
            except typst.TypstError:  # no reason to print nobody's form
                values["no_photo"] = NO_PHOTO
        return _set(folder, values)


def _set(folder: Path, values: dict[str, Any]) -> bytes:
    (folder / "form.json").write_text(json.dumps(values, ensure_ascii=False), "utf-8")
    found = typst.Compiler(str(folder / "form.typ"), root=str(folder), font_paths=_fonts()).compile(
        format="pdf"
    )
    assert isinstance(found, bytes)
    return found
