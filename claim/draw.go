package claim

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
)

// Drawn is what drawing pairs of a merged claim found.
type Drawn struct {
	All, Drawn int
	Withheld   int      // drawn pairs of which a leaf's private part is erased by now
	Problems   []string // pairs that are not one attack by the rule, at most 100
}

const problemsMax = 100

// Draw draws pairs with a seed of the auditor's and opens their leaves in the logs' folders: each must lie under its
// part's checkpoint, be in the selection, and open its commitments to what the rule asks for. All pairs when sample is
// not less than there are. MergeError when the claim itself does not hold.
func (m *Merged) Draw(dirs []string, sample int, seed []byte) (Drawn, error) {
	out := Drawn{All: len(m.Pairs)}
	if r := m.Check(); !r.OK() {
		return out, &MergeError{r.Problems[0]}
	}
	logs := make([]*opener, len(m.Parts))
	for i, c := range m.Parts {
		dir, err := folderOf(c, dirs)
		if err != nil {
			return out, err
		}
		v, err := c.read(c.Log.Key)
		if err != nil {
			return out, &MergeError{err.Error()}
		}
		logs[i] = &opener{dir, &evidence.Head{Checkpoint: v.point}, m.Select.cells()}
	}
	r := rand.New(rand.NewChaCha8(sha256.Sum256(seed)))
	for _, n := range r.Perm(len(m.Pairs))[:min(sample, len(m.Pairs))] {
		out.Drawn++
		err := same(logs, m.Pairs[n])
		if errors.Is(err, evidence.ErrErased) {
			out.Withheld++
		} else if err != nil && len(out.Problems) < problemsMax {
			p := m.Pairs[n]
			out.Problems = append(out.Problems, fmt.Sprintf("leaf %d of part %d and leaf %d of part %d: %v", p[1], p[0]+1, p[3], p[2]+1, err))
		}
	}
	return out, nil
}

// opener opens the leaves of one part.
type opener struct {
	dir   string
	head  *evidence.Head
	cells []int
}

// opened is what the rule compares.
type opened struct {
	leaf    evidence.AttackLeaf
	origin  attack.Origin
	group   string
	subject string
}

// open reads a leaf, that it lies under the checkpoint, and what its commitment hides.
func (o *opener) open(leaf int64) (x opened, err error) {
	b, err := evidence.ReadLeaf(o.dir, leaf)
	if err == nil {
		_, err = evidence.ProveLeaf(o.dir, o.head, leaf, b)
	}
	if err != nil {
		return x, err
	}
	if x.leaf, err = evidence.ReadAttackLeaf(b); err != nil || !slices.Contains(o.cells, x.leaf.Cell()) {
		return x, errors.New("one is no attack of the selection")
	}
	fields, err := evidence.Openings(o.dir, leaf)
	if err != nil {
		return x, err
	}
	all := []byte{0x21}
	for i, f := range fields {
		c := evidence.FieldCommitment(i, f.Salt, f.Value)
		all = append(all, c[:]...)
	}
	if sha256.Sum256(all) != x.leaf.Private {
		return x, errors.New("what one hides is not what its leaf committed to")
	}
	var target attack.Target
	if json.Unmarshal(fields[evidence.FieldOrigin].Value, &x.origin) != nil || json.Unmarshal(fields[evidence.FieldTarget].Value, &target) != nil {
		return x, errors.New("what one hides cannot be read")
	}
	x.group, x.subject = target.Group, string(fields[evidence.FieldSubject].Value)
	return x, nil
}

// text is the origin as records show it.
func (x *opened) text() string {
	r := attack.Record{Class: attack.Table()[x.leaf.Class].Name, Origin: x.origin}
	return r.OriginText()
}

// same judges one pair by the rule.
func same(logs []*opener, p Pair) error {
	a, err := logs[p[0]].open(p[1])
	if err != nil {
		return err
	}
	b, err := logs[p[2]].open(p[3])
	if err != nil {
		return err
	}
	gap := uint64(attack.Table()[a.leaf.Class].Gap / time.Microsecond)
	x, y := node{first: a.leaf.FirstSeen, last: a.leaf.LastSeen, gap: gap}, node{first: b.leaf.FirstSeen, last: b.leaf.LastSeen, gap: gap}
	switch {
	case a.leaf.Class != b.leaf.Class || a.group != b.group || a.subject != b.subject:
		return errors.New("they are of different classes, target groups or subjects")
	case !x.near(&y):
		return errors.New("their spans lie more than a gap apart; later pieces of a cut attack may join them: merge again to see")
	case a.text() == b.text() && p[0] != p[2], a.text() == "unproven" && names(&a, &b), b.text() == "unproven" && names(&b, &a):
		return nil
	}
	return errors.New("they are of different origins")
}

// names says whether an unproven attack names a proven one's origin.
func names(unproven, proven *opened) bool {
	return proven.origin.Proven && slices.ContainsFunc(unproven.origin.Sources, func(s attack.Source) bool { return originOf(s.IP) == proven.text() })
}
