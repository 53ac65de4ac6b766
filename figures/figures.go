// Package figures is what a running shield counts at one moment, and the forms in which others read it.
//
// In: numbers that shield gathers between two stretches. Out: one plain struct for the control socket, the terminal and
// /metrics, and the counters as the field's tools name them. Of the process it reads the memory alone.
package figures

import "runtime/metrics"

// Figures of a running shield. Counts run since its start.
type Figures struct {
	At         int64    `json:"at"` // of the traffic's clock, ns since 1970
	Uptime     float64  `json:"uptime"`
	Version    string   `json:"version"`
	Kind       string   `json:"kind"` // live or demo
	Interfaces []string `json:"interfaces"`

	Ledger  Ledger   `json:"ledger"`
	Faces   []Face   `json:"faces"` // the same by interface
	Workers []Worker `json:"workers"`

	Alerts     uint64            `json:"alerts"`
	Opened     uint64            `json:"attacks_opened"`
	Open       int               `json:"attacks_open"`
	Attacks    uint64            `json:"attacks"` // counted: closed and sealed
	Authorised uint64            `json:"attacks_authorised"`
	ByClass    map[string]uint64 `json:"attacks_by_class"`
	ByOutcome  map[string]uint64 `json:"attacks_by_outcome"`
	Decisions  map[string]uint64 `json:"decisions"`
	Recent     []string          `json:"recent"` // the last attacks, a line each, newest first

	Blocks Blocks `json:"blocks"`

	Rules   int `json:"rules"`
	Refused int `json:"rules_refused"`

	Witnesses []Witness `json:"witnesses,omitempty"`

	Memory []Pool `json:"memory"`
}

// Witness is how it stands with one that cosigns the log.
type Witness struct {
	Name     string `json:"name"`
	Size     int64  `json:"leaves"` // of the head it signed last; 0: none
	Behind   int64  `json:"behind"` // leaves that came after that head
	At       int64  `json:"at"`     // when it signed last by its own clock, s since 1970; 0: not in this run
	Cosigned uint64 `json:"cosigned"`
	Failed   uint64 `json:"failed"`
	Error    string `json:"error,omitempty"` // of the last time
}

// Ledger is the fate of packets: Received is the sum of the others.
type Ledger struct {
	Received    uint64 `json:"received"`
	Inspected   uint64 `json:"inspected"`
	Bypassed    uint64 `json:"bypassed"`
	KernelDrops uint64 `json:"kernel_drops"`
	Shed        uint64 `json:"shed"`
	Undecodable uint64 `json:"undecodable"`
}

// Face is one interface of a live run.
type Face struct {
	Name       string            `json:"name"`
	Mode       string            `json:"mode"`       // tap, bridge or nfqueue; "" where the source does not tell
	OnFailure  string            `json:"on_failure"` // pass or block while nobody answers; "" for a tap
	Filter     string            `json:"filter"`     // what is looked at; "": everything
	Up         bool              `json:"up"`
	Ledger     Ledger            `json:"ledger"`
	BypassedBy map[string]uint64 `json:"bypassed_by,omitempty"`
	ShedBy     map[string]uint64 `json:"shed_by,omitempty"`
}

// Blocks is what is blocked and limited, and what that stopped.
type Blocks struct {
	Mode    string   `json:"mode"` // on, rehearsal, off; "": a run of this kind blocks nobody
	Way     string   `json:"way"`  // how the kernel blocks
	InForce int      `json:"in_force"`
	Limits  int      `json:"limits"`
	Dropped uint64   `json:"dropped"` // packets, by the kernel, because their source is blocked; since its tables were made
	Limited uint64   `json:"limited"` // packets that were past a limit, likewise
	Fallen  uint64   `json:"fallen"`  // decisions that were not carried out: too many waited
	Last    *Blocked `json:"last,omitempty"`
}

// Blocked is one block.
type Blocked struct {
	Prefix string `json:"prefix"`
	By     string `json:"by"` // the policy's line, or a person
	Attack uint64 `json:"attack,omitempty"`
	Since  int64  `json:"since"` // ns since 1970 UTC
}

