# `make demo` builds jitscan and runs the main job on a made-up organisation; `make test` passes the tests.
# Each needs only cargo, make, a C compiler and npm (for the prebuilt DuckDB library; see scripts/fetch-duckdb.sh).

SHELL := /bin/sh
CARGO ?= cargo
# One profile serves demo, tests and CI, so that dependencies compile once.
FLAGS := --locked
DUCKDB := DUCKDB_LIB_DIR="$${DUCKDB_LIB_DIR:-$$(scripts/fetch-duckdb.sh)}" && export DUCKDB_LIB_DIR
TARGET := $${CARGO_TARGET_DIR:-target}

.PHONY: demo build release test unit collect remediate check fmt clippy wire digests equal bad-input million bench fuzz catalog dist clean

demo: build
	@"$(TARGET)/debug/jitscan" demo

build:
	@$(DUCKDB) && $(CARGO) build $(FLAGS) --bin jitscan

# For real data: target/release/jitscan.
release:
	@$(DUCKDB) && $(CARGO) build $(FLAGS) --release --bin jitscan

# All tests: those of Rust, and `collect` against emulators of AWS.
test: unit collect

# cargo-nextest where there is one: it runs each test in a process of its own.
unit:
	@$(DUCKDB) && if $(CARGO) nextest --version >/dev/null 2>&1; \
	  then $(CARGO) nextest run $(FLAGS) --no-fail-fast; \
	  else $(CARGO) test $(FLAGS) --no-fail-fast; fi

fmt:
	@$(CARGO) fmt --check

clippy:
	@$(DUCKDB) && $(CARGO) clippy $(FLAGS) --all-targets --features catalog-build -- -D warnings

check: fmt clippy test

# Real calls against an emulator of AWS that enforces IAM, and jitscan held against the outcomes. Wants Python 3 with
# venv; installs the emulator into a cache folder once, and speaks to loopback only.
wire: build
	@python3 tests/wire/wire.py --out "$(TARGET)/wire" && \
	  python3 tests/wire/can.py "$(TARGET)/debug/jitscan" "$(TARGET)/wire"

# `jitscan collect` against moto, ministack and a front of our own that checks every request and answer against AWS's
# service models: tests/wire/collect.py. Wants Python 3 with venv; installs the emulators into a cache folder once, and
# speaks to loopback only.
collect: build
	@python3 tests/wire/collect.py "$(TARGET)/debug/jitscan" "$(TARGET)/collect"

# `jitscan remediate`: the demo's organisation made for real in an emulator that enforces IAM, a plan applied to it, every
# recorded call made, kills, and everything taken back to the byte: tests/wire/remediate.py; before it Identity Center in that
# emulator, tried by itself: tests/wire/center_check.py. Wants Python 3 with venv.
remediate: build
	@python3 tests/wire/center_check.py "$(TARGET)/debug/jitscan" "$(TARGET)/center"
	@python3 tests/wire/remediate.py "$(TARGET)/debug/jitscan" "$(TARGET)/remediate"

# `logs verify` against AWS's own validator of CloudTrail digests, on signed chains that the tests make and tamper with.
# Wants Python 3 with venv; installs awscli into a cache folder once, and speaks to nobody.
digests: build
	@$(DUCKDB) && JITSCAN_DUMP_CHAINS="$(TARGET)/chains" $(CARGO) test $(FLAGS) --quiet --test it integrity::dump && \
	  python3 tests/wire/digests.py "$(TARGET)/debug/jitscan" "$(TARGET)/chains"

# The usage fold against a plain Python fold and DuckDB over the raw files, on corpora with planted truth, the demo and
# (where it is) third-party data. Wants Python 3 with venv; installs duckdb into a cache folder once.
equal: build
	@cd benches/corpus && $(CARGO) build --locked
	@python3 tests/equal/run.py "$(TARGET)/debug/jitscan" "$${CARGO_TARGET_DIR:-benches/corpus/target}/debug/corpus" "$(TARGET)/equal"

# Hostile input, small enough for a build without optimisation: bombs, names, files that grow and shrink while they are
# read. `benches/run-bad-input target/release/jitscan` is the same at scale.
bad-input: build
	@benches/run-bad-input "$(TARGET)/debug/jitscan" --mb 20 --files 1000

# The engine against the slow oracle on a million random cases, optimised: about ten minutes on two cores.
CASES ?= 1000000
million:
	@cd tests/fuzz && $(CARGO) run --release --bin differential -- $(CASES)

# Decisions a second, and what compiling an account costs.
bench:
	@cd benches/decide && $(CARGO) bench --bench decide

# Every fuzz target for so many seconds each, without DuckDB; needs cargo-fuzz. See tests/fuzz/README.md.
SECONDS ?= 600
TARGETS ?= policy_document arn wild condition case worlds
fuzz:
	@cd tests/fuzz && failed=; for target in $(TARGETS); do \
	  echo "fuzz: $$target for $(SECONDS) s"; mkdir -p "corpus/$$target"; \
	  $(CARGO) fuzz run -s none --fuzz-dir . "$$target" "corpus/$$target" "seeds/$$target" -- \
	    -max_total_time=$(SECONDS) -max_len=4096 -timeout=30 -print_final_stats=1 || failed="$$failed $$target"; \
	done; if [ -n "$$failed" ]; then echo "fuzz: failed:$$failed" >&2; exit 1; fi

# Rebuilds the embedded catalogue from third-party tables (not needed for a build).
DATA ?= ../shared/data
catalog:
	@$(DUCKDB) && $(CARGO) run $(FLAGS) --features catalog-build --bin catalog-build -- "$(DATA)"

# A release tarball: bin/jitscan and lib/ with DuckDB beside it.
dist:
	@$(DUCKDB) && $(CARGO) build $(FLAGS) --release --bin jitscan && \
	  rm -rf dist/jitscan && mkdir -p dist/jitscan/bin dist/jitscan/lib && \
	  cp "$(TARGET)/release/jitscan" dist/jitscan/bin/ && \
	  cp "$$DUCKDB_LIB_DIR"/libduckdb.* dist/jitscan/lib/ && \
	  cp LICENSE NOTICE README.md CHANGELOG.md dist/jitscan/ && \
	  tar -C dist -czf dist/jitscan.tar.gz jitscan && echo dist/jitscan.tar.gz

clean:
	@$(CARGO) clean
