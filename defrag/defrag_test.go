package defrag

import (
	"bytes"
	"encoding/binary"
	"math/rand"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/decode"
)

// piece is one fragment in the making.
type piece struct {
	offset int
	data   string
	last   bool
}

// four and six make the packet of a fragment as decode would.
func four(t testing.TB, id uint16, f piece) *decode.Packet {
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 64, decode.ProtoUDP
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(f.data)))
	binary.BigEndian.PutUint16(h[4:], id)
	bits := uint16(f.offset / 8)
	if !f.last {
		bits |= 0x2000
	}
	binary.BigEndian.PutUint16(h[6:], bits)
	copy(h[12:], []byte{192, 0, 2, 1, 198, 51, 100, 2})
	return decoded(t, decode.LinkIPv4, append(h, f.data...))
}

func six(t testing.TB, id uint32, f piece) *decode.Packet {
	h := make([]byte, 48+8)
	h[0], h[6], h[7] = 0x60, 60, 64 // destination options, then the fragment header
	binary.BigEndian.PutUint16(h[4:], uint16(16+len(f.data)))
	h[8], h[23], h[24], h[39] = 0x20, 1, 0x20, 2
	copy(h[40:], []byte{44, 0, 1, 4, 0, 0, 0, 0})
	h[48] = decode.ProtoUDP
	bits := uint16(f.offset)
	if !f.last {
		bits |= 1
	}
	binary.BigEndian.PutUint16(h[50:], bits)
	binary.BigEndian.PutUint32(h[52:], id)
	return decoded(t, decode.LinkIPv6, append(h, f.data...))
}

func decoded(t testing.TB, link uint16, b []byte) *decode.Packet {
	t.Helper()
	var d decode.Decoder
	var p decode.Packet
	d.Decode(&p, link, b)
	if !p.Fragment {
		t.Fatalf("no fragment: %x", b)
	}
	return &p
}

// novak is the sequence of overlapping fragments in "Target-Based Fragmentation Reassembly": runs of a letter, in
// units of eight bytes. No first fragment covers all that a later one does, so each rule of choice shows.
var novak = []struct {
	at, n  int
	letter string
}{
	{0, 3, "A"}, {4, 2, "B"}, {6, 3, "C"}, {10, 1, "D"}, {13, 2, "E"}, {15, 3, "F"}, {18, 2, "G"}, {20, 2, "H"}, {22, 1, "I"},
	{1, 4, "J"}, {6, 3, "K"}, {9, 3, "L"}, {12, 3, "M"}, {16, 1, "N"}, {19, 1, "O"}, {20, 1, "P"}, {22, 2, "Q"},
}

// TestOverlapsFallAsTheTargetHasThem holds the choice to the published results, one letter for eight bytes.
func TestOverlapsFallAsTheTargetHasThem(t *testing.T) {
	for name, want := range map[string]string{
		"bsd":     "AAAJJBCCCLLLMMMFFFGGHHIQ",
		"linux":   "AAAJJBKKKLLLMMMFFFGGPHQQ",
		"windows": "AAAJBBCCCLLLMEEFFFGGHHIQ",
		"solaris": "AAAJBBCCCLLLMMMFFFGGHHIQ",
		"first":   "AAAJBBCCCLDLMEEFFFGGHHIQ",
		"last":    "AJJJJBKKKLLLMMMFNFGOPHQQ",
	} {
		policy, ok := ParsePolicy(name)
		if !ok {
			t.Errorf("%s is no policy", name)
		}
		for version, make := range map[int]func(piece) *decode.Packet{
			4: func(f piece) *decode.Packet { return four(t, 7, f) },
			6: func(f piece) *decode.Packet { return six(t, 7, f) },
		} {
			table := New(Config{Policy: func(decode.Addr) Policy { return policy }})
			var whole []byte
			overlaps := 0
			for i, f := range novak {
				p := make(piece{f.at * 8, strings.Repeat(f.letter, f.n*8), i == len(novak)-1})
				b, done := table.Insert(p)
				if done != (i == len(novak)-1) {
					t.Fatalf("%s IPv%d: done %v at fragment %d", name, version, done, i)
				}
				whole = b
				if p.Events.Has(int(decode.IPv4FragOverlap)) || p.Events.Has(int(decode.IPv6FragOverlap)) {
					overlaps++
				}
			}
			if overlaps != 8 || table.Counters.Overlaps != 8 {
				t.Errorf("%s IPv%d: %d overlaps told, %d counted, want 8", name, version, overlaps, table.Counters.Overlaps)
			}
			if got := letters(whole[len(whole)-24*8:]); got != want {
				t.Errorf("%s IPv%d:\n got %s\nwant %s", name, version, got, want)
			}
		}
	}
}

