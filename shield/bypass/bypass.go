// Package bypass decides which conversations a live source's kernel may skip, and keeps account of them.
//
// In: what a worker knows of a packet and its flow. Out: orders to the source, the flow's state and its full counts.
// Called by each worker for its own source. Without a source that can skip, everything is inspected.
package bypass

import (
	"slices"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/stream"
)

// Keeper is one worker's. The zero value skips nothing.
type Keeper struct {
	wishes config.Bypass
	source capture.Bypasser
	asked  bool // a rule that says bypass matched the packet in hand
}

// Open takes a worker's source.
func (k *Keeper) Open(source capture.Live, wishes config.Bypass) {
	k.source, _ = source.(capture.Bypasser)
	k.wishes = wishes
}

// Ask notes that a rule matched; says: it has the keyword.
func (k *Keeper) Ask(says bool) { k.asked = k.asked || says }

// Over says whether f is skipped and the payload of a packet that comes nevertheless is not looked at. The packet may
// be the one that ends it. To be called after it was counted.
func (k *Keeper) Over(f *flow.Flow) bool {
	k.asked = false
	if f == nil || f.State != flow.Bypassed {
		return false
	}
	a, b := f.TCPFlags[flow.ToServer], f.TCPFlags[flow.ToClient]
	if f.Proto == decode.ProtoTCP && ((a|b)&decode.RST != 0 || a&b&decode.FIN != 0) {
		k.Ended(f)
		f.State = flow.Closed
	}
	return true
}

// Begin has the kernel skip what follows p in f, if that is wished: events are the stream's of p, c what app knows.
// true: it will; the caller ends what f carries and sets its state. A conversation in which an attack was seen is
// skipped only if a rule says so; one within a tunnel, or around one, never, for the kernel sees the outside alone.
func (k *Keeper) Begin(p *decode.Packet, f *flow.Flow, events []uint8, c *app.Conversation) bool {
	if k.source == nil || !k.asked && !k.wishes.On() || f.State == flow.Bypassed || f.State == flow.Closed {
		return false
	}
	if p.Depth > 0 || p.Inner != nil || p.Fragment || f.Proto != p.Proto || p.Proto != decode.ProtoTCP && p.Proto != decode.ProtoUDP {
		return false
	}
	why, wished := capture.ByRule, k.asked
	if !wished && !f.Alerted && !f.Pinned {
		why, wished = k.wished(f, events, c)
	}
	return wished && k.source.Bypass(f.Interface, conversation(f), why)
}

func (k *Keeper) wished(f *flow.Flow, events []uint8, c *app.Conversation) (capture.Reason, bool) {
	switch w := &k.wishes; {
	case w.Bytes > 0 && f.Bytes[0]+f.Bytes[1] >= uint64(w.Bytes):
		return capture.ByBytes, true
	case w.Depth && slices.Contains(events, stream.ReassemblyDepthReached):
		return capture.ByDepth, true
	case c != nil && c.Protocol != nil && c.Encrypted():
		if c.Protocol.Name == "tls" {
			return capture.ByTLS, w.TLS
		}
		return capture.BySSH, w.SSH && c.Protocol.Name == "ssh"
	}
	return 0, false
}

// Ended tells the kernel that f is over, and adds to it what was skipped.
func (k *Keeper) Ended(f *flow.Flow) {
	if f.State != flow.Bypassed || k.source == nil {
		return
	}
	client, server := k.source.Resume(conversation(f))
	f.Packets[flow.ToServer] += client.Packets
	f.Bytes[flow.ToServer] += client.Bytes
	f.Packets[flow.ToClient] += server.Packets
	f.Bytes[flow.ToClient] += server.Bytes
}

func conversation(f *flow.Flow) *capture.Conversation {
	return &capture.Conversation{A: f.Client, B: f.Server, PortA: f.ClientPort, PortB: f.ServerPort,
		Proto: f.Proto, IPVersion: f.IPVersion, VLANs: f.VLANs, VLAN: f.VLAN}
}
