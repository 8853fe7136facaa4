# Every target that needs the environment sets it up first; the second time that takes a second.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/vgps
CHECKPOINTS ?= models/vgps_models/checkpoints
JOBS ?= 2

# One thread a process: several processes share the cores, and small networks gain nothing from more.
export OMP_NUM_THREADS ?= 1
export LP_NUM_THREADS ?= 1
# pyright says at every run that a newer pyright exists.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-portable lint format train steering evidence bench ros2-tools doctor clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## environment, packages and ROS messages, into .venv
	@$(PYTHON) bootstrap.py

demo: setup  ## the main job: bare against guided policy over ROS 2, with a report
	@$(RUN) demo

test: setup lint  ## linters, then every test that is neither slow nor evidence
	@$(BIN)/python -m pytest -n $(JOBS) -m "not slow and not evidence"

test-portable: setup  ## the numerical tests again, as a processor without vector instructions computes
	@ATEN_CPU_CAPABILITY=default $(BIN)/python -m pytest -n $(JOBS) -m "numerical and not slow and not evidence" tests/models

lint: setup  ## ruff and pyright
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

format: setup  ## let ruff mend and format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

train: setup  ## remake data and shipped checkpoints (at most 3 hours on 2 cores); goes on where it stopped
	$(RUN) scenes --out data/scenes --seed 0
	$(RUN) collect --out data/mixed --quality mixed --seed 0
	$(RUN) train encoder --data data/scenes --steps 1000 --out $(CHECKPOINTS)/encoder.safetensors
	$(RUN) train policy --data data/mixed --encoder $(CHECKPOINTS)/encoder.safetensors --out $(CHECKPOINTS)/policy.safetensors
	$(RUN) train policy --data data/mixed --encoder $(CHECKPOINTS)/encoder.safetensors --success-only --out $(CHECKPOINTS)/policy_success_only.safetensors
	$(RUN) train critic --data data/mixed --policy $(CHECKPOINTS)/policy.safetensors --out $(CHECKPOINTS)/critic.safetensors
	$(RUN) collect --out data/vlmrm --quality mixed --seed 50000 --episodes 500
	$(RUN) train imagetext --data data/vlmrm --encoder $(CHECKPOINTS)/encoder.safetensors --out $(CHECKPOINTS)/imagetext.safetensors

steering: setup  ## train all policies and critics of the study, play it, write docs/steering.md (hours; resumes)
	$(RUN) study make
	$(RUN) study play
	$(RUN) study page

evidence: setup  ## the slow tests and the measurements behind the documentation
	@$(BIN)/python -m pytest -n 1 -m "slow or evidence" --timeout 5400

bench: setup  ## latencies and training steps of this machine
	@mkdir -p runs
	$(RUN) bench score --json runs/bench-score.json
	$(RUN) bench score --config resnet34 --threads 2 --json runs/bench-resnet34.json
	$(RUN) bench train --json runs/bench-train.json

ros2-tools: setup  ## the ros2 command line and ros2 launch beside the pip wheels (needs GitHub)
	@$(BIN)/python ros_ws/install_ros2_tools.py

doctor: setup  ## what this machine has and lacks
	@$(RUN) doctor

clean:  ## remove what was built here; keeps data/ and runs/
	rm -rf .venv build dist *.egg-info ros_ws/build ros_ws/install ros_ws/log
	rm -rf .pytest_cache .ruff_cache .hypothesis MUJOCO_LOG.TXT
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
