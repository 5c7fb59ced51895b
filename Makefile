# Every target sets up what it needs: a fresh clone needs only Python (3.11 to 3.13), pip and make.
# Once .venv is complete, nothing here installs anything or uses the network, but for `make lock`.

PYTHON ?= python3

# Of `make flight`: where references come from, and where they are kept.
CRDS_SERVER ?= https://jwst-crds.stsci.edu
CRDS_CACHE ?= home

STAMP := .venv/.installed
RENDERED := build/notebooks
# Three test files at a time, in the order of collection, which conftest.py makes: the longest first.
# On two cores two left a third of the time to nobody, where tests wait for files and processes.
# The cells of a notebook and the tests of a file stay together, in order.
PARALLEL := --numprocesses 3 --dist loadscope --no-loadscope-reorder

# What the calling shell exports for other work must not get into the environment that is judged.
unexport PYTHONHOME PYTHONPATH
# Without compiled files, each process of a run compiles the suite anew, for a second.
unexport PYTHONDONTWRITEBYTECODE
# A kernel of the same name in the user's own directories must not come first.
export JUPYTER_PATH := $(CURDIR)/.venv/share/jupyter

# A PYTHON that was asked for replaces an environment of another version; the default does not,
# so that `make PYTHON=python3.12 env` holds for every later `make`.
WANTED := $(if $(filter command line environment,$(origin PYTHON)),$(PYTHON))

# The stamp alone does not show that the checkout was moved or that the system's Python was replaced.
UNUSABLE := $(if $(wildcard $(STAMP)),$(shell sh tools/venv_problem.sh "$(WANTED)"))

.PHONY: help env validate nightly flight site closure faults builds test test-all test-fast bench lint format lock lab clean clean-runs clean-env FORCE

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## "; print "Targets:" } \
	    /^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo 'Another Python is chosen with `make PYTHON=python3.12 TARGET`.'

env: $(STAMP) ## install what is locked in requirements.lock into .venv

validate: $(STAMP) ## judge the pipeline at full size (RUN=DIRECTORY, ARGS="--filter F1500W")
# make itself ends with 2 whenever a recipe fails. For the exact code (0 passed, 1 failed, 2 could not
# judge, 3 passed but drifted) call .venv/bin/miri-background validate, or read runs/latest/metrics.json.
	@.venv/bin/miri-background validate $(if $(RUN),--run "$(RUN)") $(ARGS)

nightly: $(STAMP) ## judge what nightly.yaml names, and keep it in history/ (ARGS="--seed 7")
# Of the exit code, `make` makes a 2 (see validate).
	@.venv/bin/miri-background nightly --site build/site $(ARGS)

faults: $(STAMP) ## break the step in every known way, and see that all is noticed (NAMES="median twice")
	@.venv/bin/miri-background faults $(if $(NAMES),--names $(NAMES))

# Releases that the cases of the museum were measured with.
VERSIONS ?= 1.6.2 1.11.4 1.12.5 1.14.1 1.16.1 1.20.2 2.0.1 3.0.0

builds: $(STAMP) ## try releases of jwst, each in an environment of its own (VERSIONS="2.0.1 3.0.0", ARGS=)
	@.venv/bin/miri-background builds $(VERSIONS) $(ARGS)

closure: $(STAMP) ## compare what the pipeline gets back with what was simulated (RUN=, ARGS=)
	@.venv/bin/miri-background closure $(if $(RUN),--run "$(RUN)") $(ARGS)

flight: $(STAMP) ## judge flight exposures of programme 2754 (needs the network, CONTEXT=, ARGS=)
# Slopes are fetched, which are smaller than ramps; references come from the CRDS server.
	@.venv/bin/miri-background data fetch flight
	@.venv/bin/miri-background validate --data flight --crds-cache "$(CRDS_CACHE)" \
	    --crds-server-url "$(CRDS_SERVER)" $(if $(CONTEXT),--crds-context "$(CONTEXT)") \
	    $(if $(RUN),--run "$(RUN)") $(ARGS)

