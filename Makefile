# A thin front for `python -m dlseg`. `make read` and `make test` set everything up by themselves.
#   make read                 open the book in JupyterLab
#   make test [DEVICE=cuda]   lint, package tests, every chapter executed and compared
#   make test-nightly         what `make test` runs a sample of, whole
#   make run                  execute the chapters in place, as they are committed
#   make site                 the static site, in build/site/html
#   make test-browser         a real browser on JupyterLab and on the site
#   make bench                benchmarks against peers
#   make bench-training       of these, a training step and its crops alone: some minutes
#   make experiments          train what the chapters compare over seeds (hours; goes on where it was)
#   make gpu                  one script of at most ten minutes for a machine with a GPU
#   make nightly              what needs more than a minute: newest and lowest versions, mutants, fuzz
#   make mutants [PACKAGE=crf] [COUNT=15] [SEED=0]
#                             plant small faults in a copy, one at a time: does a test notice?
#   make fuzz [N=200000] [SEED=1] [CASE=name:seed:number]
#                             strange inputs for all that takes some, or one of them again
#   make pydensecrf           build the peer of the CRF's tests and benchmark
#   make test-chapters CHAPTERS="02 07"    some of them; default: all
PORT ?= 8888
DEVICE ?= auto
CHAPTERS ?=
export DLSEG_DEVICE = $(DEVICE)

# Windows, with the make and the bash that come with Git or MSYS2, has other names.
ifeq ($(OS),Windows_NT)
PYTHON ?= python
SCRIPTS := Scripts
EXE := .exe
else
PYTHON ?= python3
SCRIPTS := bin
endif
NIGHTLY := newest lowest test-nightly mutants fuzz
VENV := .venv
BIN := $(VENV)/$(SCRIPTS)
# pip shows its progress, but not in the log of a CI.
PIP := $(BIN)/python -m pip install $(if $(CI),--quiet) --disable-pip-version-check -c constraints.txt

.PHONY: read test lint test-package test-chapters run site test-browser tools parity pydensecrf
.PHONY: bench bench-training experiments clean gpu nightly newest lowest test-nightly mutants fuzz
.PHONY: first-failure open-issue

read: $(VENV)/.read
	$(BIN)/dlseg read --port $(PORT)

