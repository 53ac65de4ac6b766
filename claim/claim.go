// Package claim makes and checks claim files: how many attacks a sealed log counted in a window, with all that a
// stranger needs to check it (docs/claims.md).
//
// In: the folder of a log, a selection and a window; or the bytes of a claim. Out: a claim, or what is wrong with one.
// Claims of several logs that saw the same traffic merge into one that counts no attack twice. It reads no clock, writes
// no file and takes nothing on trust that the claim's own leaves can show.
package claim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dejpha/dejpha/attack"
)

// Format names the format of the file.
const Format = "dejpha/claim/1"

// FileMax is the size of a file that Read takes, bytes: of a merged claim with millions of pairs. A claim of one log is
// a few thousand bytes long and may have claimMax.
const (
	FileMax  = 64 << 20
	claimMax = 1 << 20
)

// Claim is the file of one log's claim.
type Claim struct {
	Claim      string     `json:"claim"`
	Sentence   string     `json:"sentence"`
	Definition Definition `json:"definition"`
	Unit       string     `json:"unit"`
	Select     Select     `json:"select"`
	Window     Window     `json:"window"`
	Count      Count      `json:"count"`
	Log        Log        `json:"log"`
	Checkpoint string     `json:"checkpoint"` // signed note with all signatures
	Leaves     Leaves     `json:"leaves"`
	Hashes     [][]byte   `json:"hashes"` // of the inclusion paths, each once
	Coverage   Coverage   `json:"coverage"`
	Caveats    []string   `json:"caveats"`
}

// Definition says what one attack is. Table is the table id of the leaf at the window's end, in hexadecimal.
type Definition struct {
	Text    string `json:"text"`
	Version int    `json:"version"`
	Table   string `json:"table"`
}

// Select names cells by their coordinates; an empty list is every one. Names stand in the order of the log's format,
// each once.
type Select struct {
	Class   []string `json:"class"`
	Outcome []string `json:"outcome"`
	Result  []string `json:"result"`
	Risk    []string `json:"risk"`
	Side    []string `json:"side"`
}

// Window is the stretch that is claimed, in whole seconds.
type Window struct {
	From Time `json:"from"`
	To   Time `json:"to"`
}

// Count is what was counted in the window. Net may be below zero when attacks counted earlier were withdrawn in it.
// Overflow holds by class those that stand for several, whatever their outcome; classes without one are left out.
type Count struct {
	Gross     uint64            `json:"gross"`
	Withdrawn uint64            `json:"withdrawn"`
	Net       int64             `json:"net"`
	Overflow  map[string]uint64 `json:"overflow"`
}

// Log says whose claim it is. Sensors is said, not proven.
type Log struct {
	Origin  string   `json:"origin"`
	Kind    string   `json:"kind"`
	Key     string   `json:"key"`
	Sensors []string `json:"sensors"`
}

// Leaves are the totals leaves at both ends of the window and those that follow them.
type Leaves struct {
	From      *Leaf `json:"from,omitempty"`
	AfterFrom *Leaf `json:"after_from,omitempty"`
	To        *Leaf `json:"to,omitempty"`
	AfterTo   *Leaf `json:"after_to,omitempty"`
}

// Leaf is one leaf of the log with its inclusion path: places in the claim's hashes, from the leaf up.
type Leaf struct {
	Index int64  `json:"index"`
	Leaf  []byte `json:"leaf"`
	Path  []int  `json:"path"`
}

// Coverage is what the log saw of the window, between the times of its two leaves.
type Coverage struct {
	From        Time    `json:"from"`
	To          Time    `json:"to"`
	Seconds     float64 `json:"seconds"` // between these; at a precision of microseconds, as all of them
	Watched     float64 `json:"watched"` // of them, at least: without gaps, without what lies before restarts, without what is unprotected
	Received    uint64  `json:"received"`
	Inspected   uint64  `json:"inspected"`
	Bypassed    uint64  `json:"bypassed"`
	Dropped     uint64  `json:"dropped"`
	Shed        uint64  `json:"shed"`
	Undecodable uint64  `json:"undecodable"`
	Restarts    uint64  `json:"restarts"`
	Unclean     uint64  `json:"unclean"`
	Away        float64 `json:"away_seconds"`
	Gaps        uint64  `json:"gaps"`
	GapSeconds  float64 `json:"gap_seconds"`
	Unprotected float64 `json:"unprotected_seconds"`
	Passed      uint64  `json:"unprotected_frames"`
	ClockJumps  uint64  `json:"clock_jumps"`
	ShedRecords uint64  `json:"shed_records"`
	Merged      uint64  `json:"merged_attacks"`
	Erasures    uint64  `json:"erasures"`
	Retention   uint64  `json:"retention"`
}

// Time is microseconds since 1970 UTC, at most the end of the year 9999.
type Time uint64

const (
	timeLayout = "2006-01-02T15:04:05.000000Z"
	timeMax    = Time(253402300799999999)
)

// TimeOf is a moment as a Time; moments before 1970 are 1970.
func TimeOf(t time.Time) Time { return Time(max(t.UnixMicro(), 0)) }

