// Package metrics serves a running shield's figures to Prometheus.
//
// In: a function that gathers the figures, asked once a scrape and at no other time: a packet costs nothing. Out: an
// HTTP listener of its own with /metrics. Called by cmd. It shows counts and times, never an address, a name or a byte of traffic.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dejpha/dejpha/figures"
)

// descriptions of what is served, in the order of docs/operation.md.
var (
	packets   = describe("packets_total", "Packets by fate. Those received are the sum of all fates.", "fate")
	bytes     = describe("bytes_total", "Bytes of the packets that were looked at, as on the wire.")
	flows     = describe("flows_total", "Flows that were seen.")
	liveFlows = describe("flows_live", "Flows that are followed now.")
	evicted   = describe("flows_evicted_total", "Flows that were given up because the table was full.")
	sessions  = describe("tcp_sessions_total", "TCP connections that were seen.")
	gaps      = describe("tcp_gaps_total", "Holes in TCP connections: bytes that never came.")
	broken    = describe("faults_total", "Packets whose trip was given up: a fault of dejpha.")
	worker    = describe("worker_packets_total", "Packets by worker.", "worker")
	alerts    = describe("alerts_total", "Alerts of rules that were written.")
	attacks   = describe("attacks_total", "Attacks counted and sealed, by class.", "class")
	outcomes  = describe("attacks_by_outcome_total", "Attacks counted and sealed, by outcome: foiled, contained, observed.", "outcome")
	open      = describe("attacks_open", "Attacks that are under way.")
	decisions = describe("decisions_total", "Decisions by action.", "action")
	rules     = describe("rules", "Rules by state: loaded or refused.", "state")
	memory    = describe("memory_bytes", "Memory in use by pool.", "pool")
	uptime    = describe("uptime_seconds", "Seconds since the start.")
	faces     = describe("interface_packets_total", "Packets by interface and fate.", "interface", "fate")
	faceUp    = describe("interface_up", "1 if the interface is up.", "interface")
	bypassed  = describe("bypassed_packets_total", "Bypassed packets by interface and why.", "interface", "why")
	blocks    = describe("blocks", "Blocks in force.")
	limits    = describe("limits", "Limits on unproven traffic in force.")
	stopped   = describe("stopped_packets_total", "Packets stopped because of a block of their source, or of a limit.", "by")
	signed    = describe("witness_cosigned_total", "Heads of the log that a witness has signed.", "witness")
	unsigned  = describe("witness_failed_total", "Times that a witness was asked in vain.", "witness")
	behind    = describe("witness_behind_leaves", "Leaves of the log that came after the head that a witness signed last.", "witness")
	signedAt  = describe("witness_last_cosigned_seconds", "When a witness signed last, in seconds since 1970; missing until it has signed in this run.", "witness")
	up        = describe("up", "1 if the merge point answered; else nothing but this is served.")
	build     = describe("build_info", "1, with the version.", "version")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("dejpha_"+name, help, labels, nil)
}

// collector turns figures into metrics, anew for each scrape.
type collector struct {
	gather func() (*figures.Figures, error)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{packets, bytes, flows, liveFlows, evicted, sessions, gaps, broken, worker, alerts, attacks, outcomes, open, decisions, rules, memory, uptime, up, build, faces, faceUp, bypassed, blocks, limits, stopped, signed, unsigned, behind, signedAt} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	f, err := c.gather()
	if err != nil {
		gauge(up, 0)
		return
	}
	gauge(up, 1)
	for fate, n := range fates(&f.Ledger) {
		count(packets, n, fate)
	}
	for i := range f.Faces {
		x := &f.Faces[i]
		for fate, n := range fates(&x.Ledger) {
			count(faces, n, x.Name, fate)
		}
		for why, n := range x.BypassedBy {
			count(bypassed, n, x.Name, why)
		}
		is := 0.0
		if x.Up {
			is = 1
		}
		gauge(faceUp, is, x.Name)
	}
	if f.Blocks.Mode != "" {
		gauge(blocks, float64(f.Blocks.InForce))
		gauge(limits, float64(f.Blocks.Limits))
		count(stopped, f.Stopped(), "block")
		count(stopped, f.Blocks.Limited, "limit")
	}
	s := f.Sum()
	count(bytes, s.Bytes)
	count(flows, s.Flows)
	gauge(liveFlows, float64(s.LiveFlows))
	count(evicted, s.Evicted)
	count(sessions, s.Sessions)
	count(gaps, s.Gaps)
	count(broken, s.Broken)
	for i, w := range f.Workers {
		count(worker, w.Packets, fmt.Sprint(i))
	}
	count(alerts, f.Alerts)
	for _, m := range []struct {
		d *prometheus.Desc
		n map[string]uint64
	}{{attacks, f.ByClass}, {outcomes, f.ByOutcome}, {decisions, f.Decisions}} {
		for label, n := range m.n {
			count(m.d, n, label)
		}
	}
	gauge(open, float64(f.Open))
	gauge(rules, float64(f.Rules), "loaded")
	gauge(rules, float64(f.Refused), "refused")
	for _, p := range f.Memory {
		gauge(memory, float64(p.Bytes), p.Name)
	}
	for i := range f.Witnesses {
		x := &f.Witnesses[i]
		count(signed, x.Cosigned, x.Name)
		count(unsigned, x.Failed, x.Name)
		gauge(behind, float64(x.Behind), x.Name)
		if x.At > 0 {
			gauge(signedAt, float64(x.At), x.Name)
		}
	}
	gauge(uptime, f.Uptime)
	gauge(build, 1, f.Version)
}

func fates(l *figures.Ledger) map[string]uint64 {
	return map[string]uint64{"inspected": l.Inspected, "bypassed": l.Bypassed, "dropped by the kernel": l.KernelDrops, "shed": l.Shed, "undecodable": l.Undecodable}
}

// Handler serves the figures.
func Handler(gather func() (*figures.Figures, error)) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{gather})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: 10 * time.Second}))
	return mux
}

// Server is the listener.
type Server struct {
	http http.Server
	at   net.Addr
}

// Listen opens address, which was checked, and serves until Close.
func Listen(address string, gather func() (*figures.Figures, error)) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics.listen: cannot listen on %s: %w", address, errors.Unwrap(err))
	}
	s := &Server{at: l.Addr()}
	s.http = http.Server{Handler: Handler(gather), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	go s.http.Serve(l) //nolint:errcheck // it ends by Close
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.at.String() }

// Close ends it; requests in hand have a second.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return s.http.Shutdown(ctx)
}
