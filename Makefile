# `make help` says what there is.
.DEFAULT_GOAL := help
.PHONY: help demo test bench

CARGO ?= cargo

help: ## this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## start a real etcd, back it up, restore it, compare every key; installs what is missing
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust with rustup" >&2; exit 1; }
	@tools/packages.sh demo
	@tools/fetch-etcd.sh etcdutl
	@$(CARGO) build --locked --release -p backup-examples --bin quickstart --features demo-etcd
	@$(CARGO) run --locked --release --quiet -p backup-examples --bin quickstart --features demo-etcd

test: ## everything, with real servers (BACKUP_TEST_LONG=1: full sizes); unit and doc tests alone: cargo test
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust with rustup" >&2; exit 1; }
	@tools/test.sh

bench: ## the benches, each beside its peer
	@tools/packages.sh test
	@tools/fetch-etcd.sh
	@benches/run.sh
