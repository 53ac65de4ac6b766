package claim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dejpha/dejpha/evidence"
)

// MergedFormat names the format of a claim over several logs.
const MergedFormat = "dejpha/merged/1"

// RuleName is the rule by which leaves of several logs are one attack; ruleText says it.
const (
	RuleName = "same-origin-class-target-overlap/1"
	ruleText = "Leaves of several logs are one attack when they have the same class, origin, target group and subject and their spans, from the first to the last packet, are at most the class's gap apart; " +
		"what is so joined over any number of logs counts once, in the window of the last of its closings. An attack of unproven origin is none of its own when every source it names is the origin of a proven attack " +
		"of the same class on the same target group at that time. Overflow accounts and erased leaves are not compared."
)

// Bounds of a merged claim.
const (
	partsMax = 16
	nodesMax = 2_000_000 // attacks that are compared at most
)

// Merged is the file of a claim over several logs that may have seen the same traffic.
type Merged struct {
	Claim      string      `json:"claim"`
	Sentence   string      `json:"sentence"`
	Definition Definition  `json:"definition"` // its table is empty: each part has its own
	Unit       string      `json:"unit"`
	Select     Select      `json:"select"`
	Window     Window      `json:"window"`
	Rule       Rule        `json:"rule"`
	Count      MergedCount `json:"count"`
	Parts      []*Claim    `json:"parts"`
	Unmatched  []uint64    `json:"unmatched"` // said: by part, attacks that could not be compared because they were erased
	Pairs      []Pair      `json:"pairs"`
	Caveats    []string    `json:"caveats"`
}

// Rule is a rule of merging.
type Rule struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// MergedCount is the sum of the parts' net counts, what of it is counted already by another leaf or in a later window,
// and what is left.
type MergedCount struct {
	Sum   int64  `json:"sum"`
	Twice uint64 `json:"twice"`
	Net   int64  `json:"net"`
}

// Pair says that two leaves are one attack: part and leaf, part and leaf, the lesser first.
type Pair [4]int64

// Encode writes the file: one line of JSON.
func (m *Merged) Encode() []byte { return encode(m) }

// MergeError says why claims cannot be merged.
type MergeError struct{ What string }

// Error says what stands in the way.
func (e *MergeError) Error() string { return e.What }

func unmergeable(f string, args ...any) error { return &MergeError{fmt.Sprintf(f, args...)} }

// Merge makes one claim of claims over the same selection and window by logs that may have seen the same traffic. dirs
// are the logs' folders, in any order: what is compared is private and stands in no claim. Errors: MergeError.
func Merge(parts []*Claim, dirs []string) (*Merged, error) {
	if err := alike(parts); err != nil {
		return nil, &MergeError{err.Error()}
	}
	m := &Merged{Claim: MergedFormat, Select: parts[0].Select, Window: parts[0].Window, Parts: parts, Unmatched: []uint64{}}
	g := &matching{keys: map[string]int{}}
	for i, c := range parts {
		if r := c.Check(""); !r.OK() {
			return nil, unmergeable("part %d does not hold: %s", i+1, r.Problems[0])
		}
		dir, err := folderOf(c, dirs)
		if err != nil {
			return nil, err
		}
		erased, err := g.load(dir, i, c)
		if err != nil {
			return nil, err
		}
		m.Unmatched = append(m.Unmatched, erased)
	}
	m.Pairs = g.pairs()
	if err := m.derive(); err != nil {
		return nil, &MergeError{err.Error()}
	}
	return m, nil
}

