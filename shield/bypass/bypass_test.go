package bypass

import (
	"testing"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/stream"
)

// kernel takes every order and says that 3 packets of 300 bytes from A and 2 of 1,000 from B were skipped.
type kernel struct {
	capture.Live
	begun, ended []capture.Conversation
	why          []capture.Reason
}

func (k *kernel) Bypass(_ uint16, c *capture.Conversation, why capture.Reason) bool {
	k.why = append(k.why, why)
	k.begun = append(k.begun, *c)
	return true
}

func (k *kernel) Resume(c *capture.Conversation) (a, b capture.Skipped) {
	k.ended = append(k.ended, *c)
	return capture.Skipped{Packets: 3, Bytes: 300}, capture.Skipped{Packets: 2, Bytes: 1000}
}

func tcp() (*decode.Packet, *flow.Flow) {
	return &decode.Packet{IPVersion: 4, Proto: decode.ProtoTCP, HasL4: true},
		&flow.Flow{IPVersion: 4, Proto: decode.ProtoTCP, State: flow.Established, ClientPort: 1001, ServerPort: 443, VLANs: 1, VLAN: [3]uint16{7}, Bytes: [2]uint64{600, 500}}
}

func TestWhatIsSkipped(t *testing.T) {
	reasons := map[config.Bypass]capture.Reason{{Bytes: 1100}: capture.ByBytes, {Depth: true}: capture.ByDepth, {TLS: true}: capture.ByTLS, {SSH: true}: capture.BySSH}
	depth := []uint8{stream.EstInvalidAck, stream.ReassemblyDepthReached}
	encrypted := func(name string) *app.Conversation {
		return &app.Conversation{Protocol: &contract.Protocol{Name: name}, Stopped: contract.StopDone}
	}
	handshake := &app.Conversation{Protocol: &contract.Protocol{Name: "tls"}}
	for _, x := range []struct {
		name   string
		wishes config.Bypass
		rule   bool
		change func(p *decode.Packet, f *flow.Flow)
		events []uint8
		app    *app.Conversation
		want   bool
	}{
		{"nothing wished", config.Bypass{}, false, nil, depth, encrypted("tls"), false},
		{"a rule", config.Bypass{}, true, nil, nil, nil, true},
		{"a rule, and an attack", config.Bypass{}, true, func(_ *decode.Packet, f *flow.Flow) { f.Alerted = true }, nil, nil, true},
		{"long enough", config.Bypass{Bytes: 1100}, false, nil, nil, nil, true},
		{"too short", config.Bypass{Bytes: 1101}, false, nil, nil, nil, false},
		{"the depth", config.Bypass{Depth: true}, false, nil, depth, nil, true},
		{"not the depth", config.Bypass{Depth: true}, false, nil, depth[:1], nil, false},
		{"TLS", config.Bypass{TLS: true}, false, nil, nil, encrypted("tls"), true},
		{"TLS in its handshake", config.Bypass{TLS: true}, false, nil, nil, handshake, false},
		{"SSH for TLS", config.Bypass{TLS: true}, false, nil, nil, encrypted("ssh"), false},
		{"SSH", config.Bypass{SSH: true}, false, nil, nil, encrypted("ssh"), true},
		{"an attack in it", config.Bypass{TLS: true}, false, func(_ *decode.Packet, f *flow.Flow) { f.Alerted = true }, nil, encrypted("tls"), false},
		{"within a tunnel", config.Bypass{Bytes: 1}, true, func(p *decode.Packet, _ *flow.Flow) { p.Depth = 1 }, nil, nil, false},
		{"around a tunnel", config.Bypass{Bytes: 1}, true, func(p *decode.Packet, f *flow.Flow) {
			p.Proto, f.Proto, p.Inner = decode.ProtoUDP, decode.ProtoUDP, []byte{1}
		}, nil, nil, false},
		{"ICMP", config.Bypass{Bytes: 1}, true, func(p *decode.Packet, f *flow.Flow) { p.Proto, f.Proto = decode.ProtoICMP, decode.ProtoICMP }, nil, nil, false},
		{"an error about it", config.Bypass{Bytes: 1}, true, func(p *decode.Packet, _ *flow.Flow) { p.Proto = decode.ProtoICMP }, nil, nil, false},
		{"closed", config.Bypass{Bytes: 1}, true, func(_ *decode.Packet, f *flow.Flow) { f.State = flow.Closed }, nil, nil, false},
	} {
		var k Keeper
		out := &kernel{}
		k.Open(out, x.wishes)
		p, f := tcp()
		if x.change != nil {
			x.change(p, f)
		}
		if k.Over(f) {
			t.Errorf("%s: over before it began", x.name)
		}
		k.Ask(x.rule)
		if got := k.Begin(p, f, x.events, x.app); got != x.want || got != (len(out.begun) == 1) {
			t.Errorf("%s: %v, orders %v", x.name, got, out.begun)
		}
		why := map[bool]capture.Reason{true: capture.ByRule, false: reasons[x.wishes]}[x.rule]
		if x.want && out.why[0] != why {
			t.Errorf("%s: for the reason %v, expected %v", x.name, out.why[0], why)
		}
		if k.Over(f); x.rule && k.asked {
			t.Errorf("%s: the rule's wish outlives its packet", x.name)
		}
	}
}

func TestSkippedConversationEnds(t *testing.T) {
	for _, x := range []struct {
		name           string
		client, server uint8
		over           bool
	}{
		{"data", decode.SYN | decode.ACK, decode.SYN | decode.ACK, false},
		{"one side's FIN", decode.FIN, decode.ACK, false},
		{"both sides' FIN", decode.FIN, decode.FIN, true},
		{"RST", decode.ACK, decode.RST, true},
	} {
		var k Keeper
		out := &kernel{}
		k.Open(out, config.Bypass{})
		_, f := tcp()
		f.State, f.TCPFlags = flow.Bypassed, [2]uint8{x.client, x.server}
		if !k.Over(f) {
			t.Errorf("%s: its payload is looked at", x.name)
		}
		if ended := len(out.ended) == 1; ended != x.over || ended != (f.State == flow.Closed) {
			t.Errorf("%s: ended %v, state %d", x.name, out.ended, f.State)
		}
		k.Ended(f) // the record's end counts what was not counted yet, and no more
		if len(out.ended) != 1 || f.Packets != [2]uint64{3, 2} || f.Bytes != [2]uint64{900, 1500} {
			t.Errorf("%s: %d times ended, %v packets, %v bytes", x.name, len(out.ended), f.Packets, f.Bytes)
		}
		if c := out.ended[0]; c.PortA != 1001 || c.PortB != 443 || c.VLANs != 1 || c.VLAN[0] != 7 || c.IPVersion != 4 || c.Proto != 6 {
			t.Errorf("%+v", c)
		}
	}
}

// A source that cannot skip, like a file or one that stands in the way, changes nothing.
func TestSourceThatCannotSkip(t *testing.T) {
	var k Keeper
	k.Open(struct{ capture.Live }{}, config.Bypass{Bytes: 1})
	p, f := tcp()
	k.Ask(true)
	if k.Begin(p, f, nil, nil) {
		t.Error("skipped")
	}
}