test: lint test-package test-chapters

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/actionlint -shellcheck= -pyflakes= .github/workflows/*.yml

test-package: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# On a slow machine: make test-chapters DLSEG_PATIENCE=40
test-chapters: $(VENV)/.test
	$(BIN)/dlseg test $(CHAPTERS)

test-nightly: $(VENV)/.test $(VENV)/.browser site
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m nightly --hypothesis-profile nightly

run: $(VENV)/.test
	$(BIN)/dlseg run

site: $(VENV)/.site
	$(BIN)/dlseg site

test-browser: $(VENV)/.browser site
	$(BIN)/python -m pytest -m "browser and not nightly" tests/browser

# Every set of tools, for a machine that runs all the tests.
tools: $(VENV)/.test $(VENV)/.site $(VENV)/.browser $(VENV)/.onnx

# Peers of the parity tests, without their requirements: those would replace this torch.
parity: $(VENV)/.read
	$(PIP) --no-deps torchvision timm pyyaml segmentation-models-pytorch \
		ai-edge-litert backports.strenum \
		transformers tokenizers regex safetensors huggingface-hub httpx2 httpcore2 truststore

# The CRF that DeepLab's users had, as a peer; needs a C++ compiler. Its package carries C++ that an
# old Cython made and that no longer compiles: without it, Cython makes it again.
pydensecrf: $(VENV)/.pydensecrf

$(VENV)/.pydensecrf: Makefile | $(VENV)/.read
	rm -rf build/pydensecrf && mkdir -p build/pydensecrf
	$(PYTHON) -m venv build/pydensecrf/env
	build/pydensecrf/env/bin/python -m pip install --quiet 'cython==0.29.37' 'setuptools==75.8.0' wheel
	build/pydensecrf/env/bin/python -m pip download --quiet --no-deps --no-build-isolation \
		--no-binary :all: -d build/pydensecrf pydensecrf==1.0rc3
	tar -xzf build/pydensecrf/pydensecrf-1.0rc3.tar.gz -C build/pydensecrf
	rm build/pydensecrf/pydensecrf-1.0rc3/pydensecrf/densecrf.cpp \
		build/pydensecrf/pydensecrf-1.0rc3/pydensecrf/eigen.cpp
	build/pydensecrf/env/bin/python -m pip wheel --quiet --no-deps --no-build-isolation \
		-w build/pydensecrf build/pydensecrf/pydensecrf-1.0rc3
	$(PIP) --no-deps build/pydensecrf/pydensecrf-1.0rc3-*.whl
	touch $@

bench: $(VENV)/.test $(VENV)/.onnx
	for file in $(filter-out benchmarks/gpu%,$(wildcard benchmarks/*.py)); do \
		$(BIN)/python $$file || exit 1; \
	done

bench-training: $(VENV)/.test
	$(BIN)/python benchmarks/models.py --models v3+-resnet50-16 --parts training --threads 1
	$(BIN)/python benchmarks/crops.py

# Goes on where it was stopped; its figures are in build/gpu.json.
gpu: $(VENV)/.test $(VENV)/.onnx
	$(BIN)/python benchmarks/gpu.py

nightly:
	$(MAKE) --keep-going $(NIGHTLY)

# Both ends of the ranges of pyproject.toml, constraints.txt aside: an environment each, all package
# tests and all chapters. uv can choose the lowest versions, pip cannot.
newest: RESOLUTION := highest
lowest: RESOLUTION := lowest-direct
newest lowest:
	rm -rf build/$@ && $(PYTHON) -m venv build/$@
	build/$@/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check uv
	build/$@/$(SCRIPTS)/uv pip install --quiet --python build/$@/$(SCRIPTS)/python$(EXE) \
		--resolution $(RESOLUTION) -e '.[read,test,site,onnx]'
	build/$@/$(SCRIPTS)/uv pip freeze --python build/$@/$(SCRIPTS)/python$(EXE) \
		--exclude-editable > build/$@.txt
	touch build/$@/.read build/$@/.test build/$@/.site build/$@/.onnx
	$(MAKE) --keep-going test-package test-chapters VENV=build/$@ > build/$@.log 2>&1 || \
		{ tail -n 60 build/$@.log; exit 1; }

# What failed first on the newest versions: printed, or opened as an issue by GitHub's `gh`.
first-failure:
	$(PYTHON) .ci/first_failure.py build/newest.log build/newest.txt

open-issue:
	$(PYTHON) .ci/first_failure.py build/newest.log build/newest.txt --open-issue

# It goes on where it was stopped; survivors and reasons are in tests/mutants/survivors.toml.
mutants: $(VENV)/.test $(VENV)/.onnx
	$(BIN)/python tests/mutants/run.py $(PACKAGE) --count $(or $(COUNT),15) --seed $(or $(SEED),0)

fuzz: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/run.py --inputs $(or $(N),10000) \
		--seed $(or $(SEED),0) $(if $(CASE),--case '$(CASE)')

experiments: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python assets/experiments/run.py
	OMP_NUM_THREADS=1 $(BIN)/python assets/experiments/trains.py --processes 2
	OMP_NUM_THREADS=1 $(BIN)/python assets/experiments/bars.py --processes 2
	OMP_NUM_THREADS=1 $(BIN)/python assets/experiments/streets.py --processes 2
	OMP_NUM_THREADS=1 $(BIN)/python assets/experiments/small_networks.py
	$(BIN)/python assets/make_verdicts.py

clean:
	rm -rf $(VENV) build

# One stamp per set of tools: installing is done once, and again when the lists change.
$(BIN)/python$(EXE):
	@echo "Installing Python packages into $(VENV), once; this takes some minutes. To read the book:"
	@echo "about 1.3 GB on disk with PyTorch's CPU build, several GB more with its CUDA build, which"
	@echo "pip takes on most Linux machines. 'make clean' removes them."
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "the book needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.%: pyproject.toml constraints.txt | $(BIN)/python$(EXE)
	$(PIP) -e '.[read$(if $(filter-out read,$*),$(comma)$*)]'
	touch $@

comma := ,
