package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// ClaimMax is how long a claim file may be, bytes; of one log at most oneMax.
const (
	ClaimMax  = 64 << 20
	oneMax    = 1 << 20
	formatOne = "dejpha/claim/1"
	numberMax = 1<<53 - 1
	timeMax   = 253402300799999999 // the end of the year 9999, microseconds
	layout    = `"2006-01-02T15:04:05.000000Z"`
)

// Fields of a claim file, in its order (docs/claims.md). What follows from others is made again and compared as text.
type (
	asked struct {
		Claim      string          `json:"claim"`
		Sentence   json.RawMessage `json:"sentence"`
		Definition json.RawMessage `json:"definition"`
		Unit       json.RawMessage `json:"unit"`
		Select     selection       `json:"select"`
		Window     window          `json:"window"`
	}
	claim struct {
		asked
		Count      json.RawMessage `json:"count"`
		Log        origin          `json:"log"`
		Checkpoint string          `json:"checkpoint"`
		Leaves     leaves          `json:"leaves"`
		Hashes     [][]byte        `json:"hashes"`
		Coverage   json.RawMessage `json:"coverage"`
		Caveats    json.RawMessage `json:"caveats"`
	}
	selection struct {
		Class   []string `json:"class"`
		Outcome []string `json:"outcome"`
		Result  []string `json:"result"`
		Risk    []string `json:"risk"`
		Side    []string `json:"side"`
	}
	window struct {
		From micros `json:"from"`
		To   micros `json:"to"`
	}
	origin struct {
		Origin  string   `json:"origin"`
		Kind    string   `json:"kind"`
		Key     string   `json:"key"`
		Sensors []string `json:"sensors"`
	}
	leaves struct {
		From      *leaf `json:"from,omitempty"`
		AfterFrom *leaf `json:"after_from,omitempty"`
		To        *leaf `json:"to,omitempty"`
		AfterTo   *leaf `json:"after_to,omitempty"`
	}
	leaf struct {
		Index int64  `json:"index"`
		Leaf  []byte `json:"leaf"`
		Path  []int  `json:"path"`
		totals
	}
)

// micros is a time, microseconds since 1970.
type micros uint64

func (t micros) at() time.Time { return time.UnixMicro(int64(min(t, timeMax))).UTC() }

// String is the time in whole seconds, UTC.
func (t micros) String() string { return t.at().Format("2006-01-02 15:04:05") }

// MarshalJSON writes RFC 3339 in UTC with six digits after the point.
func (t micros) MarshalJSON() ([]byte, error) { return []byte(t.at().Format(layout)), nil }

// UnmarshalJSON reads what MarshalJSON writes.
func (t *micros) UnmarshalJSON(b []byte) error {
	x, err := time.Parse(layout, string(b))
	if err != nil || x.UnixMicro() < 0 || x.UnixMicro() > timeMax {
		return errors.New("a time is not like 2026-11-01T00:00:00.000000Z")
	}
	*t = micros(x.UnixMicro())
	return nil
}

// Claim checks a claim file, of one log or merged of several. Bytes that are no claim are an error; what is wrong with a
// claim stands in the result.
func Claim(b []byte, o Options) (r Result, err error) {
	var head struct{ Claim string }
	if len(b) <= ClaimMax {
		err = json.Unmarshal(b, &head)
	}
	switch one, several := (claim{}), (merged{}); {
	case err != nil || len(b) > ClaimMax:
		err = fmt.Errorf("no claim file: it is no JSON of at most %d bytes (%w)", ClaimMax, err)
	case head.Claim == formatOne && len(b) <= oneMax:
		if err = strict(b, &one); err == nil {
			r.What = "claim"
			one.check(&r, o)
		}
	case head.Claim == formatMerged && o.Earlier == "":
		if err = strict(b, &several); err == nil {
			r.What = "merged claim"
			several.check(&r, o)
		}
	default:
		err = fmt.Errorf("no claim file that can be checked so: its field claim is %.40q, and it has %d bytes; an earlier checkpoint is of one log, check parts alone against it", head.Claim, len(b))
	}
	return r, err
}

