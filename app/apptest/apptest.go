// Package apptest holds every protocol to the contract between driver and parser.
//
// In: a protocol's table line and a corpus of conversations. Out: test failures. Called by
// the protocols' own tests only; it is no part of the program.
package apptest

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/contract"
)

// Segment is a piece of one direction as it comes from the network; for UDP a datagram.
type Segment struct {
	Dir  contract.Direction
	Data []byte
	Gap  int // bytes lost just before Data

	more bool // the next segment is the same one's next piece: nothing is released between them
}

// C is a segment of the client, S one of the server.
func C(data string) Segment { return Segment{Dir: contract.ToServer, Data: []byte(data)} }

// S is a segment of the server.
func S(data string) Segment { return Segment{Dir: contract.ToClient, Data: []byte(data)} }

// Client and server ports used by Play where the protocol names no port.
const clientPort, serverPort = 40000, 9999

// Play feeds a conversation to a fresh parser and returns what each transaction said, one text each.
// The parser is asked to release finished transactions on the way as the driver does.
func Play(t testing.TB, p contract.Protocol, conversation []Segment) []string {
	t.Helper()
	return play(t, &p, p.New(p.Limits), conversation)
}

// Run holds p to the contract over the corpus: any cut of the bytes says the same, a gap anywhere is
// survived, Reset leaves nothing behind, long sessions do not grow.
func Run(t *testing.T, p contract.Protocol, corpus [][]Segment) {
	t.Helper()
	checkTable(t, &p)
	for i, conversation := range corpus {
		t.Run(fmt.Sprintf("conversation %d", i), func(t *testing.T) {
			want := Play(t, p, conversation)
			if p.Transport != contract.UDP && !datagrams(conversation) {
				for _, size := range []int{1, 2, 7} {
					got := Play(t, p, Cut(conversation, size))
					compare(t, fmt.Sprintf("cut to %d bytes", size), want, got)
				}
			}
			gaps(t, &p, conversation)
			flips(t, &p, conversation)
			reset(t, &p, conversation, want)
		})
	}
	growth(t, &p, corpus)
}

func datagrams(conversation []Segment) bool {
	for _, s := range conversation {
		if s.Gap > 0 {
			return true
		}
	}
	return false
}

func checkTable(t *testing.T, p *contract.Protocol) {
	t.Helper()
	if p.Name == "" || p.New == nil || p.Transport == 0 {
		t.Fatalf("protocol %q: Name, New and Transport are needed", p.Name)
	}
	seen := map[string]contract.DirSet{}
	for _, k := range p.Keywords {
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			if seen[name]&k.Dirs != 0 {
				t.Errorf("keyword %q appears twice in one direction", name)
			}
			seen[name] |= k.Dirs
		}
		for dir := range 2 {
			if n := len(p.Steps[dir]); n > 0 && int(k.Step[dir]) >= n {
				t.Errorf("keyword %q: step %d of %d in direction %d", k.Name, k.Step[dir], n, dir)
			}
		}
	}
	for i, e := range p.Events {
		if e == "" || strings.Contains(e, ".") {
			t.Errorf("event %d: %q", i, e)
		}
	}
	if len(p.Events) > 256 {
		t.Errorf("%d events do not fit a byte", len(p.Events))
	}
}

// Cut splits the segments into pieces of size bytes.
func Cut(conversation []Segment, size int) []Segment {
	var out []Segment
	for _, s := range conversation {
		gap := s.Gap
		for len(s.Data) > 0 {
			n := min(size, len(s.Data))
			out = append(out, Segment{Dir: s.Dir, Data: s.Data[:n], Gap: gap})
			s.Data, gap = s.Data[n:], 0
		}
	}
	return out
}

// player stands for stream and driver: it keeps what was not consumed and offers it again.
type player struct {
	t       testing.TB
	p       *contract.Protocol
	parser  contract.Parser
	pending [2][]byte
	need    [2]int
	stopped bool
	limited bool // a limit of the parser bit
	more    bool
	said    []string
	number  uint64
}

func play(t testing.TB, p *contract.Protocol, parser contract.Parser, conversation []Segment) []string {
	return run(t, p, parser, conversation).said
}

