package metrics

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/figures"
)

func scrape(t *testing.T, gather func() (*figures.Figures, error), path string) (int, string) {
	t.Helper()
	s := httptest.NewServer(Handler(gather))
	defer s.Close()
	r, err := http.Get(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func some() (*figures.Figures, error) {
	return &figures.Figures{Version: "v", Ledger: figures.Ledger{Received: 9, Inspected: 7, KernelDrops: 2}, Workers: []figures.Worker{{Packets: 3, Bytes: 100}, {Packets: 4, Bytes: 11}},
		ByClass: map[string]uint64{"scan": 5}, ByOutcome: map[string]uint64{"observed": 5}, Decisions: map[string]uint64{"block": 1}, Rules: 8, Refused: 1, Memory: []figures.Pool{{Name: "heap", Bytes: 77}},
		Faces:     []figures.Face{{Name: "eth0", Up: true, Ledger: figures.Ledger{Inspected: 7}, BypassedBy: map[string]uint64{"tls": 3}}, {Name: "eth1", ShedBy: map[string]uint64{"blocked": 2}}},
		Blocks:    figures.Blocks{Mode: "on", InForce: 4, Limits: 1, Dropped: 10, Limited: 5},
		Witnesses: []figures.Witness{{Name: "w.example", Behind: 30, At: 1_700_000_000, Cosigned: 6}, {Name: "late.example", Failed: 2}}}, nil
}

func TestScrape(t *testing.T) {
	code, text := scrape(t, some, "/metrics")
	if strings.Contains(text, `dejpha_witness_last_cosigned_seconds{witness="late.example"}`) {
		t.Error("a witness that never signed has a time")
	}
	if code != 200 {
		t.Fatal(code, text)
	}
	for _, want := range []string{`dejpha_packets_total{fate="inspected"} 7`, `dejpha_packets_total{fate="dropped by the kernel"} 2`, "dejpha_bytes_total 111",
		`dejpha_worker_packets_total{worker="1"} 4`, `dejpha_attacks_total{class="scan"} 5`, `dejpha_attacks_by_outcome_total{outcome="observed"} 5`,
		`dejpha_decisions_total{action="block"} 1`, `dejpha_rules{state="refused"} 1`, `dejpha_memory_bytes{pool="heap"} 77`, "dejpha_up 1", `dejpha_build_info{version="v"} 1`,
		`dejpha_interface_packets_total{fate="inspected",interface="eth0"} 7`, `dejpha_interface_up{interface="eth0"} 1`, `dejpha_interface_up{interface="eth1"} 0`,
		`dejpha_bypassed_packets_total{interface="eth0",why="tls"} 3`, "dejpha_blocks 4", "dejpha_limits 1", `dejpha_witness_behind_leaves{witness="w.example"} 30`, `dejpha_witness_last_cosigned_seconds{witness="w.example"} 1.7e+09`,
		`dejpha_witness_cosigned_total{witness="w.example"} 6`, `dejpha_witness_failed_total{witness="late.example"} 2`, `dejpha_stopped_packets_total{by="block"} 12`, `dejpha_stopped_packets_total{by="limit"} 5`} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if code, _ := scrape(t, some, "/"); code != 404 {
		t.Error("another path:", code)
	}
}

func TestScrapeOfABusyShield(t *testing.T) {
	code, text := scrape(t, func() (*figures.Figures, error) { return nil, errors.New("busy") }, "/metrics")
	if code != 200 || !strings.Contains(text, "dejpha_up 0\n") || strings.Contains(text, "dejpha_packets") {
		t.Error(code, text)
	}
}

// Every metric that is served stands in the document, with its help.
func TestMetricsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/operation.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text := scrape(t, some, "/metrics")
	for _, m := range regexp.MustCompile(`(?m)^# HELP (\S+) (.*)$`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(string(doc), "`"+m[1]+"`") || !strings.Contains(string(doc), m[2]) {
			t.Errorf("docs/operation.md lacks %s: %s", m[1], m[2])
		}
	}
}

func TestListen(t *testing.T) {
	s, err := Listen("127.0.0.1:0", some)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := Listen(s.Addr(), some); err == nil || !strings.Contains(err.Error(), "metrics.listen") {
		t.Error(err)
	}
}
