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

// overlapping are the segments of Novak and Sturges ("Target-Based TCP Stream Reassembly", 2007): numbers of the
// first byte and the bytes. The byte before them all comes last, so everything waits and overlaps out of order.
var overlapping = []struct {
	at   uint32
	data string
}{
	{2, "AAA"}, {6, "BB"}, {8, "CCC"}, {12, "D"}, {15, "EE"}, {17, "FFF"}, {20, "GG"}, {22, "HH"}, {24, "I"},
	{3, "JJJJ"}, {8, "KKK"}, {11, "LLL"}, {14, "MMM"}, {18, "N"}, {21, "O"}, {22, "P"}, {24, "QQ"}, {1, "0"},
}

// published are the bytes that each kind of stack hands to its application, and those of three shorter sequences.
var published = map[string]string{
	"bsd":         "0AAAJJBCCCLLLMMMFFFGGHHIQ",
	"windows":     "0AAAJJBCCCLLLMMMFFFGGHHIQ",
	"first":       "0AAAJBBCCCLDLMEEFFFGGHHIQ",
	"vista":       "0AAAJBBCCCLDLMEEFFFGGHHIQ",
	"linux":       "0AAAJJBCCCLLLMMMFFFGGHHQQ",
	"old-linux":   "0AAAJJBKKKLLLMMMFFFGGHHQQ",
	"solaris":     "0AJJJBBKKKLLLMMMFFFGGHHQQ",
	"old-solaris": "0AJJJBBKKKLLLMMMFFFGGHHQQ",
	"last":        "0AJJJJBKKKLLLMMMFNFGOPHQQ",
}

// TestOverlapsFallAsTheTargetHasThem holds the choice between segments to the published results, at numbers that
// wrap around too.
func TestOverlapsFallAsTheTargetHasThem(t *testing.T) {
	for name, want := range published {
		policy, ok := ParsePolicy(name)
		if !ok {
			t.Errorf("%s is no policy", name)
		}
		for _, isn := range []uint32{999, 1<<32 - 1, 1<<32 - 12} {
			k := &talk{t: t, e: New(Config{Policy: func(decode.Addr) Policy { return policy }}), f: &flow.Flow{Proto: decode.ProtoTCP}}
			k.send(flow.ToServer, decode.SYN, isn, 0, "")
			k.send(flow.ToClient, decode.SYN|decode.ACK, 8999, isn+1, "")
			k.send(flow.ToServer, decode.ACK, isn+1, 9000, "")
			for _, s := range overlapping {
				k.send(flow.ToServer, decode.ACK, isn+s.at, 9000, s.data)
			}
			k.send(flow.ToClient, decode.ACK, 9000, isn+26, "")
			if got := string(k.got[flow.ToServer]); got != want {
				t.Errorf("%s from %d:\n got %s\nwant %s", name, isn, got, want)
			}
		}
	}
}

// TestOverlapsInOrder: the same choice where the older bytes are in order already and not yet acknowledged.
func TestOverlapsInOrder(t *testing.T) {
	for name, want := range map[string][3]string{
		"bsd":       {"CCCL", "HH", "AAJ"},
		"vista":     {"CCCL", "HH", "AAJ"},
		"linux":     {"LLLL", "HH", "AAJ"},
		"old-linux": {"LLLL", "QQ", "AAJ"},
		"solaris":   {"LLLL", "QQ", "AJJ"},
		"last":      {"LLLL", "QQ", "AJJ"},
	} {
		policy, _ := ParsePolicy(name)
		for i, steps := range [3][]string{{"0CCC", "0KKK", "0LLLL"}, {"0HH", "0P", "0QQ"}, {"0AA", "1JJ"}} {
			k := newTalk(t, Config{Policy: func(decode.Addr) Policy { return policy }})
			for _, s := range steps {
				k.send(flow.ToServer, decode.ACK, 1000+uint32(s[0]-'0'), 9000, s[1:])
			}
			k.send(flow.ToClient, decode.ACK, 9000, 1000+uint32(len(want[i])), "")
			if got := string(k.got[flow.ToServer]); got != want[i] {
				t.Errorf("%s, %v: %q, want %q", name, steps, got, want[i])
			}
		}
	}
}