func run(t testing.TB, p *contract.Protocol, parser contract.Parser, conversation []Segment) *player {
	pl := &player{t: t, p: p, parser: parser}
	for _, s := range conversation {
		if pl.stopped {
			break
		}
		pl.more = s.more
		pl.feed(s.Dir, s.Data, s.Gap, false)
	}
	for dir := contract.ToServer; dir <= contract.ToClient; dir++ {
		if !pl.stopped {
			pl.feed(dir, nil, 0, true)
		}
	}
	for _, tx := range parser.Txs() {
		tx.State().Done = [2]bool{true, true}
	}
	pl.settle()
	return pl
}

func (pl *player) feed(dir contract.Direction, data []byte, gap int, end bool) {
	pl.number++
	udp := pl.p.Transport == contract.UDP
	if gap > 0 {
		pl.pending[dir] = nil
	}
	pl.pending[dir] = append(pl.pending[dir], data...)
	if !end && gap == 0 && len(pl.pending[dir]) < pl.need[dir] {
		if !pl.more {
			pl.settle()
		}
		return
	}
	offered := bytes.Clone(pl.pending[dir])
	port := uint16(serverPort)
	if len(pl.p.ServerPorts) > 0 {
		port = pl.p.ServerPorts[0]
	}
	res := pl.parser.Feed(contract.Input{Dir: dir, Data: offered, Gap: gap, End: end, Time: int64(pl.number) * 1e6,
		Number: pl.number, UDP: udp, ClientPort: clientPort, ServerPort: port})
	if res.Consumed < 0 || res.Consumed > len(offered) {
		pl.t.Fatalf("%s: consumed %d of %d", pl.p.Name, res.Consumed, len(offered))
	}
	pl.pending[dir] = append(pl.pending[dir][:0], offered[res.Consumed:]...)
	for i := range offered {
		offered[i] = 0xdb // a parser that keeps the slice shows it in its records
	}
	if udp || end {
		pl.pending[dir] = pl.pending[dir][:0]
	}
	pl.need[dir] = res.Need
	pl.limited = pl.limited || res.Stop == contract.StopLimit
	pl.stopped = res.Stop != contract.StopNone || res.Upgrade != ""
	if len(pl.pending[dir]) > 512<<10 {
		pl.t.Fatalf("%s: %d bytes left unconsumed", pl.p.Name, len(pl.pending[dir]))
	}
	if pl.more && !pl.stopped {
		return
	}
	if txs := pl.parser.Txs(); pl.p.Limits.MaxTx > 0 && len(txs) > pl.p.Limits.MaxTx {
		for _, tx := range txs[:len(txs)-pl.p.Limits.MaxTx] {
			tx.State().Done = [2]bool{true, true} // as the driver does
		}
	}
	pl.settle()
}

// settle releases finished transactions, noting what they said.
func (pl *player) settle() {
	n := 0
	for _, tx := range pl.parser.Txs() {
		if !complete(pl.p, tx) {
			break
		}
		pl.said = append(pl.said, Say(pl.p, tx))
		n++
	}
	if n > 0 {
		pl.parser.Release(n)
	}
}

func complete(p *contract.Protocol, tx contract.Tx) bool {
	s := tx.State()
	for dir := contract.ToServer; dir <= contract.ToClient; dir++ {
		oneway := s.OneWay == 1 && dir == contract.ToClient || s.OneWay == 2 && dir == contract.ToServer
		last := len(p.Steps[dir]) - 1
		if !s.Done[dir] && !oneway && (last < 0 || int(tx.Progress(dir)) < last) {
			return false
		}
	}
	return true
}

// Say writes all that a transaction offers as text: its record, buffers, numbers, files, events and facts.
func Say(p *contract.Protocol, tx contract.Tx) string {
	s := tx.State()
	var b strings.Builder
	fmt.Fprintf(&b, "tx %d %s\n", s.ID, tx.AppendRecord(nil))
	for _, e := range s.Events {
		fmt.Fprintf(&b, " event %s\n", p.Events[e])
	}
	for k := range p.Keywords {
		sayKeyword(&b, p, tx, k)
	}
	for _, f := range s.Files {
		fmt.Fprintf(&b, " file %q dir %d state %d total %d window %q gaps %v\n", f.Name, f.Dir, f.State, f.Body.Total, f.Body.Data, f.Gaps)
	}
	for _, f := range s.Facts {
		fmt.Fprintf(&b, " fact %+v\n", f)
	}
	return b.String()
}

