package stream

import (
	"bytes"
	"math/rand"
	"testing"

	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

// talk is a TCP conversation in the making.
type talk struct {
	t      testing.TB
	e      *Engine
	f      *flow.Flow
	got    [2][]byte
	gaps   [2]int
	client uint32
	server uint32
}

func newTalk(t testing.TB, cfg Config) *talk {
	k := &talk{t: t, e: New(cfg), f: &flow.Flow{Proto: decode.ProtoTCP}, client: 1000, server: 9000}
	k.send(flow.ToServer, decode.SYN, 999, 0, "")
	k.send(flow.ToClient, decode.SYN|decode.ACK, 8999, 1000, "")
	k.send(flow.ToServer, decode.ACK, 1000, 9000, "")
	return k
}

func (k *talk) send(dir flow.Direction, flags uint8, seq, ack uint32, data string) Outcome {
	p := decode.Packet{Proto: decode.ProtoTCP, HasL4: true, Payload: []byte(data)}
	p.TCP = decode.TCP{Seq: seq, Ack: ack, Flags: flags, Window: 65535, WScale: -1}
	k.f.Packets[dir]++
	o := k.e.Segment(k.f, &p, dir)
	k.read()
	return o
}

func (k *talk) read() {
	s := k.e.Session(k.f.Stream)
	if s == nil {
		return
	}
	for dir := flow.ToServer; dir <= flow.ToClient; dir++ {
		for range 4 {
			data, gap, _ := k.e.Next(s, dir, App)
			k.got[dir] = append(k.got[dir], data...)
			k.gaps[dir] += gap
			k.e.Advance(s, dir, App, len(data))
			raw, _, _ := k.e.Next(s, dir, Raw)
			k.e.Advance(s, dir, Raw, len(raw))
		}
	}
}

func TestHandshakeProvesContact(t *testing.T) {
	k := newTalk(t, Config{})
	if !k.f.Proven || k.f.State != flow.Established {
		t.Errorf("proven %v, state %v after a handshake", k.f.Proven, k.f.State)
	}
	forged := &talk{t: t, e: New(Config{}), f: &flow.Flow{Proto: decode.ProtoTCP}}
	forged.send(flow.ToServer, decode.SYN, 999, 0, "")
	forged.send(flow.ToServer, decode.ACK, 1000, 4242, "GET / HTTP/1.0\r\n\r\n")
	if forged.f.Proven {
		t.Error("a sender that saw no answer is called proven")
	}
}

func TestBytesAreShownOnceAcknowledged(t *testing.T) {
	k := newTalk(t, Config{})
	k.send(flow.ToServer, decode.ACK, 1000, 9000, "hello")
	if len(k.got[0]) != 0 {
		t.Errorf("%q shown before it was acknowledged", k.got[0])
	}
	k.send(flow.ToClient, decode.ACK, 9000, 1005, "")
	if string(k.got[0]) != "hello" {
		t.Errorf("got %q", k.got[0])
	}
}

// Whole segments, single bytes and any order within a window give the same bytes.
func TestOrderAndCutsDoNotMatter(t *testing.T) {
	text := bytes.Repeat([]byte("the quick brown fox jumps over the lazy dog. "), 40)
	seed := int64(7)
	r := rand.New(rand.NewSource(seed))
	for _, cut := range []int{1, 7, 100, 1400} {
		for range 20 {
			k := newTalk(t, Config{})
			for at := 0; at < len(text); {
				var window [][2]int
				for range 1 + r.Intn(8) {
					if end := min(len(text), at+cut); end > at {
						window = append(window, [2]int{at, end})
						at = end
					}
				}
				r.Shuffle(len(window), func(i, j int) { window[i], window[j] = window[j], window[i] })
				for _, w := range window {
					k.send(flow.ToServer, decode.ACK, 1000+uint32(w[0]), 9000, string(text[w[0]:w[1]]))
				}
				k.send(flow.ToClient, decode.ACK, 9000, 1000+uint32(at), "")
			}
			if !bytes.Equal(k.got[0], text) {
				t.Fatalf("cut %d, seed %d: %d bytes of %d, gaps %d", cut, seed, len(k.got[0]), len(text), k.gaps[0])
			}
		}
	}
}

func TestLostBytesAreTold(t *testing.T) {
	k := newTalk(t, Config{})
	k.send(flow.ToServer, decode.ACK, 1000, 9000, "abc")
	k.send(flow.ToServer, decode.ACK, 1008, 9000, "xyz")
	k.send(flow.ToClient, decode.ACK, 9000, 1011, "")
	k.send(flow.ToServer, decode.ACK, 1011, 9000, "")
	if string(k.got[0]) != "abcxyz" || k.gaps[0] != 5 {
		t.Errorf("got %q with %d lost, want abcxyz with 5", k.got[0], k.gaps[0])
	}
}

func TestResetOutsideTheWindowIsIgnored(t *testing.T) {
	k := newTalk(t, Config{})
	k.send(flow.ToServer, decode.RST, 5_000_000, 0, "")
	if k.f.State == flow.Closed {
		t.Error("a reset far outside the window closed the connection")
	}
	k.send(flow.ToServer, decode.RST, 1000, 0, "")
	if k.f.State != flow.Closed {
		t.Error("the reset in its place did not close the connection")
	}
}

func TestContradictionIsSeen(t *testing.T) {
	k := newTalk(t, Config{})
	k.send(flow.ToServer, decode.ACK, 1000, 9000, "good data")
	if o := k.send(flow.ToServer, decode.ACK, 1000, 9000, "evil data"); o.OverlapBytes == 0 {
		t.Error("bytes that contradict earlier ones went unnoticed")
	}
}

func TestInOrderSegmentAllocatesNothing(t *testing.T) {
	k := newTalk(t, Config{Depth: -1})
	s := k.e.Session(k.f.Stream)
	p := decode.Packet{Proto: decode.ProtoTCP, HasL4: true, Payload: make([]byte, 1400)}
	p.TCP = decode.TCP{Seq: 1000, Ack: 9000, Flags: decode.ACK, Window: 65535, WScale: -1}
	q := decode.Packet{Proto: decode.ProtoTCP, HasL4: true}
	q.TCP = decode.TCP{Seq: 9000, Ack: 1000, Flags: decode.ACK, Window: 65535, WScale: -1}
	step := func() {
		k.e.Segment(k.f, &p, flow.ToServer)
		p.TCP.Seq += 1400
		q.TCP.Ack += 1400
		k.e.Segment(k.f, &q, flow.ToClient)
		for _, c := range []Cursor{App, Raw} {
			data, _, _ := k.e.Next(s, flow.ToServer, c)
			k.e.Advance(s, flow.ToServer, c, len(data))
		}
	}
	for range 200 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations a segment, want 0", n)
	}
}

