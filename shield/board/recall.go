package board

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dejpha/dejpha/attack"
)

// Decided is one decision as the records have it, with the attack behind it.
type Decided struct {
	Time   int64    `json:"time"` // ns
	Action string   `json:"action"`
	Until  int64    `json:"until,omitempty"` // ns
	Who    string   `json:"who"`
	Policy string   `json:"policy"`
	By     string   `json:"by,omitempty"`
	Undo   string   `json:"undo,omitempty"`
	Attack uint64   `json:"attack,omitempty"`
	Class  string   `json:"class,omitempty"`
	Story  string   `json:"story,omitempty"`
	Rules  []string `json:"rules,omitempty"`
	Leaf   int64    `json:"leaf"` // of the attack in the log; -1: not known
	Dir    string   `json:"-"`
}

// recalledMax is how many decisions are told, the newest.
const recalledMax = 50

// line is what recall reads of a record.
type line struct {
	Timestamp string `json:"timestamp"`
	EventType string `json:"event_type"`
	Decision  struct {
		Action, Origin, Class, Policy, Undo, By string
		Prefix, Until                           string
		Attack                                  uint64
	} `json:"decision"`
	Attack struct {
		ID       uint64
		Story    string
		Evidence *struct{ Leaf int64 }
		Alerts   []struct {
			SID uint64
			Msg string
		}
		Detectors []string
	} `json:"attack"`
}

// Recall reads from the record files of a folder what was decided about an address or network, the oldest first, and of
// which attack. A decision about a network that holds it counts, too.
func Recall(dir, eve string, who netip.Prefix) ([]Decided, error) {
	names, err := filepath.Glob(filepath.Join(dir, "eve-*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	names = append(names, filepath.Join(dir, eve))
	out := []Decided{}
	wanted := map[uint64]bool{}
	err = recorded(names, func(l *line) {
		if l.EventType != "decision" || !about(l, who) {
			return
		}
		d := &l.Decision
		out = append(out, Decided{Time: instant(l.Timestamp), Action: d.Action, Until: instant(d.Until), Who: cmp.Or(d.Prefix, d.Origin), Policy: d.Policy,
			By: d.By, Undo: d.Undo, Attack: d.Attack, Class: d.Class, Leaf: -1, Dir: dir})
		if len(out) > recalledMax {
			out = slices.Delete(out, 0, 1)
		}
	})
	for i := range out {
		wanted[out[i].Attack] = true
	}
	if err != nil || len(out) == 0 {
		return out, err
	}
	return out, recorded(names, func(l *line) {
		if l.EventType != "attack" || !wanted[l.Attack.ID] {
			return
		}
		for i := range out {
			if out[i].Attack == l.Attack.ID && l.Attack.ID != 0 {
				out[i].attack(l)
			}
		}
	})
}

// attack takes over what a later line of the attack says.
func (d *Decided) attack(l *line) {
	d.Story = l.Attack.Story
	if l.Attack.Evidence != nil {
		d.Leaf = l.Attack.Evidence.Leaf
	}
	d.Rules = nil
	for _, a := range l.Attack.Alerts {
		d.Rules = append(d.Rules, fmt.Sprintf("%d %s", a.SID, a.Msg))
	}
	d.Rules = append(d.Rules, l.Attack.Detectors...)
}

// about says whether a decision is about an address, or a network that holds it.
func about(l *line, who netip.Prefix) bool {
	p, err := netip.ParsePrefix(l.Decision.Prefix)
	if err != nil {
		if a, err := netip.ParseAddr(l.Decision.Origin); err == nil {
			p = attack.HostPrefix(a)
		} else if p, err = netip.ParsePrefix(l.Decision.Origin); err != nil {
			return false
		}
	}
	return p.Overlaps(who)
}

func instant(s string) int64 {
	for _, layout := range []string{"2006-01-02T15:04:05.000000-0700", time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixNano()
		}
	}
	return 0
}

// lineMax is the longest record that is read; attacks and decisions are far shorter.
const lineMax = 1 << 20

// recorded hands over the attacks and decisions of record files in order. A missing file has none.
func recorded(names []string, do func(*line)) error {
	for _, name := range names {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = each(bufio.NewReaderSize(f, lineMax), do)
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func each(r *bufio.Reader, do func(*line)) error {
	for {
		text, err := r.ReadSlice('\n')
		if bytes.Contains(text, []byte(`"event_type":"decision"`)) || bytes.Contains(text, []byte(`"event_type":"attack"`)) {
			var l line
			if json.Unmarshal(text, &l) == nil {
				do(&l)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}
