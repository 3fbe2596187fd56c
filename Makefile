# Weftnet. The two commands to know: `make lab` (a real cluster on this machine, with a demo) and `make test` (everything).

KERNEL  ?= 6.12
ARGS    ?=
LAB_DIR ?= /var/tmp/weft-lab
FOCUS   ?= \[sig-network\].*\[Conformance\]
SKIP    ?=
SOAK    ?= restart kill mode churn claims
SEED    ?= 0
PUSH    ?=
VERSION ?=

# Images of the lab are built with the same flags, so a package is compiled once, whatever is built and wherever the clone lies.
export CGO_ENABLED = 0
export GOFLAGS     = -buildvcs=false -trimpath
export WEFT_LAB_DIR = $(LAB_DIR)

LINT     = go tool -modfile=$(CURDIR)/tools/lint/go.mod
WEFT_LAB = $(LAB_DIR)/bin/weft-lab
# Packages of the lab that link all of Kubernetes take minutes to analyse; compiling them is their check.
LAB_PACKAGES = $$(go list ./... | grep -v -e /internal/kubernetes -e /cmd/weft-kube -e /tools)

.PHONY: help lab lab-down images check test test-vm e2e conformance bench soak upgrade test-monitoring setup generate fmt vet lint unit check-lab check-modules fresh weft-lab

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

lab: setup weft-lab ## build everything, bring the cluster up, run the demo (root)
	$(WEFT_LAB) up
	$(WEFT_LAB) demo

lab-down: weft-lab ## remove the cluster; leaves nothing behind (root)
	$(WEFT_LAB) down

images: ## images of agent and operator and a chart that names them, in dist/; make images PUSH=registry.example/weftnet VERSION=…
	cd lab && go build -buildvcs=false -o $(CURDIR)/bin/weft-images ./cmd/weft-images
	bin/weft-images -out dist -version '$(VERSION)' -push '$(PUSH)'

check: fresh ## format, generated files, vet, lint, unit tests and control scripts (no root)
	@$(MAKE) --no-print-directory -j2 --output-sync=target fmt vet unit lint check-modules check-lab

test: setup check weft-lab ## check, packet and net scripts on this kernel, and a lab from up to down (root)
	go test -timeout 30m ./test/script/... ./test/soak ./test/cni
	$(MAKE) test-vm KERNEL=6.1,6.12 ARGS=-quick
	$(WEFT_LAB) smoke --set webhook.enabled=true --set config.enable-host-firewall=true --set hubble.relay.enabled=true -- go test -count=1 -tags e2e ./test/e2e

e2e: weft-lab ## official end-to-end tests on a running lab: make e2e FOCUS=… SKIP=…
	$(WEFT_LAB) e2e --focus '$(FOCUS)' --skip '$(SKIP)'

conformance: ## conformance tests of ClusterNetworkPolicy, as the policy API has them, on a running lab (root)
	cd test/conformance && KUBECONFIG=$(LAB_DIR)/run/admin.kubeconfig go test -count=1 -timeout 60m -v .

bench: ## measure Weftnet beside a bare veth pair, the bridge plugin, kube-proxy and plain VXLAN; write docs/benchmarks.md (root)
	go run ./test/bench -write docs/benchmarks.md

test-vm: ## packet and net scripts in other kernels, emulated (root): make test-vm KERNEL=6.1 ARGS='-v packet'
	go build -o $(LAB_DIR)/bin/weft-vm ./test/vm
	$(LAB_DIR)/bin/weft-vm -kernel $(KERNEL) $(ARGS)

soak: ## agents that restart under load, are killed at random points, and more; long (root): make soak SOAK=churn SEED=7 ARGS='-for 2m'
	go build -o $(LAB_DIR)/bin/weft-soak ./test/soak
	for name in $(SOAK); do $(LAB_DIR)/bin/weft-soak $$name -seed $(SEED) $(ARGS) || exit 1; done

upgrade: ## agents of an earlier commit become these under load (root): make upgrade COMMIT=HEAD~100 SEED=7 ARGS='-rounds 10'
	dir=$$(mktemp -d) && git archive $(COMMIT) | tar x -C $$dir && (cd $$dir && go build -o $(LAB_DIR)/bin/weft-soak-former ./test/soak); built=$$?; rm -rf $$dir; exit $$built
	go build -o $(LAB_DIR)/bin/weft-soak ./test/soak
	$(LAB_DIR)/bin/weft-soak upgrade -former $(LAB_DIR)/bin/weft-soak-former -seed $(SEED) $(ARGS)

test-monitoring: ## rules and dashboards against a Prometheus that scrapes real agents (root; apt-get install --no-install-recommends prometheus)
	go run ./test/monitoring $(ARGS)

setup: ## install what is lacking on a Debian machine (root)
	@tools/setup

generate: ## make generated code and manifests anew (clang-19)
	go generate ./...

weft-lab:
	@test -x $(WEFT_LAB) || echo "first build: about 20 minutes on two cores, and less than one from then on"
	@cd lab && go build -buildvcs=false -ldflags "-X weftnet.io/weftnet/lab/internal/cli.version=$$(git describe --tags --always --dirty 2>/dev/null || echo dev)" -o $(WEFT_LAB) ./cmd/weft-lab

fmt:
	@tools/once ':(glob)**/*.go tools/lint' sh -c 'files=$$($(LINT) gofumpt -l $$(git ls-files -co --exclude-standard "*.go" ":!*.pb.go")); \
	test -z "$$files" || { echo "not formatted (run: $(LINT) gofumpt -w FILE):" $$files; exit 1; }'

fresh:
	@tools/fresh

# What the go command does not know to be unchanged, tools/once does: modules that link Kubernetes take long to load, and staticcheck to begin.
# A module that imports nothing of this one is looked at again when its own files change.
vet:
	go vet ./... && go vet -tags e2e ./test/e2e

lint:
	@tools/once '. :!lab :!docs :!*.txtar :!*.md' $(LINT) staticcheck ./...

unit:
	go test $$(go list ./... | grep -v -e /test/script/packet -e /test/script/net -e /test/soak -e /test/cni)

check-lab:
	@cd lab && $(CURDIR)/tools/once 'lab tools/lint' sh -c 'go vet $(LAB_PACKAGES) && $(LINT) staticcheck $(LAB_PACKAGES)'
	@cd lab/components/push && $(CURDIR)/tools/once lab go vet ./...
	cd lab && go test $(LAB_PACKAGES)
	cd lab/components/push && go test ./...

check-modules:
	@cd test/conformance && $(CURDIR)/tools/once test/conformance go vet ./...
	@cd deploy/test && $(CURDIR)/tools/once '. :!lab :!docs :!*.txtar :!*.md' go vet ./...
	@cd tools/protogen && $(CURDIR)/tools/once tools/protogen go vet ./...
	@cd test/cyclonus && $(CURDIR)/tools/once '. :!lab :!docs :!*.txtar :!*.md' go vet ./...
	@cd test/hubble/client && $(CURDIR)/tools/once test/hubble/client go vet ./...
	cd deploy/test && go test ./...
	cd test/cyclonus && go test ./...
