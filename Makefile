# make demo and make test need Python 3.10 to 3.13 with pip, and nothing else; make help has the rest.
# pip's own variables work, such as PIP_EXTRA_INDEX_URL for a torch without CUDA.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests side by side; each has a part of the wire, a folder and ports of its own.
WORKERS ?= 2
QUIET := $(if $(VERBOSE),,-qq)
INSTALL := $(BIN)/python -m pip install $(QUIET) --disable-pip-version-check --no-input \
	--prefer-binary -c constraints.txt
# pip need not run again before one of these changes.
METADATA := setup.py pyproject.toml constraints.txt maven_ros/__init__.py
MODELS := $(or $(MAVEN_ROS_MODELS),$(or $(XDG_DATA_HOME),$(HOME)/.local/share)/maven_ros/models)
# What its fetch leaves once all files are there and checked.
WORDS := $(MODELS)/whisper-base/maven-ros-lock.json

.DEFAULT_GOAL := help
.NOTPARALLEL:  # what fetches needs what was installed before it
.PHONY: help demo test fuzz soak bench sample pictures clean clean-runs

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/demo-installed $(WORDS) $(if $(filter-out 0,$(VIEW)),$(VENV)/view-installed) ## the main job: [MEDIA=talk.mp4] or [CAMERA=0 MICROPHONE=default [RECORD=1]] [VIEW=1] [BEHAVIOUR=1]
	@$(BIN)/maven-ros demo \
		$${MEDIA:+--media "$$MEDIA"} \
		$${CAMERA:+--camera "$$CAMERA"} \
		$${MICROPHONE:+--microphone "$$MICROPHONE"} \
		$(if $(filter-out 0,$(RECORD)),--record) \
		$(if $(filter-out 0,$(VIEW)),--view) \
		$(if $(filter-out 0,$(BEHAVIOUR)),--behaviour)

test: $(VENV)/test-installed $(WORDS) ## lint, types and tests: [WORKERS=2], side by side
	@tools/install_system_packages
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations 25 --durations-min 4

fuzz: $(VENV)/test-installed ## damaged input of each kind: [KINDS="mcap yaml"] [COUNT=1000000] [SECONDS=600] [FIRST=0]
	OMP_NUM_THREADS=1 $(BIN)/python test/fuzz/fuzzing.py $(KINDS) \
		--count $(or $(COUNT),1000000) --seconds $(or $(SECONDS),600) --first $(or $(FIRST),0)

soak: $(VENV)/test-installed ## minutes live, hours of a bag, a training that is killed, faults in a robot, the tests ten times beside demos
	$(BIN)/python benchmarks/live.py --minutes 10
	$(BIN)/python benchmarks/replay.py --hours 2
	$(BIN)/python tools/soak_training.py
	$(BIN)/python tools/soak_faults.py
	$(BIN)/python tools/soak_tests.py

bench: $(VENV)/test-installed ## every benchmark
	@set -e; for file in $(sort $(wildcard benchmarks/*.py)); do \
		echo "== $$file"; $(BIN)/python $$file; done

sample: $(VENV)/test-installed ## media/sample.mp4 once more
	$(BIN)/python tools/make_sample.py

pictures: $(VENV)/test-installed ## docs/view.png and docs/view.webp once more
	$(BIN)/python tools/make_view_pictures.py

clean: ## remove what make and the tests made, the environment too
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@if [ -e runs ]; then echo "kept: runs/, $$(du -sh runs | cut -f1) of recordings and results;" \
		'make clean-runs removes it'; fi
	@if [ -e '$(MODELS)' ]; then echo "kept: $(MODELS), $$(du -sh '$(MODELS)' | cut -f1)" \
		'of fetched models'; fi

clean-runs: ## remove runs/, the recordings and results
	rm -rf runs

# Debian's Python may lack ensurepip (its python3-venv): then the pip outside puts one inside.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), not Python 3.10 to 3.13:" \
			'name another, as in make PYTHON=python3.12' >&2; exit 1; }
	@echo 'Creating $(VENV)'
	@if $(PYTHON) -c 'import ensurepip' 2> /dev/null; then \
		$(PYTHON) -m venv $(VENV); \
	else \
		$(PYTHON) -m venv --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $@ install $(QUIET) pip; \
	fi || { rm -rf $(VENV); exit 1; }

$(VENV)/demo-installed: $(METADATA) | $(BIN)/python
	@echo 'Installing maven_ros and what the demo needs into $(VENV): minutes, the first time'
	@$(INSTALL) -e '.[demo]'
	@touch $@

# 148 MB, once, for all checkouts of this user. Without it everything runs, and hears no words.
$(WORDS): | $(BIN)/python
	@$(BIN)/maven-ros models fetch --yes whisper-base || \
		echo 'Going on without words; they need $(BIN)/maven-ros models fetch whisper-base' >&2

$(VENV)/view-installed: $(METADATA) | $(VENV)/demo-installed
	@echo 'Installing Rerun, 170 MB, into $(VENV)'
	@$(INSTALL) -e '.[demo,view]'
	@touch $@

$(VENV)/test-installed: $(METADATA) | $(BIN)/python
	@echo 'Installing maven_ros and what the tests need into $(VENV): minutes, the first time'
	@$(INSTALL) -e '.[test]'
	@touch $@ $(VENV)/demo-installed $(VENV)/view-installed
