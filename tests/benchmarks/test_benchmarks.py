"""Every benchmark runs at a small size; where it has a yardstick, it raises on any difference."""

import json
import os
import subprocess
import sys

import pytest

ASKED = {
    "engine": ["--people", "500", "--repeats", "1"],
    "whatif": ["--people", "300", "--moved", "8", "--repeats", "1"],
    "snapshot": ["--people", "60"],
    "import": ["--files", "20", "--no-growth"],
    "documents": ["--people", "20", "--no-growth"],
    "web": ["--people", "60", "--repeats", "2"],
    "scale": ["--people", "200", "--people", "400"],
    "load": ["--people", "60", "--users", "2", "--seconds", "5"],
}
SHARED = ("snapshot", "documents", "web", "load")
TOLD = {
    "engine": {"ratio_to_duckdb", "sql_ratio_to_duckdb", "ratio_to_polars", "ratio_to_python", "ratio_to_zen", "ratio_to_openfisca", "ratio_to_django", "cells_compared"}, "whatif": {"ask_cpu_s", "findings_that_differ"},
    "snapshot": {"rows_per_cpu_s", "after_one_change_cpu_s"}, "import": {"files_per_cpu_s", "ratio_to_ordinary"}, "documents": {"docx_per_cpu_s", "pdf_per_cpu_s", "docx_ordinary_per_cpu_s", "pdf_ratio_to_ordinary", "docx_ratio_to_ordinary", "xlsx_ratio_to_ordinary"},
    "web": {"people", "person", "tree_then"}, "scale": {"growth_exponent", "sizes"},
    "load": {"requests_per_s", "failures"},
}  # fmt: skip


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """An installation that several of them use one after the other."""
    return ["--home", str(tmp_path_factory.mktemp("bench") / "home")]


@pytest.mark.xdist_group("benchmarks")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ASKED)
def test_a_benchmark_tells_what_it_measured(name, tmp_path, home):
    kept = tmp_path / "told.json"
    asked = [*ASKED[name], *(home if name in SHARED else [])]
    done = subprocess.run(
        [sys.executable, "-m", "ganbu.cli", "bench", name, *asked, "--format", "json", "--out", str(kept)],
        capture_output=True, text=True, cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k not in ("GANBU_HOME", "DATABASE_URL", "DJANGO_SETTINGS_MODULE")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert TOLD[name] <= set(told) and json.loads(kept.read_text("utf-8")) == told
    assert told["peak_memory_mb"] > 50
    if name in ("whatif", "snapshot"):
        assert told["growth"].keys() == {
            key.removesuffix("_cpu_s")
            for key in told
            if key.endswith("_cpu_s") and not key.endswith("per_cpu_s")
        }
    if name == "load":
        assert told["failures"] == 0, told["errors"]
        pages = [page for name, page in told.items() if name.startswith("GET ")]
        assert pages and all(page["p95_ms"] >= page["median_ms"] > 0 for page in pages)
    if name == "web":
        pages = {name: page for name, page in told.items() if isinstance(page, dict)}
        assert pages.pop("growth").keys() >= pages.keys()
        assert all(page["statements"] <= 20 for name, page in pages.items() if not name.endswith("_ordinary"))
        assert all(pages[name]["ratio_to_ordinary"] > 0 for name in ("people", "search", "person"))
