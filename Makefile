# Two commands on a fresh machine: `make demo` and `make test`. Each installs what it needs.

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
NUMPY_ONLY := .venv-numpy

.PHONY: demo test test-all lint bench conformance laws mutation test-numpy clean

demo: $(READY)
	$(PYTHON) demo/run.py

# What a change breaks, in minutes; and everything: meshes, processes, programs compiled by the dozen.
test: $(READY)
	$(PYTHON) -m pytest -q -n 2 -m "not slow"

test-all: test
	$(PYTHON) -m pytest -q -n 2 -m slow

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(READY)
	$(PYTHON) benchmarks/run.py
	@echo "Files beside cp, with 9 GB of disk free: $(PYTHON) benchmarks/checkpoints.py"

# Implementations by clauses: a table here, a page in conformance/out/. Node joins where it is.
conformance: $(READY)
	$(PYTHON) conformance/matrix.py

# Every backend against the oracle: make laws CASES=200000 SEED=2
CASES := 20000
SEED := 1
laws: $(READY)
	$(PYTHON) tests/scale numpy torch jax jit --cases $(CASES) --seed $(SEED)

# The algebra made wrong in two thousand ways: what do the vectors see, what the NumPy tests?
mutation: $(READY)
	$(PYTHON) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[mutation]'
	$(PYTHON) conformance/mutation vectors numpy

# What people get who have NumPy and nothing else.
test-numpy: $(NUMPY_ONLY)/.ready
	$(NUMPY_ONLY)/bin/python -m pytest -q tests/algebra tests/numpy tests/checkpoints \
		--ignore=tests/checkpoints/cli tests/conformance/test_multiprune.py

$(READY): pyproject.toml constraints.txt
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install -q --disable-pip-version-check -c constraints.txt \
		-e '.[torch,jax,cli,demo,test]'
	touch $@

$(NUMPY_ONLY)/.ready: pyproject.toml
	python3 -m venv $(NUMPY_ONLY)
	$(NUMPY_ONLY)/bin/python -m pip install -q --disable-pip-version-check \
		-e . array-api-strict hypothesis ml-dtypes pytest
	touch $@

clean:
	rm -rf $(VENV) $(NUMPY_ONLY) .cache demo/out benchmarks/out conformance/out
