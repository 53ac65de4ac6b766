package shield

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/evidence"
)

// skippingWire is a wire whose kernel skips what it is told to, as capture/afpacket's does.
type skippingWire struct {
	quietWire
	skip    map[capture.Conversation]capture.Skipped
	refuses bool
	why     capture.Reason
}

func (s *skippingWire) Bypass(_ uint16, c *capture.Conversation, why capture.Reason) bool {
	if s.why = why; !s.refuses {
		s.skip[*c] = capture.Skipped{}
	}
	return !s.refuses
}

func (s *skippingWire) Resume(c *capture.Conversation) (a, b capture.Skipped) {
	a = s.skip[*c]
	delete(s.skip, *c)
	return a, b
}

func (s *skippingWire) Next(f *capture.Frame) error {
	for len(s.frames) > 0 && !s.stopped {
		d := s.frames[0].Data
		flags, hidden := d[14+20+13], false
		for c, n := range s.skip {
			if port := binary.BigEndian.Uint16(d[34:]); (port == c.PortA || port == c.PortB) && (d[23] == 17 || flags&7 == 0) {
				n.Packets, n.Bytes, hidden = n.Packets+1, n.Bytes+uint64(len(d)), true
				s.skip[c] = n
			}
		}
		if !hidden {
			break
		}
		s.stats.Bypassed++
		s.stats.Why[s.why]++
		s.frames = s.frames[1:]
	}
	return s.quietWire.Next(f)
}

// segmentOf is a frame of a connection between two fixed hosts.
func segmentOf(at int64, port uint16, back bool, flags byte, seq, ack uint32, payload string) capture.Frame {
	src, dst, sp, dp := []byte{192, 0, 2, 1}, []byte{198, 51, 100, 7}, port, uint16(9999)
	if back {
		src, dst, sp, dp = dst, src, dp, sp
	}
	b := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0}, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0)
	binary.BigEndian.PutUint16(b[16:], uint16(40+len(payload)))
	b = append(append(b, src...), dst...)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, sp), dp)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, seq), ack)
	b = append(append(b, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0), payload...)
	return capture.Frame{Data: b, Time: at, WireLen: uint32(len(b)), LinkType: 1}
}

// connection is a whole one: 3 packets, n of one word from the client, then what ends it.
func connection(at int64, port uint16, n int, word string) (all []capture.Frame) {
	add := func(back bool, flags byte, seq, ack uint32, payload string) {
		all = append(all, segmentOf(at+int64(len(all))*1e6, port, back, flags, seq, ack, payload))
	}
	add(false, 2, 99, 0, "")
	add(true, 0x12, 499, 100, "")
	add(false, 0x10, 100, 500, "")
	seq := uint32(100)
	for range n {
		add(false, 0x18, seq, 500, word)
		seq += uint32(len(word))
	}
	add(false, 0x11, seq, 500, "")
	add(true, 0x11, 500, seq+1, "")
	return all
}

func TestConversationsAreSkippedByWish(t *testing.T) {
	const n, start = 50, int64(1_700_000_000e9)
	rules := filepath.Join(t.TempDir(), "a.rules")
	text := `alert tcp-pkt any any -> any any (msg:"skip me"; content:"please"; bypass; sid:1;)
alert tcp-pkt any any -> any any (msg:"second"; content:"please"; flow:established; threshold:type limit,track by_src,seconds 1,count 1; sid:2;)
`
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name, word string
		sets       []string
		refuses    bool
		skipped    uint64 // at least this many of n
		endless    bool   // nothing ends the connection but the next one's SYN
	}{
		{"nothing wished", "harmless text of some length", nil, false, 0, false},
		{"a rule", "please, and more text", nil, false, n - 1, false},
		{"a rule, no end", "please, and more text", nil, false, n - 1, true},
		{"a rule, no kernel", "please, and more text", nil, true, 0, false},
		{"the depth", "harmless text of some length", []string{"stream.reassembly.depth=100", "bypass.depth=yes"}, false, n - 10, false},
		{"the depth, as the peer says it", "harmless text of some length", []string{"stream.reassembly.depth=100", "stream.bypass=yes"}, false, n - 10, false},
		{"the depth, bypass off", "harmless text of some length", []string{"stream.reassembly.depth=100"}, false, 0, false},
		{"encryption, and there is none", "harmless text of some length", []string{"bypass.encrypted=yes"}, false, 0, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			setup, err := NewSetup(SetupOptions{OnlyRules: []string{rules}, Running: true, Workers: 1, Checksums: "none", Sets: x.sets})
			if err != nil {
				t.Fatal(err)
			}
			if wished := setup.Bypasses(); !wished {
				t.Error("the rule's wish is not known")
			}
			frames := connection(start, 1001, n, x.word)
			if x.endless {
				frames = frames[:len(frames)-2]
			}
			frames = append(frames, connection(start+1e9, 1001, 1, "second: please")...) // of the same ports: it must be looked at
			sent := uint64(len(frames))
			stop := make(chan struct{})
			w := &skippingWire{quietWire: quietWire{frames: frames, now: start + 2e9, step: 1e8, until: start + 4e9, stop: stop}, skip: map[capture.Conversation]capture.Skipped{}, refuses: x.refuses}
			state := t.TempDir()
			sum, err := setup.Run(RunOptions{Live: []capture.Live{w}, State: state, Kind: evidence.Live, Stop: stop})
			if err != nil {
				t.Fatal(err)
			}
			l := sum.Ledger
			if !l.Balanced() || l.Received != sent || l.Bypassed != w.stats.Bypassed || l.Inspected+l.Bypassed != sent {
				t.Errorf("%d sent, %+v", sent, l)
			}
			if l.Bypassed < x.skipped || x.skipped == 0 && l.Bypassed != 0 {
				t.Errorf("%d bypassed, expected %d of %d", l.Bypassed, x.skipped, n)
			}
			if len(sum.Part.Faces) != 1 || sum.Part.Faces[0].Ledger != l || sum.Part.Faces[0].Why != w.stats.Why {
				t.Errorf("by interface %+v, the wire says %+v", sum.Part.Faces, w.stats)
			}
			if sum.Counters.Flows != 2 || len(w.skip) != 0 {
				t.Errorf("%d flows; still skipped %v", sum.Counters.Flows, w.skip)
			}
			if sum.Alerts == 0 {
				t.Error("the connection after it was not looked at")
			}
		})
	}
}