func letters(b []byte) string {
	var s strings.Builder
	for i := 0; i < len(b); i += 8 {
		if !bytes.Equal(b[i:i+8], bytes.Repeat(b[i:i+1], 8)) {
			return "mixed at " + string(b[i:i+8])
		}
		s.WriteByte(b[i])
	}
	return s.String()
}

// TestShortSequence is the older sequence of Shankar and Paxson ("Active Mapping", 2003), which knows bsd-right.
func TestShortSequence(t *testing.T) {
	for name, want := range map[string]string{"bsd": "111442333666", "bsd-right": "144422555666", "linux": "111442555666",
		"first": "111422333666", "last": "144442555666"} {
		policy, _ := ParsePolicy(name)
		table := New(Config{Policy: func(decode.Addr) Policy { return policy }})
		var whole []byte
		for _, f := range []piece{{0, "111", false}, {4, "22", false}, {6, "333", false}, {1, "4444", false}, {6, "555", false}, {9, "666", true}} {
			data := strings.Repeat(f.data[:1], len(f.data)*8)
			if b, done := table.Insert(four(t, 1, piece{f.offset * 8, data, f.last})); done {
				whole = b
			}
		}
		if len(whole) != 20+12*8 {
			t.Fatalf("%s: %d bytes", name, len(whole))
		}
		if got := letters(whole[20:]); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if _, ok := ParsePolicy("amiga"); ok {
		t.Error("a system nobody knows has a policy")
	}
}

// TestOrderDoesNotMatter: fragments of one datagram in any order, some twice, give the datagram once.
func TestOrderDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	text := strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz", 60)
	for round := range 200 {
		var list []piece
		for at := 0; at < len(text); {
			n := min(8*(1+r.Intn(30)), len(text)-at)
			list = append(list, piece{at, text[at : at+n], at+n == len(text)})
			at += n
		}
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		table := New(Config{})
		for i, f := range list {
			p := four(t, 9, f)
			if round%2 == 1 {
				p = six(t, 9, f)
			}
			if round%3 == 0 && i+1 < len(list) {
				table.Insert(p)
			}
			b, done := table.Insert(p)
			if done != (i == len(list)-1) {
				t.Fatalf("round %d: done %v at fragment %d of %d", round, done, i, len(list))
			}
			if done {
				checkWhole(t, b, p.IPVersion, text)
			}
		}
	}
}

// checkWhole decodes a datagram that was put together: header right, no trace of fragments, the payload's bytes.
func checkWhole(t *testing.T, b []byte, version uint8, want string) {
	t.Helper()
	d := decode.Decoder{Checksums: true}
	var p decode.Packet
	link := uint16(decode.LinkIPv4)
	if version == 6 {
		link = decode.LinkIPv6
	}
	d.Decode(&p, link, b)
	if p.Undecodable != decode.ReasonNone || p.Fragment || p.BadIPChecksum || p.Proto != decode.ProtoUDP || string(p.L4) != want {
		t.Errorf("IPv%d: %v, fragment %v, bad checksum %v, protocol %d, %d bytes of %d", version, p.Undecodable, p.Fragment, p.BadIPChecksum,
			p.Proto, len(p.L4), len(want))
	}
}

// TestWhatBelongsToOthersStaysApart: another id, another VLAN below the same one, another protocol of IPv4.
func TestWhatBelongsToOthersStaysApart(t *testing.T) {
	begin, end := piece{0, "12345678", false}, piece{8, "90", true}
	for name, change := range map[string]func(*decode.Packet){
		"id":         func(p *decode.Packet) { p.IPID++ },
		"outer vlan": func(p *decode.Packet) { p.VLAN[0] = 5 },
		"inner vlan": func(p *decode.Packet) { p.VLAN[1] = 5 },
		"protocol":   func(p *decode.Packet) { p.Proto++ },
		"source":     func(p *decode.Packet) { p.Src[15]++ },
	} {
		table := New(Config{})
		table.Insert(four(t, 1, begin))
		p := four(t, 1, end)
		change(p)
		if _, done := table.Insert(p); done {
			t.Errorf("a fragment of another %s completed the datagram", name)
		}
		if _, done := table.Insert(four(t, 1, end)); !done {
			t.Errorf("%s: the right one did not", name)
		}
	}
}

