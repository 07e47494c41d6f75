# Every target does the set-up that it needs; see README.md.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
PINS := requirements.lock pyproject.toml supervisors/whatsapp/package-lock.json tools/setup.sh

# Another library, which one test drives against the simulator; its browser is the distribution's.
PEER := tests/simulator/whatsapp-web.js/node_modules/.set-up

.PHONY: docs picture setup run test test-slow fuzz soak chaos many demo bench bench-docs bench-quick lint lock dist man install uninstall deb clean

setup: $(STAMP)

$(STAMP): $(PINS)
	@bash tools/setup.sh $(VENV)
	@touch $(STAMP)

$(PEER): tests/simulator/whatsapp-web.js/package-lock.json
	@PUPPETEER_SKIP_DOWNLOAD=1 npm ci --prefix tests/simulator/whatsapp-web.js --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $(PEER)

run: setup
	@exec $(BIN)/wasupd --config config.example.toml

test: setup $(PEER)
	@$(BIN)/python -m pytest -m "not slow"

test-slow: setup $(PEER)
	@$(BIN)/python -m pytest -m slow

# Kills whatever can be killed, a thousand times, and restarts the daemon fifty times. Takes hours.
soak: setup
	@WASUP_KILLS=$${WASUP_KILLS:-1000} WASUP_RESTARTS=$${WASUP_RESTARTS:-50} \
		$(BIN)/python -m pytest -s tests/system/test_crash.py

# All faults, by chance, on twenty sessions with real Chromes, for half an hour.
chaos: setup
	@WASUP_SESSIONS=$${WASUP_SESSIONS:-20} WASUP_SECONDS=$${WASUP_SECONDS:-1800} \
		$(BIN)/python -m pytest -s tests/system/test_chaos.py

# 500 sessions on stand-ins, then as many with real Chromes as fit into 16 GiB (WASUP_GIB); one is killed each second.
many: setup
	@WASUP_GIB=$${WASUP_GIB:-16} $(BIN)/python -m pytest -s -m slow \
		tests/system/test_many_sessions.py tests/system/test_real_browsers.py

# A million inputs each to the byte stream, to every method and from the page; INPUTS=1000 for fewer.
INPUTS ?= 1000000
fuzz: setup
	@$(BIN)/python -m tests.fuzz --inputs $(INPUTS)

# docs/api.md and docs/events.md; with PLAY=1 their examples are recorded anew.
docs: setup
	@$(BIN)/python -m tests.docs.record $(if $(PLAY),--play)

# docs/demo.svg, from what `make demo` shows.
picture: setup
	@$(BIN)/python -m tests.docs.picture

demo: setup
	@$(BIN)/python -m tests.demo

# Tables on standard output, JSON in benchmarks/results.json; `make bench-status` runs one of them.
bench: setup $(PEER)
	@$(BIN)/python -m benchmarks

# Two minutes: what is worse than benchmarks/results.json.
bench-quick: setup $(PEER)
	@$(BIN)/python -m benchmarks --quick

# The table of docs/performance.md and docs/growth.svg, from benchmarks/results.json.
bench-docs: setup
	@$(BIN)/python -m benchmarks.table
	@$(BIN)/pip install --quiet matplotlib==3.11.*
	@$(BIN)/python -m benchmarks.plot

bench-%: setup $(PEER)
	@$(BIN)/python -m benchmarks $*

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# The manual pages, into man/: `man -l man/wasupctl.1`.
man: setup
	@$(BIN)/python -m daemon.manual man
	@ls man/*

# A wheel that carries the page library: it needs neither this checkout nor npm.
dist: setup
	@rm -rf dist
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

# On this machine, for systemd; with DESTDIR only the files, under that directory.
PREFIX := /usr/local

install: dist
	@bash tools/install.sh install $(VENV) $(PREFIX) $(DESTDIR)

uninstall:
	@bash tools/install.sh uninstall $(VENV) $(PREFIX) $(DESTDIR)

# A package for Debian and its kin, in dist/.
deb: dist
	@bash tools/deb.sh $(VENV)

# Takes the newest versions that pyproject.toml allows into requirements.lock.
lock: setup
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --extra dev \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) dist man supervisors/whatsapp/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