// strict reads JSON that must be what this program would write, but for white space between its parts: so no two readers
// see different things in it.
func strict(b []byte, into any) error {
	var compact bytes.Buffer
	err := json.Compact(&compact, b)
	d := json.NewDecoder(bytes.NewReader(compact.Bytes()))
	d.DisallowUnknownFields()
	if err == nil {
		err = d.Decode(into)
	}
	if err == nil && !bytes.Equal(compact.Bytes(), encode(into)) {
		err = errors.New("a field stands twice, is missing, or is written in another way or order than the format has it")
	}
	if err != nil {
		return fmt.Errorf("no claim file: %w", err)
	}
	return nil
}

// encode is JSON as the format has it.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // every type that is given can be written
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// facts are what the leaves of a claim show.
type facts struct {
	size, from                                                                      int64  // of the tree; index of the leaf before the window, -1 for none
	begin, end                                                                      micros // of the coverage
	length, watched, away, gapped, unguarded                                        uint64 // microseconds
	packets                                                                         [6]uint64
	restarts, unclean, gaps, passed, jumps, forgotten, merged, erasures, retentions uint64
	gross, withdrawn                                                                uint64
	overflow                                                                        map[string]uint64
}

// check judges a claim of one log and returns what its leaves show; nil when they show nothing.
func (c *claim) check(r *Result, o Options) *facts {
	point, earlier, ok := r.head(c.Checkpoint, c.Log.Key, o)
	if !ok || !c.fits(r) {
		return nil
	}
	r.wrong(point.Origin != c.Log.Origin, "the checkpoint is of %q, the claim says %q", point.Origin, c.Log.Origin)
	if earlier != nil && !r.wrong(!consistent(earlier.Size, point.Size, earlier.Root, point.Root, hashLines(o.Consistency)),
		"no consistency proof leads from the earlier checkpoint (%d leaves) to this one (%d): two histories bear one name, or the proof is missing or of other sizes", earlier.Size, point.Size) {
		r.fact("earlier checkpoint", proven, "its %d leaves are the first of this one", earlier.Size)
	}
	f, err := c.derive(point)
	if r.wrong(err != nil, "%v", err) {
		return nil
	}
	r.compare("sentence definition unit count coverage caveats", []json.RawMessage{c.Sentence, c.Definition, c.Unit, c.Count, c.Coverage, c.Caveats}, c.made(f))
	c.tell(r, f)
	return f
}

// tell lists what was found, for people.
func (c *claim) tell(r *Result, f *facts) {
	r.Sentence = c.sentence(f)
	r.fact("count", proven, "%s counted, %s withdrawn", grouped(f.gross), grouped(f.withdrawn))
	r.fact("between", proven, "the totals leaves of %v and %v UTC, each with its neighbour: none was skipped; at least %s of %s seconds were watched",
		f.begin, f.end, grouped(f.watched/1e6), grouped(f.length/1e6))
	r.fact("log", proven, "%s, %s, %s leaves under the checkpoint", c.Log.Origin, c.Log.Kind, grouped(uint64(f.size)))
	r.fact("definition", said, "%s", definitionText)
	r.fact("sensors", said, "%s", strings.Join(c.Log.Sensors, ", "))
	r.Caveats = append(c.caveats(f), "That each running total is the number of the log's leaves: only a recount of the log (--log) or an audit shows that.")
	if strings.HasPrefix(r.Key, "self") {
		r.Caveats = append(r.Caveats, "Who signed: the key came with the claim. Compare its fingerprint with one from elsewhere, or give the key.")
	}
}

