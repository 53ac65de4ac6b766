package app

import (
	"slices"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

// Events of identification, shared by all protocols (rules: app-layer-event:applayer_...).
const (
	EventMismatch       uint8 = iota // the two directions speak different protocols
	EventWrongDirection              // the server's first bytes look like a client's
	EventOneDirection                // only one direction could be told
	EventNoTLS                       // an upgrade to TLS was announced and something else came
	EventUnexpected                  // the announced protocol is not what came
)

// Events lists the names of identification's events, by index.
func Events() []string {
	return []string{
		"applayer_mismatch_protocol_both_directions",
		"applayer_wrong_direction_first_data",
		"applayer_detect_protocol_only_one_direction",
		"applayer_no_tls_after_starttls",
		"applayer_unexpected_protocol",
	}
}

// identify looks at the first bytes of a direction. settled false: wait, n bytes were taken;
// settled true: the conversation has a parser (or has failed) and the bytes go on to it.
func (d *Driver) identify(f *flow.Flow, c *Conversation, in *contract.Input) (settled bool, n int) {
	dir := in.Dir
	if d.announcedFlow(f, c, in.Time) {
		return true, 0
	}
	if in.Gap > 0 {
		c.skipped[dir] += in.Gap
		d.giveUp(f, c, dir)
	}
	if !c.gaveUp[dir] && len(in.Data) > 0 {
		c.waiting[dir] = len(in.Data)
		if id, reversed, maybe := d.probe(f, c, in); id != 0 {
			return d.identified(f, c, in, id, reversed)
		} else if !maybe || len(in.Data) >= probeBytes || in.End || in.UDP {
			d.giveUp(f, c, dir)
		}
	}
	if c.finished {
		return true, 0
	}
	if c.gaveUp[dir] && (len(in.Data) >= probeBytes || in.End) {
		c.skipped[dir] += len(in.Data)
		return false, len(in.Data)
	}
	return false, 0
}

// identified settles on protocol id; bytes of the other direction that wait are asked for first.
func (d *Driver) identified(f *flow.Flow, c *Conversation, in *contract.Input, id uint16, reversed bool) (bool, int) {
	if reversed && (in.UDP || f.Midstream) && !f.Swapped {
		c.Swap = true
		c.waiting, c.skipped, c.gaveUp = [2]int{}, [2]int{}, [2]bool{}
		return false, 0
	}
	if reversed {
		c.event(EventWrongDirection)
	}
	d.start(f, c, id)
	if in.Dir == contract.ToServer {
		f.AppProtoTS = id
	} else {
		f.AppProtoTC = id
	}
	other := 1 - in.Dir
	if c.waiting[other] > 0 && c.skipped[other] == 0 && in.Dir == contract.ToClient {
		c.Again = true
		return false, 0
	}
	c.Again = c.waiting[other] > 0
	return true, 0
}

// probe asks the protocols; port hints first. maybe: some need more bytes.
func (d *Driver) probe(f *flow.Flow, c *Conversation, in *contract.Input) (id uint16, reversed, maybe bool) {
	t := 0
	if in.UDP {
		t = 1
	}
	port := f.ServerPort
	if f.ServerPortHint != 0 {
		port = f.ServerPortHint
	}
	hinted := d.byPort[portKey{port, in.UDP}]
	if f.Midstream || in.UDP {
		if back := d.byPort[portKey{f.ClientPort, in.UDP}]; len(hinted) == 0 && len(back) > 0 {
			hinted = back
		}
	}
	for pass, list := range [2][]uint16{hinted, d.anywhere[t]} {
		for _, id := range list {
			if !d.enabled[id-first] || pass == 1 && slices.Contains(hinted, id) {
				continue
			}
			switch d.protocols[id-first].ProbeOf(in.UDP)(in.Data, in.Dir, port) {
			case contract.Yes:
				return id, false, false
			case contract.YesReversed:
				return id, true, false
			case contract.Maybe:
				maybe = true
			}
		}
	}
	return 0, false, maybe
}

// giveUp ends identification in one direction, and the whole when both have ended.
func (d *Driver) giveUp(f *flow.Flow, c *Conversation, dir contract.Direction) {
	c.gaveUp[dir] = true
	f.AppDone[dir] = true
	if dir == contract.ToServer {
		f.AppProtoTS = Failed
	} else {
		f.AppProtoTC = Failed
	}
	if c.gaveUp[0] && c.gaveUp[1] {
		f.AppProto = Failed
		c.finished = true
	}
}

func (c *Conversation) event(e uint8) {
	if !slices.Contains(c.Events, e) {
		c.Events = append(c.Events, e)
	}
}

// announcedFlow starts the protocol that another flow announced for this one.
func (d *Driver) announcedFlow(f *flow.Flow, c *Conversation, now int64) bool {
	if c.waiting != [2]int{} || c.Before != 0 {
		return false
	}
	e := d.expected.take(f, now)
	if e == nil || !d.enabled[e.id-first] {
		return false
	}
	f.Parent, f.Expected = e.parent, e.id
	announced := e.what
	c.announced = &announced
	d.start(f, c, e.id)
	f.AppProtoTS, f.AppProtoTC = e.id, e.id
	return true
}

// expectations are announced flows that have not come yet. Both ends of an announced flow are the
// two ends of the announcing one, so all of them meet in one worker.
type expectations struct {
	list  []expectation        // oldest first
	ports [1 << 16 / 64]uint64 // bits of the ports in list: hardly one of the flows that come by is expected
}

type expectation struct {
	pair   [2]decode.Addr // ordered
	port   uint16
	id     uint16
	parent uint64
	until  int64
	what   contract.Expect
}

// Bounds: a client that sends PASV for ever must not grow the list.
const (
	maxExpectations = 256
	expectationLife = int64(60) * 1e9 // FTP data connections come at once or not at all
)

func pair(a, b decode.Addr) [2]decode.Addr {
	if string(a[:]) > string(b[:]) {
		a, b = b, a
	}
	return [2]decode.Addr{a, b}
}

func (x *expectations) add(f *flow.Flow, id uint16, e *contract.Expect, now int64) {
	if id == 0 {
		return
	}
	if len(x.list) >= maxExpectations {
		x.drop(0)
	}
	x.ports[e.Port/64] |= 1 << (e.Port % 64)
	x.list = append(x.list, expectation{pair(f.Client, f.Server), e.Port, id, f.ID, now + expectationLife, *e})
}

func (x *expectations) take(f *flow.Flow, now int64) *expectation {
	if !x.hasPort(f.ServerPort) && !x.hasPort(f.ClientPort) {
		return nil
	}
	p := pair(f.Client, f.Server)
	for i := len(x.list) - 1; i >= 0; i-- {
		e := &x.list[i]
		if e.pair == p && (e.port == f.ServerPort || e.port == f.ClientPort) && now < e.until {
			taken := *e // copied here, not above: every new flow comes by, hardly one is expected
			x.drop(i)
			return &taken
		}
	}
	return nil
}

func (x *expectations) hasPort(port uint16) bool { return x.ports[port/64]>>(port%64)&1 != 0 }

// drop forgets one, and its port unless another has it.
func (x *expectations) drop(i int) {
	port := x.list[i].port
	x.list = slices.Delete(x.list, i, i+1)
	if !slices.ContainsFunc(x.list, func(e expectation) bool { return e.port == port }) {
		x.ports[port/64] &^= 1 << (port % 64)
	}
}
