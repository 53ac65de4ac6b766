// Package explain puts packets and rules into words for a person.
//
// In: kept packets and the rules in force. Out: one line a packet, its marks, a rule's text. Called by the console,
// which shield hands an Inspector. It is never on a packet's way and changes nothing.
package explain

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/console"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/rule"
)

// Bounds of the marks on one packet.
const (
	marksPerContent = 8
	marksMax        = 64
	markLeast       = 3 // shorter contents stand everywhere
)

// Inspector explains packets and rules to a console; its methods may be called from several goroutines.
type Inspector struct {
	rules atomic.Pointer[map[[2]uint32]*rule.Rule] // by gid, sid
	mu    sync.Mutex                               // guards the decoder and its packet
	dec   decode.Decoder
	pkt   decode.Packet
}

// New returns an inspector that knows rules.
func New(rules []*rule.Rule) *Inspector {
	in := &Inspector{}
	in.Renew(rules)
	return in
}

// Renew makes it know other rules.
func (in *Inspector) Renew(rules []*rule.Rule) {
	known := make(map[[2]uint32]*rule.Rule, len(rules))
	for _, r := range rules {
		known[[2]uint32{r.GID, r.SID}] = r
	}
	in.rules.Store(&known)
}

// known is the rule of that number; nil: there is none.
func (in *Inspector) known(gid, sid uint32) *rule.Rule {
	return (*in.rules.Load())[[2]uint32{gid, sid}]
}

// Frames implements console.Inspector.
func (in *Inspector) Frames(pcap []byte) ([]console.Frame, error) {
	src, err := file.New("kept packets", bytes.NewReader(pcap))
	if err != nil {
		return nil, err
	}
	var frames []console.Frame
	for {
		var f capture.Frame
		if err := src.Next(&f); errors.Is(err, io.EOF) {
			return frames, nil
		} else if err != nil {
			return frames, err
		}
		c := console.Frame{Data: bytes.Clone(f.Data), Wire: f.WireLen, Link: f.LinkType, Time: f.Time}
		in.Describe(&c)
		frames = append(frames, c)
	}
}

// Capture implements console.Inspector.
func (*Inspector) Capture(frames []console.Frame) []byte {
	if len(frames) == 0 {
		return nil
	}
	b := file.AppendHeader(nil, frames[0].Link)
	for _, f := range frames {
		if f.Link == frames[0].Link {
			b = file.AppendRecord(b, f.Data, f.Wire, f.Time)
		}
	}
	return b
}

// Rule implements console.Inspector.
func (in *Inspector) Rule(gid, sid uint32) (console.Rule, bool) {
	r := in.known(gid, sid)
	if r == nil {
		return console.Rule{}, false
	}
	return console.Rule{Text: r.Text, File: r.File, Line: r.Line}, true
}

// Describe implements console.Inspector.
func (in *Inspector) Describe(f *console.Frame) {
	in.mu.Lock()
	defer in.mu.Unlock()
	p := &in.pkt
	p.WireLen = f.Wire
	in.dec.Decode(p, f.Link, f.Data)
	f.PayloadOffset = len(f.Data)
	if len(p.Payload) > 0 {
		f.PayloadOffset = bytes.Index(f.Data, p.Payload)
	}
	f.Summary = sentence(p, f.Data)
}

// sentence is a packet in one line.
func sentence(p *decode.Packet, frame []byte) string {
	if p.ARP.Valid {
		what := map[uint16]string{1: "asks who has", 2: "says it has"}[p.ARP.Op]
		addr := p.ARP.TargetIP
		if p.ARP.Op == 2 {
			addr = p.ARP.SenderIP
		}
		return fmt.Sprintf("ARP: %x %s %d.%d.%d.%d", p.ARP.SenderMAC, cmp.Or(what, fmt.Sprintf("operation %d on", p.ARP.Op)), addr[0], addr[1], addr[2], addr[3])
	}
	if p.IPVersion == 0 {
		return fmt.Sprintf("%d bytes, type 0x%04x", len(frame), p.EtherType)
	}
	ends := func(a decode.Addr, port uint16) string {
		s := a.Netip().String()
		if !p.HasL4 || port == 0 {
			return s
		}
		if p.IPVersion == 6 {
			s = "[" + s + "]"
		}
		return fmt.Sprintf("%s:%d", s, port)
	}
	text := ends(p.Src, p.SrcPort) + " → " + ends(p.Dst, p.DstPort) + " " + transport(p)
	return fmt.Sprintf("%s, %d bytes", text, len(p.Payload))
}

var flagNames = []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"}

func transport(p *decode.Packet) string {
	switch p.Proto {
	case decode.ProtoTCP:
		var names []string
		for i, name := range flagNames {
			if p.TCP.Flags&(1<<i) != 0 {
				names = append(names, name)
			}
		}
		return "TCP " + strings.Join(names, ",")
	case decode.ProtoUDP:
		return "UDP"
	case decode.ProtoICMP, decode.ProtoICMPv6:
		return fmt.Sprintf("ICMP type %d code %d", p.ICMPType, p.ICMPCode)
	case decode.ProtoSCTP:
		return "SCTP"
	}
	return fmt.Sprintf("IP protocol %d", p.Proto)
}

// Marks implements console.Inspector: where the payload holds a content that one of the rules asks for.
func (in *Inspector) Marks(alerts []attack.AlertCount, f *console.Frame) [][2]int {
	if f.PayloadOffset < 0 || f.PayloadOffset >= len(f.Data) {
		return nil
	}
	payload := f.Data[f.PayloadOffset:]
	lower := asciiLower(payload)
	var marks [][2]int
	for _, a := range alerts {
		r := in.known(a.GID, a.SID)
		if r == nil {
			continue
		}
		for _, g := range r.Groups {
			for _, c := range g.Conditions {
				x, ok := c.(*rule.Content)
				if !ok || x.Negated || len(x.Pattern) < markLeast {
					continue
				}
				if x.NoCase {
					marks = find(marks, lower, asciiLower(x.Pattern), f.PayloadOffset)
				} else {
					marks = find(marks, payload, x.Pattern, f.PayloadOffset)
				}
			}
		}
	}
	return joined(marks)
}

// asciiLower is a copy in which A to Z are small; other bytes stay, so that places agree.
func asciiLower(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

func find(marks [][2]int, in, pattern []byte, offset int) [][2]int {
	for at, n := 0, 0; n < marksPerContent; n++ {
		i := bytes.Index(in[at:], pattern)
		if i < 0 {
			break
		}
		marks = append(marks, [2]int{offset + at + i, offset + at + i + len(pattern)})
		at += i + len(pattern)
	}
	return marks
}

// joined sorts marks and joins those that touch.
func joined(marks [][2]int) [][2]int {
	slices.SortFunc(marks, func(a, b [2]int) int { return cmp.Or(a[0]-b[0], a[1]-b[1]) })
	out := marks[:0]
	for _, m := range marks {
		if n := len(out); n > 0 && m[0] <= out[n-1][1] {
			out[n-1][1] = max(out[n-1][1], m[1])
			continue
		}
		out = append(out, m)
	}
	return out[:min(len(out), marksMax)]
}
