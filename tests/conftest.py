"""What tests share: a policy in a few lines of YAML, judged over a few rows."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ganbu.engine.policy import Pack, load_pack
from ganbu.engine.records import Records
from ganbu.engine.run import Run, Store, evaluate

ENGINES = ("kernel", "duckdb")  # what runs in every test; Spark has its own, in tests/engine/test_spark.py


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[str], Pack]:
    """A pack from YAML text."""
    number = 0

    def make(text: str) -> Pack:
        nonlocal number
        number += 1
        folder = tmp_path / f"pack{number}"
        folder.mkdir()
        (folder / "pack.yaml").write_text(text, "utf-8")
        return load_pack(folder)

    return make


@pytest.fixture
def judge(pack: Callable[[str], Pack]) -> Callable[..., dict[str, dict[str, Any]]]:
    """Results of the last policy in a text, by subject; every engine must give the same."""

    def run(
        text: str, rows: dict[str, list[dict[str, Any]]], as_of: str = "2025-06-30", **options: Any
    ) -> dict[str, dict[str, Any]]:
        made, store = pack(text), Store(Records.from_rows(rows))
        runs: list[Run] = [
            evaluate(made, store, date.fromisoformat(as_of), engine=engine, **options) for engine in ENGINES
        ]
        one, *others = (found.rows(found.names[-1]) for found in runs)
        assert all(other == one for other in others), "the engines disagree"
        return {row["对象"]: row for row in one}

    return run
