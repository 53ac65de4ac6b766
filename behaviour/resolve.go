package behaviour

import (
	"fmt"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
)

// Bounds of the forged answers detector. A server answers a question once; a host of a network answers for its own
// name alone.
const (
	resolveExtraMin  = 10 // answers beyond the questions of one flow, and as many again as there were questions
	resolveWindow    = 5 * second
	resolveNamesMin  = 4 // names of the local network that one host answers for
	resolveNamesSpan = 10 * minute
	portLLMNR        = 5355
	portMulticastDNS = 5353
)

// resolve finds answers about names that somebody else gave: a second, different answer to one question, guesses at
// a question's number, and a host that answers for every name of its network.
type resolve struct {
	questions *table[questionKey, question]
	flows     *table[uint64, question]
	answerers *table[decode.Addr, sweepState[string]]
}

type questionKey struct {
	flow uint64
	name string
}

type question struct {
	asked, answered int
	first           string // address of the first answer
	at              int64
	told            bool
}

func newResolve(c Config) Detector {
	return &resolve{newTable[questionKey, question](c.HostsMax), newTable[uint64, question](c.HostsMax), newTable[decode.Addr, sweepState[string]](c.HostsMax)}
}

// Name implements Detector.
func (*resolve) Name() string { return "forged-answers" }

// Wants implements Detector.
func (*resolve) Wants() Kind { return Said }

// Dropped implements Detector.
func (d *resolve) Dropped() uint64 {
	return d.questions.Dropped + d.flows.Dropped + d.answerers.Dropped
}

// Observe implements Detector.
func (d *resolve) Observe(s *Signal, report func(Finding)) {
	f := &s.Fact
	if f.Kind != contract.DNSQuery && f.Kind != contract.DNSAnswer || s.Proto != decode.ProtoUDP || s.ServerPort == portMulticastDNS {
		return
	}
	if s.ServerPort == portLLMNR {
		d.neighbour(s, report)
		return
	}
	q, _ := d.questions.get(questionKey{s.FlowID, f.Name})
	all, _ := d.flows.get(s.FlowID)
	if f.Kind == contract.DNSQuery {
		q.asked++
		q.at = s.Time
		all.asked++
		return
	}
	q.answered++
	all.answered++
	switch {
	case q.asked == 0 && all.asked == 0: // the questions take another way
	case !all.told && all.answered >= 2*all.asked+resolveExtraMin:
		all.told = true
		d.tell(s, fmt.Sprintf("%d answers to %d questions, as when the number of a question is guessed", all.answered, all.asked), report)
	case f.Code != 0 || f.Text == "":
	case q.answered == 1:
		q.first = f.Text
	case !q.told && q.answered > q.asked && q.first != "" && q.first != f.Text && s.Time-q.at <= resolveWindow:
		q.told = true
		d.tell(s, fmt.Sprintf("%s answered twice and differently, as when an answer is injected", f.Name), report)
	}
}

// neighbour counts the names of the local network that one host answers for.
func (d *resolve) neighbour(s *Signal, report func(Finding)) {
	if s.Fact.Kind != contract.DNSAnswer || s.Fact.Code != 0 || s.Fact.Text == "" {
		return
	}
	st, _ := d.answerers.get(s.Server)
	if n, yes := st.note(s.Fact.Name, s.Time, resolveNamesSpan, resolveNamesMin); yes {
		f := finding("forged-answers", "spoofing", []string{"T1557.001", "T1557"}, 2, fmt.Sprintf("%d names of the local network answered for by one host", n), s)
		f.Origin, f.Target, f.TargetPort = s.Server, s.Client, s.ClientPort
		report(f)
	}
}

// tell blames nobody: the address that answered is the one that was asked.
func (d *resolve) tell(s *Signal, text string, report func(Finding)) {
	f := finding("forged-answers", "spoofing", []string{"T1557"}, 2, text, s)
	f.Origin, f.Target, f.TargetPort, f.Proven = s.Server, s.Client, s.ClientPort, false
	report(f)
}
