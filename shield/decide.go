package shield

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/shield/policy"
	"github.com/dejpha/dejpha/shield/rehearsal"
)

// enforcer is told each decision to block or to limit as soon as it stands, at the merge point; it must not wait.
type enforcer interface {
	Enforce(d attack.Decision)
}

// enforce hands what the last observation led to on to whoever acts on it, before anything is written: no disk may
// stand between a decision and the kernel.
func (m *merger) enforce() {
	if m.enforcer == nil && m.set.barred == nil {
		return
	}
	for _, d := range m.accounts.Decisions() {
		if !d.Acts() {
			continue
		}
		barred := m.bar(&d)
		if m.enforcer != nil {
			m.enforcer.Enforce(d)
		}
		if barred || m.enforcer != nil {
			m.accounts.Cut(d.Attack)
		}
	}
}

// decided writes down what the last observation led to, behind the attack it belongs to.
func (m *merger) decided() {
	if m.set.undecided {
		return
	}
	for _, d := range m.accounts.Decisions() {
		m.decision(&d)
	}
}

// decision writes one decision down. What it names is private in the log; that it was taken is not.
func (m *merger) decision(d *attack.Decision) {
	m.sum.Decided(d)
	m.shadow.Decided(d)
	if m.clerk != nil {
		public, err := json.Marshal(struct {
			Action string `json:"action"`
			Attack uint64 `json:"attack,omitempty"`
			Class  string `json:"class,omitempty"`
			Points uint32 `json:"points"`
			Until  int64  `json:"until,omitempty"`
		}{d.Action, d.Attack, d.Class, d.Points, d.Until})
		hidden, err2 := json.Marshal(d)
		if err == nil && err2 == nil {
			m.note(d.Time, evidence.CodeDecision, public, hidden)
		}
	}
	if m.set.writes("decision") {
		m.line = eve.AppendDecision(m.line[:0], d)
		m.write(m.line)
	}
}

// rehearse tells the merge point of a flow that ended.
func (w *worker) rehearse(f *flow.Flow) {
	if w.set.enforce || w.set.undecided || f.IPVersion == 0 {
		return
	}
	x := rehearsal.Flow{ID: f.ID, Client: f.Client.Netip(), Server: f.Server.Netip(), Port: f.ServerPort, Proto: f.Proto, First: f.First, Last: f.Last,
		Packets: f.Packets, Bytes: f.Bytes, Seen: f.Alerted, Whole: f.Packets[0] > 0 && f.Packets[1] > 0 && (f.Proven || f.Proto != decode.ProtoTCP)}
	w.out.flows = append(w.out.flows, x)
	w.found(finding{number: w.number, first: f.FirstNumber, phase: w.phaseOf(phaseRecord), kind: foundFlow, index: int32(len(w.out.flows) - 1)})
}

// rehearsalFile keeps the shadow between two runs, and for the command rehearse.
const rehearsalFile = "rehearsal.json"

// rehearsed is the shadow as it is kept in the folder of the run; nil: there is no rehearsal.
func (m *merger) rehearsed() []byte {
	if m.set.enforce || m.set.undecided {
		return nil
	}
	b, err := m.shadow.Save()
	m.fail(err)
	return b
}

// resumeShadow takes up the rehearsal of an earlier run in the folder.
func (m *merger) resumeShadow(say func(string)) {
	b, err := os.ReadFile(filepath.Join(m.dir, rehearsalFile))
	if errors.Is(err, fs.ErrNotExist) || m.set.enforce {
		return
	}
	if err == nil {
		var s *rehearsal.Shadow
		if s, err = rehearsal.Load(b); err == nil {
			m.shadow = s
			return
		}
	}
	say(fmt.Sprintf("%v; the rehearsal begins anew", err))
}

// Rehearsed is the price that a run's or replay's folder tells, of decisions since a time, ns.
func Rehearsed(dir string, since int64) (*rehearsal.Price, error) {
	b, err := os.ReadFile(filepath.Join(dir, rehearsalFile))
	if err != nil {
		return nil, err
	}
	s, err := rehearsal.Load(b)
	if err != nil {
		return nil, err
	}
	return s.Price(since), nil
}

// decisions takes over what the configuration says of them.
func (s *settings) decisions(c *config.Config) (err error) {
	if s.policy, err = policy.From(&c.Policy); err != nil {
		return err
	}
	guard, err := prefixes(c.Guard, nil)
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	shared, err := prefixes(c.Policy.Shared, nil)
	if err != nil {
		return fmt.Errorf("policy.shared: %w", err)
	}
	s.guard = policy.NewGuard(guard, shared)
	return nil
}
