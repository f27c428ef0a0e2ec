# Two commands do everything: `make train` and `make test`. Each target makes what it needs and is quick the second time.

PYTHON ?= python3
MINUTES ?= 20
GAME ?= connect4
VENV := .venv
BIN := $(VENV)/bin
HAS_GPU := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1 && echo yes)
EXTRAS := dev$(if $(HAS_GPU),$(comma)cuda)
comma := ,
# The `+cpu` build of torch would be picked wherever one is offered; `===` insists on the default, CUDA build.
TORCH := $(if $(HAS_GPU),torch===2.13.0,torch==2.13.0)
# Side by side on the cores; one after the other where they would fight for the memory of a GPU.
WORKERS := $(if $(HAS_GPU),-n 0,-n auto --maxprocesses 8 --dist worksteal)
RUN_DIR ?= runs/$(GAME)-$(shell date +%Y%m%d-%H%M%S)

.PHONY: train test test-long lint types check bench stubs peers clean help

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

train: $(VENV)/.ready ## train an agent: make train [GAME=connect4] [MINUTES=20] [RUN_DIR=...]
	$(BIN)/cartridge train $(GAME) --minutes $(MINUTES) --run-dir $(RUN_DIR)

test: $(VENV)/.ready ## the tests, twenty minutes on two cores
	$(BIN)/python -m pytest $(WORKERS) --timeout 600 -m "not long"

test-long: $(VENV)/.ready ## all tests, those that take minutes too
	$(BIN)/python -m pytest $(WORKERS) --timeout 7200

lint: $(VENV)/.ready ## style
	$(BIN)/ruff check .

types: $(VENV)/.ready ## types
	$(BIN)/pyright

check: lint types test ## what CI runs

bench: peers ## measure the engine, replay and their peers; rows go to bench/results/
	$(BIN)/cartridge bench engine --peers --json bench/results/engine-$(shell date +%Y%m%d).json
	$(BIN)/cartridge bench replay --peers --json bench/results/replay-$(shell date +%Y%m%d).json

stubs: $(VENV)/.ready ## write the stubs of proto/ anew
	$(BIN)/python -m grpc_tools.protoc -Icartridge/proto=proto \
		--python_out=$(VENV) --pyi_out=$(VENV) --grpc_python_out=$(VENV) $(shell find proto -name '*.proto')
	cp -r $(VENV)/cartridge/proto/. proto && rm -r $(VENV)/cartridge

peers: $(VENV)/.peers ## install what we measure ourselves against

clean: ## forget the environment and caches (runs/ stays)
	rm -rf $(VENV) .venv-envpool .venv-torchrl build dist *.egg-info .pytest_cache .ruff_cache .hypothesis

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	$(BIN)/python -c "import pathlib, site; l = pathlib.Path(site.getsitepackages()[0]) / 'cartridge'; l.is_symlink() or l.symlink_to(pathlib.Path.cwd())"
	touch $@

$(VENV)/.peers: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[peers]"
	$(PYTHON) -m venv .venv-envpool # its pins clash with ours
	.venv-envpool/bin/python -m pip install --quiet --disable-pip-version-check envpool==1.2.5
	$(PYTHON) -m venv .venv-torchrl # its compiled part fits one version of torch, which is not ours
	.venv-torchrl/bin/python -m pip install --quiet --disable-pip-version-check torchrl==0.14.1 torch==2.14.1
	touch $@
