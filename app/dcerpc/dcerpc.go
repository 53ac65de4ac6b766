// Package dcerpc reads DCERPC (C706, MS-RPCE) over TCP and UDP, and as the cargo of SMB's named pipes.
//
// Stream bytes or datagrams come in by contract.Parser, or whole PDUs from smb by Session; calls with
// interface, operation number and stub come out as transactions and facts. Called by app's driver and by
// smb. It never decrypts, and keeps at most a bounded part of any stub.
package dcerpc

import (
	"github.com/dejpha/dejpha/app/contract"
)

// Keyword indices.
const (
	kwIface = iota
	kwOpnum
	kwStubRequest
	kwStubReply
)

// Event indices.
const (
	evZeroCredential = iota
	evMalformed
	evTooMany
)

const (
	stubMax      = 128 << 10 // of one call: the largest argument of everyday calls is a driver path list, far below
	stubsMax     = 1 << 20   // of all live calls of a conversation, so that many open calls cannot add up
	keepCap      = 16 << 10  // a released call gives back larger buffers
	defaultMaxTx = 256
	freeMax      = 16 // released calls kept for reuse
)

// Protocol is dcerpc's line of app's table.
//
//	keyword            kind    meaning
//	dcerpc.iface       custom  interface of the call: UUID[,version op number][,any_frag]
//	dcerpc.opnum       custom  operation: number, list, ranges or comparison
//	dcerpc.stub_data   buffer  arguments or results, all fragments joined
//
// Its own events: netlogon_zero_credential (a Netlogon handshake whose challenge or credential is all zero),
// malformed_data, too_many_transactions.
func Protocol() contract.Protocol {
	return contract.Protocol{
		Name: "dcerpc", EventType: "dcerpc", Transport: contract.Both, ServerPorts: []uint16{135, 593},
		Probe: probe, ProbeDatagram: probeDatagram, New: newParser, Keywords: Keywords(),
		Events:  []string{"netlogon_zero_credential", "malformed_data", "too_many_transactions"},
		Steps:   [2][]string{{"request_started", "request_complete"}, {"response_started", "response_complete"}},
		Compile: func(kw int, text string) (any, error) { return Compile(kw == kwIface, text) },
		Limits:  contract.Limits{MaxTx: defaultMaxTx, BufferBytes: stubMax},
	}
}

// Keywords are the words on calls, for TCP and UDP here and for pipes in smb, in this order.
func Keywords() []contract.Keyword {
	return []contract.Keyword{
		{Name: "dcerpc.iface", Aliases: []string{"dce_iface"}, Kind: contract.KindCustom, Dirs: contract.OnBoth},
		{Name: "dcerpc.opnum", Aliases: []string{"dce_opnum"}, Kind: contract.KindCustom, Dirs: contract.OnBoth},
		{Name: "dcerpc.stub_data", Aliases: []string{"dce_stub_data"}, Kind: contract.KindBuffer, Dirs: contract.OnRequest, Step: [2]uint8{1, 0}},
		{Name: "dcerpc.stub_data", Aliases: []string{"dce_stub_data"}, Kind: contract.KindBuffer, Dirs: contract.OnReply, Step: [2]uint8{0, 1}},
	}
}

// Stub returns the stub buffer of the i-th of Keywords, and its byte order.
func (c *Call) Stub(kw int) (data []byte, big, ok bool) {
	switch kw {
	case kwStubRequest:
		return c.ReqStub, c.ReqBig, c.ReqSet && c.ReqType == TypeRequest
	case kwStubReply:
		return c.ResStub, c.ResBig, c.ResSet && c.ResType == TypeResponse
	}
	return nil, false, false
}

// Match says whether the call meets the compiled argument of dcerpc.iface or dcerpc.opnum.
func (s *Session) Match(c *Call, arg any) bool {
	if !c.HasOpnum {
		return false
	}
	switch a := arg.(type) {
	case *ifaceArg:
		return a.match(s, c)
	case *opnumArg:
		return a.match(c.Opnum)
	}
	return false
}

// probe knows connection-oriented PDUs by version, type, data representation and lengths that agree.
func probe(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if len(b) > 0 && b[0] != 5 {
		return contract.No
	}
	if len(b) < HeaderLen {
		if len(b) > 1 && b[1] > 1 {
			return contract.No
		}
		return contract.Maybe
	}
	h, ok := ParseHeader(b)
	if !ok || b[4]&0xee != 0 || b[5] > 3 || b[6] != 0 || b[7] != 0 || h.AuthLen > h.FragLen || !known5(h.Type) {
		return contract.No
	}
	fromServer := h.Type == TypeResponse || h.Type == TypeFault || h.Type == TypeBindAck || h.Type == TypeBindNak || h.Type == TypeAlterAck
	if fromServer == (dir == contract.ToServer) {
		return contract.YesReversed
	}
	return contract.Yes
}

// known5 says whether a connection-oriented PDU may have type t.
func known5(t uint8) bool {
	return t == TypeRequest || t == TypeResponse || t == TypeFault || t >= TypeBind
}
