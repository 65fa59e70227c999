# `make run` and `make test` (see `make help`) on a machine with Python 3.11 or newer, git and make.
#   make all PROFILE=gemma-2-2b          another profile
#   make all ARGS="--only 05 --fresh"    further arguments of epkit.run
#   make run PYTHON=python3.12           another Python for the environment
#   make test WORKERS=1                  one process at a time, for a machine with little memory

PYTHON ?= python3
PROFILE = cpu
ARGS =
TORCH = torch==2.13.0

PY = .venv/bin/python
READY = .venv/.ready
TESTABLE = .venv/.testable
FIRST = notebooks/01_build.ipynb
NOTEBOOKS = $(filter-out $(FIRST),$(sort $(wildcard notebooks/[0-9][0-9]_*.ipynb)))
WORKERS = 2
NBVAL = --nbval --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg
SHARED_OUT = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
THREADS = $$($(PY) -c "import os; print(max(1, os.cpu_count() // $(WORKERS)))")

# Another environment's packages must not leak into this one.
unexport PYTHONPATH PYTHONHOME

# Threads that wait for one another sleep instead of spinning: on a busy machine spinning made a
# run three times slower, on an idle one sleeping costs a few per cent. And glibc keeps the memory
# that tensors give back, since asking the system for it again takes longer than many products do.
export OMP_WAIT_POLICY = PASSIVE
export MALLOC_MMAP_THRESHOLD_ = 4294967296
export MALLOC_TRIM_THRESHOLD_ = 17179869184

.PHONY: help run all test site unit wheel check clean

help:
	@echo "make run    install into .venv and execute the first three notebooks into runs/$(PROFILE)/"
	@echo "make all    execute every notebook into runs/$(PROFILE)/"
	@echo "make test   the unit tests, and every notebook's outputs against what is committed"
	@echo "make unit   the unit tests alone, but for servers, clusters and browsers"
	@echo "make site   executed notebooks, API reference and glossary as static pages in site/"
	@echo "make wheel  a wheel of epkit in dist/, to take to another machine"
	@echo "make check  lint and format check"
	@echo "make clean  remove .venv, runs, site, dist and tool caches (not the downloads in data/cache)"

# Its index also shows the stored outputs of the notebooks that are not executed.
run: $(READY)
	$(PY) -m epkit.run --profile "$(PROFILE)" --only 00 01 02 $(ARGS)

all: $(READY)
	$(PY) -m epkit.run --profile "$(PROFILE)" $(ARGS)

# One pytest run, so that a failure anywhere fails it and one summary line comes last. Files are
# shared out to two processes with half of the cores each: much in a notebook has one thread alone.
# 01 computes the activations that others read, so it starts first and the unit tests run beside it.
test: $(TESTABLE)
	OMP_NUM_THREADS=$(THREADS) $(PY) -m pytest $(NBVAL) $(SHARED_OUT) $(FIRST) tests $(NOTEBOOKS)

unit: $(TESTABLE)
	$(PY) -m pytest -m "not slow" tests

site: $(READY)
	$(PY) -m pip install --quiet -c .venv/constraints.txt -e ".[site,plot3d]"
	$(PY) -m epkit.runner.site

wheel: $(READY)
	$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/epkit-*.whl

check: $(TESTABLE)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

clean:
	rm -rf .venv runs site dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first and alone, so that the machine's own offer is taken (CPU or CUDA), and the
# constraint keeps everything later from replacing it.
$(READY): pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "epkit needs Python 3.11 or newer; '$(PYTHON)' is not. Try: make run PYTHON=python3.12"; \
	  exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv || { \
	  echo "Python could not make .venv; on Debian and Ubuntu: apt install python3-venv"; \
	  exit 1; }
	$(PY) -m pip install "$(TORCH)"
	echo "$(TORCH)" > .venv/constraints.txt
	$(PY) -m pip install --quiet -c .venv/constraints.txt -e ".[plot3d]"
	touch $@

# What only the tests need comes when they are first run: a newcomer's first install stays small.
$(TESTABLE): $(READY)
	$(PY) -m pip install --quiet -c .venv/constraints.txt -e ".[test,plot3d]"
	touch $@
