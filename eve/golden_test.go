package eve

import (
	"bytes"
	"encoding/binary"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/eve/evetest"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/rule"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/golden.json anew; a person reads the difference")

const at = 1_795_000_000_123_456_000 // 2026-11-18T07:06:40.123456

// visit is a transaction with one file.
type visit struct{ contract.TxState }

func (v *visit) State() *contract.TxState        { return &v.TxState }
func (*visit) Progress(contract.Direction) uint8 { return 0 }
func (*visit) Buffer(int, int) ([]byte, bool)    { return nil, false }
func (*visit) Number(int, int) (uint64, bool)    { return 0, false }
func (*visit) AppendRecord(dst []byte) []byte {
	return append(dst, `"http":{"hostname":"h","length":3}`...)
}

// nothing is a transaction without a record of its own.
type nothing struct{ visit }

func (*nothing) AppendRecord(dst []byte) []byte { return dst }

func addr(s string) decode.Addr { return decode.AddrFrom(netip.MustParseAddr(s)) }

// frame is an Ethernet frame with a VLAN tag and a TCP segment.
func frame(payload string) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 7, 8, 0, 0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 7, 198, 51, 100, 2}
	binary.BigEndian.PutUint16(b[20:], uint16(40+len(payload)))
	return append(append(b, 0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0), payload...)
}

func packet() *decode.Packet {
	var d decode.Decoder
	p := &decode.Packet{Number: 9, Time: at, WireLen: 64}
	d.Decode(p, decode.LinkEthernet, frame("GET / \xff\r\n"))
	return p
}

func tcp() *flow.Flow {
	f := &flow.Flow{ID: 1234567890123, First: at - 2e9, Last: at, Client: addr("192.0.2.7"), Server: addr("198.51.100.2"), ClientPort: 4000,
		ServerPort: 80, IPVersion: 4, Proto: decode.ProtoTCP, Packets: [2]uint64{3, 2}, Bytes: [2]uint64{300, 200}, AppProto: 1, AppProtoTS: 1,
		AppProtoTC: 2, VLAN: [3]uint16{7}, VLANs: 1, TCPFlags: [2]uint8{0x1b, 0x12}, State: flow.Closed, Reason: flow.Timeout, Alerted: true}
	return f
}

func echo() *flow.Flow {
	return &flow.Flow{ID: 77, First: at, Last: at, Client: addr("2001:db8::1"), Server: addr("fe80::2"), IPVersion: 6, Proto: decode.ProtoICMPv6,
		ICMPType: 128, ReplyType: 129, Packets: [2]uint64{1, 1}, Bytes: [2]uint64{70, 70}}
}

// inTunnel is a datagram that came out of GRE.
func inTunnel() *decode.Packet {
	outer := &decode.Packet{Number: 10, IPVersion: 4, Proto: 47, Src: addr("10.0.0.1"), Dst: addr("10.0.0.2")}
	return &decode.Packet{Number: 10, Time: at, IPVersion: 4, Proto: decode.ProtoICMP, ICMPType: 8, Src: addr("192.168.0.1"), Dst: addr("192.168.0.2"),
		Depth: 1, Tunnel: decode.TunnelGRE, Outer: outer}
}

func names(n uint16) string { return [...]string{"", "http", "ftp"}[n] }

