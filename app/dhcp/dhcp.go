// Package dhcp reads DHCP (RFC 2131, RFC 2132) over UDP.
//
// Datagrams come in by contract.Parser; who asks, which server answers and what it hands out come out, one transaction
// a message. Called by app's driver. It keeps no leases: what a second server or a thousand askers mean is for others
// to judge.
package dhcp

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
)

// Keyword indices.
const (
	kwLease = iota
	kwRebinding
	kwRenewal
)

// Event indices.
const (
	evMalformed = iota
	evTruncated
	evNoType
)

// Layout of a message, RFC 2131 section 2.
const (
	opRequest, opReply = 1, 2
	atHops             = 3
	atXID              = 4
	atClient           = 12
	atYours            = 16
	atNext             = 20
	atRelay            = 24
	atHardware         = 28
	atCookie           = 236
	atOptions          = 240
	hardwareMax        = 16
)

// Options, RFC 2132.
const (
	optPad, optEnd   = 0, 255
	optMask          = 1
	optRouter        = 3
	optDNS           = 6
	optHostname      = 12
	optRequested     = 50
	optLease         = 51
	optType          = 53
	optServer        = 54
	optParams        = 55
	optRenewal       = 58
	optRebinding     = 59
	optVendor        = 60
	optClientID      = 61
	optionsMax       = 128 // read of a message: a datagram of empty options holds thousands
	addressesMax     = 16  // of a list
	paramsMax        = 64
	typeDiscover     = 1
	typeOffer        = 2
	typeACK          = 5
	typeInform       = 8
	textMax          = 255
	serverPort, port = 67, 68
)

var cookie = [4]byte{99, 130, 83, 99}

// Protocol is dhcp's line of app's table.
func Protocol() contract.Protocol {
	spare := &pool.Spare[tx, *tx]{}
	number := func(name string) contract.Keyword {
		return contract.Keyword{Name: name, Kind: contract.KindNumber, Dirs: contract.OnBoth}
	}
	return contract.Protocol{
		Name: "dhcp", EventType: "dhcp", Transport: contract.UDP, ServerPorts: []uint16{serverPort, port},
		Probe: probe, New: func(l contract.Limits) contract.Parser { return newParser(l, spare) },
		Keywords:              []contract.Keyword{number("dhcp.leasetime"), number("dhcp.rebinding_time"), number("dhcp.renewal_time")},
		Events:                []string{"malformed_options", "truncated_options", "missing_type"},
		Steps:                 [2][]string{{"request_started", "request_complete"}, {"response_started", "response_complete"}},
		LogRequestsAndReplies: true,
		Limits:                contract.Limits{MaxTx: 64},
	}
}

// probe looks for the magic cookie behind a sane head; whoever replies is the server.
func probe(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if len(b) < atOptions || b[0] != opRequest && b[0] != opReply || int(b[2]) > hardwareMax || [4]byte(b[atCookie:]) != cookie {
		return contract.No
	}
	if (b[0] == opReply) != (dir == contract.ToClient) {
		return contract.YesReversed
	}
	return contract.Yes
}