// fits judges what was asked: the selection's lists in order, and the window.
func (c *asked) fits(r *Result) bool {
	for _, x := range c.Select.lists() {
		want := slices.DeleteFunc(slices.Clone(x.names), func(name string) bool { return !slices.Contains(x.chosen, name) })
		if r.wrong(x.chosen == nil || !slices.Equal(want, x.chosen), "its selection has names that are unknown, doubled or out of order: %.60q", x.chosen) {
			return false
		}
	}
	return !r.wrong(c.Claim != formatOne || c.Window.From >= c.Window.To || c.Window.From%1e6 != 0 || c.Window.To%1e6 != 0, "its window is not of whole seconds with an end after its begin, or its format another")
}

// coordinate is a list of a selection: how a sentence begins to name it, what is chosen of which names.
type coordinate struct {
	words         string
	chosen, names []string
}

func (s *selection) lists() []coordinate {
	return []coordinate{{" of class ", s.Class, classes}, {" that were ", s.Outcome, outcomes}, {", result ", s.Result, results},
		{", risk ", s.Risk, risks}, {", side ", s.Side, sides}}
}

// has says whether a cell is selected.
func (s *selection) has(cell int) bool {
	lists := s.lists()
	for i := len(lists) - 1; i >= 0; i-- {
		x := lists[i]
		if len(x.chosen) > 0 && !slices.Contains(x.chosen, x.names[cell%len(x.names)]) {
			return false
		}
		cell /= len(x.names)
	}
	return true
}

// open proves that the leaves lie under the checkpoint, every hash used, decodes them and judges their order.
func (c *claim) open(point Checkpoint) error {
	if len(c.Hashes) > 4*64 || c.Hashes == nil || c.Log.Sensors == nil {
		return errors.New("it has more hashes than four paths can have, or a list that is null")
	}
	hashes, used := make([]Hash, len(c.Hashes)), make([]bool, len(c.Hashes))
	for i, b := range c.Hashes {
		if len(b) != len(hashes[i]) || slices.Contains(hashes[:i], Hash(b)) {
			return fmt.Errorf("hash %d is none, or stands twice", i)
		}
		hashes[i] = Hash(b)
	}
	for _, l := range []*leaf{c.Leaves.From, c.Leaves.AfterFrom, c.Leaves.To, c.Leaves.AfterTo} {
		if l == nil {
			continue
		}
		path := make([]Hash, 0, 64)
		for _, place := range l.Path {
			if place < 0 || place >= len(hashes) || len(path) == 64 {
				return fmt.Errorf("the path of leaf %d names a hash that is not there", l.Index)
			}
			path, used[place] = append(path, hashes[place]), true
		}
		if len(l.Leaf) > leafMax || l.Path == nil || !included(l.Index, point.Size, leafHash(l.Leaf, nil), path, point.Root) {
			return fmt.Errorf("leaf %d does not lead to the root that was signed", l.Index)
		}
		var err error
		if l.totals, err = decodeTotals(l.Leaf); err != nil || l.time > timeMax || l.kind() != c.Log.Kind {
			return fmt.Errorf("leaf %d is no canonical totals leaf of a %s log", l.Index, c.Log.Kind)
		}
	}
	if i := slices.Index(used, false); i >= 0 {
		return fmt.Errorf("hash %d is in no path", i)
	}
	return c.neighbours(point.Size)
}

