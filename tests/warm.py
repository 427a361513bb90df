"""Commands as processes of their own, forked from one that has the heavy imports behind it: the same in a third of the time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

# What commands import, as far as it asks for no settings: those are read by each of them.
_SOURCE = """
import contextlib, gc, io, json, os, sys
import adbc_driver_sqlite.dbapi, docx, docxtpl, lxml.etree, pyarrow.compute, pyarrow.csv, pyarrow.parquet, pypinyin, typst, xlsxwriter
import django.core.management, django.core.validators, django.db.models, django.forms, django.http, django.template, django.urls
import ganbu.cli, ganbu.formats.paper, ganbu.records.importing

with contextlib.redirect_stdout(io.StringIO()):
    ganbu.cli.app(["vocabulary"], standalone_mode=False)  # reads the vocabulary, and typer what it needs
gc.freeze()  # else the first collection in each process copies all that they share
for line in sys.stdin:
    told = json.loads(line)
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.setsid()
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["folder"])
    for stream, path in ((0, os.devnull), (1, told["out"]), (2, told["err"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), stream)
    sys.argv = ["ganbu", *told["args"]]
    ganbu.cli.main()
    sys.exit(0)
"""
PLAIN = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONUTF8": "1", "COLUMNS": "200"}


class Warm:
    """The process that others are forked from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SOURCE], env=PLAIN | measured, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )  # fmt: skip

    def run(self, *args: object, **environment: str) -> tuple[int, str, str]:
        """One command: its exit code, and what it said on the two streams."""
        told = {
            "args": [str(arg) for arg in args],
            "environment": PLAIN | environment,
            "folder": str(self.folder),
        }
        told |= {name: str(self.folder / name) for name in ("out", "err")}
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        return code, *((self.folder / name).read_text("utf-8") for name in ("out", "err"))

    def close(self) -> None:
        """End it."""
        self.process.communicate(timeout=20)
