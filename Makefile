# dejpha: `make run` shows the shield at work, `make test` checks it; both set up what they need.
GO      ?= go
SHARED  ?= ../shared
WEB     := console/web
# The console's page, where there is one to build.
PAGE    := $(if $(wildcard $(WEB)/package.json),$(WEB)/dist/index.html)
export CGO_ENABLED := 0

.PHONY: build verifier run test e2e kills tamper spoil fuzz lint bench bench-block bench-report bench-seal conformance score bench-peer bench-live bench-year soak clean

build: $(PAGE)
	$(GO) build -o bin/dejpha ./cmd/dejpha

$(WEB)/node_modules/.package-lock.json: $(wildcard $(WEB)/package-lock.json)
	cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error

$(WEB)/dist/index.html: $(WEB)/node_modules/.package-lock.json $(shell find $(WEB)/src $(WEB)/public $(WEB)/index.html $(WEB)/vite.config.ts -type f 2>/dev/null)
	cd $(WEB) && npm run build --silent

# The program with which strangers check our counts, and the same as a page that works offline; a module of its own that
# shares no code with this one.
verifier:
	cd verifier && $(GO) build -trimpath -ldflags='-s -w' -o ../bin/dejpha-verify ./cmd/dejpha-verify
	cd verifier && GOOS=js GOARCH=wasm $(GO) build -trimpath -ldflags='-s -w' -o ../bin/dejpha-verify.wasm ./cmd/dejpha-verify
	node verifier/page/build.mjs bin/dejpha-verify.wasm "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" bin/dejpha-verify.html

run: build
	./bin/dejpha run

test: $(PAGE)
	$(GO) vet ./...
	$(GO) test $(TESTFLAGS) ./...
	$(GO) test $(TESTFLAGS) -tags purego ./detect/... ./evidence/counted ./evidence/twin
	cd verifier && $(GO) vet ./... && $(GO) test $(TESTFLAGS) ./...

# The console in a headless Chromium: the page against made-up attacks, and the real program from its setup token on.
# Then, as root, stories of real tools against real servers; STORY=name tells some of them and leaves the console out.
e2e: build verifier $(WEB)/node_modules/.package-lock.json
	GO="$(GO)" scripts/e2e.sh $(WEB) $(STORY)

# The real program, killed 100 times at random moments, loses nothing it acknowledged and counts nothing twice.
kills:
	DEJPHA_KILLS=100 $(GO) test ./shield -run TestKilledAtAnyMoment -count=1 -timeout 20m -v

# A log of LEAVES attacks, changed in every way there is at random places, TRIALS times, by those who cannot sign and by
# who can: each change must be found, and the leaf or the file named.
TRIALS ?= 1000
LEAVES ?= 1000000
tamper:
	DEJPHA_TAMPER=$(TRIALS) DEJPHA_TAMPER_LEAVES=$(LEAVES) $(GO) test ./evidence -run '^TestTampering$$' -count=1 -timeout 0 -v

# A thousand of them, over twenty logs: what is read after each kill grows with its log.
kills-long:
	DEJPHA_KILLS=50 $(GO) test ./shield -run TestKilledAtAnyMoment -count=20 -timeout 0 -v

# Every capture there is, cut and with bytes changed at random: VARIANTS of them through the whole way.
VARIANTS ?= 100000
spoil:
	DEJPHA_SPOIL=$(VARIANTS) $(GO) test ./shield -run TestSpoiltCapturesAreSurvived -count=1 -timeout 0 -v

# Every fuzz target in turn, for TIME each; ONLY=app/ takes those whose folder begins so.
TIME ?= 10m
fuzz:
	scripts/fuzz.sh $(TIME) $(ONLY)

# Needs golangci-lint on the PATH; .golangci.yml has the settings.
lint:
	golangci-lint run ./...

# Packets/s, MB/s and ns/packet of each room, and of the whole way.
bench:
	$(GO) test -run '^$$' -bench . -benchtime 1s ./capture/file ./decode ./defrag ./flow ./stream ./app ./detect/... ./evidence ./shield

# Sealing alone on one core, with the disk's own syncs: leaves/s, and the longest time from an attack's closing to its
# acknowledgement. A second thread, on the same core, lets what waits for the disk wait beside the rest.
bench-seal:
	$(GO) test -c -o bin/evidence.test ./evidence
	cd evidence && for i in 1 2 3 4 5; do GOMAXPROCS=2 taskset -c 0 ../bin/evidence.test -test.run '^$$' -test.bench Seal -test.benchtime 1000000x | grep leaves; done

# The report of a month with REPORTED attacks (1,000,000): writing it, and opening it in a browser.
bench-report: build $(WEB)/node_modules/.package-lock.json
	scripts/bench-report.sh $(WEB) $(or $(REPORTED),1000000)

# What blocks in the kernel cost: XDP by packet, loading, changing; decisions/s into nftables. Needs root.
bench-block:
	DEJPHA_BENCH_BLOCK=1 $(GO) test ./block/xdp ./block/nft -run '^TestBench' -count=1 -timeout 20m -v -p 1 | grep -v '^=== \|^---\|^PASS'

# The targets below compare with data outside the project and say so when it is missing.
conformance: build
	scripts/conformance.sh $(SHARED)

score: build
	scripts/score.sh $(SHARED)

bench-peer: build
	scripts/bench-peer.sh $(SHARED)

# On veth in namespaces of its own, as root; ROUNDS of each side, in turn, as far as BUDGET seconds (600; 0: no end) last.
ROUNDS ?= 5
bench-live: build
	scripts/bench-live.sh $(SHARED) $(ROUNDS)

# ATTACKS distinct attacks of a made-up year through the whole way, evidence included; every one must be counted once.
# PROFILE=file keeps where the processor's time went; OPTIONS are the command's (scripts/yearbench -h).
ATTACKS ?= 33000000
PROFILE ?=
OPTIONS ?=
bench-year: build
	$(GO) build -o bin/yearbench ./scripts/yearbench
	cd verifier && $(GO) build -trimpath -ldflags='-s -w' -o ../bin/dejpha-verify ./cmd/dejpha-verify
	bin/yearbench -attacks $(ATTACKS) -profile "$(PROFILE)" $(OPTIONS)
	[ -z "$(PROFILE)" ] || $(GO) tool pprof -traces bin/yearbench "$(PROFILE)" 2>/dev/null | awk -v per=$(ATTACKS) -v what=attack -f scripts/rooms.awk

clean:
	rm -rf bin var $(WEB)/dist/[!.]*

# Long runs under load on a veth (root): RELOADS of the own rules, RELOADS_ET of a large set, KILLS of the process while
# attackers go on. PART=reloads, reloads-et or kills does one of them.
soak: build
	scripts/soak.sh $(SHARED)
