package stream

import (
	"testing"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/captest"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

// fuzzFirst is the number of the client's first byte: numbers wrap around within what is sent.
const fuzzFirst = 0xffffff80

// op is one packet that a fuzzer asks for.
type op struct {
	kind      byte
	off, size int
	fill      byte // 0: the bytes that everybody agrees on
}

func ops(b []byte) []op {
	var out []op
	for ; len(b) >= 4 && len(out) < 200; b = b[4:] {
		out = append(out, op{b[0] & 15, int(b[1]) * 2, 1 + int(b[2]&63), b[3]})
	}
	return out
}

// agreed is byte i of what the client means to say; a copy filled otherwise differs everywhere.
func agreed(i int, fill byte) byte { return byte(i*7+i>>8) ^ fill }

func (o *op) data() string {
	b := make([]byte, o.size)
	for i := range b {
		b[i] = agreed(o.off+i, o.fill)
	}
	return string(b)
}

// reader follows one direction by position.
type fuzzReader struct {
	at   int
	got  map[int]byte
	gaps int
}

// wire is a connection past its handshake whose client's bytes are read as they are shown.
type wire struct {
	t testing.TB
	e *Engine
	f *flow.Flow
	r fuzzReader
}

func newWire(t testing.TB, cfg Config) *wire {
	w := &wire{t: t, e: New(cfg), f: &flow.Flow{Proto: decode.ProtoTCP}, r: fuzzReader{got: map[int]byte{}}}
	w.send(flow.ToServer, decode.SYN, fuzzFirst-1, 0, "")
	w.send(flow.ToClient, decode.SYN|decode.ACK, 8999, fuzzFirst, "")
	w.send(flow.ToServer, decode.ACK, fuzzFirst, 9000, "")
	return w
}

func (w *wire) send(dir flow.Direction, flags uint8, seq, ack uint32, data string) {
	p := decode.Packet{Proto: decode.ProtoTCP, HasL4: true, Payload: []byte(data)}
	p.TCP = decode.TCP{Seq: seq, Ack: ack, Flags: flags, Window: 65535, WScale: -1}
	w.f.Packets[dir]++
	w.e.Segment(w.f, &p, dir)
	w.read()
}

func (w *wire) read() {
	for range 300 {
		s := w.e.Session(w.f.Stream)
		if s == nil {
			return
		}
		data, gap, _ := w.e.Next(s, flow.ToServer, App)
		w.r.gaps += gap
		w.r.at += gap
		for i, c := range data {
			w.r.got[w.r.at+i] = c
		}
		w.r.at += len(data)
		w.e.Advance(s, flow.ToServer, App, len(data))
		raw, _, _ := w.e.Raw(w.f, flow.ToServer)
		w.e.RawDone(w.f, flow.ToServer, len(raw))
		if len(data) == 0 && gap == 0 && len(raw) == 0 {
			return
		}
	}
	w.t.Fatal("reading does not end")
}

func (w *wire) end() {
	w.e.End(w.f)
	w.read()
	w.e.Forget(w.f)
	pooled := int64(0)
	for _, class := range w.e.pool {
		for _, b := range class {
			pooled += int64(cap(b))
		}
	}
	if pooled != w.e.Counters.BufferBytes {
		w.t.Fatalf("%d bytes of buffers are counted after the end, %d lie in the pool", w.e.Counters.BufferBytes, pooled)
	}
}

// owner is a byte of the reference: its value, and the segment that it came with.
type owner struct {
	c        byte
	from, to uint32
}

func FuzzSegments(f *testing.F) {
	f.Add([]byte("\x00\x00\x08\x00\x00\x04\x08\x00\x00\x02\x10\x01\x0f\x20\x00\x00"))
	f.Add([]byte("\x00\x05\x20\x00\x00\x01\x20\x03\x00\x00\x05\x00\x08\x10\x00\x00\x00\x03\x30\x07"))
	f.Add([]byte("\x09\x00\x01\x00\x00\x00\x08\x00\x0a\x00\x10\x00\x0b\x00\x00\x00\x0c\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list := ops(b)
		for policy := BSD; policy <= Windows2k3; policy++ {
			unread(t, list, policy)
		}
		honest(t, list)
		for _, cfg := range []Config{{Midstream: true}, {Inline: true, MemoryBytes: 8 << 10}, {Linger: true, AsyncOneSide: true, Depth: 100}} {
			anything(t, list, cfg)
		}
	})
}

// unread sends segments that overlap and contradict one another; nothing is acknowledged, and so nothing shown, before
// the end. Each byte is then the policy's, judged for each two segments that have it.
func unread(t *testing.T, list []op, policy Policy) {
	t.Helper()
	w := newWire(t, Config{Policy: func(decode.Addr) Policy { return policy }})
	want := map[int]owner{}
	for i := range list {
		o := &list[i]
		data := o.data()
		from, to := fuzzFirst+uint32(o.off), fuzzFirst+uint32(o.off+o.size)
		for j := range o.size {
			if old, ok := want[o.off+j]; !ok || old.c != data[j] && policy.favoursNew(old.from, old.to, from, to) {
				want[o.off+j] = owner{data[j], from, to}
			}
		}
		w.send(flow.ToServer, decode.ACK, from, 9000, data)
	}
	w.end()
	if policy != First && policy != Last {
		return // which of several segments a byte came with is the engine's to remember, within its bounds
	}
	if len(want) != len(w.r.got) {
		t.Fatalf("policy %d: %d bytes read, %d sent", policy, len(w.r.got), len(want))
	}
	for at, x := range want {
		if got, ok := w.r.got[at]; !ok || got != x.c {
			t.Fatalf("policy %d: byte %d is %d (read %v), want %d", policy, at, got, ok, x.c)
		}
	}
}

// honest sends agreeing copies and acknowledgements: what is read is what was said, at its place.
func honest(t *testing.T, list []op) {
	t.Helper()
	w := newWire(t, Config{})
	sent := map[int]bool{}
	upto, ahead := 0, false
	for i := range list {
		o := list[i]
		o.fill = 0
		if o.kind&8 != 0 { // an acknowledgement, honest or ahead of what came
			for sent[upto] {
				upto++
			}
			ack := min(o.off, upto)
			if o.kind&1 != 0 {
				ack, ahead = o.off, ahead || o.off > upto
			}
			w.send(flow.ToClient, decode.ACK, 9000, fuzzFirst+uint32(ack), "")
			continue
		}
		for j := range o.size {
			sent[o.off+j] = true
		}
		w.send(flow.ToServer, decode.ACK, fuzzFirst+uint32(o.off), 9000, o.data())
	}
	w.end()
	for at, c := range w.r.got {
		if !sent[at] || c != agreed(at, 0) {
			t.Fatalf("byte %d is %d, sent %v, want %d", at, c, sent[at], agreed(at, 0))
		}
	}
	if !ahead && len(w.r.got) != len(sent) {
		t.Fatalf("%d bytes read of %d sent", len(w.r.got), len(sent))
	}
}

// anything sends packets of all kinds; nothing may panic, hang or leak.
func anything(t *testing.T, list []op, cfg Config) {
	t.Helper()
	w := newWire(t, cfg)
	for i := range list {
		o := &list[i]
		seq, ack := fuzzFirst+uint32(o.off), 9000+uint32(o.fill)
		dir := flow.Direction(o.kind & 1)
		if dir == flow.ToClient {
			seq, ack = ack, seq
		}
		flags := [8]uint8{decode.ACK, decode.ACK, decode.SYN, decode.SYN | decode.ACK, decode.FIN | decode.ACK, decode.RST, decode.RST | decode.ACK, o.fill}[o.kind>>1]
		w.send(dir, flags, seq, ack, o.data()[:o.size&int(o.fill|7)%(o.size+1)])
		if s := w.e.Session(w.f.Stream); s != nil && o.fill == 0xfe {
			s.Swap()
		}
	}
	w.end()
}

// Recorded segments, spoilt: no panic, no leak.
func TestRecordedSegments(t *testing.T) {
	var d decode.Decoder
	var p decode.Packet
	w := &wire{t: t, e: New(Config{Midstream: true}), f: &flow.Flow{Proto: decode.ProtoTCP}, r: fuzzReader{got: map[int]byte{}}}
	n := 0
	captest.Frames(func(first bool, f *capture.Frame) bool {
		if first {
			w.end()
		}
		d.Decode(&p, f.LinkType, f.Data)
		if p.Proto != decode.ProtoTCP || !p.HasL4 {
			return true
		}
		if n += 7919; n%5 == 0 {
			p.TCP.Seq += uint32(n % 3000)
			p.TCP.Flags ^= 1 << (n % 8)
		}
		dir := flow.ToServer
		if p.SrcPort < p.DstPort {
			dir = flow.ToClient
		}
		w.f.Packets[dir]++
		w.e.Segment(w.f, &p, dir)
		w.read()
		return true
	})
	w.end()
}
