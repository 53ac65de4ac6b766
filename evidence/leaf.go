package evidence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Types of leaves. Unknown ones verify as opaque and are never counted.
const (
	typeAttack     = 1
	typeTotals     = 2
	typeCorrection = 3
	typeEvent      = 4

	leafVersion = 1
	attackBytes = 200
	totalsFixed = 144
	entryMax    = 65535 // a frame's length is a u16
)

// Cells: (((class*3 + outcome)*3 + result)*3 + risk)*2 + side; counter 2*cell, its withdrawn twin 2*cell+1.
const (
	classes = 25
	cells   = classes * 3 * 3 * 3 * 2
)

// Flags of an attack leaf.
const (
	flagRisk     = 3 // bits 0-1
	flagSide     = 1 << 2
	flagOverflow = 1 << 3
	flagEnd      = 1 << 4
)

// Flags of a totals leaf; bits 8-9 hold the kind of log.
const (
	flagStart   = 1 << 0
	flagStop    = 1 << 1
	flagUnclean = 1 << 2
	kindShift   = 8
	totalsFlags = flagStart | flagStop | flagUnclean | 3<<kindShift // all others are 0
)

// AttackLeaf is the public part of one counted attack.
type AttackLeaf struct {
	Flags          uint16
	Class          uint16
	OutcomeResult  uint8 // outcome*3 + result
	Severity       uint8
	Ordinal        uint64 // in its cell, from 1
	ClosedAt       uint64 // microseconds since 1970, as all times of leaves
	FirstSeen      uint64
	LastSeen       uint64
	Packets        uint64
	PacketsStopped uint64
	Bytes          uint64
	BytesStopped   uint64
	Observations   uint32
	Sensor         uint32
	Technique      uint32 // T1110.001 is 1110001
	Rule           uint32
	Family, Proto  uint8
	Port           uint16
	Action, Stage  uint8
	TimeToEffect   uint64
	Ruleset        [32]byte
	Private        [32]byte
	Incident       [32]byte
}

// Cell is the leaf's cell.
func (l *AttackLeaf) Cell() int {
	side := 0
	if l.Flags&flagSide != 0 {
		side = 1
	}
	return ((int(l.Class)*9+int(l.OutcomeResult))*3+int(l.Flags&flagRisk))*2 + side
}

// Overflow says that the leaf stands for several attacks: too many accounts were open.
func (l *AttackLeaf) Overflow() bool { return l.Flags&flagOverflow != 0 }

var be = binary.BigEndian

func (l *AttackLeaf) append(b []byte) []byte {
	b = append(b, typeAttack, leafVersion)
	b = be.AppendUint16(b, l.Flags)
	b = be.AppendUint16(b, l.Class)
	b = append(b, l.OutcomeResult, l.Severity)
	for _, v := range []uint64{l.Ordinal, l.ClosedAt, l.FirstSeen, l.LastSeen, l.Packets, l.PacketsStopped, l.Bytes, l.BytesStopped} {
		b = be.AppendUint64(b, v)
	}
	for _, v := range []uint32{l.Observations, l.Sensor, l.Technique, l.Rule} {
		b = be.AppendUint32(b, v)
	}
	b = append(b, l.Family, l.Proto)
	b = be.AppendUint16(b, l.Port)
	b = append(b, l.Action, l.Stage, 0, 0)
	b = be.AppendUint64(b, l.TimeToEffect)
	b = append(b, l.Ruleset[:]...)
	b = append(b, l.Private[:]...)
	return append(b, l.Incident[:]...)
}

var errLeaf = errors.New("malformed leaf")

func decodeAttack(b []byte) (l AttackLeaf, err error) {
	if len(b) != attackBytes || b[0] != typeAttack || b[1] != leafVersion {
		return l, errLeaf
	}
	l.Flags, l.Class, l.OutcomeResult, l.Severity = be.Uint16(b[2:]), be.Uint16(b[4:]), b[6], b[7]
	for i, p := range []*uint64{&l.Ordinal, &l.ClosedAt, &l.FirstSeen, &l.LastSeen, &l.Packets, &l.PacketsStopped, &l.Bytes, &l.BytesStopped} {
		*p = be.Uint64(b[8+8*i:])
	}
	for i, p := range []*uint32{&l.Observations, &l.Sensor, &l.Technique, &l.Rule} {
		*p = be.Uint32(b[72+4*i:])
	}
	l.Family, l.Proto, l.Port, l.Action, l.Stage = b[88], b[89], be.Uint16(b[90:]), b[92], b[93]
	l.TimeToEffect = be.Uint64(b[96:])
	copy(l.Ruleset[:], b[104:])
	copy(l.Private[:], b[136:])
	copy(l.Incident[:], b[168:])
	var again [attackBytes]byte
	if l.Class >= classes || l.OutcomeResult > 8 || l.Flags&flagRisk == 3 || l.Flags > 31 || l.Ordinal == 0 || !bytes.Equal(l.append(again[:0]), b) {
		return l, errLeaf
	}
	return l, nil
}

// Ledger is the fate of packets, running since the log began.
type Ledger struct {
	Received, Inspected, Bypassed, KernelDrops, Shed, Undecodable uint64
}

// Balanced says whether every packet has a fate.
func (l Ledger) Balanced() bool {
	return l.Received == l.Inspected+l.Bypassed+l.KernelDrops+l.Shed+l.Undecodable
}

