# Each target does its own set-up: a virtual environment with the locked dependencies, made again only when the lock
# or pyproject.toml changed.

SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
LOCK := deploy/requirements/dev.txt
READY := $(VENV)/.ready
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench faults soak lock

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## run the scenario on a real broker; ends with a reconciliation table
	@$(VENV)/bin/kouan demo $(ARGS)

test: $(READY) ## run all tests; ARGS="tests/unit -k name" passes options to pytest
	@$(PYTHON) -m pytest $(ARGS)

lint: $(READY) ## ruff, mypy and the import contracts
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

bench: $(READY) ## measure everything and end with one table; ARGS="--peers all" races the durable hop against other systems
	@if [ -n "$(findstring --peers,$(ARGS))" ]; then $(PYTHON) -m tests.benchmarks.run $(ARGS); else $(PYTHON) -m tests.benchmarks.all $(ARGS); fi

faults: $(READY) ## the fault tests alone, all of them and at full size: kills, pauses, outages, broken kits
	@KOUAN_TEST_THOROUGH=1 KOUAN_TEST_REFERRALS=$${KOUAN_TEST_REFERRALS:-5000} $(PYTHON) -m pytest tests/faults $(ARGS)

soak: $(READY) ## all services for half an hour under random faults, then judged; writes tests/faults/soak-report.md
	@$(PYTHON) -m tests.faults.soak $(ARGS)

lock: $(READY) ## write the lock file anew from pyproject.toml
	@$(PYTHON) -m pip install --quiet uv
	@$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
		--extra dev --custom-compile-command 'make lock' --output-file $(LOCK) pyproject.toml

$(READY): $(LOCK) pyproject.toml
	@if [ ! -x $(PYTHON) ] || ! $(PYTHON) -c '$(SUITABLE)' 2>/dev/null; then \
		for python in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do \
			if "$$python" -c '$(SUITABLE)' 2>/dev/null; then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "需要 Python 3.11 或更新版本及其 venv 模块 / Python 3.11 or newer with its venv module is needed" \
				"(apt-get install python3 python3-venv)" >&2; exit 1; \
		fi; \
		rm -rf $(VENV) && "$$found" -m venv $(VENV) || exit 1; \
	fi
	@echo "正在安装锁定的依赖 / installing the locked dependencies"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(LOCK)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)