// neighbours proves that the leaves are the last at or before the window's ends, and that all four can be of one log.
func (c *claim) neighbours(size int64) error {
	from, after, to, afterTo := c.Leaves.From, c.Leaves.AfterFrom, c.Leaves.To, c.Leaves.AfterTo
	next := func(a, b *leaf) bool {
		return b.number == a.number+1 && b.previous == uint64(a.Index) && b.Index > a.Index
	}
	switch {
	case to == nil || after == nil:
		return errors.New("the leaves to and after_from must be there")
	case from == nil && (after.Index != 0 || after.number != 0 || after.previous != 0):
		return errors.New("without a leaf from, after_from must be the log's first")
	case from != nil && (!next(from, after) || from.time > uint64(c.Window.From)) || after.time <= uint64(c.Window.From):
		return errors.New("from and after_from are not neighbours about the window's begin: a totals leaf may have been skipped")
	case afterTo == nil && to.Index != size-1:
		return errors.New("without a leaf after_to, to must be the checkpoint's last leaf")
	case to.time > uint64(c.Window.To) || afterTo != nil && (!next(to, afterTo) || afterTo.time <= uint64(c.Window.To)):
		return errors.New("to and after_to are not neighbours about the window's end: a totals leaf may have been skipped")
	}
	rising := []*leaf{from, after, to, afterTo}
	if from != nil && to.Index == from.Index { // the window lies between two neighbours: after_to is after_from
		rising = []*leaf{from, to, after, afterTo}
	}
	a := after // whichever comes first
	for _, b := range rising {
		switch {
		case b == nil:
			continue
		case a == after && b == from || a.Index == b.Index:
		case b.Index < a.Index || b.number-a.number > uint64(b.Index-a.Index):
			return errors.New("its leaves are out of order, or numbered higher than there are leaves")
		default:
			if err := b.follows(&a.totals); err != nil {
				return fmt.Errorf("its leaves %d and %d cannot be of one log: %w", a.Index, b.Index, err)
			}
		}
		a = b
	}
	return nil
}

// derive makes again all that follows from the leaves.
func (c *claim) derive(point Checkpoint) (*facts, error) {
	if err := c.open(point); err != nil {
		return nil, err
	}
	to, base := c.Leaves.To, c.Leaves.From
	begin := base
	if base == nil { // nothing was counted before the first leaf, which is index 0 and number 0
		begin, base = c.Leaves.AfterFrom, &leaf{Index: -1, totals: totals{number: math.MaxUint64}}
	}
	f := &facts{size: point.Size, from: base.Index, begin: micros(begin.time), end: micros(to.time), overflow: map[string]uint64{}}
	diff := func(id int) uint64 { return to.total(id) - base.total(id) }
	var counted uint64 // each attack and each event is a leaf
	for _, x := range to.counters {
		if x.value > numberMax {
			return nil, fmt.Errorf("counter %d is past what a claim can hold", x.id)
		}
		if x.id < 2*cells && x.id%2 == 0 || x.id >= idEvents && x.id < idEvents+codesCounted {
			counted += diff(x.id)
		}
	}
	if has := uint64(to.Index-base.Index) - (to.number - base.number); counted > has {
		return nil, fmt.Errorf("its leaves count %d attacks and events, and the log has only %d leaves for them there", counted, has)
	}
	for i, v := range to.ledger {
		if f.packets[i] = v - base.ledger[i]; v > numberMax {
			return nil, errors.New("the packet ledger is past what a claim can hold")
		}
	}
	if !(&totals{ledger: f.packets}).balanced() {
		return nil, errors.New("the packet ledger does not balance")
	}
	f.length = uint64(f.end - f.begin)
	f.away, f.gapped, f.unguarded = diff(idAway), diff(idGaps), diff(idUnguarded)
	f.watched = f.length - min(f.length, min(f.gapped, f.length)+min(f.away, f.length)+min(f.unguarded, f.length))
	f.restarts, f.unclean, f.gaps, f.passed = diff(idStarts), diff(idUnclean), diff(idGap), diff(idPassed)
	f.jumps, f.forgotten, f.merged = diff(idJump), diff(idForgotten), diff(idMerged)
	f.erasures, f.retentions = diff(idErasure), diff(idRetention)
	if c.Leaves.From == nil && f.restarts > 0 { // the log's first start is no restart
		f.restarts--
	}
	for cell := range cells {
		if c.Select.has(cell) {
			f.gross, f.withdrawn = f.gross+diff(2*cell), f.withdrawn+diff(2*cell+1)
		}
	}
	for i, class := range classes {
		if n := diff(idOverflow + i); n > 0 && (len(c.Select.Class) == 0 || slices.Contains(c.Select.Class, class)) {
			f.overflow[class] = n
		}
	}
	return f, nil
}
