# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-spark lint bench clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit('Python 3.11 or later is needed, this is ' + sys.version.split()[0]) if sys.version_info < (3, 11) else None"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

# A made-up district in ./ganbu-data: imported, evaluated, then served at http://127.0.0.1:8000. ARGS="--people 5000" and so on.
demo: $(VENV)/.installed
	$(BIN)/ganbu demo $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	GANBU_HOME=.mypy_cache/home $(BIN)/mypy
	$(BIN)/lint-imports

# The pages in English are asked for once: no database speaks it.
test: lint
	$(BIN)/coverage erase
	$(BIN)/pytest -n auto --dist loadgroup --cov=ganbu --cov-report= --ignore=tests/browser
	$(BIN)/coverage report --skip-covered --fail-under=90
	tests/with-postgres $(BIN)/pytest -n auto tests/web tests/access --ignore=tests/web/test_english.py
	$(BIN)/pytest tests/browser

# Every scenario of every pack in Spark too, cell by cell: about seven minutes.
test-spark: $(VENV)/.installed-dev
	$(BIN)/pytest -n auto tests/engine/every_scenario_in_spark.py

bench: $(VENV)/.installed-dev
	$(BIN)/ganbu bench engine $(ARGS)

clean:
	rm -rf $(VENV) ganbu-data .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
