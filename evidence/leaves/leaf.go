// Package leaves is the public part of what a log holds, byte for byte: attacks, totals, events, corrections.
//
// In: fields. Out: the bytes of an entry, and back; what is not exactly what would be written again is refused. Called by
// evidence and by those who check it. It knows nothing of files, keys or private parts.
package leaves

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Types of leaves. Unknown ones verify as opaque and are never counted.
const (
	TypeAttack     = 1
	TypeTotals     = 2
	TypeCorrection = 3
	TypeEvent      = 4

	Version     = 1
	AttackBytes = 200
	TotalsFixed = 144
	EntryMax    = 65535 // a frame's length is a u16
)

// Cells: (((class*3 + outcome)*3 + result)*3 + risk)*2 + side; counter 2*cell, its withdrawn twin 2*cell+1.
const (
	Classes = 25
	Cells   = Classes * 3 * 3 * 3 * 2
)

// Flags of an attack leaf.
const (
	FlagRisk     = 3 // bits 0-1
	FlagSide     = 1 << 2
	FlagOverflow = 1 << 3
	FlagEnd      = 1 << 4
)

// Flags of a totals leaf; bits 8-9 hold the kind of log.
const (
	FlagStart   = 1 << 0
	FlagStop    = 1 << 1
	FlagUnclean = 1 << 2
	KindShift   = 8
	totalsFlags = FlagStart | FlagStop | FlagUnclean | 3<<KindShift // all others are 0
)

