# Every target makes the environment it needs in .venv, once. `make` alone says what there is.
# Another interpreter: make PYTHON=python3.12 demo      More for pip: make PIP_FLAGS="--no-index" demo

PYTHON ?= python3
PIP_FLAGS ?=
PYTEST_FLAGS ?= -n 2
FUZZ_FLAGS ?=

VENV := .venv
PY := $(VENV)/bin/python
BENCHES = $(filter-out bench/_%,$(wildcard bench/*.py))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-long fuzz bench lint format types clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo:  ## check, draw and train a small vision transformer on real digits
	$(call environment,demo)
	@$(PY) examples/demo.py

test: lint  ## ruff, mypy and the test suite
	@$(PY) -m pytest $(PYTEST_FLAGS)

test-long: lint  ## the same with the tests that take minutes, and the fuzzer (hours)
	@$(PY) -m pytest $(PYTEST_FLAGS) -m "long or not long"
	@cd tests && ../$(PY) -m hostile.fuzz $(FUZZ_FLAGS)

fuzz:  ## a million inputs for the checker; it goes on where it was stopped
	$(call environment,dev)
	@cd tests && ../$(PY) -m hostile.fuzz $(FUZZ_FLAGS)

bench:  ## every measurement in bench/
	$(call environment,dev)
	@set -e; for file in $(BENCHES); do echo "== $$file"; $(PY) "$$file"; done

lint: types  ## ruff and mypy
	$(call environment,dev)
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy --no-error-summary

format:  ## put imports and layout in order
	$(call environment,dev)
	@$(PY) -m ruff check --quiet --fix-only .
	@$(PY) -m ruff format --quiet .

# mypy cannot see through the import hook of an editable install: show it the package as links.
types:
	@rm -rf build/types && mkdir -p build/types/ogive
	@ln -s ../../../dsl ../../../compiler ../../../library $(addprefix ../../../,$(wildcard ogive/*)) build/types/ogive/

clean:  ## remove what was made, .venv too
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call environment,extra): .venv with this checkout and the extra installed. What was installed is written down beside
# it, keyed by where the checkout lies and what pyproject.toml says, so a moved or copied checkout is installed again.
define environment
@set -e; \
key="$(CURDIR) $$(cat pyproject.toml setup.py | cksum)"; \
done="$$(cat $(VENV)/.ogive-env 2>/dev/null || true)"; \
if [ "$$done" = "dev $$key" ] || [ "$$done" = "$(1) $$key" ]; then if $(PY) -c "" 2>/dev/null; then exit 0; fi; fi; \
if ! $(PY) -m pip --version >/dev/null 2>&1; then \
  if ! command -v $(PYTHON) >/dev/null 2>&1; then \
    echo "ogive needs Python 3.11 or newer, and there is no '$(PYTHON)' here. Another one: make PYTHON=python3.12 $@" >&2; exit 2; fi; \
  if ! $(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))"; then \
    echo "ogive needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Another one: make PYTHON=python3.12 $@" >&2; exit 2; fi; \
  echo "Making an environment in $(VENV) ..."; \
  $(PYTHON) -m venv --clear $(VENV); \
elif ! $(PY) -c "import sys; sys.exit(sys.version_info < (3, 11))"; then \
  echo "ogive needs Python 3.11 or newer; the environment in $(VENV) has $$($(PY) -V 2>&1). Remove it and run this again." >&2; exit 2; \
fi; \
echo "Installing ogive and what '$@' needs into $(VENV) (torch among it: some minutes the first time) ..."; \
$(PY) -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) --editable ".[$(1)]"; \
echo "$(1) $$key" > $(VENV)/.ogive-env
endef