// alike checks that claims are over the same cells and window, each of another log.
func alike(parts []*Claim) error {
	if len(parts) < 2 || len(parts) > partsMax {
		return fmt.Errorf("%d claims: from 2 to %d are merged", len(parts), partsMax)
	}
	first := parts[0]
	logs := map[string]int{}
	for i, c := range parts {
		switch {
		case c == nil:
			return fmt.Errorf("part %d is missing", i+1)
		case c.Window != first.Window:
			return fmt.Errorf("parts 1 and %d are over different windows", i+1)
		case string(encode(c.Select)) != string(encode(first.Select)):
			return fmt.Errorf("parts 1 and %d select different attacks", i+1)
		case logs[c.Log.Key] > 0:
			return fmt.Errorf("parts %d and %d are of the same log", logs[c.Log.Key], i+1)
		case c.Count.Withdrawn > 0:
			return fmt.Errorf("part %d has corrections; claims with corrections are not merged", i+1)
		}
		logs[c.Log.Key] = i + 1
	}
	return nil
}

// folderOf finds a claim's log among folders.
func folderOf(c *Claim, dirs []string) (string, error) {
	for _, dir := range dirs {
		h, err := evidence.ReadHead(dir)
		if err != nil {
			return "", err
		}
		if h.Key != c.Log.Key {
			continue
		}
		b, err := evidence.ReadLeaf(dir, c.Leaves.To.Index)
		if err != nil {
			return "", err
		}
		if string(b) != string(c.Leaves.To.Leaf) {
			return "", unmergeable("%s holds another history of %s than its claim", dir, c.Log.Origin)
		}
		return dir, nil
	}
	return "", unmergeable("none of the folders holds the log %s", c.Log.Origin)
}

