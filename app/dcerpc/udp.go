package dcerpc

import "github.com/dejpha/dejpha/app/contract"

// Connectionless header, C706 12.5.
const (
	udpHeaderLen = 80
	udpFlagFrag  = 4
	udpFlagLast  = 2
	udpTypesMax  = 10
)

func probeDatagram(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if len(b) < udpHeaderLen || b[0] != 4 || b[1] > udpTypesMax || b[3]&0xfc != 0 || b[4]&0xee != 0 || b[5] > 3 || b[6] != 0 {
		return contract.No
	}
	h := Header{BigEndian: b[4]&0x10 == 0}
	if n := int(h.u16(b[74:])); n > len(b)-udpHeaderLen {
		return contract.No
	}
	fromServer := b[1] == TypeResponse || b[1] == TypeFault || b[1] >= 4 && b[1] <= 6 || b[1] >= 9
	if fromServer == (dir == contract.ToServer) && b[1] != 7 {
		return contract.YesReversed
	}
	return contract.Yes
}

// datagram reads one connectionless PDU.
func (p *parser) datagram(in contract.Input) contract.Result {
	b := in.Data
	all := contract.Result{Consumed: len(b)}
	if len(b) < udpHeaderLen || b[0] != 4 {
		if len(b) > 0 {
			p.event(p.last(), evMalformed)
		}
		return all
	}
	h := Header{Version: 4, Type: b[1] & 0x1f, Flags: b[2], BigEndian: b[4]&0x10 == 0}
	order := Header{} // Suricata writes activities little endian whatever the sender's order
	activity := order.uuid(b[40:56])
	sequence := h.u32(b[64:])
	stub := b[udpHeaderLen:]
	if n := int(h.u16(b[74:])); n < len(stub) {
		stub = stub[:n]
	}
	last := h.Flags&udpFlagFrag == 0 || h.Flags&udpFlagLast != 0
	t := p.find(func(t *tx) bool { return t.udp && t.sequence == sequence && t.activity == activity })
	switch h.Type {
	case TypeRequest:
		if t == nil || t.req {
			if t = p.open(); t == nil {
				return all
			}
			t.udp, t.activity, t.sequence = true, activity, sequence
		}
		p.udpRequest(t, h, b, stub, last)
	case TypeResponse, TypeFault:
		if t == nil || t.res {
			if t = p.open(); t == nil {
				return all
			}
			t.udp, t.activity, t.sequence, t.req, t.reqLost = true, activity, sequence, true, true
		}
		t.ResSet, t.ResType, t.ResBig = true, h.Type, h.BigEndian
		t.ResFrags++
		t.ResBytes += uint64(len(stub))
		t.ResStub = appendBounded(t.ResStub, stub, p.room(t, t.ResStub))
		p.charge(t)
		t.res = last
	}
	return all
}

func (p *parser) udpRequest(t *tx, h Header, b, stub []byte, last bool) {
	t.ReqSet, t.ReqType, t.ReqBig = true, h.Type, h.BigEndian
	t.Opnum, t.HasOpnum = h.u16(b[68:]), true
	t.ReqFrags++
	t.ReqBytes += uint64(len(stub))
	t.ReqStub = appendBounded(t.ReqStub, stub, p.room(t, t.ReqStub))
	p.charge(t)
	if !last {
		return
	}
	t.req = true
	u := h.uuid(b[24:40])
	t.Facts = append(t.Facts, contract.Fact{Kind: contract.RPCCall, Name: knownName(AppendUUID(p.scratch[:0], &u)),
		Code: uint32(t.Opnum), Size: uint32(min(t.ReqBytes, 1<<31)), Text: "udp"})
}
