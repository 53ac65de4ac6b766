package shield

import (
	"encoding/json"
	"fmt"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield/policy"
)

// enforcer is told each decision to block or to limit as soon as it stands, at the merge point; it must not wait.
type enforcer interface {
	Enforce(d attack.Decision)
}

// enforce hands what the last observation led to on to whoever acts on it, before anything is written: no disk may
// stand between a decision and the kernel.
func (m *merger) enforce() {
	if m.enforcer == nil {
		return
	}
	for _, d := range m.accounts.Decisions() {
		if d.Acts() {
			m.enforcer.Enforce(d)
			m.accounts.Cut(d.Attack)
		}
	}
}

// decided writes down what the last observation led to, behind the attack it belongs to.
func (m *merger) decided() {
	for _, d := range m.accounts.Decisions() {
		m.decision(&d)
	}
}

// decision writes one decision down. What it names is private in the log; that it was taken is not.
func (m *merger) decision(d *attack.Decision) {
	m.sum.decided(d)
	if m.sealer != nil {
		public, err := json.Marshal(struct {
			Action string `json:"action"`
			Attack uint64 `json:"attack,omitempty"`
			Class  string `json:"class,omitempty"`
			Points uint32 `json:"points"`
			Until  int64  `json:"until,omitempty"`
		}{d.Action, d.Attack, d.Class, d.Points, d.Until})
		hidden, err2 := json.Marshal(d)
		if err == nil && err2 == nil {
			m.fail(m.sealer.log.Event(evidence.CodeDecision, d.Time, -1, public, hidden))
		}
	}
	if m.set.writes("decision") {
		m.line = eve.AppendDecision(m.line[:0], d)
		m.write(m.line)
	}
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