// TestNothingOldIsShown: a datagram with a second, shorter end never shows bytes that nobody sent.
func TestNothingOldIsShown(t *testing.T) {
	table := New(Config{})
	table.Insert(four(t, 1, piece{0, strings.Repeat("s", 64), false}))
	table.Insert(four(t, 1, piece{64, "secret", true}))
	for _, f := range []piece{{40, "end of it", true}, {8, "1234567890", true}, {24, "x", true}, {32, "y", true}} {
		table.Insert(four(t, 2, f))
	}
	if b, done := table.Insert(four(t, 2, piece{0, "12345678", false})); done && bytes.ContainsRune(b, 's') {
		t.Errorf("bytes of another datagram: %q", b[20:])
	}
}

// TestLimitsBiteAndAreCounted holds the table to its bounds against senders that never finish.
func TestLimitsBiteAndAreCounted(t *testing.T) {
	const budget = 4 << 20
	big := strings.Repeat("x", 60000)
	table := New(Config{MemoryBytes: budget})
	for i := range 5000 { // one datagram, again and again
		table.Insert(four(t, 1, piece{8 * (i % 400), big[:8*(1+i%7000)], false}))
	}
	if table.bytes > budget || table.Counters.Refused == 0 {
		t.Errorf("one datagram: %d bytes kept, %d refused", table.bytes, table.Counters.Refused)
	}
	table = New(Config{MemoryBytes: budget})
	for i := range 300 { // many begun first, then filled
		table.Insert(four(t, uint16(i), piece{0, "12345678", false}))
	}
	for i := range 300 {
		table.Insert(four(t, uint16(i), piece{8, big, false}))
	}
	if table.bytes > budget || table.Counters.Evicted == 0 {
		t.Errorf("many datagrams: %d bytes kept, %d forgotten", table.bytes, table.Counters.Evicted)
	}
	table = New(Config{})
	for i := range datagramsMax + 100 {
		table.Insert(six(t, uint32(i), piece{0, "12345678", false}))
	}
	if len(table.open) > datagramsMax || table.Counters.Evicted != 100 {
		t.Errorf("%d datagrams open, %d forgotten", len(table.open), table.Counters.Evicted)
	}
	for _, f := range []piece{{65528, "12345678", true}, {8, "", true}} {
		before := table.Counters.Refused
		table.Insert(four(t, 1, f))
		if table.Counters.Refused != before+1 {
			t.Errorf("%d bytes at %d were taken", len(f.data), f.offset)
		}
	}
}

// TestDatagramsAge: after a minute of the capture's clock the rest comes too late.
func TestDatagramsAge(t *testing.T) {
	table := New(Config{})
	first, last := four(t, 1, piece{0, "12345678", false}), four(t, 1, piece{8, "90", true})
	last.Time = 61e9
	table.Insert(first)
	if _, done := table.Insert(last); done || table.Counters.TimedOut != 1 {
		t.Errorf("done %v, %d timed out", done, table.Counters.TimedOut)
	}
}

func FuzzInsert(f *testing.F) {
	f.Add([]byte{0, 3, 0, 3, 2, 1, 1, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		table := New(Config{MemoryBytes: 1 << 16})
		for ; len(b) >= 3; b = b[3:] {
			p := four(t, uint16(b[2]>>6), piece{int(b[0]) * 8 * 32, strings.Repeat("y", 8*(1+int(b[1]))), b[2]&1 != 0 && b[0] > 0})
			if whole, done := table.Insert(p); done && int(binary.BigEndian.Uint16(whole[2:])) != len(whole) {
				t.Fatalf("a datagram of %d bytes says %d", len(whole), binary.BigEndian.Uint16(whole[2:]))
			}
			if table.bytes > 1<<16 || table.bytes < 0 {
				t.Fatalf("%d bytes", table.bytes)
			}
		}
	})
}

func BenchmarkInsert(b *testing.B) {
	table := New(Config{})
	parts := []*decode.Packet{four(b, 1, piece{0, strings.Repeat("x", 1480), false}), four(b, 1, piece{1480, "rest", true})}
	b.SetBytes(1484)
	for b.Loop() {
		table.Insert(parts[0])
		table.Insert(parts[1])
	}
}