// Attack is the public part of one counted attack.
type Attack struct {
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
func (l *Attack) Cell() int {
	side := 0
	if l.Flags&FlagSide != 0 {
		side = 1
	}
	return ((int(l.Class)*9+int(l.OutcomeResult))*3+int(l.Flags&FlagRisk))*2 + side
}

// Overflow says that the leaf stands for several attacks: too many accounts were open.
func (l *Attack) Overflow() bool { return l.Flags&FlagOverflow != 0 }

var be = binary.BigEndian

// Micro is a time in the unit of leaves, of ns since 1970 UTC.
func Micro(ns int64) uint64 { return uint64(max(ns, 0) / 1000) }

// Append appends the leaf's bytes.
func (l *Attack) Append(b []byte) []byte {
	b = append(b, TypeAttack, Version)
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

// DecodeAttack reads an attack's leaf; anything but what Append writes is an error.
func DecodeAttack(b []byte) (l Attack, err error) {
	if len(b) != AttackBytes || b[0] != TypeAttack || b[1] != Version {
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
	var again [AttackBytes]byte
	if l.Class >= Classes || l.OutcomeResult > 8 || l.Flags&FlagRisk == 3 || l.Flags > 31 || l.Ordinal == 0 || !bytes.Equal(l.Append(again[:0]), b) {
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

// Fields are the counts in the order in which they are written.
func (l Ledger) Fields() [6]uint64 {
	return [6]uint64{l.Received, l.Inspected, l.Bypassed, l.KernelDrops, l.Shed, l.Undecodable}
}

// Plus is the sum of two.
func (l Ledger) Plus(o Ledger) Ledger {
	return Ledger{l.Received + o.Received, l.Inspected + o.Inspected, l.Bypassed + o.Bypassed, l.KernelDrops + o.KernelDrops, l.Shed + o.Shed, l.Undecodable + o.Undecodable}
}

// Totals is the running total of every cell, and the heartbeat.
type Totals struct {
	Flags    uint16
	Number   uint64 // gapless from 0
	Previous uint64 // index of the totals leaf before
	Time     uint64 // microseconds
	Ledger   Ledger
	Cosigned [32]byte
	TableID  [32]byte
	Counters Counters
}

// Append appends the leaf's bytes.
func (l *Totals) Append(b []byte) []byte {
	b = append(b, TypeTotals, Version)
	b = be.AppendUint16(b, l.Flags)
	b = append(b, 0, 0, 0, 0)
	for _, v := range []uint64{l.Number, l.Previous, l.Time} {
		b = be.AppendUint64(b, v)
	}
	for _, v := range l.Ledger.Fields() {
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

// DecodeTotals reads a totals leaf; anything but what Append writes is an error.
func DecodeTotals(b []byte) (*Totals, error) {
	if len(b) < TotalsFixed+2 || b[0] != TypeTotals || b[1] != Version {
		return nil, errLeaf
	}
	l := &Totals{Flags: be.Uint16(b[2:]), Number: be.Uint64(b[8:]), Previous: be.Uint64(b[16:]), Time: be.Uint64(b[24:])}
	for i, p := range []*uint64{&l.Ledger.Received, &l.Ledger.Inspected, &l.Ledger.Bypassed, &l.Ledger.KernelDrops, &l.Ledger.Shed, &l.Ledger.Undecodable} {
		*p = be.Uint64(b[32+8*i:])
	}
	copy(l.Cosigned[:], b[80:])
	copy(l.TableID[:], b[112:])
	rest, id := b[TotalsFixed+2:], uint64(0)
	for range be.Uint16(b[TotalsFixed:]) {
		gap, n := binary.Uvarint(rest)
		if n <= 0 || gap >= CountersMost {
			return nil, errLeaf
		}
		v, m := binary.Uvarint(rest[n:])
		if id += gap; m <= 0 || id >= CountersMost {
			return nil, errLeaf
		}
		l.Counters[id] = v
		id, rest = id+1, rest[n+m:]
	}
	if l.Flags&^totalsFlags != 0 || !bytes.Equal(l.Append(nil), b) {
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
	CodeUnkept
)

// String is the code's name.
func (c Code) String() string {
	names := [...]string{"", "decision", "unprotected", "gap", "clock jump", "restart", "caps", "continuation", "erasure", "retention", "rules changed", "authorised", "unkept"}
	if int(c) < len(names) && c > 0 {
		return names[c]
	}
	return fmt.Sprintf("code %d", uint16(c))
}

// Event is what is not counted and must not be missing.
type Event struct {
	Code    Code
	Time    uint64 // microseconds
	Attack  uint64 // index of the attack leaf it belongs to + 1, or 0
	Data    []byte
	Private [32]byte
}

// Append appends the leaf's bytes.
func (l *Event) Append(b []byte) []byte {
	b = append(b, TypeEvent, Version)
	b = be.AppendUint16(b, uint16(l.Code))
	b = be.AppendUint64(b, l.Time)
	b = be.AppendUint64(b, l.Attack)
	b = be.AppendUint16(b, uint16(len(l.Data)))
	b = append(b, l.Data...)
	return append(b, l.Private[:]...)
}

// DecodeEvent reads an event's leaf; anything but what Append writes is an error.
func DecodeEvent(b []byte) (l Event, err error) {
	if len(b) < 54 || b[0] != TypeEvent || b[1] != Version || len(b) != 54+int(be.Uint16(b[20:])) {
		return l, errLeaf
	}
	l = Event{Code: Code(be.Uint16(b[2:])), Time: be.Uint64(b[4:]), Attack: be.Uint64(b[12:]), Data: b[22 : len(b)-32]}
	copy(l.Private[:], b[len(b)-32:])
	return l, nil
}

// Correction withdraws an attack leaf and says where it belongs. Nothing is subtracted.
type Correction struct {
	Attack uint64 // index of the attack leaf
	Cell   uint32 // the new cell, or Cells for none
	Reason []byte
}

// Append appends the leaf's bytes.
func (l *Correction) Append(b []byte) []byte {
	b = append(b, TypeCorrection, Version)
	b = be.AppendUint64(b, l.Attack)
	b = be.AppendUint32(b, l.Cell)
	b = be.AppendUint16(b, uint16(len(l.Reason)))
	return append(b, l.Reason...)
}

// DecodeCorrection reads a correction.
func DecodeCorrection(b []byte) (l Correction, err error) {
	if len(b) < 16 || b[0] != TypeCorrection || b[1] != Version || len(b) != 16+int(be.Uint16(b[14:])) {
		return l, errLeaf
	}
	l = Correction{Attack: be.Uint64(b[2:]), Cell: be.Uint32(b[10:]), Reason: b[16:]}
	if l.Cell > Cells {
		return l, errLeaf
	}
	return l, nil
}