// Go is the moment.
func (t Time) Go() time.Time { return time.UnixMicro(int64(min(t, timeMax))).UTC() }

// MarshalJSON writes RFC 3339 with six digits after the point.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.Go().Format(`"` + timeLayout + `"`)), nil
}

// UnmarshalJSON takes what MarshalJSON writes and nothing else.
func (t *Time) UnmarshalJSON(b []byte) error {
	x, err := time.Parse(`"`+timeLayout+`"`, string(b))
	if err != nil || x.UnixMicro() < 0 || x.Year() > 9999 {
		return fmt.Errorf("%.40s is no time like 2026-11-01T00:00:00.000000Z", b)
	}
	*t = Time(x.UnixMicro())
	return nil
}

// NameError says that a selection names what there is not, and what comes nearest.
type NameError struct{ What, Name, Nearest string }

// Error names the nearest name there is.
func (e *NameError) Error() string {
	return fmt.Sprintf("unknown %s %q; did you mean %q?", e.What, e.Name, e.Nearest)
}

// Coordinates of a cell, in the order of the log's format.
var coordinates = []struct {
	what  string
	names []string
	of    func(*Select) *[]string
}{
	{"class", classNames(), func(s *Select) *[]string { return &s.Class }},
	{"outcome", []string{attack.Foiled, attack.Contained, attack.Observed}, func(s *Select) *[]string { return &s.Outcome }},
	{"result", []string{attack.Succeeded, attack.Failed, attack.Unknown}, func(s *Select) *[]string { return &s.Result }},
	{"risk", []string{attack.Real, attack.Decoy, attack.NoRisk}, func(s *Select) *[]string { return &s.Risk }},
	{"side", []string{attack.Outside, attack.Inside}, func(s *Select) *[]string { return &s.Side }},
}

func classNames() (out []string) {
	for _, c := range attack.Table() {
		out = append(out, c.Name)
	}
	return out
}

// Normal is the selection as a claim holds it: names in order, each once. NameError for a name there is not.
func (s Select) Normal() (Select, error) {
	var out Select
	for _, c := range coordinates {
		given := *c.of(&s)
		for _, name := range given {
			if !slices.Contains(c.names, name) {
				return out, &NameError{c.what, name, nearest(name, c.names)}
			}
		}
		list := []string{}
		for _, name := range c.names {
			if slices.Contains(given, name) {
				list = append(list, name)
			}
		}
		*c.of(&out) = list
	}
	return out, nil
}

// cells are the numbers of the cells that are selected.
func (s *Select) cells() (out []int) {
	out = []int{0}
	for _, c := range coordinates {
		chosen := *c.of(s)
		var next []int
		for _, base := range out {
			for i, name := range c.names {
				if len(chosen) == 0 || slices.Contains(chosen, name) {
					next = append(next, base*len(c.names)+i)
				}
			}
		}
		out = next
	}
	return out
}

// nearest is the name that takes the fewest changes of a letter.
func nearest(name string, names []string) string {
	best, least := "", 1<<30
	for _, n := range names {
		if d := distance(name[:min(len(name), 64)], n); d < least {
			best, least = n, d
		}
	}
	return best
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := left
			if a[i] != b[j] {
				d = 1 + min(left, row[j], row[j+1])
			}
			left, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

// FormatError says that bytes are no claim file.
type FormatError struct{ What string }

// Error says what is not as it must be.
func (e *FormatError) Error() string { return "no claim file: " + e.What }

// File is a claim file that was read: one of the two is set.
type File struct {
	One    *Claim
	Merged *Merged
}

// Read parses a claim file of either format. The file must be what Encode writes but for white space between its parts,
// so that no two readers see different things in it; otherwise a FormatError.
func Read(b []byte) (f File, err error) {
	if len(b) > FileMax {
		return f, &FormatError{fmt.Sprintf("%d bytes, at most %d are read", len(b), FileMax)}
	}
	var head struct {
		Claim string `json:"claim"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return f, &FormatError{plain(err)}
	}
	var again []byte
	switch head.Claim {
	case Format:
		if len(b) > claimMax {
			return f, &FormatError{fmt.Sprintf("%d bytes, at most %d are read of one log's claim", len(b), claimMax)}
		}
		f.One = &Claim{}
		if err = strict(b, f.One); err == nil {
			again = f.One.Encode()
		}
	case MergedFormat:
		f.Merged = &Merged{}
		if err = strict(b, f.Merged); err == nil {
			again = f.Merged.Encode()
		}
	default:
		return f, &FormatError{fmt.Sprintf("its field claim is %.40q, this program reads %q and %q", head.Claim, Format, MergedFormat)}
	}
	if err != nil {
		return File{}, &FormatError{plain(err)}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, b); err != nil || !bytes.Equal(compact.Bytes(), bytes.TrimSpace(again)) {
		return File{}, &FormatError{"a field stands twice, is missing, or is written in another way or order than the format has it"}
	}
	return f, nil
}

func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// plain is a parser's error without the library's name before it.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "json: ") }

// Encode writes the file: one line of JSON.
func (c *Claim) Encode() []byte { return encode(c) }

func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil { // numbers of a check are finite and every type can be written
		return nil
	}
	return b.Bytes()
}
