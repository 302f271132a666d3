# `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help setup run draw test clients browser slow lint bench promises fixtures deny dist experiment experiment-quick

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' Makefile

setup: ## Fetch ONNX Runtime into .ort/ (once)
	@bash scripts/setup.sh

run: setup ## Build, and serve the bundled pack on http://127.0.0.1:8080
	@cargo run --release -- serve --listen 127.0.0.1:8080 --data ./data

draw: setup ## Build, and draw twelve prompts into out/ with the bundled pack
	@cargo run --release -- generate --prompts examples/twelve.txt --seed 7 -o out --sheet out/sheet.png
	@echo 'Look at out/sheet.png. Try next:'
	@echo '  target/release/plaudit generate "two blue stars on the beach" -n 4 --seed 7 --guidance 5 --scheduler euler -o out/'
	@echo '  target/release/plaudit generate --help'

test: setup ## Every test that does not take long
	@bash scripts/test.sh

clients: setup ## The openai, huggingface_hub and webuiapi clients and schemathesis against a server (needs Python; makes .venv-clients)
	@bash scripts/clients.sh

browser: setup ## The pages in headless Chromium (needs Chromium and Node.js)
	@cargo build --quiet --workspace --bin plaudit
	@bash tests/browser/run.sh

slow: setup ## SD v1.5's exact shape, drawing and a LoRA step (24 GiB of memory, 25 GB of disk, Python with requirements-dev.txt), and experiment-quick
	@bash scripts/slow.sh

lint: ## Formatting, clippy and docs, warnings as errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet --document-private-items

deny: ## Licences and duplicate dependencies (needs cargo-deny)
	cargo deny check licenses bans sources

dist: setup ## An archive that runs without Rust or Python: binary, ONNX Runtime, pack, licences; tried in an empty root
	@bash scripts/dist.sh
	@bash scripts/test-dist.sh

bench: setup ## The figures of the README (PYTHON, OPTIMUM_PYTHON: see benches/run.sh)
	@bash benches/run.sh

promises: setup ## What the server promises under overload, abuse and restarts, with figures (about six minutes; needs Python)
	@cargo build --release --quiet
	@bash scripts/clients.sh --install
	@.venv-clients/bin/python benches/promises/run.py

experiment: setup ## The loop run by simulated raters and measured (docs/simulate.md); resumable, MINUTES=120 ends a leg; at most 12 hours in all
	@bash scripts/experiment.sh full

experiment-quick: setup ## The same at a small size, in about 15 minutes
	@bash scripts/experiment.sh quick

fixtures: ## Make the fixtures under tests/golden anew (needs Python with requirements-dev.txt)
	@bash tests/golden/regenerate.sh
