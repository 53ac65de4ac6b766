package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const formatMerged = "dejpha/merged/1"

const ruleText = `{"name":"same-origin-class-target-overlap/1","text":"Leaves of several logs are one attack when they have the same class, origin, target group and subject and their spans, from the first to the last packet, are at most the class's gap apart; ` +
	`what is so joined over any number of logs counts once, in the window of the last of its closings. An attack of unproven origin is none of its own when every source it names is the origin of a proven attack ` +
	`of the same class on the same target group at that time. Overflow accounts and erased leaves are not compared."}`

// merged is the file of a claim over several logs that may have seen the same traffic.
type merged struct {
	asked
	Rule      json.RawMessage `json:"rule"`
	Count     json.RawMessage `json:"count"`
	Parts     []claim         `json:"parts"`
	Unmatched []uint64        `json:"unmatched"`
	Pairs     [][4]int64      `json:"pairs"`
	Caveats   json.RawMessage `json:"caveats"`
}

// check judges each part, and what follows from parts and pairs.
func (m *merged) check(r *Result, o Options) {
	if r.wrong(len(m.Parts) < 2 || len(m.Parts) > 16 || len(m.Unmatched) != len(m.Parts) || m.Pairs == nil, "it has not from 2 to 16 parts, or does not say of each what could not be compared") {
		return
	}
	var shown []*facts
	var kinds, names []string
	r.Key, r.Quorum = "keys as given", "of each part"
	for i := range m.Parts {
		c, part := &m.Parts[i], Result{What: "claim"}
		f := c.check(&part, o)
		r.Parts = append(r.Parts, part)
		if r.wrong(!part.OK() || f == nil, "part %d does not hold", i+1) {
			return
		}
		r.wrong(c.Window != m.Window || !bytes.Equal(encode(c.Select), encode(m.Select)), "part %d is over another window or selection", i+1)
		r.wrong(slices.Contains(names, c.Log.Key), "part %d is of the same log as another", i+1)
		r.wrong(f.withdrawn > 0, "part %d has corrections, and claims with corrections are not merged", i+1)
		if shown, names = append(shown, f), append(names, c.Log.Key); !slices.Contains(kinds, c.Log.Kind) {
			kinds = append(kinds, c.Log.Kind)
		}
		if strings.HasPrefix(part.Key, "self") {
			r.Key = "self-certified, see each part's key"
		}
	}
	twice, err := m.twice(shown)
	if r.wrong(err != nil, "%v", err) {
		return
	}
	sum := int64(0)
	for _, f := range shown {
		sum += int64(f.gross)
	}
	r.Sentence = fmt.Sprintf("From %s to %s UTC %d logs (%s) together counted %s%s; what several of them saw is counted once.", minutes(m.Window.From), minutes(m.Window.To),
		len(m.Parts), strings.Join(kinds, ", "), attacks(uint64(max(sum-twice, 0))), m.Select.words())
	r.Caveats = m.caveats(shown)
	r.compare("sentence definition unit rule count caveats", []json.RawMessage{m.Sentence, m.Definition, m.Unit, m.Rule, m.Count, m.Caveats},
		[]json.RawMessage{encode(r.Sentence), fmt.Appendf(nil, `{"text":%s,"version":1,"table":""}`, encode(definitionText)), encode("attacks"), []byte(ruleText),
			fmt.Appendf(nil, `{"sum":%d,"twice":%d,"net":%d}`, sum, twice, sum-twice), encode(r.Caveats)})
	r.fact("count", proven, "%s in the parts together, of them %s said to be seen twice", grouped(uint64(sum)), grouped(uint64(twice)))
	r.fact("pairs", said, "%s pairs of leaves that are one attack each, and that none is missing", grouped(uint64(len(m.Pairs))))
}

// twice is what the pairs take from the sum: of each set of leaves that they join all but one, and all of those within
// the window when one lies after it.
func (m *merged) twice(shown []*facts) (twice int64, err error) {
	type place [2]int64 // part, leaf
	up := map[place]place{}
	root := func(x place) place {
		for up[x] != x {
			up[x] = up[up[x]]
			x = up[x]
		}
		return x
	}
	for i, p := range m.Pairs {
		a, b := place(p[:2]), place(p[2:])
		for _, x := range []place{a, b} {
			if x[0] < 0 || x[0] >= int64(len(m.Parts)) || x[1] <= shown[x[0]].from || x[1] >= shown[x[0]].size {
				return 0, fmt.Errorf("pair %d names a leaf that is not in or after its part's window", i)
			}
			if _, known := up[x]; !known {
				up[x] = x
			}
		}
		if i > 0 && slices.Compare(m.Pairs[i-1][:], p[:]) >= 0 || root(a) == root(b) {
			return 0, fmt.Errorf("pair %d is out of order, or joins what is joined already", i)
		}
		up[root(a)] = root(b)
	}
	inside, sets := make([]uint64, len(shown)), map[place][2]int64{} // of each set how many lie within, and after the window
	for x := range up {
		set := sets[root(x)]
		if x[1] > m.Parts[x[0]].Leaves.To.Index {
			set[1]++
		} else if set[0]++; inside[x[0]] < shown[x[0]].gross {
			inside[x[0]]++
		} else {
			return 0, fmt.Errorf("pairs name more leaves of part %d than it counts", x[0]+1)
		}
		sets[root(x)] = set
	}
	for _, set := range sets {
		if set[0] == 0 {
			return 0, errors.New("a pair names leaves after the window alone")
		}
		twice += set[0] - 1
		if set[1] > 0 {
			twice++
		}
	}
	return twice, nil
}

// caveats are what a merged claim must say beside its parts' caveats.
func (m *merged) caveats(shown []*facts) []string {
	out := []string{"That the two leaves of a pair are one attack is said, not proven by this file, and so is that no pair is missing: who holds the logs can draw pairs and open them, or merge again."}
	for i, f := range shown {
		part, over := fmt.Sprintf("part %d (%s)", i+1, m.Parts[i].Log.Origin), uint64(0)
		for _, n := range f.overflow {
			over += n
		}
		if n := m.Unmatched[i]; n > 0 {
			out = append(out, grouped(n)+" attacks of "+part+" could not be compared, for what they hide was erased: if another log saw them, too, they are counted twice.")
		}
		if over > 0 {
			out = append(out, grouped(over)+" overflow accounts of "+part+" were not compared.")
		}
	}
	if s := m.Select; len(s.Outcome)+len(s.Result)+len(s.Risk)+len(s.Side) > 0 {
		out = append(out, "Logs may judge one attack differently: it is counted here if one of them counts it within the selection.")
	}
	return append(out, "Packets that every log lost can split one attack into several that are counted apart.", "The caveats of each part hold, too.")
}
