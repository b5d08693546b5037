# `make demo` and `make test` each do all their own set-up; everything else is a part of them.
#
#   PYTHON=python3.12                                        another interpreter (3.11 or newer)
#   TORCH_INDEX=https://download.pytorch.org/whl/cpu         PyTorch without CUDA, a tenth of the size

PYTHON ?= $(shell command -v python3.11 || command -v python3)
export TORCH_INDEX ?=

CORE := .venv-core/bin
FULL := .venv/bin

# Tests get a screen of their own, drawn in software: the same picture on every machine.
# Platforms without X11 (macOS) show the windows.
SCREEN := $(if $(filter Linux,$(shell uname -s)),env -u WAYLAND_DISPLAY LIBGL_ALWAYS_SOFTWARE=1 \
	QT_QPA_PLATFORM=xcb xvfb-run -a -s "-screen 0 1600x1000x24")
# The demonstration takes the real screen where there is one, and leaves its window open there.
WINDOW := $(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname -s))

export QT_API := pyside6
export PYTEST_QT_API := pyside6
# Two test processes would fight over the cores; the network in the tests is tiny.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test core full gui-packages lint types contracts manifest test-core \
	test-integration test-gui format constraints clean

help:  ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name text; do printf '  make %-18s %s\n' "$$name" "$$text"; done

demo:  ## Segment a synthetic field in a real napari window.
	@$(PYTHON) tools/system_packages.py --gui $(if $(WINDOW),,--screen)
	@$(PYTHON) tools/environment.py .venv --extras gui,dev
	$(if $(WINDOW),,$(SCREEN)) $(FULL)/python examples/demo.py --out demo-output $(if $(WINDOW),,--close)

.NOTPARALLEL:

test: lint types contracts manifest test-core test-integration test-gui  ## Run every check and test.

core:
	@$(PYTHON) tools/system_packages.py
	@$(PYTHON) tools/environment.py .venv-core --extras test

full:
	@$(PYTHON) tools/system_packages.py
	@$(PYTHON) tools/environment.py .venv --extras gui,dev

gui-packages:
	@$(PYTHON) tools/system_packages.py --gui --screen

lint: full  ## Check style (ruff).
	$(FULL)/ruff check .
	$(FULL)/ruff format --check .

types: full  ## Check types (mypy, strict).
	$(FULL)/mypy

contracts: full  ## Check who imports whom (import-linter).
	$(FULL)/lint-imports

manifest: full  ## Check the napari manifest (npe2).
	$(FULL)/npe2 validate napari-gland-mtl

test-core: core  ## Run the unit tests where neither napari nor Qt is installed.
	$(CORE)/python tools/check_absent.py napari magicgui qtpy superqt vispy PyQt5 PyQt6 PySide2 PySide6
	$(CORE)/python -m pytest tests/unit

test-integration: full  ## Run the integration tests, the examples among them.
	$(FULL)/python -m pytest tests/integration

test-gui: gui-packages full  ## Run the tests of the dock widgets in a real window.
	$(SCREEN) $(FULL)/python -m pytest tests/gui

format: full  ## Put the source into shape.
	$(FULL)/ruff check --fix .
	$(FULL)/ruff format .

constraints:  ## Write constraints.txt anew, with the newest versions.
	$(PYTHON) tools/constraints.py torch==2.13.0

clean:  ## Remove what the other commands made.
	rm -rf .venv .venv-core demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
