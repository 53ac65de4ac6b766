package console

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
)

// Interface is one interface that is watched, or in the way, with the fate of its packets. Received is the sum of
// Inspected, Bypassed, Dropped, Shed and Undecodable.
type Interface struct {
	Name        string   `json:"name"`
	Mode        string   `json:"mode"`       // "tap", "af-xdp", "bridge", "nfqueue", or "" where the source does not tell
	OnFailure   string   `json:"on_failure"` // "pass" or "block" while the shield is silent; "" for a tap
	Filter      string   `json:"filter"`     // what is looked at; "": everything
	Up          bool     `json:"up"`
	Received    uint64   `json:"received"`
	Inspected   uint64   `json:"inspected"`
	Bypassed    uint64   `json:"bypassed"`
	Dropped     uint64   `json:"dropped"`
	Shed        uint64   `json:"shed"`
	Undecodable uint64   `json:"undecodable"`
	BypassedBy  []Reason `json:"bypassed_by"`
	ShedBy      []Reason `json:"shed_by"`
}

// Reason is why packets had their fate, and how many.
type Reason struct {
	Why     string `json:"why"`
	Packets uint64 `json:"packets"`
}

// Reasons lists what a map has, the most frequent first.
func Reasons(by map[string]uint64) []Reason {
	out := []Reason{}
	for why, n := range by {
		out = append(out, Reason{why, n})
	}
	slices.SortFunc(out, func(a, b Reason) int { return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Why, b.Why)) })
	return out
}

// RuleSet is what is known of the rules in force.
type RuleSet struct {
	On       bool      `json:"on"`   // false: the run has no rules, and cannot be given any
	Busy     bool      `json:"busy"` // a reload is under way
	Since    int64     `json:"since_ms"`
	Loaded   int       `json:"loaded"`
	Refused  int       `json:"refused"`
	Refusals []Refusal `json:"refusals"` // the first RefusalsShown
}

// RefusalsShown bounds an answer.
const RefusalsShown = 200

// Refusal is one rule that is not in force, and why.
type Refusal struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	SID     uint32 `json:"sid"` // 0: it has none that could be read
	Message string `json:"message"`
}

// Operator is a running shield that tells of its interfaces and rules.
type Operator interface {
	// Interfaces are those of a live run. The error is for a person.
	Interfaces() ([]Interface, error)
	RuleSet() RuleSet
	// Renew reads the rules again and says in a line how it went, when they are in force. The error is for a person; the
	// rules in force stay. ErrBusy: a reload is under way.
	Renew() (string, error)
}

// ErrBusy says that what is asked for is being done already.
var ErrBusy = errors.New("busy")

// operator holds an Operator that comes when the run stands.
type operator struct{ at atomic.Pointer[Operator] }

// Operating tells the console who runs; from any goroutine.
func (c *Console) Operating(o Operator) { c.operator.at.Store(&o) }

func (c *Console) interfaces(w http.ResponseWriter, _ *http.Request) {
	items := []Interface{}
	if o := c.operator.at.Load(); o != nil {
		all, err := (*o).Interfaces()
		if err != nil {
			fail(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		items = append(items, all...)
	}
	answer(w, map[string]any{"items": items})
}

func (c *Console) rules(w http.ResponseWriter, _ *http.Request) {
	var r RuleSet
	if o := c.operator.at.Load(); o != nil {
		r = (*o).RuleSet()
	}
	r.Refusals = list(r.Refusals)
	answer(w, r)
}

func (c *Console) reload(w http.ResponseWriter, _ *http.Request) {
	o := c.operator.at.Load()
	if o == nil {
		fail(w, http.StatusNotFound, "no run is here whose rules could be read again")
		return
	}
	said, err := (*o).Renew()
	switch {
	case errors.Is(err, ErrBusy):
		fail(w, http.StatusConflict, err.Error())
	case err != nil:
		fail(w, http.StatusBadRequest, err.Error())
	default:
		c.events.tell()
		answer(w, map[string]string{"said": said})
	}
}
