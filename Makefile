# The two commands: `make run` and `make test`. Options go in ARGS, settings in the environment (docs/operating.md).

# The first Python on this machine that is new enough.
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: run test check format install clean

run: install
	@exec .venv/bin/python manage.py up $(ARGS)

install:
	@test -n "$(PYTHON)" || { echo "This needs Python 3.11 or newer, and there is none on this machine's PATH." >&2; exit 1; }
	@$(PYTHON) -m vms.install

install-dev:
	@test -n "$(PYTHON)" || { echo "This needs Python 3.11 or newer, and there is none on this machine's PATH." >&2; exit 1; }
	@$(PYTHON) -m vms.install --dev

test: install-dev
	@.venv/bin/python -m tests.run $(ARGS)

# The checks that need nothing but the source; `make test` runs them too.
check: install-dev
	@.venv/bin/python -m tests.run --checks-only

format: install-dev
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
