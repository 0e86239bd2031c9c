# Everything this repository can be asked to do. `make` alone lists it.
PYTHON_IN_VENV := .venv/bin/python
# Tests and checks keep to themselves: they never touch the installation in ./var.
TEST_SETTINGS := DJANGO_SETTINGS_MODULE=tests.settings

.DEFAULT_GOAL := help
.PHONY: help run test check bench format golden docs screenshots migrations setup-run setup-test

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-11s %s\n' "$$name" "$$text"; done

run: setup-run ## start the studio here and stay in the foreground; Ctrl-C stops it (settings: docs/reference/settings.md)
	@exec $(PYTHON_IN_VENV) -m studio.run

test: setup-test check ## check, then run every test in parallel (some start real browsers and whole studios)
	$(PYTHON_IN_VENV) -m pytest --numprocesses logical --dist loadfile $(PYTEST)

check: setup-test ## formatting, lint, types, imports between rooms, missing migrations
	$(PYTHON_IN_VENV) -m ruff format --check --quiet .
	$(PYTHON_IN_VENV) -m ruff check --quiet .
	$(PYTHON_IN_VENV) -m mypy .
	.venv/bin/lint-imports
	$(TEST_SETTINGS) $(PYTHON_IN_VENV) manage.py makemigrations --check --dry-run

bench: setup-test ## measure provisioning, traffic changes, a rollout under load, and pages with 1,000 endpoints
	$(PYTHON_IN_VENV) -m bench.provision
	$(PYTHON_IN_VENV) -m bench.traffic_change
	$(PYTHON_IN_VENV) -m bench.rollout
	$(PYTHON_IN_VENV) -m bench.pages

format: setup-test ## format the code and mend what lint can mend
	$(PYTHON_IN_VENV) -m ruff check --fix --quiet .
	$(PYTHON_IN_VENV) -m ruff format .

golden: setup-test ## write the gateway's golden configuration files anew, to be read before they are committed
	UPDATE_GOLDEN=1 $(PYTHON_IN_VENV) -m pytest tests/gateway/test_envoy.py

docs: setup-test ## draw the reference pages that are made from the code
	$(TEST_SETTINGS) $(PYTHON_IN_VENV) -m ops.states

screenshots: setup-test ## pictures of every page, light and dark, into docs/screenshots
	$(PYTHON_IN_VENV) -m ops.screenshots

migrations: setup-test ## make the migrations that the models ask for: make migrations NAME=what_changes
	$(TEST_SETTINGS) $(PYTHON_IN_VENV) manage.py makemigrations --name $(NAME)

setup-run:
	@ops/setup.sh run

setup-test:
	@ops/setup.sh test
