"""The confirmation form (干部基本信息审核确认表) as pdf, for the person's signature and the file."""

from __future__ import annotations

import json
import tempfile
from importlib.resources import files
from pathlib import Path

import typst

from ganbu.engine.record_files import plain_text
from ganbu.formats.paper.pdf import needed_fonts
from ganbu.records.dossier.audits import Audit


def confirmation(audit: Audit, name: str, office: str) -> bytes:
    """One form per audit that is closed. Raises FormatError when the machine has no Chinese font."""
    text = {k: plain_text(v) for k, v in audit.values.items()}
    told = {
        "fonts": list(needed_fonts()), "name": name, "identity": audit.identity, "office": office,
        **{k: text.get(k, "") for k in ("matter", "stage", "target", "scheme", "opened_on", "closed_on", "conclusion", "unit_conclusion", "signed", "signed_on")},
        "lines": [
            [element, *(str(r.values.get(k) or "") for k in ("declared",)), _determined(audit, element) or str(r.values.get("found") or ""),
             " ".join(filter(None, (str(r.values.get("material") or ""), f"第 {r.values['page']} 页" if r.values.get("page") else ""))),
             str(r.values["result"]), str(r.values.get("note") or "")]
            for element, r in audit.standing.items()
        ],
        "signers": [
            [one.name, who, "", next(plain_text(r.values["date"]) for r in audit.reviews if r.values["reviewer"] == who and r.values["round"] == number)]
            for number, (one, names) in enumerate(audit.table, 1)
            for who in names
        ],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "confirm.json").write_text(json.dumps(told, ensure_ascii=False), "utf-8")
        (folder / "confirm.typ").write_bytes(
            files("ganbu.records.dossier").joinpath("confirm.typ").read_bytes()
        )
        found: bytes = typst.compile(str(folder / "confirm.typ"), root=str(folder), format="pdf")
        return found


def _determined(audit: Audit, element: str) -> str:
    """What an issue determined for an element, the last word."""
    return next((str(i.values["determined"]) for i in reversed(audit.issues) if i.values.get("element") == element and i.values.get("determined")), "")  # fmt: skip
