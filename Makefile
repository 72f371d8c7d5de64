# `make demo` needs Linux and Python 3.11 or newer, nothing else; everything lands in .venv and examples/go_service/dist.
.DEFAULT_GOAL := help
.PHONY: help demo test lint types docs wheel bench locks clean

PY := .venv/bin/python
# Tests run in as many processes as there are cores; a file's tests in one (tests/conftest.py).
SPREAD := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

help: ## Say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## Test the example service and build it for six platforms
	@ci/venv run
	cd examples/go_service && ../../.venv/bin/pipelines run release --export dist
	@$(PY) -m ci.binaries examples/go_service/dist 6

test: ## Run every test (ARGS="-k name" narrows)
	@ci/debian uidmap busybox-static qemu-user-static git git-lfs openssh-server docker-registry skopeo umoci slirp4netns mmdebstrap
	@ci/venv dev
	$(PY) -m pytest $(if $(CI),-p ci.sandbox_ran) $(SPREAD) $(ARGS)

lint: ## Check style and formatting
	@ci/venv dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: ## Check types
	@ci/venv dev
	$(PY) -m mypy

docs: ## Check the documentation: links, names, examples
	@ci/venv dev
	$(PY) -m pytest tests/test_docs.py tests/test_readme.py $(ARGS)

wheel: ## Build the wheel into dist/
	@ci/venv dev
	$(PY) -m hatchling build -t wheel

bench: ## Measure and print the table (ARGS="--quick --only sdk" narrows)
	@ci/venv dev
	$(PY) -m ci.bench $(ARGS)

locks: ## Resolve requirements/*.txt anew (ARGS=--upgrade takes newer versions)
	@ci/venv dev
	$(PY) -m ci.lock $(ARGS)

clean: ## Remove what make wrote
	rm -rf .venv dist examples/go_service/dist
