"""Workbooks to download (xlsx): with who took it and when at the foot of every page, and a log entry by the caller."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import xlsxwriter
from django.http import FileResponse, HttpRequest

from ganbu.dates import PartialDate
from ganbu.web.templatetags.ganbu import shown

TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def workbook(
    request: HttpRequest, name: str, title: str, head: Sequence[str], rows: Iterable[Sequence[Any]]
) -> FileResponse:
    """A sheet as a download, written row by row in constant memory; no cell is ever a formula."""
    stream = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    book = xlsxwriter.Workbook(
        stream, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    sheet = book.add_worksheet(title[:31])
    bold = book.add_format({"bold": True, "bottom": 1, "text_wrap": True})
    mark = f"{request.user} {datetime.now():%Y-%m-%d %H:%M}"
    sheet.set_footer(f"&L{mark}&R&P / &N")
    sheet.set_header(f"&C&16{title}")
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    sheet.set_column(0, len(head) - 1, 16)
    for at, text in enumerate(head):
        sheet.write_string(0, at, text, bold)
    number = 0
    for number, row in enumerate(rows, 1):
        for at, value in enumerate(row):
            if isinstance(value, int) and not isinstance(value, bool):
                sheet.write_number(number, at, value)
            elif value is not None and value != "":
                sheet.write_string(
                    number, at, value.iso() if isinstance(value, PartialDate) else shown(value)
                )
    sheet.write_string(number + 2, 0, mark)
    book.set_properties({"title": title, "author": str(request.user), "comments": mark})
    book.close()
    return _download(stream, name)


def sheets(name: str, told: Iterable[tuple[str, Sequence[str], Sequence[Sequence[str]]]]) -> FileResponse:
    """An empty workbook to fill in: sheets with their headers and lines of hints; every cell is text."""
    stream = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    book = xlsxwriter.Workbook(stream, {"constant_memory": True})
    bold, text = book.add_format({"bold": True, "bottom": 1}), book.add_format({"num_format": "@"})
    for title, head, hints in told:
        sheet = book.add_worksheet(title[:31])
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(head) - 1, 16, text)
        for at, label in enumerate(head):
            sheet.write_string(0, at, label, bold)
        for line, row in enumerate(hints, 1):
            for at, hint in enumerate(row):
                sheet.write_string(line, at, hint)
    book.close()
    return _download(stream, name)


def _download(stream: Any, name: str) -> FileResponse:
    stream.seek(0)
    return FileResponse(stream, as_attachment=True, filename=name, content_type=TYPE)
