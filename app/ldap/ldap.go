// Package ldap reads LDAP version 3 (RFC 4511) over TCP and UDP, and what SASL signs but does not encrypt.
//
// Messages come in by contract.Parser; requests with their responses come out as transactions and facts.
// Called by app's driver. It keeps a bounded part of each conversation's bytes and reads fields where they are
// asked for; it never decrypts.
package ldap

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/der"
)

// Keyword indices.
const (
	kwReqOperation = iota
	kwResOperation
	kwResCount
	kwReqDN
	kwResDN
	kwResCode
	kwResMessage
	kwReqAttribute
	kwResAttribute
	kwReqFilter
)

// Event indices.
const (
	evTooMany = iota
	evInvalid
	evNotFound
	evIncomplete
)

// Operations: the application tag's number, RFC 4511 4.2 to 4.14.
const (
	opBind         = 0
	opBindRes      = 1
	opUnbind       = 2
	opSearch       = 3
	opEntry        = 4
	opDone         = 5
	opModify       = 6
	opModifyRes    = 7
	opAdd          = 8
	opAddRes       = 9
	opDel          = 10
	opDelRes       = 11
	opModDN        = 12
	opModDNRes     = 13
	opCompare      = 14
	opCompareRes   = 15
	opAbandon      = 16
	opReference    = 19
	opExtended     = 23
	opExtendedRes  = 24
	opIntermediate = 25
)

const (
	defaultMaxTx = 256
	wholeMax     = 128 << 10 // a longer message is read only so far; AD answers pages of a few KiB, photos may be 100 KiB
	wrappedMax   = 16 << 20  // SASL buffer length, RFC 4422 3.7
	keptMax      = 64 << 10  // bytes kept of one transaction's responses
	responsesMax = 256       // responses kept of one transaction; all are counted
	totalMax     = 4 << 20   // of all live transactions
	keepCap      = 16 << 10
	freeMax      = 16  // released transactions kept for reuse; each may hold a few buffers
	listMax      = 512 // attributes and values read of one message
)

var operations = [...]string{
	opBind: "bind_request", opBindRes: "bind_response", opUnbind: "unbind_request", opSearch: "search_request",
	opEntry: "search_result_entry", opDone: "search_result_done", opModify: "modify_request", opModifyRes: "modify_response",
	opAdd: "add_request", opAddRes: "add_response", opDel: "del_request", opDelRes: "del_response",
	opModDN: "mod_dn_request", opModDNRes: "mod_dn_response", opCompare: "compare_request", opCompareRes: "compare_response",
	opAbandon: "abandon_request", opReference: "search_result_reference", opExtended: "extended_request",
	opExtendedRes: "extended_response", opIntermediate: "intermediate_response",
}

// Protocol is ldap's line of app's table.
//
//	keyword                        kind    meaning
//	ldap.request.operation         number  by number or name
//	ldap.responses.operation       custom  number or name[,index|any|all]; a negative index counts from the end
//	ldap.responses.count           number  responses so far
//	ldap.request.dn                buffer  entry the request is about
//	ldap.responses.dn              multi   entry or matched DN of each response
//	ldap.responses.result_code     custom  code or name[,index|any|all]
//	ldap.responses.message         multi   diagnostic message of each response
//	ldap.request.attribute_type    multi   attributes the request names
//	ldap.responses.attribute_type  multi   attributes of the entries found
//	ldap.request.filter            buffer  (own) filter of a search as text, RFC 4515
func Protocol() contract.Protocol {
	names := map[string]uint64{}
	for i, n := range operations {
		if n != "" {
			names[n] = uint64(i)
		}
	}
	return contract.Protocol{
		Name: "ldap", EventType: "ldap", Transport: contract.Both, ServerPorts: []uint16{389, 3268},
		Probe: probe, New: newParser,
		Keywords: []contract.Keyword{
			{Name: "ldap.request.operation", Kind: contract.KindNumber, Dirs: contract.OnRequest, Values: names},
			{Name: "ldap.responses.operation", Kind: contract.KindCustom, Dirs: contract.OnReply, Grows: true},
			{Name: "ldap.responses.count", Kind: contract.KindNumber, Dirs: contract.OnReply, Grows: true},
			{Name: "ldap.request.dn", Kind: contract.KindBuffer, Dirs: contract.OnRequest},
			{Name: "ldap.responses.dn", Kind: contract.KindMulti, Dirs: contract.OnReply, Grows: true},
			{Name: "ldap.responses.result_code", Kind: contract.KindCustom, Dirs: contract.OnReply, Grows: true},
			{Name: "ldap.responses.message", Kind: contract.KindMulti, Dirs: contract.OnReply, Grows: true},
			{Name: "ldap.request.attribute_type", Kind: contract.KindMulti, Dirs: contract.OnRequest},
			{Name: "ldap.responses.attribute_type", Kind: contract.KindMulti, Dirs: contract.OnReply, Grows: true},
			{Name: "ldap.request.filter", Kind: contract.KindBuffer, Dirs: contract.OnRequest},
		},
		Events:  []string{"too_many_transactions", "invalid_data", "request_not_found", "incomplete_data"},
		Steps:   [2][]string{{"request_started", "request_complete"}, {"response_started", "response_complete"}},
		Compile: compile,
		Limits:  contract.Limits{MaxTx: defaultMaxTx},
	}
}

// fromServer says whether an operation is a server's; ok is false if there is no such operation with this tag.
func fromServer(tag byte) (server, ok bool) {
	switch tag {
	case 0x60, 0x42, 0x63, 0x66, 0x68, 0x4a, 0x6c, 0x6e, 0x50, 0x77:
		return false, true
	case 0x61, 0x64, 0x65, 0x67, 0x69, 0x6b, 0x6d, 0x6f, 0x73, 0x78, 0x79:
		return true, true
	}
	return false, false
}

// open says how long the message at the start of b is (0: it cannot be told yet) and which operation it holds;
// ok is false if b starts with no LDAP message.
func opening(b []byte) (size int, tag byte, ok bool) {
	if len(b) == 0 {
		return 0, 0, true
	}
	if b[0] != 0x30 {
		return 0, 0, false
	}
	head, n, known := der.Header(b)
	if !known {
		return 0, 0, len(b) < 6 && (len(b) < 2 || b[1] > 0x80 && b[1] <= 0x84)
	}
	m := b[head:]
	if len(m) < 2 {
		return 0, 0, n >= 5
	}
	idLen := int(m[1])
	if m[0] != 0x02 || idLen < 1 || idLen > 4 || n < idLen+4 {
		return 0, 0, false
	}
	if len(m) < 3+idLen {
		return 0, 0, true
	}
	tag = m[2+idLen]
	if _, known := fromServer(tag); !known || m[2]&0x80 != 0 {
		return 0, 0, false
	}
	return head + n, tag, true
}

func probe(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	size, tag, ok := opening(b)
	switch {
	case !ok:
		return contract.No
	case size == 0:
		return contract.Maybe
	}
	if server, _ := fromServer(tag); server != (dir == contract.ToClient) {
		return contract.YesReversed
	}
	return contract.Yes
}
