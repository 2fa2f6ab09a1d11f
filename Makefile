# `make help` lists the targets. CI calls only these.
SHELL := /bin/bash
GO ?= go
export CGO_ENABLED ?= 0

LDFLAGS := -s -w
PACKAGES := $(shell $(GO) list ./... 2>/dev/null | grep -v /e2e)

.DEFAULT_GOAL := help
.PHONY: help web page-if-possible run build test race e2e interop aws client-ts packages soak fuzz lint fmt bench cover generate check clean cluster cluster-once cluster-test faults

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9_-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## serve with the echo model on 127.0.0.1:8080
	./bin/runnel serve

# The chat page is built anew when something that it is made of has changed. A
# machine without Node builds a binary without it, and so does one where npm can get
# nothing; CI asks for the page itself.
PAGE := internal/web/static/page/index.html
$(PAGE): web/node_modules/.package-lock.json $(shell find web clients/ts/src -type f -not -path '*/node_modules/*' 2>/dev/null)
	cd web && npm run --silent test && npm run --silent build

# npm keeps a note of what it has installed; as long as that is newer than what is
# wanted there is nothing to do.
%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web: $(PAGE) ## build the chat page (needs node and npm)

page-if-possible:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory web || echo 'the chat page could not be built: the binary goes without it'; \
	else echo 'node is not installed: the binary goes without the chat page'; fi

build: page-if-possible ## build bin/runnel, with the chat page if node is there
	$(GO) build -buildvcs=auto -trimpath -ldflags '$(LDFLAGS)' -o bin/runnel ./cmd/runnel

# The end-to-end tests come last and alone: thousands of clients and other tests
# would only be slow together.
test: ## run all tests that need nothing but Go
	$(GO) test -timeout 10m $(PACKAGES)
	$(GO) test -timeout 10m ./e2e/...

race: ## the same with the race detector (needs gcc); leaves out e2e
	CGO_ENABLED=1 $(GO) test -race -timeout 15m $(PACKAGES)

e2e: build ## the real binary, killed and resumed
	$(GO) test -count=1 -timeout 10m ./e2e/...

interop: build client-ts interop/node_modules/.package-lock.json ## real clients and servers that nobody here wrote (needs node, npm, python3-boto3 and chromium)
	cd interop && node --test --test-force-exit --test-concurrency=3

aws: ## deploy/aws, held to the types of Terraform, CloudFormation and SAM
	@command -v terraform >/dev/null || echo 'terraform is not installed: what it says itself of deploy/aws is NOT checked'
	@command -v node >/dev/null || echo 'node is not installed: the resolvers of deploy/aws are NOT run'
	cd deploy/aws/check && $(GO) mod tidy -diff && $(GO) vet ./... && $(GO) test -timeout 15m ./...

client-ts: clients/ts/node_modules/.package-lock.json ## build and test the TypeScript client (needs node and npm)
	cd clients/ts && npm test

bin/nats-server: go.mod
	$(GO) build -o $@ github.com/nats-io/nats-server/v2

cluster: build bin/nats-server ## run three NATS servers and three nodes on this machine (Linux)
	$(GO) run ./e2e/cluster/up bin/runnel bin/nats-server

faults: build ## do to a cluster what happens to clusters, and write the table in docs/reliability.md (Linux; ten minutes)
	$(GO) test -tags cluster -count=1 -timeout 30m -v ./e2e/cluster -report ../../docs/reliability.md

cluster-once: build bin/nats-server
	$(GO) run ./e2e/cluster/up -once bin/runnel bin/nats-server

cluster-test: cluster-once ## the faults that a cluster must stand in any case, in two minutes (Linux, with namespaces)
	$(GO) test -tags cluster -short -count=1 -timeout 15m -v ./e2e/cluster

packages: web ## check what is in deploy, and the binaries for all systems (needs node, npm, haproxy and systemd-analyze)
	cd deploy/check && $(GO) vet ./... && $(GO) test -count=1 -timeout 30m $(CHECKFLAGS) ./...

soak: build ## the kill test for ten minutes, many sessions
	RUNNEL_SOAK=10m $(GO) test -count=1 -timeout 30m -run 'TestKill' -v ./e2e/...

fuzz: ## fuzz every parser of foreign bytes, FUZZTIME each (default 10s)
	./tools/fuzz.sh $(or $(FUZZTIME),10s)

lint: ## gofmt, vet, staticcheck, and golangci-lint if it is installed
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run make fmt'; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags cluster ./e2e/cluster
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	$(GO) tool -modfile=tools/go.mod staticcheck -tags cluster ./e2e/cluster
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo 'golangci-lint is not installed: its own checks were not run'; fi

vuln: ## known vulnerabilities (needs the vulnerability database)
	$(GO) tool -modfile=tools/go.mod govulncheck ./...

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

bench: build ## measure, and write docs/benchmarks.md
	./bin/runnel bench --report docs/benchmarks.md

cover: ## test coverage by package
	$(GO) test -coverprofile=coverage.out ./... && $(GO) tool cover -func=coverage.out | tail -1

generate: ## rewrite golden files and generated documents
	$(GO) test ./internal/wire ./internal/cli ./internal/config -update

check: lint race e2e ## what every change must pass

clean: ## remove what was built
	rm -rf bin dist coverage.out runnel-data internal/web/static/page clients/ts/dist
