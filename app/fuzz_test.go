package app

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

// dialogue feeds a flow as shield does: what was not taken is offered again, both sides take turns when asked to.
type dialogue struct {
	t       *testing.T
	d       *Driver
	f       *flow.Flow
	pending [2][]byte
	gap     [2]int
	ended   [2]bool
	number  uint64
	txs     int
}

func (x *dialogue) feed(dir flow.Direction, s apptest.Segment) {
	x.number++
	if x.f.Proto == decode.ProtoUDP {
		x.datagram(dir, s.Data)
	} else {
		if s.Gap > 0 {
			x.pending[dir], x.gap[dir] = nil, x.gap[dir]+s.Gap
		}
		x.pending[dir] = append(x.pending[dir], s.Data...)
		x.turns()
	}
	x.settle()
}

func (x *dialogue) datagram(dir flow.Direction, b []byte) {
	x.d.Datagram(x.f, dir, b, int64(x.number)*1e6, x.number)
	if c := x.d.Conversation(x.f); c != nil && c.Swap {
		x.f.Swap()
		x.d.Datagram(x.f, dir^1, b, int64(x.number)*1e6, x.number)
		if c = x.d.Conversation(x.f); c != nil && c.Swap {
			x.t.Fatal("the ends are to be swapped twice")
		}
	}
}

func (x *dialogue) turns() {
	for range 8 {
		moved := false
		for dir := flow.ToServer; dir <= flow.ToClient; dir++ {
			data, gap := x.pending[dir], x.gap[dir]
			if len(data) == 0 && gap == 0 && !x.ended[dir] {
				continue
			}
			n := x.d.Feed(x.f, dir, data, gap, x.ended[dir], int64(x.number)*1e6, x.number)
			if n < 0 || n > len(data) {
				x.t.Fatalf("%d bytes taken of %d", n, len(data))
			}
			c := x.d.Conversation(x.f)
			if c != nil && c.Swap {
				x.f.Swap()
				x.pending[0], x.pending[1] = x.pending[1], x.pending[0]
				x.gap[0], x.gap[1] = x.gap[1], x.gap[0]
				x.ended[0], x.ended[1] = x.ended[1], x.ended[0]
				moved = true
				break
			}
			x.pending[dir], x.gap[dir] = data[n:], 0
			if len(x.pending[dir]) > maxPending {
				x.t.Fatalf("%d bytes wait for more", len(x.pending[dir]))
			}
			moved = moved || n > 0 || gap > 0
			if c != nil && c.Again {
				x.settle()
				moved = true
				break
			}
		}
		if !moved {
			return
		}
	}
}

func (x *dialogue) settle() {
	if c := x.d.Conversation(x.f); c != nil {
		for _, tx := range c.Txs() {
			tx.AppendRecord(nil)
			for _, e := range tx.State().Events {
				if int(e) >= len(c.Protocol.Events) {
					x.t.Fatalf("%s: event %d of %d", c.Protocol.Name, e, len(c.Protocol.Events))
				}
			}
			tx.State().Facts = tx.State().Facts[:0]
		}
		x.txs = max(x.txs, len(c.Txs()))
		x.d.Settle(x.f)
	}
}

// talkTo feeds a conversation and returns the protocol's name.
func talkTo(t *testing.T, d *Driver, conversation []apptest.Segment, udp, midstream bool, port uint16) string {
	x := &dialogue{t: t, d: d, f: &flow.Flow{Proto: decode.ProtoTCP, ClientPort: 40000, ServerPort: port, Midstream: midstream}}
	if udp {
		x.f.Proto = decode.ProtoUDP
	}
	for _, s := range conversation {
		dir := flow.Direction(s.Dir)
		if x.f.Swapped {
			dir ^= 1
		}
		x.feed(dir, s)
	}
	if !udp {
		x.ended = [2]bool{true, true}
		x.turns()
	}
	x.number++
	d.End(x.f, int64(x.number)*1e6, x.number)
	x.settle()
	name := d.Name(x.f.AppProto)
	d.Forget(x.f)
	if x.f.App != 0 {
		t.Fatal("the flow is not forgotten")
	}
	return name
}

// FuzzDriver lets the driver find out what a conversation is and read it. No parser panics, nothing hangs, what waits is
// bounded, and the driver says the same of it again.
func FuzzDriver(f *testing.F) {
	ports := []uint16{9999, 80, 445, 53, 25, 21, 88, 389, 443, 22, 135, 23, 3306, 5432, 1433, 3389, 161, 123}
	for i, p := range Protocols() {
		for _, c := range apptest.Recorded(p) {
			f.Add(apptest.Pack(c), uint8(i))
			break
		}
	}
	f.Add(apptest.Pack([]apptest.Segment{apptest.S("220 x ESMTP\r\n"), apptest.C("EHLO a\r\n"), apptest.S("250 STARTTLS\r\n"), apptest.C("STARTTLS\r\n"), apptest.S("220 go\r\n"), apptest.C("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")}), uint8(4))
	f.Add(apptest.Pack([]apptest.Segment{apptest.C("CONNECT a:22 HTTP/1.1\r\n\r\n"), apptest.S("HTTP/1.1 200 OK\r\n\r\nSSH-2.0-x\r\n"), apptest.C("SSH-2.0-y\r\n")}), uint8(1))
	f.Add(apptest.Pack([]apptest.Segment{apptest.S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), apptest.C("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")}), uint8(0x40))
	shared := New(Config{})
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		stop := time.AfterFunc(20*time.Second, func() {
			fmt.Fprintln(os.Stderr, "no end after 20 s")
			os.Exit(2)
		})
		defer stop.Stop()
		conversation := apptest.Unpack(b)
		port := ports[int(n&31)%len(ports)]
		udp, midstream := n&0x80 != 0, n&0x40 != 0
		whole := talkTo(t, shared, conversation, udp, midstream, port)
		whole2 := talkTo(t, shared, conversation, udp, midstream, port)
		if whole != whole2 {
			t.Fatalf("%q at first, %q from parsers used before", whole, whole2)
		}
		for id := range shared.protocols {
			if c := shared.Counters(first + uint16(id)); c.Panics > 0 {
				t.Fatalf("the parser of %s panicked", shared.protocols[id].Name)
			}
		}
	})
}

// What a conversation is does not depend on the pieces in which its first bytes come.
func TestProtocolsAreKnownInPieces(t *testing.T) {
	ports := []uint16{9999, 80}
	for _, p := range Protocols() {
		usual := ports
		if len(p.ServerPorts) > 0 {
			usual = append([]uint16{p.ServerPorts[0]}, ports...)
		}
		for i, c := range apptest.Recorded(p) {
			if p.Transport == contract.UDP {
				break
			}
			for _, port := range usual {
				whole := talkTo(t, New(Config{}), c, false, false, port)
				for _, size := range []int{1, 2, 3, 4, 5, 8, 13} {
					if parts := talkTo(t, New(Config{}), apptest.Cut(c, size), false, false, port); parts != whole {
						t.Errorf("%s %d on port %d: whole it is %q, in pieces of %d bytes %q", p.Name, i, port, whole, size, parts)
						break
					}
				}
			}
		}
	}
}
