# Two commands: `make demo` shows what facebench does, `make test` proves it. Both install what they need into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo utility-demo study-directions study-identity-losses test gate docs format clean

# Rebuilt only when the dependencies change.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadscope --cov --cov-report=term:skip-covered

# The project's own gate: fails when a change in the code makes a number worse on images that do not change.
gate: $(VENV)/installed
	$(BIN)/facebench evaluate tests/goldens/images/a --reference tests/goldens/images/b --suite compact \
		--name goldens --out runs/gate
	$(BIN)/facebench check runs/gate --baseline results/baselines/goldens.json --rules results/baselines/rules.yaml

# The documentation site, strictly: site/index.html.
docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: $(VENV)/installed
	$(BIN)/python tools/demo.py $(DEMO)

# Trains a recogniser on synthetic people and verifies strangers with it: about half an hour, nothing is downloaded.
utility-demo: $(VENV)/installed
	$(BIN)/python tools/utility_demo.py utility-demo

# The studies of docs/studies, on the shipped autoencoder; a study that was stopped goes on.
study-directions: $(VENV)/installed
	$(BIN)/python tools/study_directions.py

study-identity-losses: $(VENV)/installed
	$(BIN)/python tools/study_identity_losses.py

clean:
	rm -rf $(DEMO) utility-demo runs dist site .coverage