// Stopped is how many packets were stopped for their source, by the kernel or by workers in the way.
func (f *Figures) Stopped() uint64 {
	n := f.Blocks.Dropped
	for i := range f.Faces {
		n += f.Faces[i].ShedBy["blocked"]
	}
	return n
}

// Worker is one worker's own, as it stood at its last tick of the clock, a second ago at most.
type Worker struct {
	Packets     uint64 `json:"packets"`
	Bytes       uint64 `json:"bytes"`
	Flows       uint64 `json:"flows"`
	LiveFlows   uint64 `json:"live_flows"`
	Evicted     uint64 `json:"flows_evicted"`
	Sessions    uint64 `json:"tcp_sessions"`
	LiveStreams uint64 `json:"live_tcp_sessions"`
	Gaps        uint64 `json:"tcp_gaps"`
	Buffered    int64  `json:"tcp_buffered"` // bytes
	Fragments   uint64 `json:"fragments"`
	Rebuilt     uint64 `json:"datagrams_rebuilt"`
	Broken      uint64 `json:"broken"` // trips given up: a fault
	FlowBytes   int64  `json:"flow_bytes"`
	RingBytes   int64  `json:"ring_bytes"`
}

// Pool is a part of the memory in use.
type Pool struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// Sum adds the workers up.
func (f *Figures) Sum() (s Worker) {
	for _, w := range f.Workers {
		s.Packets += w.Packets
		s.Bytes += w.Bytes
		s.Flows += w.Flows
		s.LiveFlows += w.LiveFlows
		s.Evicted += w.Evicted
		s.Sessions += w.Sessions
		s.LiveStreams += w.LiveStreams
		s.Gaps += w.Gaps
		s.Buffered += w.Buffered
		s.Fragments += w.Fragments
		s.Rebuilt += w.Rebuilt
		s.Broken += w.Broken
		s.FlowBytes += w.FlowBytes
		s.RingBytes += w.RingBytes
	}
	return s
}

// Counters are the figures under the names that the field's tools ask for with dump-counters. What has no such name
// stands under "dejpha".
func (f *Figures) Counters() map[string]any {
	s := f.Sum()
	return map[string]any{
		"uptime":  int64(f.Uptime),
		"capture": map[string]any{"kernel_packets": f.Ledger.Received, "kernel_drops": f.Ledger.KernelDrops},
		"decoder": map[string]any{"pkts": f.Ledger.Inspected + f.Ledger.Undecodable, "bytes": s.Bytes, "invalid": f.Ledger.Undecodable},
		"defrag":  map[string]any{"fragments": s.Fragments, "reassembled": s.Rebuilt},
		"flow":    map[string]any{"total": s.Flows, "active": s.LiveFlows, "memuse": s.FlowBytes},
		"tcp":     map[string]any{"sessions": s.Sessions, "active_sessions": s.LiveStreams, "reassembly_gap": s.Gaps, "reassembly_memuse": s.Buffered},
		"detect":  map[string]any{"alert": f.Alerts, "engines": []any{map[string]any{"id": 0, "rules_loaded": f.Rules, "rules_failed": f.Refused}}},
		"dejpha": map[string]any{"ledger": f.Ledger, "attacks": f.Attacks, "attacks_open": f.Open, "attacks_by_class": f.ByClass,
			"attacks_by_outcome": f.ByOutcome, "decisions": f.Decisions, "blocks": f.Blocks, "interfaces": f.Faces},
	}
}

// Gather reads where the memory is; the workers' part stands in f already.
func (f *Figures) Gather() {
	names := []string{"/memory/classes/heap/objects:bytes", "/memory/classes/total:bytes", "/memory/classes/heap/released:bytes"}
	s := make([]metrics.Sample, len(names))
	for i, n := range names {
		s[i].Name = n
	}
	metrics.Read(s)
	all := f.Sum()
	f.Memory = []Pool{
		{Name: "process", Bytes: int64(s[1].Value.Uint64() - s[2].Value.Uint64())}, {Name: "heap", Bytes: int64(s[0].Value.Uint64())},
		{Name: "flows", Bytes: all.FlowBytes}, {Name: "stream buffers", Bytes: all.Buffered}, {Name: "recent packets", Bytes: all.RingBytes},
	}
}
