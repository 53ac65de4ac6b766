package shield

import (
	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/rule"
	"github.com/dejpha/dejpha/shield/ledger"
	"github.com/dejpha/dejpha/shield/recent"
	"github.com/dejpha/dejpha/shield/rehearsal"
)

// epoch is what one worker found in one stretch of packets, the same stretch for every worker. It is
// filled by the worker, applied by the merge point, and then used again.
type epoch struct {
	now      int64  // the clock at its end
	settled  bool   // the clock may drive timers
	jumps    uint64 // of the clock until now
	stamp    int64  // what the packets' stamps say at its end, the clock's time unless they jumped back
	findings []finding
	matches  []match
	signals  []behaviour.Signal
	flows    []rehearsal.Flow // that ended
	bytes    []byte           // lines and kept packets, cut out by findings
	kept     []recent.Kept
	framed   uint64 // number of the frame last kept for a signal, and its place in kept
	framedAt int
	ledger   ledger.Part
	told     *eve.Stats    // of a live worker, from time to time
	gaps     []capture.Gap // time without protection that came to light
	order    uint32
}

func (e *epoch) reset() {
	clear(e.matches) // let go of rules and names
	clear(e.signals)
	clear(e.gaps)
	e.gaps = e.gaps[:0]
	e.findings, e.matches, e.signals = e.findings[:0], e.matches[:0], e.signals[:0]
	e.bytes, e.kept, e.flows = e.bytes[:0], e.kept[:0], e.flows[:0]
	e.ledger.Reset()
	e.told, e.order, e.framed = nil, 0, 0
}

// phase orders findings of one packet: decode events, stream events, app, rules, detectors (DESIGN section 4).
type phase uint8

const (
	phaseTick phase = iota
	phaseDecode
	phaseStream
	phaseApp
	phaseRule
	phaseDetector
	phaseRecord
)

// kind of a finding.
type findingKind uint8

const (
	foundLine   findingKind = iota // an eve line, written as it is
	foundMatch                     // a rule's match; its line is written unless a threshold holds it back
	foundSignal                    // something for the detectors
	foundFlow                      // a flow that ended, for the rehearsal
)

// finding is one thing for the merge point, ordered by (number, phase, first, sid, order).
type finding struct {
	number     uint64 // packet number
	first      uint64 // packet number of the flow's first packet
	sid        uint32
	order      uint32
	phase      phase
	kind       findingKind
	index      int32 // into matches, signals or flows
	start, end int   // the line in bytes; of a signal: its packets in kept
}

// match is a rule's match with what the accounts need of it; the flow may be gone when it is applied.
type match struct {
	rule                   *rule.Rule
	alert                  bool  // it makes an alert
	time, seen             int64 // seen: when its flow's last packet passed
	flowID                 uint64
	src, dst               decode.Addr // of the packet or transaction that matched
	srcPort, dstPort       uint16
	client, server         decode.Addr
	clientPort, serverPort uint16
	hasFlow                bool
	proven                 bool
	toClient               bool
	stopped                bool // all that it matched on was kept from its target, live
	ipVersion, proto       uint8
	iface                  uint16
	vlan                   uint16
	app                    string
	domain                 string // registered, that a DNS message asks for
	packetBytes            uint32
	keptFrom, keptTo       int // into kept
}

func (f *finding) less(o *finding) int {
	switch {
	case f.number != o.number:
		return cmp64(f.number, o.number)
	case f.phase != o.phase:
		return int(f.phase) - int(o.phase)
	case f.first != o.first:
		return cmp64(f.first, o.first)
	}
	return int(int64(f.order) - int64(o.order))
}

func cmp64(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}
