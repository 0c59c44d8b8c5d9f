# `make demo` shows what facebench does, `make test` runs all checks. Both install what they need into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadscope

.PHONY: demo docs-numbers notebook screenshots catalogue utility-demo study-demo study-id-booth-demo study-directions study-identity-losses test test-fast coverage test-portable test-portable-one \
	test-oldest lint gate bench docs rooms format clean

# Rebuilt only when the dependencies change.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# Style, types, and the order of the rooms.
lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# All tests.
test: lint
	$(PYTEST)

# Lines and branches that no test runs; it takes a quarter longer than the tests.
coverage: $(VENV)/installed
	$(PYTEST) --cov --cov-report=term:skip-covered

# Without tests marked slow (training), large (memory) or system (browser, site, wheel, servers).
test-fast: lint
	$(PYTEST) -m "not slow and not large and not system"

# The numerical tests under other instruction sets and thread counts; a set that the processor lacks is lowered.
NUMERICAL := tests/metrics tests/features/engine tests/backbones tests/training/diffusion tests/training/engine \
	tests/training/losses tests/training/models tests/training/recognition
test-portable: $(VENV)/installed
	for isa in "SSE41 default" "AVX2 avx2" "AVX512_CORE avx512"; do \
		for threads in 1 4; do \
			set -- $$isa; \
			echo "== oneDNN $$1, ATen $$2, $$threads threads"; \
			ONEDNN_MAX_CPU_ISA=$$1 ATEN_CPU_CAPABILITY=$$2 OMP_NUM_THREADS=$$threads \
				$(BIN)/python -m pytest $(NUMERICAL) || exit 1; \
		done; \
	done

# One setting that differs from every current machine's own; CI runs it.
test-portable-one: $(VENV)/installed
	ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest -n auto --dist loadscope tests/metrics tests/training/engine tests/training/models \
		tests/training/recognition

# The fast tests with the lowest versions that facebench declares, in an environment of its own.
OLDEST := .venv-oldest
$(OLDEST)/installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-oldest.txt \
		--editable '.[train,ray,sources]' pytest pytest-xdist pytest-cov hypothesis clean-fid pytorch-fid lightning \
		torchmetrics playwright
	touch $@

test-oldest: $(OLDEST)/installed
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -n auto --dist loadscope -m "not large and not system" tests

# The project's own gate: fails when a change in the code makes a number worse on images that do not change.
gate: $(VENV)/installed
	$(BIN)/facebench evaluate tests/goldens/images/a --reference tests/goldens/images/b --suite compact \
		--name goldens --out runs/gate
	$(BIN)/facebench check runs/gate --baseline results/baselines/goldens.json --rules results/baselines/rules.yaml

# All speed targets, facebench and its peers in one run: about 20 minutes on an idle machine.
bench: $(VENV)/installed
	$(BIN)/python benchmarks/targets.py

# The documentation site, strictly: site/index.html.
docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The picture of the rooms in docs/rooms.svg, drawn from the imports.
rooms: $(VENV)/installed
	$(BIN)/python tools/draw_rooms.py docs/rooms.svg

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: $(VENV)/installed
	$(BIN)/python tools/demo.py $(DEMO)

# Writes the numbers of the demo into README and docs, where a mark names their record.
docs-numbers: demo
	$(BIN)/python -m tools.docs_numbers $(DEMO)

# Executes the example notebook of the docs and writes its outputs.
notebook: $(VENV)/installed
	$(BIN)/python -m tools.example_notebook

# Draws the screenshots of the docs with Chromium: rendered faces, English and Japanese, light and dark.
screenshots: $(VENV)/installed
	$(BIN)/python -m tools.screenshots

# Finds new texts, and compiles the translations in facebench/core/locale.
catalogue: $(VENV)/installed
	$(BIN)/python -m tools.catalogue

# Train a recogniser on synthetic people and verify other people with it: about half an hour, no download.
utility-demo: $(VENV)/installed
	$(BIN)/python tools/utility_demo.py utility-demo

# The whole study of DiffusionRig-Emo in small, with generated weights: about two minutes; a stopped study continues.
study-demo: $(VENV)/installed
	$(BIN)/python tools/study_demo.py study-demo

# The tables of ID-Booth in small: rendered people and tiny base models; a stopped study continues.
study-id-booth-demo: $(VENV)/installed
	$(BIN)/python tools/study_id_booth_demo.py study-id-booth-demo

# The studies of docs/studies with the shipped autoencoder; a stopped study continues.
study-directions: $(VENV)/installed
	$(BIN)/python tools/study_directions.py

study-identity-losses: $(VENV)/installed
	$(BIN)/python tools/study_identity_losses.py

clean:
	rm -rf $(DEMO) utility-demo study-demo study-id-booth-demo runs dist site .coverage