func sayKeyword(b *strings.Builder, p *contract.Protocol, tx contract.Tx, k int) {
	word := &p.Keywords[k]
	for i := range 64 {
		switch word.Kind {
		case contract.KindBuffer, contract.KindMulti:
			if word.Streaming {
				sayBody(b, tx, word, k, i)
			}
			data, ok := tx.Buffer(k, i)
			if !ok {
				return
			}
			fmt.Fprintf(b, " %s[%d] %q\n", word.Name, i, data)
		case contract.KindNumber, contract.KindFlag:
			v, ok := tx.Number(k, i)
			if !ok {
				return
			}
			fmt.Fprintf(b, " %s[%d] %d\n", word.Name, i, v)
		default:
			return
		}
		if word.Kind == contract.KindBuffer {
			return
		}
	}
}

func sayBody(b *strings.Builder, tx contract.Tx, word *contract.Keyword, k, i int) {
	bodies, ok := tx.(contract.BodyTx)
	if !ok {
		return
	}
	for dir := contract.ToServer; dir <= contract.ToClient; dir++ {
		if body := bodies.Body(k, dir, i); body != nil {
			fmt.Fprintf(b, " %s body dir %d total %d %q\n", word.Name, dir, body.Total, body.Data)
		}
	}
}

func compare(t *testing.T, how string, want, got []string) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s: %d transactions, want %d\ngot  %s\nwant %s", how, len(got), len(want), strings.Join(got, ""), strings.Join(want, ""))
		return
	}
	for i := range want {
		if want[i] != got[i] {
			t.Errorf("%s: transaction %d says\n%s\nwant\n%s", how, i, got[i], want[i])
			return
		}
	}
}

// gaps loses each segment in turn.
func gaps(t *testing.T, p *contract.Protocol, conversation []Segment) {
	t.Helper()
	small := Cut(conversation, 16)
	step := max(1, len(small)/64)
	for lost := 0; lost < len(small); lost += step {
		holed := make([]Segment, 0, len(small))
		missing := [2]int{}
		for i, s := range small {
			if i == lost {
				missing[s.Dir] = len(s.Data)
				continue
			}
			s.Gap += missing[s.Dir]
			missing[s.Dir] = 0
			holed = append(holed, s)
		}
		play(t, p, p.New(p.Limits), holed)
	}
}

// flips spoils bytes; nothing may panic or hoard.
func flips(t *testing.T, p *contract.Protocol, conversation []Segment) {
	t.Helper()
	seed := uint32(2463534242)
	for range 40 {
		spoilt := make([]Segment, len(conversation))
		for i, s := range conversation {
			s.Data = bytes.Clone(s.Data)
			for range 1 + len(s.Data)/64 {
				seed ^= seed << 13
				seed ^= seed >> 17
				seed ^= seed << 5
				if len(s.Data) > 0 {
					s.Data[int(seed>>8)%len(s.Data)] = byte(seed)
				}
			}
			spoilt[i] = s
		}
		play(t, p, p.New(p.Limits), spoilt)
	}
}

// reset plays a conversation on a parser that has seen it half before.
func reset(t *testing.T, p *contract.Protocol, conversation []Segment, want []string) {
	t.Helper()
	parser := p.New(p.Limits)
	for cut := 1; cut <= len(conversation); cut++ {
		play(t, p, parser, conversation[:cut])
		parser.Reset()
		if n := len(parser.Txs()); n != 0 {
			t.Fatalf("after Reset %d transactions are left", n)
		}
	}
	compare(t, "after Reset", want, play(t, p, parser, conversation))
}

// growth plays the corpus many times on one parser; the heap must not follow.
func growth(t *testing.T, p *contract.Protocol, corpus [][]Segment) {
	t.Helper()
	parser := p.New(p.Limits)
	round := func(n int) uint64 {
		for range n {
			for _, c := range corpus {
				play(t, p, parser, c)
				parser.Reset()
			}
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := round(20)
	if after := round(200); after > before+2<<20 {
		t.Errorf("heap grew from %d to %d bytes over 200 more rounds", before, after)
	}
	runtime.KeepAlive(parser)
}
