"""The day a page looks from (看哪一天): every page that shows the record takes `as_of` and `known_at`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ganbu.engine.records import moment
from ganbu.errors import GanbuError
from ganbu.records import queries
from ganbu.records.queries import Held


@dataclass(frozen=True)
class AsOf:
    """A day, and the moment whose knowledge counts, none for now; `dated` when either was asked for."""

    day: date
    moment: datetime | None = None
    dated: bool = False
    wrong: str = ""
    known: str = ""  # the moment as it was asked for, to the second where it was told so

    @property
    def asked(self) -> dict[str, Any]:
        """As an address has it; nothing for today by what is known now."""
        if not self.dated:
            return {}
        told = {"as_of": self.day.isoformat()}
        return told | ({"known_at": self.known} if self.known else {})

    @property
    def link(self) -> str:
        """To be put after an address, so that the next page looks from the same day."""
        return f"?{urlencode(self.asked)}" if self.dated else ""


def as_of(request: HttpRequest) -> AsOf:
    """What a page was asked to look from; today, and what was wrong, for what is no date."""
    told, known = request.GET.get("as_of", ""), request.GET.get("known_at", "")
    try:
        day = date.fromisoformat(told) if told else date.today()
        if not 1900 <= day.year <= 2200:
            raise ValueError(told)
        return AsOf(day, moment(known) if known else None, bool(told or known), known=known)
    except (ValueError, GanbuError):
        return AsOf(date.today(), wrong=_("日期应写作 2026-06-30"))


def rows_on(rows: dict[str, list[Held]], when: AsOf) -> dict[str, list[Held]]:
    """Of all that was ever recorded about a subject what had come true by the day, as it stood then."""
    return {
        name: [row.on(when.day) if when.dated else row for row in of if row.happened_by(when.day)]
        for name, of in queries.known(rows, when.moment).items()
    }


def looked(request: HttpRequest) -> AsOf:
    """The same, with what was wrong told at the top of the page."""
    when = as_of(request)
    if when.wrong:
        messages.error(request, when.wrong)
    return when