// lines are one of each kind of record.
func lines() (all []byte) {
	plain := &Options{PcapCount: true, AppName: names}
	full := &Options{PcapCount: true, PcapFilename: "a.pcap", AppName: names, Payload: true, PayloadPrintable: true, Packet: true, PayloadBytesMax: 6,
		CommunityID: true, CommunityIDSeed: 1, References: true, Verdict: true, Interfaces: []string{"eth0"}}
	r := &rule.Rule{SID: 7, GID: 1, Rev: 2, Msg: `say "hi"`, ClassDescription: "Attempted", Priority: 1, Target: rule.TargetDst,
		Metadata:   []rule.KeyValue{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}, {Key: "a", Value: "3"}},
		References: []rule.Reference{{URL: "https://example.org/", ID: "x"}}}
	tx := &visit{contract.TxState{ID: 4}}
	f := &contract.File{Name: []byte("/a"), Dir: contract.ToClient, State: contract.FileClosed, MD5: []byte{0xab, 1}, HasRange: true, Start: 5, End: 9}
	f.Body.Total = 5
	tx.Files = []*contract.File{f}
	p, fl := packet(), tcp()
	all = AppendAlert(all, plain, &Alert{Where: Where{Packet: p}, Rule: &rule.Rule{SID: 1, GID: 1, Priority: 3}, Action: "allowed"})
	all = AppendAlert(all, full, &Alert{Where: Where{Packet: p, Flow: fl}, Rule: r, Action: "blocked", Verdict: "drop", Reject: "tcp-reset", TxID: 4,
		HasTx: true, TxGuessed: true, Tx: tx, Stream: true, Payload: p.Payload, FlowBits: []string{"seen"}})
	all = AppendAlert(all, plain, &Alert{Where: Where{Packet: inTunnel(), Flow: echo(), Dir: flow.ToClient}, Rule: r, Action: "allowed"})
	all = AppendPacketAnomaly(all, plain, Where{Packet: p}, &Anomaly{Type: "decode", Event: "decoder.ipv4.trunc_pkt"})
	all = AppendFlowAnomaly(all, full, fl, at, 9, flow.ToClient, &Anomaly{Type: "applayer", Event: "odd", Layer: "proto_parser", TxID: 1, HasTx: true})
	all = AppendFlow(all, plain, &FlowEnd{Flow: fl, At: at, TCPState: "closed", Gaps: [2]bool{true, false}})
	all = AppendFlow(all, full, &FlowEnd{Flow: echo(), At: at, AppFailed: true})
	all = AppendTransaction(all, full, &Transaction{Flow: fl, At: at, Number: 9, Event: "http", Tx: tx})
	all = AppendFileInfo(all, full, &FileInfo{Flow: fl, At: at, Number: 9, Tx: tx, File: f})
	all = AppendFileInfo(all, plain, &FileInfo{Flow: fl, At: at, Tx: &nothing{}, File: f})
	all = AppendHeartbeat(all, at, Ledger{Received: 6, Inspected: 2, Bypassed: 1, KernelDrops: 1, Shed: 1, Undecodable: 1}, 3, map[string]uint64{"tls": 1})
	all = AppendHeartbeat(all, at, Ledger{}, 0, nil)
	all = AppendDecision(all, &attack.Decision{Time: at, Action: attack.ActionWouldBlock, Until: at + 6e11, Origin: "192.0.2.7", Attack: 5, Class: "scan",
		Points: 50, Policy: "severity 2", Undo: "dejpha unblock 192.0.2.7"})
	all = AppendDecision(all, &attack.Decision{Time: at, Action: attack.ActionRateLimit, Until: at + 6e11, Origin: "unproven", Rate: 200, Attack: 6, Class: "flood",
		Policy: "flood, unproven", Limit: &attack.Limit{Target: netip.MustParsePrefix("192.0.2.0/24"), Kind: attack.LimitUDP, Proto: 17, Port: 53, Rate: 200, Burst: 200}})
	all = AppendDecision(all, &attack.Decision{Time: at, Action: attack.ActionBlock, Origin: "192.0.2.7", Prefix: netip.MustParsePrefix("192.0.2.7/32"), Policy: "by a person", By: "root: \"noise\""})
	return attacks(all)
}

// attacks appends an attack's two lines, and those of one that nobody is proven to have begun.
func attacks(all []byte) []byte {
	a := attack.Record{ID: 5, State: "opened", Class: "web-attack", Techniques: []string{"T1190"}, Severity: 2, Risk: "real", Side: "outside",
		Origin: attack.Origin{IP: "192.0.2.7", Proven: true, Count: 1, Country: "NL", ASN: 64500}, Target: attack.Target{Group: "198.51.100.0/24",
			IPs: []string{"198.51.100.2"}, Ports: []uint16{80}, Count: 1}, Outcome: "observed", Result: "unknown", FirstSeen: at, LastSeen: at, OpenedAt: at,
		Observations: 1, Alerts: []attack.AlertCount{{SID: 7, Rev: 2, Msg: "x", Count: 1}}, Flows: 1, Packets: 2, Bytes: 300, Story: "One. Two."}
	a.Evidence.Leaf = -1
	all = AppendAttack(all, &a)
	a.State, a.ClosedAt, a.EndOfInput, a.Incident, a.Merged = "closed", at+3e11, true, 4, []uint64{6}
	a.Evidence = attack.Evidence{Leaf: 12, Packets: "abcd"}
	all = AppendAttack(all, &a)
	a.Origin = attack.Origin{Sources: []attack.Source{{IP: "203.0.113.9", Count: 2}}, Count: 900}
	a.State, a.Class, a.Alerts, a.Detectors, a.Subject, a.Overflow, a.PacketsStopped, a.BytesStopped = "continued", "flood", nil, []string{"flood"}, "s", true, 1, 60
	return AppendAttack(all, &a)
}