func (l Ledger) fields() [6]uint64 {
	return [6]uint64{l.Received, l.Inspected, l.Bypassed, l.KernelDrops, l.Shed, l.Undecodable}
}

// TotalsLeaf is the running total of every cell, and the heartbeat.
type TotalsLeaf struct {
	Flags    uint16
	Number   uint64 // gapless from 0
	Previous uint64 // index of the totals leaf before
	Time     uint64 // microseconds
	Ledger   Ledger
	Cosigned [32]byte
	TableID  [32]byte
	Counters Counters
}

func (l *TotalsLeaf) append(b []byte) []byte {
	b = append(b, typeTotals, leafVersion)
	b = be.AppendUint16(b, l.Flags)
	b = append(b, 0, 0, 0, 0)
	for _, v := range []uint64{l.Number, l.Previous, l.Time} {
		b = be.AppendUint64(b, v)
	}
	for _, v := range l.Ledger.fields() {
		b = be.AppendUint64(b, v)
	}
	b = append(b, l.Cosigned[:]...)
	b = append(b, l.TableID[:]...)
	at := len(b)
	b = append(b, 0, 0)
	n, last := 0, -1
	for id, v := range l.Counters {
		if v != 0 {
			b = binary.AppendUvarint(b, uint64(id-last-1))
			b = binary.AppendUvarint(b, v)
			n, last = n+1, id
		}
	}
	be.PutUint16(b[at:], uint16(n))
	return b
}

func decodeTotals(b []byte) (*TotalsLeaf, error) {
	if len(b) < totalsFixed+2 || b[0] != typeTotals || b[1] != leafVersion {
		return nil, errLeaf
	}
	l := &TotalsLeaf{Flags: be.Uint16(b[2:]), Number: be.Uint64(b[8:]), Previous: be.Uint64(b[16:]), Time: be.Uint64(b[24:])}
	for i, p := range []*uint64{&l.Ledger.Received, &l.Ledger.Inspected, &l.Ledger.Bypassed, &l.Ledger.KernelDrops, &l.Ledger.Shed, &l.Ledger.Undecodable} {
		*p = be.Uint64(b[32+8*i:])
	}
	copy(l.Cosigned[:], b[80:])
	copy(l.TableID[:], b[112:])
	rest, id := b[totalsFixed+2:], uint64(0)
	for range be.Uint16(b[totalsFixed:]) {
		gap, n := binary.Uvarint(rest)
		if n <= 0 || gap >= counters {
			return nil, errLeaf
		}
		v, m := binary.Uvarint(rest[n:])
		if id += gap; m <= 0 || id >= counters {
			return nil, errLeaf
		}
		l.Counters[id] = v
		id, rest = id+1, rest[n+m:]
	}
	if l.Flags&^totalsFlags != 0 || !bytes.Equal(l.append(nil), b) {
		return nil, errLeaf
	}
	return l, nil
}

// Code of an event leaf.
type Code uint16

// Codes.
const (
	CodeDecision Code = iota + 1
	CodeUnprotected
	CodeGap
	CodeClockJump
	CodeRestart
	CodeCaps
	CodeContinuation
	CodeErasure
	CodeRetention
	CodeRulesChanged
	CodeAuthorised
)

// String is the code's name.
func (c Code) String() string {
	names := [...]string{"", "decision", "unprotected", "gap", "clock jump", "restart", "caps", "continuation", "erasure", "retention", "rules changed", "authorised"}
	if int(c) < len(names) && c > 0 {
		return names[c]
	}
	return fmt.Sprintf("code %d", uint16(c))
}

// EventLeaf is what is not counted and must not be missing.
type EventLeaf struct {
	Code    Code
	Time    uint64 // microseconds
	Attack  uint64 // index of the attack leaf it belongs to + 1, or 0
	Data    []byte
	Private [32]byte
}

func (l *EventLeaf) append(b []byte) []byte {
	b = append(b, typeEvent, leafVersion)
	b = be.AppendUint16(b, uint16(l.Code))
	b = be.AppendUint64(b, l.Time)
	b = be.AppendUint64(b, l.Attack)
	b = be.AppendUint16(b, uint16(len(l.Data)))
	b = append(b, l.Data...)
	return append(b, l.Private[:]...)
}

func decodeEvent(b []byte) (l EventLeaf, err error) {
	if len(b) < 54 || b[0] != typeEvent || b[1] != leafVersion || len(b) != 54+int(be.Uint16(b[20:])) {
		return l, errLeaf
	}
	l = EventLeaf{Code: Code(be.Uint16(b[2:])), Time: be.Uint64(b[4:]), Attack: be.Uint64(b[12:]), Data: b[22 : len(b)-32]}
	copy(l.Private[:], b[len(b)-32:])
	return l, nil
}

// CorrectionLeaf withdraws an attack leaf and says where it belongs. Nothing is subtracted.
type CorrectionLeaf struct {
	Attack uint64 // index of the attack leaf
	Cell   uint32 // the new cell, or cells for none
	Reason []byte
}

func decodeCorrection(b []byte) (l CorrectionLeaf, err error) {
	if len(b) < 16 || b[0] != typeCorrection || b[1] != leafVersion || len(b) != 16+int(be.Uint16(b[14:])) {
		return l, errLeaf
	}
	l = CorrectionLeaf{Attack: be.Uint64(b[2:]), Cell: be.Uint32(b[10:]), Reason: b[16:]}
	if l.Cell > cells {
		return l, errLeaf
	}
	return l, nil
}
