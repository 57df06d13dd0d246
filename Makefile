# Everything a contributor runs. `make help` lists it.
SHELL := /bin/bash
DOORS := --explicit-target-dependency-import-check error
# One set of flags for the product and its tests, so that both come out of one build.
RELEASE := -c release $(DOORS) -Xswiftc -enable-testing
COMD := .build/release/comd

.PHONY: help packages build test demo docs check lint format sanitize fuzz simulate chaos bench clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

packages: ## install the Debian packages that are missing
	@scripts/packages.sh

build: packages ## the release build: .build/release/comd
	swift build $(RELEASE) --product comd

test: packages ## all quick tests, on a release build
	swift test $(RELEASE)

demo: build ## a whole run of competitive distillation on the embedded world
	@scripts/demo.sh $(COMD)

docs: build ## the tables in docs/ that comd prints
	@scripts/tables.py --comd $(COMD) docs/training.md

lint: ## formatting and tidiness
	swift format lint --strict --recursive --configuration .swift-format Sources Tests Package.swift

format: ## put the sources into the project's format
	swift format format --in-place --recursive --configuration .swift-format Sources Tests Package.swift

sanitize: packages ## address and thread sanitizers on the rooms with pointers and threads
	@scripts/sanitize.sh

fuzz: packages ## SECONDS (60) of fuzzing for each fuzz target
	@Fuzz/run.sh $${SECONDS_EACH:-60}

simulate: build ## SEEDS (1..2000) of the cluster in simulation
	$(COMD) simulate --seeds $${SEEDS:-1..2000}

chaos: build ## a real run under faults for MINUTES (10), as root, in network namespaces
	@scripts/chaos.py --comd $(COMD) --minutes $${MINUTES:-10}

bench: build ## comd beside its peers, into Benchmarks/RESULTS.md (ROWS="prefill decode", QUICK=1)
	@Benchmarks/peers/setup.sh
	@python3 Benchmarks/run.py --comd $(COMD) $(if $(QUICK),--quick) $(ROWS)

check: lint build test sanitize fuzz simulate ## everything that must hold before a release

clean:
	swift package clean