// TestGolden holds each kind of record to its line in testdata/golden.json, byte for byte and to the schema.
func TestGolden(t *testing.T) {
	const name = "testdata/golden.json"
	got := lines()
	if *rewrite {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	g, w := bytes.SplitAfter(got, []byte("\n")), bytes.SplitAfter(want, []byte("\n"))
	if len(g) != len(w) {
		t.Fatalf("%d lines, want %d", len(g)-1, len(w)-1)
	}
	for i := range g {
		if !bytes.Equal(g[i], w[i]) {
			t.Errorf("line %d:\n got %swant %s", i+1, g[i], w[i])
		}
	}
	evetest.Open(t).Check(t, name, got)
}

// TestLinesAllocateNothing: a record is appended to the caller's buffer and costs no other memory.
func TestLinesAllocateNothing(t *testing.T) {
	o := &Options{PcapCount: true, AppName: names, CommunityID: true}
	p, f, r := packet(), tcp(), &rule.Rule{SID: 1, GID: 1, Priority: 3, Msg: "x"}
	a := &Alert{Where: Where{Packet: p, Flow: f}, Rule: r, Action: "allowed"}
	e := &FlowEnd{Flow: f, At: at}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = AppendFlow(AppendAlert(buf[:0], o, a), o, e) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// TestCommunityID holds the hash to the values that its specification publishes.
func TestCommunityID(t *testing.T) {
	for _, c := range []struct {
		src, dst         string
		srcPort, dstPort uint16
		proto            uint8
		want             string
	}{
		{"128.232.110.120", "66.35.250.204", 34855, 80, decode.ProtoTCP, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"66.35.250.204", "128.232.110.120", 80, 34855, decode.ProtoTCP, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"192.168.1.52", "8.8.8.8", 54585, 53, decode.ProtoUDP, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
	} {
		if got := string(AppendCommunityID(nil, 0, addr(c.src), addr(c.dst), c.srcPort, c.dstPort, c.proto, 4)); got != c.want {
			t.Errorf("%s to %s: %s, want %s", c.src, c.dst, got, c.want)
		}
	}
}

// TestStatsNameEveryDecodeEvent: the counters are nested by layer and none is lost or met twice.
func TestStatsNameEveryDecodeEvent(t *testing.T) {
	s := Stats{At: at, Packets: 3, Bytes: 180, KernelDrops: 1, Shares: []Share{{3, 1}, {1, 0}}, Decode: make([]uint64, len(decode.EventNames))}
	for i := range s.Decode {
		s.Decode[i] = uint64(1000 + i)
	}
	line := AppendStats(nil, &s)
	evetest.Open(t).Check(t, "stats", line)
	for i, name := range decode.EventNames {
		_, word, _ := strings.Cut("."+name, ".")
		word = word[strings.LastIndexByte(word, '.')+1:]
		if c := bytes.Count(line, binaryKey(word, 1000+i)); c != 1 {
			t.Errorf("%s stands %d times with its count", name, c)
		}
	}
}

func binaryKey(word string, n int) []byte {
	return []byte(`"` + word + `":` + string([]byte{byte('0' + n/1000), byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)}))
}

// TestCommunityIDOfICMP: both directions of an exchange have one id, another kind of message has another.
func TestCommunityIDOfICMP(t *testing.T) {
	o := &Options{CommunityID: true}
	a, b := addr("192.168.69.10"), addr("192.168.69.2")
	want := `,"community_id":"1:A0EtDufB1rmApHFglmZiYhdZCI0="` // the peer's, of the same ping
	if got := string(community(nil, o, a, b, 0, 0, decode.ProtoICMP, 4, 8)); got != want {
		t.Errorf("request: %s, want %s", got, want)
	}
	if got := string(community(nil, o, b, a, 0, 0, decode.ProtoICMP, 4, 0)); got != want {
		t.Errorf("reply: %s, want %s", got, want)
	}
	if got := string(community(nil, o, a, b, 0, 0, decode.ProtoICMP, 4, 13)); got == want {
		t.Error("a timestamp request has the ping's id")
	}
}