site: $(STAMP) ## build the pages on the last nights in build/site (ARGS="--history DIRECTORY")
	@.venv/bin/miri-background site $(ARGS)

test: RUNS := -m "not long" $(RENDERED)/image2_background.ipynb
# A run of the full array is among the tests; a subarray shows as well that each cell can be run.
test: SIZE := --subarray=SUB256
test-all: RUNS := $(RENDERED)
test-all: SIZE :=
test: $(STAMP) ## run the tests, and the validation notebook cell by cell at test size
test-all: $(STAMP) ## run every test and every notebook, as by night
# Both cores have a test file each: more threads of matrix products would only wait for them.
test test-all test-fast: export OPENBLAS_NUM_THREADS := 1
test test-all:
	@rm -rf $(RENDERED)
	@.venv/bin/miri-background render --output $(RENDERED) $(SIZE)
	@.venv/bin/python -m pytest $(PARALLEL) --slow --nbval-lax --nbval-current-env $(RUNS) $(ARGS) tests

test-fast: $(STAMP) ## run the tests that take seconds
	@.venv/bin/python -m pytest $(PARALLEL) -m "not slow" $(ARGS) tests

bench: $(STAMP) ## time the main job against the plain pipeline, for docs/speed.md (ARGS="--repeats 5")
	@.venv/bin/python tools/bench.py $(ARGS)

lint: $(STAMP) ## check style, formatting and docstrings of code and notebooks
	@status=0; \
	.venv/bin/ruff check . || status=1; \
	.venv/bin/ruff format --check . || status=1; \
	find src tools -name '*.py' -exec .venv/bin/python -m numpydoc lint {} + || status=1; \
	exit $$status

format: $(STAMP) ## format code and notebooks, and make the safe corrections
	@.venv/bin/ruff check --fix-only .
	@.venv/bin/ruff format .

lock: $(STAMP) ## bring the lock files in line with pyproject.toml (ARGS=--upgrade for newer releases)
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	    --generate-hashes --all-extras --no-strip-extras --no-emit-index-url --custom-compile-command 'make lock' \
	    $(ARGS) pyproject.toml --output-file requirements.lock
	@.venv/bin/python tools/environment_yml.py requirements.lock environment.yml

lab: $(STAMP) ## open a copy of a notebook in JupyterLab (NOTEBOOK=detection_power)
	@.venv/bin/miri-background lab $(if $(NOTEBOOK),"$(NOTEBOOK)",image2_background) -- $(ARGS)

clean: ## remove build products and caches, not runs/ and .venv
	rm -rf build dist .pytest_cache .ruff_cache src/*.egg-info
	@find . \( -path ./.venv -o -path ./.git -o -path ./runs \) -prune -o \
	    -type d -name __pycache__ -prune -exec rm -rf {} +

clean-runs: ## remove all results in runs/
	rm -rf runs

clean-env: ## remove .venv
	rm -rf .venv

# An interrupted installation leaves no stamp: then all of it is installed again.
NEW := $(if $(wildcard $(STAMP)),,--anew)

$(STAMP): requirements.lock pyproject.toml $(if $(UNUSABLE),FORCE)
	@"$(PYTHON)" tools/check_python.py "$(PYTHON)"
	@problem=$$(sh tools/venv_problem.sh "$(WANTED)"); \
	if [ -n "$$problem" ]; then \
	    if [ -e .venv ]; then echo "Making .venv anew: $$problem."; fi; \
	    rm -rf .venv; \
	    "$(PYTHON)" -m venv .venv; \
	fi
	@rm -f $@
	@echo "Installing the locked packages into .venv: about a minute when it is new."
	@.venv/bin/python tools/install.py requirements.lock $(NEW)
# On all cores, without packages' own tests. A few files are of other versions of Python.
	@.venv/bin/python -m compileall -qq -j 0 -x '/tests/' .venv/lib/python*/site-packages || true
	@.venv/bin/python -m pip --disable-pip-version-check install --quiet \
	    --no-deps --no-build-isolation --no-index --editable .
	@touch $@

FORCE:
