# Every target sets up .venv first: at once when it is there, some 20 seconds when it is not.
.DEFAULT_GOAL := help
.PHONY: help set-up demo test interop lint screenshot bench fuzz clean distclean

# Settings of the caller's shell that would make our programs slower or other than they are.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME

python := .venv/bin/python
# More arguments for pytest: make test PYTEST="-k vault -n 2"
PYTEST ?=

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

set-up:  ## the environment .venv and nothing else
	@scripts/set-up

demo: set-up  ## the whole Plug & Charge PKI, shown and proved, in a folder of its own
	@$(python) examples/demo.py

test: set-up  ## the unit tests; they need no foreign program
	@$(python) -m pytest --ignore=tests/interop $(PYTEST)

# All EXI vectors, where a folder of them stands beside the checkout; the committed selection is tested everywhere.
vectors = $(or $(V2GPKI_EXTRA_VECTORS),$(patsubst %/exi,%,$(firstword $(wildcard ../*/vectors/exi))))

interop: set-up  ## the tests against foreign programs (tests/interop/needs.toml)
	@V2GPKI_EXTRA_VECTORS="$(vectors)" $(python) -m pytest tests/interop $(PYTEST)

lint: set-up  ## ruff, mypy --strict, import contracts
	@$(python) -m ruff check .
	@$(python) -m mypy
	@$(python) -m mypy tests
	@$(python) -m mypy --strict scripts
	@.venv/bin/lint-imports --no-logo

screenshot: set-up  ## docs/page.png, the README's picture of the page; needs chromium and chromium-driver
	@$(python) -m tests.interop.page_site docs/page.png

bench: set-up  ## our figures beside limits and peers of the same run
	@set -e; for benchmark in benchmarks/[a-z]*.py; do $(python) $$benchmark; done

# Seconds of fuzzing: make fuzz SECONDS=1800
SECONDS ?= 60

fuzz: set-up  ## what reads foreign octets, fuzzed for SECONDS=60; needs atheris in .venv
	@$(python) -c "import atheris" 2>/dev/null || { echo "atheris is missing: .venv/bin/python -m pip install atheris" >&2; exit 3; }
	@$(python) -m tests.fuzz.fuzz --seconds $(SECONDS)

clean:  ## remove what builds, tests and demo leave behind; keeps .venv
	@rm -rf dist build .demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find v2gpki tests examples benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## the same, and the environments
	@rm -rf .venv .venvs .interop
