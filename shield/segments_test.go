package shield

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/decode"
)

// piecesMax bounds the frames that a capture may become.
const piecesMax = 80_000

// inPieces writes a capture anew with every TCP segment cut into pieces of size bytes, each sent at the time of the whole.
// ok false: it has no TCP payload, or too much of it, or its time jumps: how soon the clock believes that is a matter of
// how many packets confirm it.
func inPieces(t *testing.T, name string, size int) (pcap []byte, ok bool) {
	t.Helper()
	src, err := file.Open(name)
	if err != nil {
		return nil, false
	}
	defer src.Close()
	var f capture.Frame
	var d decode.Decoder
	var p decode.Packet
	frames, links, cut, last := 0, -1, false, int64(0)
	for {
		if err := src.Next(&f); errors.Is(err, io.EOF) {
			return pcap, cut
		} else if err != nil {
			return nil, false
		}
		if links < 0 {
			links = int(f.LinkType)
			pcap = file.AppendHeader(nil, f.LinkType)
		}
		if int(f.LinkType) != links || last > 0 && f.Time > last+3600e9 {
			return nil, false
		}
		last = f.Time
		d.Decode(&p, f.LinkType, f.Data)
		if !p.HasL4 || p.Proto != decode.ProtoTCP || p.IPVersion == 0 || p.Inner != nil || len(p.Payload) <= size || int(f.WireLen) != len(f.Data) {
			pcap = file.AppendRecord(pcap, f.Data, f.WireLen, f.Time)
			frames++
			continue
		}
		cut = true
		l3, at := cap(f.Data)-cap(p.L3), cap(f.Data)-cap(p.Payload)
		tcp := at - int(p.TCP.HeaderLen)
		for from := 0; from < len(p.Payload); from += size {
			to := min(from+size, len(p.Payload))
			b := append(append([]byte(nil), f.Data[:at]...), p.Payload[from:to]...)
			if p.IPVersion == 4 {
				binary.BigEndian.PutUint16(b[l3+2:], uint16(len(b)-l3))
			} else {
				binary.BigEndian.PutUint16(b[l3+4:], uint16(len(b)-l3-40))
			}
			binary.BigEndian.PutUint32(b[tcp+4:], p.TCP.Seq+uint32(from))
			if to < len(p.Payload) {
				b[tcp+13] &^= decode.FIN | decode.PSH
			}
			pcap = file.AppendRecord(pcap, b, uint32(len(b)), f.Time)
			frames++
		}
		if frames > piecesMax {
			return nil, false
		}
	}
}

// ofPackets lists the own rules that speak of single packets.
func ofPackets(setup *Setup) map[uint32]bool {
	list := map[uint32]bool{}
	for i := range setup.settings.set.Len() {
		if r := setup.settings.set.Rule(i); strings.Contains(r.Text, "dsize:") || strings.Contains(r.Text, "tcp-pkt") {
			list[r.SID] = true
		}
	}
	return list
}

// attacksOf plays a capture without judging checksums and says who attacked whom, in what way and with what success. Left
// out is what speaks of packets: such rules, and how many bytes of one contradict what came before.
func attacksOf(t *testing.T, setup *Setup, name string) []string {
	t.Helper()
	out := t.TempDir()
	if sum, err := setup.Replay([]string{name}, out, ReplayOptions{}); sum == nil {
		t.Fatalf("%s: %v", name, err)
	}
	text, err := os.ReadFile(filepath.Join(out, "eve.json"))
	if err != nil {
		t.Fatal(err)
	}
	type alertID struct{ SID uint32 }
	packets := ofPackets(setup)
	var said []string
	for _, line := range strings.Split(string(text), "\n") {
		var e struct {
			Attack struct {
				State, Class, Subject, Side string
				Severity                    int
				Alerts                      []alertID
				Result                      string
				Origin                      struct{ IP, Prefix string }
				Target                      struct {
					Group string
					Ports []int
				}
			}
		}
		if !strings.Contains(line, `"event_type":"attack"`) || json.Unmarshal([]byte(line), &e) != nil || e.Attack.State != "closed" {
			continue
		}
		a := &e.Attack
		byPacket := a.Class == "spoofing"
		if len(a.Alerts) > 0 {
			byPacket = !slices.ContainsFunc(a.Alerts, func(x alertID) bool { return !packets[x.SID] })
		}
		if byPacket {
			continue
		}
		said = append(said, fmt.Sprintf("%s by %s%s on %s %v, subject %q, %s, severity %d, %s", a.Class, a.Origin.IP, a.Origin.Prefix, a.Target.Group, a.Target.Ports, a.Subject, a.Side, a.Severity, a.Result))
	}
	slices.Sort(said)
	return said
}

// An attacker who sends every byte in a segment of its own is seen to attack as one who does not.
func TestAttacksDoNotDependOnSegments(t *testing.T) {
	every := 12
	if testing.Short() {
		every = 40
	}
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1, Checksums: "none"})
	if err != nil {
		t.Fatal(err)
	}
	compared, attacks := 0, 0
	for _, name := range recordings(t, every) {
		pieces, ok := inPieces(t, name, 1)
		if !ok {
			continue
		}
		small := filepath.Join(t.TempDir(), "pieces.pcap")
		if err := os.WriteFile(small, pieces, 0o600); err != nil {
			t.Fatal(err)
		}
		whole, got := attacksOf(t, setup, name), attacksOf(t, setup, small)
		if !slices.Equal(whole, got) {
			t.Errorf("%s: in pieces of one byte\n%s\nwhole\n%s", name, strings.Join(got, "\n"), strings.Join(whole, "\n"))
		}
		compared++
		attacks += len(whole)
	}
	t.Logf("%d captures compared, with %d attacks", compared, attacks)
}
