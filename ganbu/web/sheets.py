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


class Sheet:
    """A workbook of one sheet being written: title above and who took it when below every page; no cell is a formula."""

    def __init__(
        self, stream: Any, title: str, columns: Iterable[tuple[str, int]], mark: str, streamed: bool = True
    ) -> None:
        """`columns` are labels and widths; a `streamed` one needs constant memory but takes no pictures."""
        options = {"constant_memory": streamed, "strings_to_formulas": False, "strings_to_urls": False}
        self.book = xlsxwriter.Workbook(stream, options)
        self.sheet = self.book.add_worksheet(title[:31])
        head = self.book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "vcenter"})
        self.text = self.book.add_format({"text_wrap": True, "valign": "vcenter"})
        self.sheet.set_header(f"&C&16{title}")
        self.sheet.set_footer(f"&L{mark}&R&P / &N")
        self.sheet.set_landscape()
        self.sheet.set_paper(9)
        self.sheet.fit_to_pages(1, 0)
        self.sheet.repeat_rows(0)
        self.sheet.freeze_panes(1, 0)
        for at, (label, width) in enumerate(columns):
            self.sheet.set_column(at, at, width)
            self.sheet.write_string(0, at, label, head)
        self.book.set_properties({"title": title, "comments": mark})
        self.mark, self.line = mark, 0

    def add(self, values: Iterable[Any]) -> int:
        """A line; returns its number."""
        self.line += 1
        for at, value in enumerate(values):
            if isinstance(value, int) and not isinstance(value, bool):
                self.sheet.write_number(self.line, at, value)
            elif value is not None and value != "":
                told = value.iso() if isinstance(value, PartialDate) else shown(value)
                self.sheet.write_string(self.line, at, told, self.text)
        return self.line

    def close(self) -> None:
        """Sign it below the last line, and finish."""
        self.sheet.write_string(self.line + 2, 0, self.mark)
        self.book.close()


def mark_of(account: Any) -> str:
    """Who takes something, and when (水印)."""
    return f"{account} {datetime.now():%Y-%m-%d %H:%M}"


def workbook(
    request: HttpRequest, name: str, title: str, head: Sequence[str], rows: Iterable[Sequence[Any]]
) -> FileResponse:
    """A sheet as a download, written row by row in constant memory."""
    stream = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    sheet = Sheet(stream, title, [(label, 16) for label in head], mark_of(request.user))
    for row in rows:
        sheet.add(row)
    sheet.close()
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
