# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-spark coverage lint bench clean

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

UNIT := -n auto --dist loadgroup --ignore=tests/browser

# The pages in English are asked for once: no database speaks it.
test: lint
	$(BIN)/pytest $(UNIT)
	tests/with-postgres $(BIN)/pytest -n auto tests/web tests/access --ignore=tests/web/test_english.py
	$(BIN)/pytest tests/browser

# Which lines the tests reach; tracing them takes two minutes more.
coverage: $(VENV)/.installed-dev
	$(BIN)/coverage erase
	$(BIN)/pytest $(UNIT) --cov=ganbu --cov-report=
	$(BIN)/coverage report --skip-covered --fail-under=90

# Every scenario of every pack in Spark too, cell by cell: about seven minutes.
test-spark: $(VENV)/.installed-dev
	GANBU_ALL_SCENARIOS=1 $(BIN)/pytest -n auto tests/engine/test_spark.py -k all_scenarios

bench: $(VENV)/.installed-dev
	$(BIN)/ganbu bench engine $(ARGS)

clean:
	rm -rf $(VENV) ganbu-data .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
