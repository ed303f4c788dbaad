# Everything here works in a fresh clone on Linux with git, make and Go 1.26.
# Modules and tools are fetched by the go command, in the versions that go.mod
# and tools/go.mod name.

LISTEN   ?= 127.0.0.1:8470
DATA     ?= ./data
PKG      ?= ./...
BENCH    ?= .
COUNT    ?= 1
FUZZTIME ?= 60s

GO := go
GOFMT = $(shell $(GO) env GOROOT)/bin/gofmt
# A clone that git does not trust (another owner) builds too, without a stamp.
VCS := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)

# The double of AWS services that tests start.
MOTO := moto[server]==5.2.5

# The property tester that reads the description of the API.
SCHEMATHESIS := schemathesis==4.32.5

# The only code with cgo, behind a build tag; and whether there is a C compiler.
PKCS11 := ./server/internal/kms/pkcs11
CGO = test "$$($(GO) env CGO_ENABLED)" = 1

.DEFAULT_GOAL := help
.PHONY: help run build test bench docs proto soak fmt
.PHONY: check-format check-vet check-staticcheck check-modules check-proto check-tests peers

help: ## show this help
	@echo 'usage: make TARGET [NAME=value]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build and serve on LISTEN (127.0.0.1:8470) with the store in DATA (./data)
	bin/sealwright serve --listen $(LISTEN) --data $(DATA)

build: ## build bin/sealwright
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS) -ldflags '-s -w' -o bin/sealwright ./cmd/sealwright

# All checks run, also after one has failed; the last lines name those that did.
test: ## run all checks and all tests, and start what real servers they need
	@failed=; \
	for check in format vet staticcheck modules proto tests; do \
		echo "== $$check"; \
		$(MAKE) --no-print-directory check-$$check || failed="$$failed $$check"; \
	done; \
	if [ -n "$$failed" ]; then echo "FAILED:$$failed"; exit 1; fi; \
	echo 'all checks passed'

# The module bench compares with other libraries; its tests hold that all sides
# do the same, so they run first.
bench: ## run the benchmarks BENCH (.) of PKG (./...) and of bench/ COUNT (1) times
	@echo "commit: $$(git rev-parse HEAD 2>/dev/null || echo unknown), $$($(GO) version), $$(nproc) CPUs"
	$(GO) test -p 1 -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) -timeout 0 $(PKG)
	cd bench && $(GO) test -bench '$(BENCH)' -benchmem -count $(COUNT) -timeout 0 ./...

docs: ## write the page of every preset to docs/schemes/presets
	rm -f docs/schemes/presets/*.md
	$(GO) run ./cmd/sealwright schemes docs docs/schemes/presets

proto: ## write the Go code of proto/
	$(GO) run -C tools ./protogen

soak: ## fuzz each target for FUZZTIME (60s)
	@failed=; \
	for target in $$(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's/func //'); do \
		name=$${target##*:}; dir=$$(dirname "$${target%%:*}"); \
		echo "== $$dir $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$dir" || failed="$$failed $$dir:$$name"; \
	done; \
	if [ -n "$$failed" ]; then echo "FAILED:$$failed"; exit 1; fi

fmt: ## format all Go files
	$(GOFMT) -l -w .

check-format:
	@out=$$($(GOFMT) -l .) || exit 1; if [ -n "$$out" ]; then echo 'not formatted, run make fmt:'; echo "$$out"; exit 1; fi

check-vet:
	$(GO) vet ./...
	cd bench && $(GO) vet ./...
	@if $(CGO); then set -x; $(GO) vet -tags pkcs11 $(PKCS11); fi

check-staticcheck:
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	@if $(CGO); then set -x; $(GO) tool -modfile=tools/go.mod staticcheck -tags pkcs11 $(PKCS11); fi

check-modules:
	$(GO) mod tidy -diff

check-proto:
	$(GO) run -C tools ./protogen -check

# A test that needs a real server skips with a reason where there is none.
# Here that is a failure. Files that count allocations are not built under the
# race detector, which allocates itself, so their tests run once more without.
# The command line and the catalogue, which start no goroutines of their own and
# take most of the time under the detector, run without it.
check-tests: peers
check-tests: export SEALWRIGHT_REQUIRE_PEERS = 1
check-tests:
	@if $(GO) test -race -c -o /dev/null ./secret 2>/dev/null; then \
		echo 'with the race detector'; \
		$(GO) test -race -timeout 12m $$($(GO) list ./... | grep -v -e '/cmd/' -e '/catalogue$$') && \
		$(GO) test -timeout 12m ./cmd/... ./catalogue && $(GO) test -run '^TestAlloc' ./...; \
	else \
		echo 'WITHOUT the race detector: it needs cgo and a C compiler'; \
		$(GO) test -timeout 12m ./...; \
	fi
	@if $(CGO); then set -x; $(GO) test -race -tags pkcs11 $(PKCS11) && $(GO) test -race -tags pkcs11 -run SoftHSM ./server; else echo 'WITHOUT PKCS#11: it needs cgo and a C compiler'; fi

# Installs what tests start as real servers. What cannot be installed is named
# by the test that needs it.
peers:
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || test -n "$$SEALWRIGHT_POSTGRES_BIN" || { echo 'installing postgresql'; $(call apt,postgresql); } || echo 'postgresql is not installed'
	@command -v redis-server >/dev/null || command -v valkey-server >/dev/null || test -n "$$SEALWRIGHT_REDIS" || { echo 'installing redis-server'; $(call apt,redis-server) && { service redis-server stop >/dev/null 2>&1 || true; }; } || echo 'redis-server is not installed'
	@command -v pgbouncer >/dev/null || test -x /usr/sbin/pgbouncer || test -n "$$SEALWRIGHT_PGBOUNCER" || { echo 'installing pgbouncer'; $(call apt,pgbouncer); } || echo 'pgbouncer is not installed'
	@command -v softhsm2-util >/dev/null || { echo 'installing softhsm2'; $(call apt,softhsm2); } || echo 'softhsm2 is not installed'
	@test -x .cache/moto/bin/moto_server || { echo 'installing moto'; python3 -m venv .cache/moto && .cache/moto/bin/pip install -q '$(MOTO)'; } || echo 'moto is not installed'
	@test -x .cache/schemathesis/bin/schemathesis || { echo 'installing schemathesis'; python3 -m venv .cache/schemathesis && .cache/schemathesis/bin/pip install -q '$(SCHEMATHESIS)'; } || echo 'schemathesis is not installed'

apt = { DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $(1) || { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $(1); }; } >/dev/null
