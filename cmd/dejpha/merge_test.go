package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/claim"
)

// sent is a frame and when it passed, ns.
type sent struct {
	at    int64
	frame []byte
}

// hostile is what the rules of mergeRules take for attacks: one class each.
var hostile = []string{"GET /a?f=../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b?q=union+select+secret HTTP/1.1\r\nHost: a\r\n\r\n"}

const mergeRules = `alert tcp any any -> any 80 (msg:"path"; content:"/etc/passwd"; priority:1; metadata:attack_class web-attack; sid:1;)
alert tcp any any -> any 80 (msg:"select"; content:"union+select"; priority:1; metadata:attack_class exploit; sid:2;)
`

// tcp is a frame of IPv4 and TCP with right checksums.
func tcp(src, dst [4]byte, sport, dport uint16, seq, ack uint32, flags byte, payload string) []byte {
	b := make([]byte, 54, 54+len(payload))
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45})
	b = append(b, payload...)
	be := binary.BigEndian
	be.PutUint16(b[16:], uint16(len(b)-14))
	b[22], b[23] = 64, 6
	copy(b[26:], src[:])
	copy(b[30:], dst[:])
	be.PutUint16(b[34:], sport)
	be.PutUint16(b[36:], dport)
	be.PutUint32(b[38:], seq)
	be.PutUint32(b[42:], ack)
	b[46], b[47] = 5<<4, flags
	be.PutUint16(b[48:], 65000)
	sum := func(b []byte, s uint32) uint16 {
		for ; len(b) > 1; b = b[2:] {
			s += uint32(be.Uint16(b))
		}
		if len(b) == 1 {
			s += uint32(b[0]) << 8
		}
		for s > 0xffff {
			s = s>>16 + s&0xffff
		}
		return ^uint16(s)
	}
	be.PutUint16(b[24:], sum(b[14:34], 0))
	be.PutUint16(b[50:], sum(b[34:], uint32(6+len(b)-34)+pseudo(b[26:34])))
	return b
}

func pseudo(addresses []byte) (s uint32) {
	for ; len(addresses) > 0; addresses = addresses[2:] {
		s += uint32(binary.BigEndian.Uint16(addresses))
	}
	return s
}

// visit is a flow with three hostile requests, each answered, from its handshake to its end.
func visit(at int64, src, dst [4]byte, port uint16, what string) (out []sent) {
	const syn, ack, psh, fin = 2, 16, 8, 1
	c, s := uint32(1000), uint32(9000)
	put := func(fromClient bool, flags byte, payload string) {
		at += 3e6
		if fromClient {
			out = append(out, sent{at, tcp(src, dst, port, 80, c, s, flags, payload)})
			c += uint32(len(payload))
		} else {
			out = append(out, sent{at, tcp(dst, src, 80, port, s, c, flags, payload)})
			s += uint32(len(payload))
		}
	}
	out = append(out, sent{at, tcp(src, dst, port, 80, c, 0, syn, "")})
	c++
	put(false, syn|ack, "")
	s++
	put(true, ack, "")
	for range 3 {
		put(true, psh|ack, what)
		put(false, ack, "")
		put(false, psh|ack, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		put(true, ack, "")
	}
	put(true, fin|ack, "")
	c++
	put(false, fin|ack, "")
	s++
	put(true, ack, "")
	return out
}

// thousand is the traffic of 1,000 attacks: every tenth goes on over six visits, two minutes apart; the others are one visit.
func thousand() (out []sent) {
	begin := int64(1_790_000_000e9)
	for i := range 1000 {
		src, dst := [4]byte{198, 51, byte(100 + i/250), byte(1 + i%250)}, [4]byte{10, 1, byte(i % 7), 5}
		visits := 1
		if i%10 == 0 {
			visits = 6
		}
		for v := range visits {
			out = append(out, visit(begin+int64(i)*2e9+int64(v)*120e9, src, dst, uint16(20000+i+v), hostile[i%2])...)
		}
	}
	slices.SortStableFunc(out, func(a, b sent) int { return int(max(-1, min(1, a.at-b.at))) })
	return out
}

// sensor replays the packets that a sensor saw into a folder and makes the claim over all of it.
func sensor(t *testing.T, dir, name string, packets []sent, lost float64, rng *rand.Rand, workers int) (out, claimFile string, count int64) {
	t.Helper()
	pcap := file.AppendHeader(nil, 1)
	for _, p := range packets {
		if rng.Float64() >= lost {
			pcap = file.AppendRecord(pcap, p.frame, uint32(len(p.frame)), p.at)
		}
	}
	out = filepath.Join(dir, name)
	rules, capture := filepath.Join(dir, "rules"), out+".pcap"
	if err := os.WriteFile(rules, []byte(mergeRules), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(capture, pcap, 0o600); err != nil {
		t.Fatal(err)
	}
	claimFile = out + ".json"
	command(t, 0, "replay", "-S", rules, "--detectors", "off", "--workers", fmt.Sprint(workers), "-l", out, "-r", capture)
	command(t, 0, "claim", "make", "-d", out, "--from", "2026-09-01", "--to", "2026-10-30", "-o", claimFile)
	return out, claimFile, read(t, claimFile).One.Count.Net
}

// command runs the program and returns what it wrote.
func command(t *testing.T, code int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(args, &stdout, &stderr); got != code {
		t.Fatalf("dejpha %v: exit %d, not %d\n%s%s", args, got, code, &stdout, &stderr)
	}
	return stdout.String()
}

func read(t *testing.T, name string) claim.File {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := claim.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Two sensors see the same thousand attacks and each loses a tenth of the packets at random places: together they count
// no more than there were, and more than either alone would miss.
func TestMergedSensorsNeverCountTwice(t *testing.T) {
	packets := thousand()
	seeds := 5
	if testing.Short() {
		seeds = 1
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 1))
	_, whole, count := sensor(t, dir, "whole", packets, 0, rng, 2)
	if count != 1000 {
		t.Fatalf("a sensor that loses nothing counts %d", count)
	}
	for seed := range seeds {
		dir := filepath.Join(dir, fmt.Sprint(seed))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(uint64(seed), 7))
		a, claimA, countA := sensor(t, dir, "a", packets, 0.1, rng, 1)
		b, claimB, countB := sensor(t, dir, "b", packets, 0.1, rng, 2)
		both := filepath.Join(dir, "both.json")
		command(t, 0, "claim", "merge", claimA, claimB, "-d", b, "-d", a, "-o", both)
		m := read(t, both).Merged
		t.Logf("seed %d: %d and %d, together %d, %d pairs", seed, countA, countB, m.Count.Net, len(m.Pairs))
		if m.Count.Net > 1000 || m.Count.Net < max(countA, countB)-50 || m.Count.Net < 980 {
			t.Errorf("seed %d: together %d", seed, m.Count.Net)
		}
		command(t, 0, "claim", "show", both)
		command(t, 0, "claim", "pairs", both, "-d", a, "-d", b, "--seed", "01")
		again := filepath.Join(dir, "again.json")
		command(t, 0, "claim", "merge", claimA, claimB, "-d", a, "-d", b, "-o", again)
		x, _ := os.ReadFile(both)
		if y, _ := os.ReadFile(again); !bytes.Equal(x, y) {
			t.Errorf("seed %d: merging again gives another file", seed)
		}
		command(t, 2, "claim", "merge", claimA, whole, "-d", a, "-d", b)
	}
}