// derive fills all that follows from parts and pairs.
func (m *Merged) derive() error {
	twice, err := m.twice()
	if err != nil {
		return err
	}
	m.Definition, m.Unit, m.Rule = Definition{definitionText, definitionVersion, ""}, unit, Rule{RuleName, ruleText}
	m.Count = MergedCount{Twice: twice}
	for _, c := range m.Parts {
		m.Count.Sum += c.Count.Net
	}
	m.Count.Net = m.Count.Sum - int64(twice)
	var kinds []string
	for _, c := range m.Parts {
		if !slices.Contains(kinds, c.Log.Kind) {
			kinds = append(kinds, c.Log.Kind)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "From %s to %s UTC %d logs (%s) together counted %s", minutes(m.Window.From), minutes(m.Window.To), len(m.Parts), strings.Join(kinds, ", "), attacks(uint64(max(m.Count.Net, 0))))
	selected(&b, &m.Select)
	b.WriteString("; what several of them saw is counted once.")
	m.Sentence = b.String()
	m.Caveats = m.caveats()
	return nil
}

// place is a leaf of a part.
type place struct{ part, leaf int64 }

// twice is what the pairs take from the sum: of each set of leaves that is one attack all but one, and all of them when
// the attack closed last after the window.
func (m *Merged) twice() (uint64, error) {
	var ends [][3]int64 // indices: the leaf before the window, the last in it; the checkpoint's size
	for _, c := range m.Parts {
		v, err := c.read(c.Log.Key)
		if err != nil {
			return 0, err
		}
		before := int64(-1)
		if c.Leaves.From != nil {
			before = c.Leaves.From.Index
		}
		ends = append(ends, [3]int64{before, c.Leaves.To.Index, v.point.Size})
	}
	leaves, sets, err := m.paired(ends)
	if err != nil {
		return 0, err
	}
	twice := uint64(0)
	inside := make([]uint64, len(m.Parts))
	later, one := map[int]bool{}, map[int]bool{}
	for x, n := range leaves {
		if x.leaf > ends[x.part][1] {
			later[sets.root(n)] = true
			continue
		}
		twice++
		inside[x.part]++
		one[sets.root(n)] = true
	}
	for n := range one {
		if !later[n] {
			twice--
		}
	}
	for n := range later {
		if !one[n] {
			return 0, errors.New("a pair names leaves after the window alone")
		}
	}
	for i, n := range inside {
		if n > m.Parts[i].Count.Gross {
			return 0, fmt.Errorf("pairs name %d leaves of part %d, which counts %d", n, i+1, m.Parts[i].Count.Gross)
		}
	}
	return twice, nil
}

// paired joins the leaves that pairs name: each pair in order, in or after its part's window, and none in vain.
func (m *Merged) paired(ends [][3]int64) (map[place]int, *sets, error) {
	leaves, s := map[place]int{}, &sets{}
	for i, p := range m.Pairs {
		if i > 0 && slices.Compare(m.Pairs[i-1][:], p[:]) >= 0 {
			return nil, nil, fmt.Errorf("pair %d is not in order", i)
		}
		var two [2]int
		for k, x := range []place{{p[0], p[1]}, {p[2], p[3]}} {
			if x.part < 0 || x.part >= int64(len(m.Parts)) || x.leaf <= ends[x.part][0] || x.leaf >= ends[x.part][2] {
				return nil, nil, fmt.Errorf("pair %d names a leaf that is not in or after its part's window", i)
			}
			n, ok := leaves[x]
			if !ok {
				n = s.add()
				leaves[x] = n
			}
			two[k] = n
		}
		if !s.join(two[0], two[1]) {
			return nil, nil, fmt.Errorf("pair %d joins what is joined already", i)
		}
	}
	return leaves, s, nil
}

// caveats are what the merged claim does not show, beside the caveats of its parts.
func (m *Merged) caveats() []string {
	out := []string{"That the two leaves of a pair are one attack is said, not proven by this file, and so is that no pair is missing: who holds the logs can draw pairs and open them, or merge again."}
	for i, c := range m.Parts {
		if i < len(m.Unmatched) && m.Unmatched[i] > 0 {
			out = append(out, fmt.Sprintf("%s attacks of part %d (%s) could not be compared, for what they hide was erased: if another log saw them, too, they are counted twice.", number(m.Unmatched[i]), i+1, c.Log.Origin))
		}
		over := uint64(0)
		for _, n := range c.Count.Overflow {
			over += n
		}
		if over > 0 {
			out = append(out, fmt.Sprintf("%s overflow accounts of part %d (%s) were not compared.", number(over), i+1, c.Log.Origin))
		}
	}
	if len(m.Select.Outcome)+len(m.Select.Result)+len(m.Select.Risk)+len(m.Select.Side) > 0 {
		out = append(out, "Logs may judge one attack differently: it is counted here if one of them counts it within the selection.")
	}
	return append(out, "Packets that every log lost can split one attack into several that are counted apart.",
		"The caveats of each part hold, too.")
}

// Check checks a merged claim. keys are verifier keys of the parts' logs from elsewhere; a part whose key is not among
// them is checked by its own and the result says self-certified.
func (m *Merged) Check(keys ...string) Result {
	r := Result{}
	wrong := func(f string, args ...any) Result {
		r.Problems = append(r.Problems, fmt.Sprintf(f, args...))
		return r
	}
	if m.Claim != MergedFormat {
		return wrong("its format is %.40q, not %q", m.Claim, MergedFormat)
	}
	if err := alike(m.Parts); err != nil {
		return wrong("%v", err)
	}
	var prints []string
	for i, c := range m.Parts {
		part := c.Check(KeyFor(c.Log.Origin, keys))
		prints = append(prints, part.Fingerprint)
		r.SelfCertified = r.SelfCertified || part.SelfCertified
		if !part.OK() {
			return wrong("part %d: %s", i+1, part.Problems[0])
		}
	}
	r.Fingerprint = strings.Join(prints, ",")
	want := Merged{Claim: MergedFormat, Select: m.Parts[0].Select, Window: m.Parts[0].Window, Parts: m.Parts, Unmatched: m.Unmatched, Pairs: m.Pairs}
	if len(m.Unmatched) != len(m.Parts) {
		return wrong("it does not say for each part what could not be compared")
	}
	if err := want.derive(); err != nil {
		return wrong("%v", err)
	}
	if string(want.Encode()) != string(m.Encode()) {
		return wrong("its words, count or selection are not what its parts and pairs show: they show %q", want.Sentence)
	}
	return r
}

// KeyFor is the key of a log's name among keys; "" if there is none.
func KeyFor(origin string, keys []string) string {
	for _, k := range keys {
		if strings.HasPrefix(k, origin+"+") {
			return k
		}
	}
	return ""
}
