"""What a reader could not take as it stood (导入问题): never guessed silently, always reported."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Issue:
    """One remark on one field of one file (问题).

    `severity`: `error` (value not used), `warning` (used, but look at it), `note` (normalised, harmless).
    `code` is a stable slug such as `date.month_out_of_range`; `message` is Chinese, for the person who mends it.
    """

    file: str
    field: str
    code: str
    message: str
    raw: str = ""
    normalised: str | None = None
    severity: str = "warning"
    line: int = 0

    def as_row(self) -> dict[str, object]:
        """A flat row for reports."""
        return asdict(self)