// What stands before a hole is shown to rules before the bytes behind it, and never joined with them.
func TestRulesSeeBothSidesOfAHole(t *testing.T) {
	for _, linger := range []bool{false, true} {
		k := newTalk(t, Config{Linger: linger})
		packet := func(seq uint32, data string) {
			p := decode.Packet{Proto: decode.ProtoTCP, HasL4: true, Payload: []byte(data)}
			p.TCP = decode.TCP{Seq: seq, Ack: 9000, Flags: decode.ACK, Window: 65535, WScale: -1}
			k.e.Segment(k.f, &p, flow.ToServer)
		}
		packet(1000, "VERY")
		packet(1008, "DATA")
		k.e.End(k.f)
		s := k.e.Session(k.f.Stream)
		var app, raw []string
		for range 4 {
			data, gap, _ := k.e.Next(s, flow.ToServer, App)
			if len(data) > 0 {
				app = append(app, string(data))
			}
			if string(data) == "DATA" && gap != 4 {
				t.Errorf("linger %v: a hole of %d bytes told, want 4", linger, gap)
			}
			k.e.Advance(s, flow.ToServer, App, len(data))
			_, _, _ = k.e.Next(s, flow.ToServer, App) // the parser asks again and finds the hole
			data, _, must := k.e.Raw(k.f, flow.ToServer)
			if len(data) > 0 {
				raw = append(raw, string(data))
				if must != (len(raw) == 1) {
					t.Errorf("linger %v: %q must be looked at: %v", linger, data, must)
				}
			}
			k.e.RawDone(k.f, flow.ToServer, len(data))
		}
		if s.Held() || len(raw) != 2 || raw[0] != "VERY" || raw[1] != "DATA" || len(app) != 2 || app[1] != "DATA" {
			t.Errorf("linger %v: app read %q, rules %q, held %v", linger, app, raw, s.Held())
		}
		if got := string(k.e.Shown(nil, k.f, flow.ToServer)); linger && got != "VERY[4 bytes missing]DATA" {
			t.Errorf("shown %q", got)
		}
		k.e.Forget(k.f)
	}
}
