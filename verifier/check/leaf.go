package check

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Types of leaves; others are opaque and never counted.
const (
	leafAttack     = 1
	leafTotals     = 2
	leafCorrection = 3
	leafEvent      = 4
	attackBytes    = 200
	totalsFixed    = 146 // up to and with the number of counters
	leafMax        = 65535
	flagsKnown     = 7 | 3<<8 // of a totals leaf: start, clean stop, unclean start; bits 8-9 hold the kind of log
)

// Words of the closed lists, in the order of their numbers (accounts/1); and what is wrong with most bad leaves.
var (
	classes = []string{"scan", "enumeration", "brute-force", "web-attack", "exploit", "malware", "c2", "tunnel", "dga", "spoofing",
		"lateral-movement", "credential-access", "exfiltration", "flood", "program-download", "program-upload", "plc-stop", "plc-start",
		"mode-change", "firmware-update", "unauthorized-write", "restart", "address-change", "replay", "malformed"}
	outcomes = []string{"foiled", "contained", "observed"}
	results  = []string{"succeeded", "failed", "unknown"}
	risks    = []string{"real", "decoy", "none"}
	sides    = []string{"outside", "inside"}
	kinds    = []string{"live", "recording", "demo"}
	errLeaf  = errors.New("the leaf is not in its one canonical form")
)

// Ids of counters: 2*cell and its withdrawn twin first, then what is no attack and must not be missing.
const (
	cells        = 25 * 3 * 3 * 3 * 2
	idEvents     = 2 * cells // + code, of codes below 100: events
	idGap        = idEvents + 3
	idJump       = idEvents + 4
	idErasure    = idEvents + 8
	idRetention  = idEvents + 9
	idGaps       = 2800 // microseconds of gaps, those before a start left out
	idUnguarded  = 2801 // microseconds without protection
	idAway       = 2802 // microseconds between a stop or crash and the next start
	idForgotten  = 2803 // observations given up because a table was full
	idStarts     = 2804 // 0: the log was begun by a version that counted attacks alone
	idUnclean    = 2805 // starts after anything but a clean stop
	idMerged     = 2806 // attacks merged into overflow accounts
	idPassed     = 2807 // frames that passed without protection
	idOverflow   = 2900 // + class: overflow accounts counted as attacks
	idEnd        = idOverflow + 25
	codesCounted = 100
)

// counter is one running total.
type counter struct {
	id    int
	value uint64
}

// totals is a totals leaf.
type totals struct {
	flags    uint16
	number   uint64
	previous uint64    // index of the totals leaf before
	time     uint64    // microseconds since 1970
	ledger   [6]uint64 // received, inspected, bypassed, dropped by the kernel, shed, undecodable
	table    [32]byte
	counters []counter // rising
}

// decodeTotals reads a totals leaf and refuses every form but the canonical one.
func decodeTotals(b []byte) (t totals, err error) {
	if len(b) < totalsFixed || len(b) > leafMax || b[0] != leafTotals || b[1] != 1 || be.Uint32(b[4:]) != 0 {
		return t, errLeaf
	}
	t.flags, t.number, t.previous, t.time = be.Uint16(b[2:]), be.Uint64(b[8:]), be.Uint64(b[16:]), be.Uint64(b[24:])
	for i := range t.ledger {
		t.ledger[i] = be.Uint64(b[32+8*i:])
	}
	copy(t.table[:], b[112:])
	n, rest, id := int(be.Uint16(b[144:])), b[totalsFixed:], -1
	if t.flags&^flagsKnown != 0 || t.flags>>8&3 == 3 || n > len(rest)/2 {
		return t, errLeaf
	}
	t.counters = make([]counter, n)
	for i := range t.counters {
		gap, l1 := shortest(rest)
		value, l2 := shortest(rest[l1:])
		if id += 1 + int(min(gap, leafMax)); l1 == 0 || l2 == 0 || value == 0 || id > leafMax {
			return t, errLeaf
		}
		t.counters[i], rest = counter{id, value}, rest[l1+l2:]
	}
	if len(rest) != 0 {
		err = errLeaf
	}
	return t, err
}

// shortest reads a varint in its shortest form; length 0 says that it is none.
func shortest(b []byte) (v uint64, n int) {
	v, n = binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, 0
	}
	return v, n
}

// total is a counter's value, 0 where the leaf lacks it.
func (t *totals) total(id int) uint64 {
	at, found := slices.BinarySearchFunc(t.counters, id, func(c counter, id int) int { return c.id - id })
	if !found {
		return 0
	}
	return t.counters[at].value
}

func (t *totals) kind() string { return kinds[t.flags>>8&3] }

// balanced says whether every packet has a fate; sums do not wrap.
func (t *totals) balanced() bool {
	left := t.ledger[0]
	for _, v := range t.ledger[1:] {
		if v > left {
			return false
		}
		left -= v
	}
	return left == 0
}

// follows says what is wrong when t stands somewhere behind an earlier totals leaf of the same log.
func (t *totals) follows(before *totals) error {
	if t.number <= before.number || t.time < before.time || t.flags>>8 != before.flags>>8 {
		return errors.New("number, time or kind of log go back")
	}
	for i, v := range t.ledger {
		if v < before.ledger[i] {
			return errors.New("the packet ledger goes back")
		}
	}
	for _, c := range before.counters {
		if t.total(c.id) < c.value {
			return fmt.Errorf("counter %d goes back", c.id)
		}
	}
	return nil
}

// cellOf reads what an attack leaf counts for; an error unless the leaf is canonical.
func cellOf(b []byte) (cell int, ordinal, closed uint64, err error) {
	if len(b) != attackBytes || b[1] != 1 || be.Uint16(b[94:]) != 0 {
		return 0, 0, 0, errLeaf
	}
	flags, class := be.Uint16(b[2:]), int(be.Uint16(b[4:]))
	ordinal = be.Uint64(b[8:])
	if flags > 31 || flags&3 == 3 || class >= len(classes) || b[6] > 8 || ordinal == 0 {
		return 0, 0, 0, errLeaf
	}
	return ((class*9+int(b[6]))*3+int(flags&3))*2 + int(flags>>2&1), ordinal, be.Uint64(b[16:]), nil
}
