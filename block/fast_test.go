package block

import (
	"encoding/json"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The lines are those that encoding/json would write, and are read back, fast or as JSON.
func TestLinesOfBlocks(t *testing.T) {
	var w, r scribe
	for _, e := range []Entry{
		{Prefix: netip.MustParsePrefix("192.0.2.7/32"), Until: 5, By: "exploit: proven points 100 of 100", Since: 3, Attack: 7},
		{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Until: Forever, By: "exploit: proven points 100 of 100", Since: math.MinInt64, Rate: 50},
		{Prefix: netip.MustParsePrefix("2001:db8:1:2::/64"), Until: 1, By: `root: "quoted" <b>\ä` + "\n", Since: 0, Attack: math.MaxUint64, Rate: math.MaxUint32},
		{Prefix: netip.MustParsePrefix("192.0.2.8/32"), Until: 9, By: "", Since: 1},
	} {
		want, err := json.Marshal(line{Block: &e})
		if err != nil {
			t.Fatal(err)
		}
		got := w.append(nil, &e)
		if string(got) != string(want)+"\n" {
			t.Errorf("%s, expected %s", got, want)
		}
		if x, ok := r.read(got); ok && x != e {
			t.Errorf("%s is read as %+v", got, x)
		}
		s := &saved{blocks: map[netip.Prefix]Entry{}}
		if !s.line(got) || s.blocks[e.Prefix] != e {
			t.Errorf("%s is read as %+v", got, s.blocks)
		}
	}
	for _, bad := range []string{"", "{}", `{"block":{"prefix":"192.0.2.7/32","until":5,"by":"x","since":3}`, `{"block":{"prefix":"192.0.2.7/32","until":,"by":"x","since":3}}`,
		`{"block":{"prefix":"192.0.2.7/33","until":5,"by":"x","since":3}}`, `{"block":{"prefix":"192.0.2.7/32","until":5,"by":"x","since":3}}x`, `{"block":{"prefix":"192.0.2.7/32","until":05,"by":"x","since":3}}`,
		`{"block":{"prefix":"192.0.2.7/32","until":99999999999999999999,"by":"x","since":3}}`} {
		if e, ok := r.read([]byte(bad)); ok {
			t.Errorf("%q is read as %+v", bad, e)
		}
	}
}

// Whatever the fast way reads, JSON reads alike.
func FuzzLine(f *testing.F) {
	var w scribe
	f.Add(w.append(nil, &Entry{Prefix: netip.MustParsePrefix("192.0.2.7/32"), Until: 5, By: "x", Since: 3, Attack: 7, Rate: 9}))
	f.Add([]byte(`{"block":{"prefix":"::1/128","until":-5,"by":"","since":-3}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r scribe
		e, ok := r.read(text)
		if !ok {
			return
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil || l.Block == nil || *l.Block != e {
			t.Errorf("%q is %+v, as JSON %+v %v", text, e, l.Block, err)
		}
	})
}

// A large file is written anew beside the start; what is decided meanwhile is in it in the end.
func TestALargeJournalIsWrittenBesideTheStart(t *testing.T) {
	now, name := time.Now().UnixNano(), filepath.Join(t.TempDir(), "blocks.json")
	n := anewAtOnce + 1000
	s := image{id: "x", blocks: make([]Entry, n)}
	for i := range s.blocks {
		s.blocks[i] = Entry{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 32), Until: now + int64(time.Hour), By: "x", Since: now}
	}
	text, _ := s.text()
	if err := os.WriteFile(name, append(text, `{"block":{"pre`...), 0o600); err != nil { // a crash cut the last line
		t.Fatal(err)
	}
	for round := range 2 {
		k, err := Open(Options{File: name, Now: func() int64 { return now }})
		if err != nil {
			t.Fatal(err)
		}
		if got := k.Stats().InForce; got != n+round {
			t.Errorf("round %d: %d of %d in force", round, got, n+round)
		}
		if err := k.Block(Entry{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{12, 0, 0, byte(round)}), 32), Until: now + int64(time.Hour), By: "y"}); err != nil {
			t.Fatal(err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
	saved, err := readJournal(name)
	if err != nil || len(saved.blocks) != n+2 || saved.damaged != 0 {
		t.Errorf("%d blocks, %d damaged lines, %v", len(saved.blocks), saved.damaged, err)
	}
}