// TestMidstream: a connection met in its middle is followed where that is asked for, from both sides' bytes on.
func TestMidstream(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		k := &talk{t: t, e: New(Config{Midstream: wanted}), f: &flow.Flow{Proto: decode.ProtoTCP}}
		k.send(flow.ToServer, decode.PSH|decode.ACK, 5000, 7000, "one ")
		k.send(flow.ToClient, decode.PSH|decode.ACK, 7000, 5004, "two ")
		k.send(flow.ToServer, decode.PSH|decode.ACK, 5004, 7004, "three")
		k.send(flow.ToClient, decode.ACK, 7004, 5009, "")
		up, down := string(k.got[flow.ToServer]), string(k.got[flow.ToClient])
		if wanted && (up != "one three" || down != "two ") || !wanted && up+down != "" {
			t.Errorf("midstream %v: %q and %q", wanted, up, down)
		}
	}
}

// TestOneWayTraffic: only one direction passes here, so nothing is ever acknowledged; told so, its bytes are shown.
func TestOneWayTraffic(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		k := &talk{t: t, e: New(Config{AsyncOneSide: wanted, Midstream: wanted}), f: &flow.Flow{Proto: decode.ProtoTCP}}
		k.send(flow.ToServer, decode.SYN, 4999, 0, "")
		k.send(flow.ToServer, decode.ACK, 5000, 7000, "")
		k.send(flow.ToServer, decode.PSH|decode.ACK, 5000, 7000, "GET / ")
		k.send(flow.ToServer, decode.PSH|decode.ACK, 5006, 7100, "HTTP/1.1")
		if got := string(k.got[flow.ToServer]); wanted && got != "GET / HTTP/1.1" || !wanted && got != "" {
			t.Errorf("one way %v: %q", wanted, got)
		}
		if k.f.Proven {
			t.Error("one side alone proved contact")
		}
	}
}

// TestLimitsBiteAndAreCounted: segments out of order, bytes in order and memory each have an end, and it is counted.
func TestLimitsBiteAndAreCounted(t *testing.T) {
	k := newTalk(t, Config{})
	for i := range uint32(2 * laterMax) {
		k.send(flow.ToServer, decode.ACK, 1010+2*i, 9000, "x")
	}
	if got := k.e.Counters.LaterDropped; got != laterMax {
		t.Errorf("%d segments out of order were dropped, want %d", got, laterMax)
	}
	k = newTalk(t, Config{Depth: 1000})
	for i := range uint32(20) {
		k.send(flow.ToServer, decode.ACK, 1000+100*i, 9000, string(bytes.Repeat([]byte("x"), 100)))
		k.send(flow.ToClient, decode.ACK, 9000, 1100+100*i, "")
	}
	if len(k.got[flow.ToServer]) != 1000 || k.e.Counters.DepthReached == 0 {
		t.Errorf("depth 1000: %d bytes shown, reached %d times", len(k.got[flow.ToServer]), k.e.Counters.DepthReached)
	}
	e := New(Config{MemoryBytes: 64 << 10})
	for i := range 100 { // never acknowledged
		k := &talk{t: t, e: e, f: &flow.Flow{Proto: decode.ProtoTCP}}
		k.send(flow.ToServer, decode.SYN, 999, 0, "")
		k.send(flow.ToClient, decode.SYN|decode.ACK, 8999, 1000, "")
		k.send(flow.ToServer, decode.ACK, 1000, 9000, string(bytes.Repeat([]byte("x"), 4000)))
		if e.Counters.BufferBytes > 64<<10 {
			t.Fatalf("connection %d: %d bytes held", i, e.Counters.BufferBytes)
		}
	}
	if e.Counters.MemoryFull == 0 {
		t.Error("a full memory was not counted")
	}
}
