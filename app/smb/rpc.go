package smb

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/dcerpc"
)

// rpc reads the DCERPC PDUs in what was written to or read from a pipe. It returns whether data belongs to
// any; v is the SMB command that carried it.
func (p *parser) rpc(h *head, f *file, dir contract.Direction, data []byte) bool {
	if part := f.part[dir]; len(part) > 0 {
		f.part[dir] = append(part, data...)
		data = f.part[dir]
	}
	any := false
	for len(data) > 0 {
		ph, ok := dcerpc.ParseHeader(data)
		if !ok {
			if len(data) < dcerpc.HeaderLen && data[0] == 5 {
				break
			}
			f.part[dir] = f.part[dir][:0]
			return any
		}
		any = true
		if len(data) < ph.FragLen {
			break
		}
		if dir == contract.ToServer {
			p.rpcRequest(h, f, ph, data[:ph.FragLen])
		} else {
			p.rpcResponse(h, f, ph, data[:ph.FragLen])
		}
		data = data[ph.FragLen:]
	}
	if len(data) > pipePartMax {
		data = nil
	}
	f.part[dir] = append(f.part[dir][:0], data...)
	return any
}

func (p *parser) rpcRequest(h *head, f *file, ph dcerpc.Header, pdu []byte) {
	const first = 1
	var t *tx
	if ph.Type == dcerpc.TypeAuth3 {
		f.session.FromClient(ph, pdu, &p.scratch, 0) // has no answer and makes no transaction
		return
	}
	if ph.Flags&first == 0 {
		t = p.callOf(f, func(t *tx) bool { return t.CallID == ph.CallID && !t.Call.ReqWhole })
	}
	if t == nil {
		if t = p.begin(h, kindRPC); t == nil {
			return
		}
		t.of, t.session = f, f.session
		t.name = append(t.name[:0], f.name...)
		t.req = false
	}
	t.mid, t.cmd = h.mid, h.cmd
	f.session.FromClient(ph, pdu, &t.Call, p.room(len(t.ReqStub)))
	p.charge(t)
	if t.Malformed {
		p.event(t, evRPCMalformed)
	}
	if t.Call.ReqWhole && !t.req {
		t.req = true
		t.Facts = f.session.AppendFacts(t.Facts, &t.Call, string(f.name))
		if t.ZeroCredential {
			p.event(t, evZeroCredential)
		}
	}
}

func (p *parser) rpcResponse(h *head, f *file, ph dcerpc.Header, pdu []byte) {
	t := p.callOf(f, func(t *tx) bool { return t.CallID == ph.CallID })
	if t == nil {
		if t = p.begin(h, kindRPC); t == nil {
			return
		}
		t.of, t.session = f, f.session
		t.name = append(t.name[:0], f.name...)
	}
	f.session.FromServer(ph, pdu, &t.Call, p.room(len(t.ResStub)))
	p.charge(t)
	t.status, t.hasStatus = h.status, true
	t.res = t.Call.ResWhole
	t.Facts = f.session.AppendLogin(t.Facts, &t.Call)
}

// callOf returns the newest unanswered call of a pipe that is wants.
func (p *parser) callOf(f *file, is func(*tx) bool) *tx {
	for i := len(p.live) - 1; i >= 0; i-- {
		if t := p.live[i]; t.kind == kindRPC && t.of == f && !t.res && is(t) {
			return t
		}
	}
	return nil
}

// room is how long a stub of n bytes may become.
func (p *parser) room(n int) int {
	return min(p.limits.BufferBytes, n+max(bodiesMax-p.held, 0))
}

func (p *parser) charge(t *tx) {
	n := len(t.ReqStub) + len(t.ResStub)
	p.held += n - t.charged
	t.charged = n
}
