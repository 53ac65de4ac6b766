package apptest

import (
	"fmt"
	"os"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/dejpha/dejpha/app/contract"
)

// Bounds that a fuzzed conversation must keep.
const (
	fuzzSegments = 64
	fuzzBytes    = 64 << 10
	fuzzTime     = 20 * time.Second // for one conversation, played a few times; a machine may be busy
	fuzzMemory   = 64 << 20         // allocated by playing it once, the tester's own copies included
)

// Pack writes a conversation as bytes that a fuzzer can work on: per segment a byte (bit 0 the direction, bit 1 a gap
// before it), two bytes of length, the data.
func Pack(conversation []Segment) []byte {
	var b []byte
	for _, s := range conversation {
		flags := byte(s.Dir)
		if s.Gap > 0 {
			flags |= 2
		}
		for rest := s.Data; len(rest) > 0; flags &^= 2 {
			n := min(len(rest), 0xffff)
			b = append(append(b, flags, byte(n>>8), byte(n)), rest[:n]...)
			rest = rest[n:]
		}
	}
	return b
}

// Unpack reads what Pack wrote, and anything else.
func Unpack(b []byte) []Segment {
	var out []Segment
	for b = b[:min(len(b), fuzzBytes)]; len(b) > 3 && len(out) < fuzzSegments; {
		n := min(int(b[1])<<8|int(b[2]), len(b)-3)
		s := Segment{Dir: contract.Direction(b[0] & 1), Data: b[3 : 3+n], Gap: int(b[0] >> 1 & 1)}
		if n > 0 {
			out = append(out, s)
		}
		b = b[3+n:]
	}
	return out
}

// Spoken is a protocol with conversations in it.
type Spoken struct {
	Protocol contract.Protocol
	Seeds    [][]Segment
}

// Fuzz fuzzes protocols with their conversations as seeds, recorded ones besides. Whatever the bytes: no panic, bounded
// time and memory, a parser that was reset says the same again, and so does one that gets the bytes in other pieces.
func Fuzz(f *testing.F, spoken ...Spoken) {
	f.Helper()
	for which, s := range spoken {
		for i, c := range append(s.Seeds, Recorded(s.Protocol)...) {
			f.Add(Pack(c), uint8(i), uint8(which))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, n, which uint8) {
		p := spoken[int(which)%len(spoken)].Protocol
		stop := time.AfterFunc(fuzzTime, func() {
			fmt.Fprintf(os.Stderr, "%s: no end after %v\n", p.Name, fuzzTime)
			os.Exit(2)
		})
		defer stop.Stop()
		if p.Transport == contract.Both {
			if p.Transport = contract.TCP; n&0x80 != 0 {
				p.Transport = contract.UDP
			}
		}
		hostile(t, &p, Unpack(b), 1+int(n&0x1f))
	})
}

// hostile plays a conversation whole, again after Reset, and in pieces of size bytes.
func hostile(t *testing.T, p *contract.Protocol, conversation []Segment, size int) {
	t.Helper()
	for _, s := range conversation {
		if p.Probe != nil {
			p.ProbeOf(false)(s.Data, s.Dir, 0)
			p.ProbeOf(true)(s.Data, 1-s.Dir, serverPort)
		}
	}
	parser := p.New(p.Limits)
	before := allocated()
	whole := run(t, p, parser, conversation)
	want := whole.said
	if used := allocated() - before; used > fuzzMemory {
		t.Errorf("%s: %d bytes allocated, at most %d", p.Name, used, fuzzMemory)
	}
	few := *p
	few.Limits.MaxTx = 1 + size&3
	play(t, &few, few.New(few.Limits), conversation)
	parser.Reset()
	compare(t, "after Reset", want, play(t, p, parser, conversation))
	if p.Transport != contract.UDP && !datagrams(conversation) && !whole.limited {
		compare(t, fmt.Sprintf("cut to %d bytes", size), want, Play(t, *p, pieces(conversation, size)))
	}
}

// pieces is Cut, but for when transactions are released: after a whole segment, as with one that was not cut. To which of
// two transactions an oddity between them is noted may depend on that.
func pieces(conversation []Segment, size int) []Segment {
	var out []Segment
	for _, s := range conversation {
		for _, piece := range Cut([]Segment{s}, size) {
			piece.more = true
			out = append(out, piece)
		}
		if n := len(out); n > 0 {
			out[n-1].more = false
		}
	}
	return out
}

// allocated is all that this process has allocated so far, in bytes.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
