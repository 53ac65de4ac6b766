package apptest

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/captest"
	"github.com/dejpha/dejpha/decode"
)

// Bounds of the conversations taken from recordings.
const (
	recordedMax   = 200 // while fuzzing
	recordedPlain = 20  // in an ordinary run
	recordedBytes = 16 << 10
	recordedEach  = 3 // of one capture
)

// ends names a flow by the addresses and ports of its sender and receiver.
type ends struct {
	src, dst         decode.Addr
	srcPort, dstPort uint16
	udp              bool
}

func (e ends) back() ends { return ends{e.dst, e.src, e.dstPort, e.srcPort, e.udp} }

// talk is a flow of a recording on its way to a conversation.
type talk struct {
	segments []Segment
	next     [2]uint32
	began    [2]bool
	bytes    int
	udp      bool
	port     uint16 // of the one who did not begin
}

// Recorded returns conversations in protocol p from recorded traffic: the project's samples, and the captures beside
// the project where they are there. A segment is put in order only against the one before; what is missing is a gap.
func Recorded(p contract.Protocol) [][]Segment {
	most := recordedPlain
	if captest.Fuzzing() {
		most = recordedMax
	}
	var found [][]Segment
	flows := map[ends]*talk{}
	var order []*talk
	collect := func() {
		n := 0
		for _, f := range order {
			if c := f.conversation(&p); c != nil && n < recordedEach && len(found) < most {
				found = append(found, c)
				n++
			}
		}
		clear(flows)
		order = order[:0]
	}
	var pkt decode.Packet
	var dec decode.Decoder
	captest.Frames(func(first bool, f *capture.Frame) bool {
		if first {
			collect()
		}
		if len(found) >= most {
			return false
		}
		dec.Decode(&pkt, f.LinkType, f.Data)
		if !pkt.HasL4 || pkt.Proto != decode.ProtoTCP && pkt.Proto != decode.ProtoUDP {
			return true
		}
		key := ends{pkt.Src, pkt.Dst, pkt.SrcPort, pkt.DstPort, pkt.Proto == decode.ProtoUDP}
		t, dir := flows[key], contract.ToServer
		if t == nil && flows[key.back()] != nil {
			t, dir = flows[key.back()], contract.ToClient
		}
		if t == nil {
			t = &talk{udp: key.udp, port: key.dstPort}
			flows[key] = t
			order = append(order, t)
		}
		t.add(dir, &pkt)
		return true
	})
	collect()
	return found
}

// add takes a packet's bytes.
func (t *talk) add(dir contract.Direction, p *decode.Packet) {
	seq, data, gap := p.TCP.Seq, p.Payload, 0
	if !t.udp {
		if p.TCP.Flags&decode.SYN != 0 {
			t.began[dir], t.next[dir] = true, seq+1
			return
		}
		if d := int32(seq - t.next[dir]); t.began[dir] && d > 0 {
			gap = int(d)
		} else if t.began[dir] && d < 0 {
			if int(-d) >= len(data) {
				return
			}
			data, seq = data[-d:], t.next[dir]
		}
	}
	if len(data) == 0 || t.bytes+len(data) > recordedBytes {
		return
	}
	t.began[dir], t.next[dir] = true, seq+uint32(len(data))
	t.bytes += len(data)
	t.segments = append(t.segments, Segment{Dir: dir, Data: bytes.Clone(data), Gap: gap})
}

// conversation is the flow as one in p, nil if it is none.
func (t *talk) conversation(p *contract.Protocol) []Segment {
	if transport := contract.TCP; p.Probe == nil || len(t.segments) == 0 {
		return nil
	} else if t.udp && p.Transport&contract.UDP == 0 || !t.udp && p.Transport&transport == 0 {
		return nil
	}
	seen := [2]bool{}
	for _, s := range t.segments {
		if seen[s.Dir] {
			continue
		}
		seen[s.Dir] = true
		switch p.ProbeOf(t.udp)(s.Data, s.Dir, t.port) {
		case contract.YesReversed:
			for i := range t.segments {
				t.segments[i].Dir = 1 - t.segments[i].Dir
			}
			return t.segments
		case contract.Yes:
			return t.segments
		}
	}
	return nil
}
