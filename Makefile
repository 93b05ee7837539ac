# Gatehouse: build, run and test on one machine. `make help` lists the targets; variables a target reads stand in its help line.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

BIN     := .bin
BENCH    ?= .
FUZZ     ?=
FUZZTIME ?= 2m
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

VERSION_VAR := github.com/gatehouse/gatehouse/internal/program.version

GO_BUILD := go build -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION) -X $(VERSION_VAR)=$(VERSION)'
PROGRAMS  = $(wildcard ./services/*/cmd/* ./gateway/cmd/* ./cmd/gatehouse)

# What the shell or `go env -w` has must not decide what is built: neither a workspace above this folder nor other modules.
export GOWORK  := off
export GOFLAGS := $(filter-out -trimpath -mod=% --mod=% -modfile=% --modfile=%,$(GOFLAGS)) -mod=readonly -trimpath
# Static, so that the programs run on any Linux of this architecture. With other flags everything is compiled anew: they are these for
# programs, tests and linters alike, but for the race detector, which needs C.
export CGO_ENABLED := 0

.PHONY: help
help: ## this list
	@echo "Gatehouse. Start with: make up"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: tools-run build ## start everything on this machine and stay; Ctrl-C ends it (ARGS='--detach')
	@exec $(BIN)/gatehouse up $(ARGS)

.PHONY: down
down: ## end what `make up` started
	@[ ! -x $(BIN)/gatehouse ] || exec $(BIN)/gatehouse down $(ARGS)

.PHONY: cluster
cluster: tools-cluster build ## start three hosts on this machine, as root: Consul, Nomad, and the platform's jobs on them (ARGS=)
	@exec $(BIN)/gatehouse cluster up $(ARGS)

.PHONY: cluster-down
cluster-down: ## end what `make cluster` started and remove all of it
	@[ ! -x $(BIN)/gatehouse ] || exec $(BIN)/gatehouse cluster down $(ARGS)

.PHONY: build
build: need-go ## build the services, the gateway and the gatehouse command into .bin/
	@mkdir -p $(BIN)
	@$(GO_BUILD) -o $(BIN)/ $(PROGRAMS)

.PHONY: test
test: tools-test need-go ## unit, database and mesh tests, all with the race detector (PKG=./internal/..., TEST_FLAGS=-v)
	@tools/test $(TEST_FLAGS) $(PKG)

.PHONY: test-cluster
test-cluster: tools-cluster build ## the platform on Nomad, as root: a cluster, its tour and its drills (TEST_FLAGS='-run Tour')
	@go test -count 1 -timeout 40m $(TEST_FLAGS) ./test/cluster/

.PHONY: test-site
test-site: tools-cluster build ## the platform at a site of somebody else, as root: one host with jobs and services of others
	@go test -count 1 -timeout 12m $(TEST_FLAGS) ./test/site/

.PHONY: test-clients
test-clients: tools-run need-go ## strangers' clients against a running platform, and receivers of the exported trail, by node and npm 20.19 or newer, python3 with venv and rsyslogd, from the registries of npm, PyPI and Go (TEST_FLAGS='-run Go')
	@go test -count 1 -p 1 -timeout 10m $(TEST_FLAGS) ./test/clients/ ./test/export/

.PHONY: test-browser
test-browser: tools-run need-go ## the pages for people in Chromium, scripts disabled and allowed, and by axe-core (TEST_FLAGS='-run Flow')
	@go test -count 1 -timeout 15m ./test/browser/ $(TEST_FLAGS)

.PHONY: alerts-check
alerts-check: need-go ## each alert in a case in which it rings and one in which it is silent, by promtool (Debian: prometheus); a part of test
	@go test -count 1 ./test/alerts/

.PHONY: test-new-service
test-new-service: tools need-go ## a new service, written into a clean clone of the last commit, builds, passes and runs with the others
	@tools/try-new-service

.PHONY: bench
bench: tools-run need-go ## speed, memory and start of the platform, each beside its bound or peer, in a quarter of an hour (BENCH=Permission)
	@go test -p 1 -run '^$$' -bench '$(BENCH)' -benchtime 5x -timeout 30m \
		./test/bench/ ./internal/registry/ ./gateway/internal/app/ ./services/identity/internal/api/ ./services/audit/internal/postgres/ ./services/audit/internal/api/ ./internal/server/grpc/ ./internal/auditlog/

.PHONY: fuzz
fuzz: need-go ## fuzz what reads what others send, 2 minutes each target, and keep what was found (FUZZ=PageToken FUZZTIME=10s)
	@tools/fuzz '$(FUZZTIME)' '$(FUZZ)'

.PHONY: generate
generate: tools-buf need-go ## write all that is generated anew: proto/gen, consul, OpenAPI, the README's variables
	@tools/generate

.PHONY: generate-gateway
generate-gateway: tools-buf need-go ## write only the mappings of REST to gRPC anew (grpc-gateway), a part of generate
	@$(BIN)/buf generate --template buf.gateway.gen.yaml

.PHONY: release
release: need-go ## static programs for x86-64 and arm64, jobs, Terraform modules, checksums and a bill of materials, into dist/ (VERSION=v0.1.0)
	@go run ./cmd/release --version '$(VERSION)' $(PROGRAMS)

.PHONY: baseline
baseline: tools-buf ## keep today's contracts as those of the release that is made: what later ones must not break
	@$(BIN)/buf build proto --exclude-source-info -o proto/baseline.binpb

.PHONY: lint
lint: tools ## golangci-lint, tflint, buf lint, contracts against those of the last release (and BASE=<git ref>), generated code up to date
	@BASE='$(BASE)' tools/check

.PHONY: terraform-check
terraform-check: need-go ## fmt, validate and terraform test of terraform/, where Terraform and its providers are found
	@tools/terraform-check

.PHONY: format
format: tools-lint ## gofmt and import order, in place
	@$(BIN)/golangci-lint fmt

.PHONY: tools
tools: need-python ## get consul, envoy, nomad, the CNI plugins, buf, tflint and golangci-lint into .bin/, pinned and checked
	@tools/get

.PHONY: vagrant-check
vagrant-check: ## the Vagrantfile is read without a virtual machine; needs ruby and vagrant
	@ruby -c Vagrantfile >/dev/null
	@vagrant validate --ignore-provider

.PHONY: clean
clean: ## remove built programs and test caches; keeps the tools (.bin is safe to delete) and the state of `make up`
	@rm -f $(addprefix $(BIN)/,$(notdir $(PROGRAMS)))
	@rm -rf dist $(BIN)/race
	@go clean -testcache

# Parts of the above: only the tools that a target needs, so that `make up` waits for no linter.
.PHONY: tools-run tools-test tools-cluster tools-buf tools-lint need-python need-go
tools-run: need-python
	@tools/get consul envoy

tools-test: need-python
	@tools/get consul envoy nomad

tools-cluster: need-python
	@tools/get consul envoy nomad cni

tools-buf: need-python
	@tools/get buf

tools-lint: need-python
	@tools/get golangci-lint

need-python:
	@command -v python3 >/dev/null || { echo 'make: python3 was not found: install Python 3.9 or newer and put it on PATH' >&2; exit 1; }

need-go:
	@command -v go >/dev/null || { echo "make: go was not found: install Go $$(awk '$$1 == "go" {print $$2}' go.mod) or newer and put it on PATH" >&2; exit 1; }
