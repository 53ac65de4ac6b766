// Package dns reads DNS (RFC 1035, 2782, 3596, 6891) over UDP and TCP.
//
// Messages come in by contract.Parser; names, types, answers and flags come out, one transaction a message
// as in Suricata. Called by app's driver. It resolves nothing and remembers no question beyond the flow.
package dns

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
)

// Keyword indices.
const (
	kwQuery = iota
	kwOpcode
	kwRcode
	kwRrtype
	kwQueries
	kwAnswers
	kwAuthorities
	kwAdditionals
	kwResponse
)

// Event indices. Suricata 7 renamed two; both spellings are set.
const (
	evMalformed = iota
	evNotARequest
	evNotAResponse
	evNotRequest
	evNotResponse
	evZFlag
	evOpcode
	evNameTooLong
	evLoop
	evLabels
	evAdditionals
	evAuthorities
	evFlooded
)

const (
	headerLen  = 12
	hopsMax    = 255  // compression pointers followed for one name (loops); RFC 1035 4.1.4 sets none
	labelsMax  = 255  // a name of 255 bytes has at most 127, RFC 1035 2.3.4
	nameMax    = 1025 // kept of an over-long name, as Suricata does
	recordsMax = 256  // records read of a message: a 64 KiB message of compressed records holds thousands
	textMax    = 64 << 10
	opcodeMax  = 6 // RFC 8490
)

// Protocol is dns's line of app's table.
func Protocol() contract.Protocol {
	spare := &pool.Spare[tx, *tx]{}
	multi := func(name string, dirs contract.DirSet, aliases ...string) contract.Keyword {
		return contract.Keyword{Name: name, Aliases: aliases, Kind: contract.KindMulti, Dirs: dirs}
	}
	return contract.Protocol{
		Name: "dns", EventType: "dns", Transport: contract.Both, ServerPorts: []uint16{53},
		Probe: probe, ProbeDatagram: probeMessage, New: func(l contract.Limits) contract.Parser { return newParser(l, spare) },
		Keywords: []contract.Keyword{
			multi("dns.query", contract.OnRequest, "dns_query"),
			{Name: "dns.opcode", Kind: contract.KindNumber, Dirs: contract.OnBoth},
			{Name: "dns.rcode", Kind: contract.KindNumber, Dirs: contract.OnBoth, Values: numbered(rcodes[:])},
			{Name: "dns.rrtype", Kind: contract.KindNumber, Dirs: contract.OnBoth, Values: typeNumbers()},
			multi("dns.queries.rrname", contract.OnBoth),
			multi("dns.answers.rrname", contract.OnBoth),
			multi("dns.authorities.rrname", contract.OnBoth),
			multi("dns.additionals.rrname", contract.OnBoth),
			multi("dns.response.rrname", contract.OnReply),
		},
		Events: []string{"malformed_data", "not_a_request", "not_a_response", "not_request", "not_response", "z_flag_set",
			"invalid_opcode", "name_too_long", "infinite_loop", "too_many_labels", "invalid_additionals", "invalid_authorities", "flooded"},
		Steps:                 [2][]string{{"request_started", "request_complete"}, {"response_started", "response_complete"}},
		LogRequestsAndReplies: true,
		Limits:                contract.Limits{MaxTx: 256},
	}
}

// probe judges a TCP flow's first bytes: a message's length, and the message as far as it has come. It asks for a sane
// message: DNS has no magic, and it is looked for on any port.
func probe(b []byte, dir contract.Direction, port uint16) contract.Verdict {
	if len(b) < 2 {
		return contract.Maybe
	}
	n := u16(b)
	if n < headerLen+5 {
		return contract.No
	}
	if b = b[2:]; len(b) >= n {
		return probeMessage(b[:n], dir, port)
	}
	if len(b) < headerLen {
		if usual := port == 53; len(b) >= 4 && !usual && (b[2]>>3&15 > opcodeMax || b[3]&0x40 != 0) || len(b) >= 6 && u16(b[4:]) > questionsMax {
			return contract.No
		}
		return contract.Maybe
	}
	if !plausible(b, port == 53) {
		return contract.No
	}
	if v := probeMessage(b, dir, port); v != contract.No && b[2]&0x80 != 0 {
		return v // the questions of a reply are whole, and its answers take their time
	}
	return contract.Maybe
}

// questionsMax is more than anybody asks in one message: all but a few ask one.
const questionsMax = 4

// plausible judges a message's first 12 bytes.
func plausible(b []byte, usual bool) bool {
	flags := u16(b[2:])
	questions, answers := u16(b[4:]), u16(b[6:])
	others := u16(b[8:]) + u16(b[10:])
	if flags>>11&15 > opcodeMax && !usual || questions > questionsMax || questions == 0 && answers == 0 && !usual {
		return false
	}
	return usual || flags&0x0040 == 0 && answers <= 300 && others <= 300 && (flags&0x8000 != 0 || answers == 0)
}

// probeMessage judges a whole message.
func probeMessage(b []byte, dir contract.Direction, port uint16) contract.Verdict {
	if len(b) < headerLen+5 {
		return contract.No
	}
	questions, others := u16(b[4:]), u16(b[8:])+u16(b[10:])
	reply, usual := b[2]&0x80 != 0, port == 53
	if !plausible(b, usual) {
		return contract.No
	}
	r := reader{msg: b, walk: true}
	at := headerLen
	for range questions {
		name, next, ok := r.name(at)
		if !ok || next+4 > len(b) || name.broken {
			return contract.No
		}
		kind, class := u16(b[next:]), u16(b[next+2:])&0x7fff
		if class != 1 && class != 3 && class != 4 && class != 255 || kind == 0 || !usual && kind > 260 && kind != 32769 && kind < 65280 {
			return contract.No
		}
		at = next + 4
	}
	if !usual && !reply && others == 0 && at != len(b) {
		return contract.No
	}
	if reply != (dir == contract.ToClient) {
		return contract.YesReversed
	}
	return contract.Yes
}

func u16(b []byte) int { return int(b[0])<<8 | int(b[1]) }

func u32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
