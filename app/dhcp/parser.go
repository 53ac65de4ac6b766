package dhcp

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
)

// tx is one message.
type tx struct {
	contract.TxState
	reply                 bool
	xid                   uint32
	hardware              []byte
	client, yours         [4]byte
	next, relay           [4]byte
	kind                  uint8 // message type, 0 none
	requested, mask       []byte
	server                []byte
	routers, resolvers    []byte // addresses, four bytes each
	params                []byte
	hostname, vendor, cid []byte
	times                 [3]uint32 // by keyword
	has                   [3]bool
}

type parser struct{ pool.List[tx, *tx] }

func newParser(limits contract.Limits, spare *pool.Spare[tx, *tx]) contract.Parser {
	p := &parser{}
	p.Max, p.Spare = limits.MaxTx, spare
	return p
}

// Feed reads a datagram.
func (p *parser) Feed(in contract.Input) contract.Result {
	if len(in.Data) >= atOptions {
		if t := p.Open(); t != nil {
			t.read(in.Dir, in.Data)
		}
	}
	return contract.Result{Consumed: len(in.Data)}
}

func (t *tx) read(dir contract.Direction, b []byte) {
	t.OneWay = 1 + int8(dir)
	t.reply = b[0] == opReply
	t.xid = binary.BigEndian.Uint32(b[atXID:])
	t.hardware = append(t.hardware[:0], b[atHardware:atHardware+min(int(b[2]), hardwareMax)]...)
	t.client, t.yours = [4]byte(b[atClient:]), [4]byte(b[atYours:])
	t.next, t.relay = [4]byte(b[atNext:]), [4]byte(b[atRelay:])
	t.options(b[atOptions:])
	if t.kind == 0 {
		t.AddEvent(evNoType)
		return
	}
	t.tell(dir)
}

// options reads code, length and value until the end mark.
func (t *tx) options(b []byte) {
	for range optionsMax {
		for len(b) > 0 && b[0] == optPad {
			b = b[1:]
		}
		if len(b) == 0 || b[0] == optEnd {
			return
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			t.AddEvent(evTruncated)
			return
		}
		t.option(b[0], b[2:2+int(b[1])])
		b = b[2+int(b[1]):]
	}
	t.AddEvent(evMalformed)
}

func (t *tx) option(code byte, v []byte) {
	switch code {
	case optType:
		if len(v) == 1 {
			t.kind = v[0]
		}
	case optMask:
		t.mask = address(t.mask, v)
	case optRequested:
		t.requested = address(t.requested, v)
	case optServer:
		t.server = address(t.server, v)
	case optRouter:
		t.routers = addresses(t.routers, v)
	case optDNS:
		t.resolvers = addresses(t.resolvers, v)
	case optHostname:
		t.hostname = append(t.hostname[:0], v...)
	case optVendor:
		t.vendor = append(t.vendor[:0], v...)
	case optClientID:
		t.cid = append(t.cid[:0], v...)
	case optParams:
		t.params = append(t.params[:0], v[:min(len(v), paramsMax)]...)
	case optLease, optRebinding, optRenewal:
		if len(v) != 4 {
			t.AddEvent(evMalformed)
			return
		}
		kw := map[byte]int{optLease: kwLease, optRebinding: kwRebinding, optRenewal: kwRenewal}[code]
		t.times[kw], t.has[kw] = binary.BigEndian.Uint32(v), true
	}
}

func address(dst, v []byte) []byte {
	if len(v) != 4 {
		return dst[:0]
	}
	return append(dst[:0], v...)
}

// addresses appends a list: an option may come in several pieces (RFC 3396).
func addresses(dst, v []byte) []byte {
	n := min(len(v)/4*4, 4*addressesMax-len(dst))
	return append(dst, v[:max(n, 0)]...)
}

// tell tells the own detectors who asked, or which server offers which routers and resolvers.
func (t *tx) tell(dir contract.Direction) {
	f := contract.Fact{Kind: contract.DHCPOffer, Dir: dir, Code: uint32(t.kind), Size: t.xid}
	if !t.reply {
		f.Name = hex.EncodeToString(t.hardware)
		if t.relay != [4]byte{} {
			f.Text = netip.AddrFrom4(t.relay).String()
		}
	} else if len(t.server) == 4 {
		f.Name = netip.AddrFrom4([4]byte(t.server)).String()
		f.Text = listed(t.routers) + "|" + listed(t.resolvers)
	}
	t.Facts = append(t.Facts, f)
}

func listed(b []byte) string {
	var s strings.Builder
	for ; len(b) >= 4; b = b[4:] {
		if s.Len() > 0 {
			s.WriteByte(',')
		}
		s.WriteString(netip.AddrFrom4([4]byte(b)).String())
	}
	return s.String()
}

// Reset makes the parser as new.
func (p *parser) Reset() { p.List.Reset() }

// Reuse empties the transaction.
func (t *tx) Reuse() {
	*t = tx{TxState: t.TxState, hardware: t.hardware[:0], requested: t.requested[:0], mask: t.mask[:0], server: t.server[:0],
		routers: t.routers[:0], resolvers: t.resolvers[:0], params: t.params[:0], hostname: t.hostname[:0], vendor: t.vendor[:0], cid: t.cid[:0]}
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress is complete at once.
func (t *tx) Progress(contract.Direction) uint8 { return 1 }

// Buffer has nothing to say.
func (t *tx) Buffer(int, int) ([]byte, bool) { return nil, false }

// Number returns the times a server hands out, seconds.
func (t *tx) Number(kw, i int) (uint64, bool) {
	if kw < 0 || kw >= len(t.times) || i != 0 || !t.has[kw] {
		return 0, false
	}
	return uint64(t.times[kw]), true
}
