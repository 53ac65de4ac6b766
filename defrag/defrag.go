// Package defrag puts IPv4 and IPv6 fragments together.
//
// In: decoded fragments. Out: whole datagrams, valid until the next call. Called by each worker for its own
// packets. It is bounded in datagrams, bytes and time; what it forgets is counted. It reads no clock.
package defrag

import (
	"encoding/binary"

	"github.com/dejpha/dejpha/decode"
)

// Policy is how a target's stack chooses between fragments that overlap (names as in Suricata's host-os-policy).
type Policy uint8

// Policies.
const (
	BSD Policy = iota // the first one that begins no later wins
	First
	Last
	Linux
	Solaris
	Windows
	BSDRight
)

// ParsePolicy returns the policy of a name in Suricata's spelling: systems that put fragments together alike share one.
func ParsePolicy(name string) (Policy, bool) {
	switch name {
	case "bsd", "hpux10", "irix":
		return BSD, true
	case "bsd-right":
		return BSDRight, true
	case "linux", "old-linux":
		return Linux, true
	case "first", "hpux11", "macos":
		return First, true
	case "solaris", "old-solaris":
		return Solaris, true
	case "windows", "vista", "windows2k3":
		return Windows, true
	case "last":
		return Last, true
	}
	return BSD, false
}

// Config of a table.
type Config struct {
	MemoryBytes int64                           // of kept fragments; 0: 32 MiB
	TimeoutSec  int64                           // 0: 60
	Policy      func(target decode.Addr) Policy // nil: BSD
	IgnoreVLAN  bool
}

// Counters of a table.
type Counters struct{ Fragments, Rebuilt, TimedOut, Evicted, Overlaps, Refused uint64 }

// Bounds: RFC 791's datagram size, a count no honest sender reaches with the least MTU of 68 bytes, and what may be
// kept of one datagram: all of it twice. Nobody else sends as much of one that is still not whole.
const (
	datagramMax  = 65535
	fragmentsMax = 1400
	datagramsMax = 4096
	keptMax      = 2 * datagramMax
	blocks       = (datagramMax + 1) / 8
	trackerBytes = 1 << 11 // a tracker without fragments, counted roughly
	partBytes    = 64      // a fragment without its data
)

type key struct {
	src, dst decode.Addr
	id       uint32
	vlan     [3]uint16
	proto    uint8
	version  uint8
}

type fragment struct {
	offset uint32
	data   []byte
}

type tracker struct {
	key          key
	first        int64 // ns
	parts        []fragment
	bytes        int64               // of memory
	kept         int                 // bytes of data in parts
	header       []byte              // of the fragment with offset 0
	proto        uint8               // IPv6: next header of the fragment header
	total        uint32              // of the payload; 0 unknown
	have         [blocks / 64]uint64 // a bit for each eight bytes that came
	newer, older *tracker
}

// Table holds the fragments of one worker. Not for concurrent use.
type Table struct {
	cfg            Config
	open           map[key]*tracker
	newest, oldest *tracker
	bytes          int64
	out            []byte
	owner          []int16
	Counters       Counters
}

// New makes a table.
func New(cfg Config) *Table {
	if cfg.MemoryBytes == 0 {
		cfg.MemoryBytes = 32 << 20
	}
	if cfg.TimeoutSec == 0 {
		cfg.TimeoutSec = 60
	}
	return &Table{cfg: cfg, open: map[key]*tracker{}}
}

// Insert takes one fragment. done: datagram is the whole IP datagram it completed.
func (t *Table) Insert(p *decode.Packet) (datagram []byte, done bool) {
	t.Counters.Fragments++
	data := p.Payload
	end := p.FragOffset + uint32(len(data))
	if end > datagramMax || len(data) == 0 || p.MoreFrags && p.IPVersion == 6 && len(data)%8 != 0 {
		t.Counters.Refused++
		return nil, false
	}
	if p.MoreFrags && len(data)%8 != 0 { // IPv4: the odd bytes cannot be placed
		data = data[:len(data)&^7]
		end = p.FragOffset + uint32(len(data))
		if len(data) == 0 {
			return nil, false
		}
	}
	k := key{src: p.Src, dst: p.Dst, id: p.IPID, proto: p.Proto, version: p.IPVersion}
	if p.IPVersion == 6 {
		k.proto = 0 // only the first fragment's next header counts (RFC 8200 section 4.5)
	}
	if !t.cfg.IgnoreVLAN {
		k.vlan = p.VLAN
	}
	tr := t.open[k]
	if tr != nil && p.Time-tr.first > t.cfg.TimeoutSec*1e9 {
		t.Counters.TimedOut++
		t.drop(tr)
		tr = nil
	}
	if tr == nil {
		tr = t.begin(k, p.Time)
	}
	if len(tr.parts) >= fragmentsMax || tr.kept+len(data) > keptMax {
		t.Counters.Refused++
		return nil, false
	}
	t.add(tr, p, data, end)
	if tr.total == 0 || tr.header == nil || !tr.whole() {
		t.shrink()
		return nil, false
	}
	datagram = t.build(tr)
	t.Counters.Rebuilt++
	t.drop(tr)
	return datagram, true
}

func (t *Table) begin(k key, now int64) *tracker {
	for t.oldest != nil && (now-t.oldest.first > t.cfg.TimeoutSec*1e9 || len(t.open) >= datagramsMax) {
		if now-t.oldest.first > t.cfg.TimeoutSec*1e9 {
			t.Counters.TimedOut++
		} else {
			t.Counters.Evicted++
		}
		t.drop(t.oldest)
	}
	tr := &tracker{key: k, first: now, older: t.newest, bytes: trackerBytes}
	t.bytes += trackerBytes
	if t.newest != nil {
		t.newest.newer = tr
	} else {
		t.oldest = tr
	}
	t.newest = tr
	t.open[k] = tr
	return tr
}

// shrink forgets the oldest datagrams until the rest fits.
func (t *Table) shrink() {
	for t.oldest != nil && t.bytes > t.cfg.MemoryBytes {
		t.Counters.Evicted++
		t.drop(t.oldest)
	}
}

func (t *Table) drop(tr *tracker) {
	delete(t.open, tr.key)
	t.bytes -= tr.bytes
	if tr.newer != nil {
		tr.newer.older = tr.older
	} else {
		t.newest = tr.older
	}
	if tr.older != nil {
		tr.older.newer = tr.newer
	} else {
		t.oldest = tr.newer
	}
}

// add keeps a fragment in the order of arrival.
func (t *Table) add(tr *tracker, p *decode.Packet, data []byte, end uint32) {
	if p.FragOffset == 0 && tr.header == nil {
		n := p.IPHeader
		if p.IPVersion == 6 {
			n = p.FragHeader
			tr.proto = p.Proto
		}
		tr.header = append([]byte(nil), p.L3[:n]...)
	}
	if !p.MoreFrags && tr.total == 0 {
		tr.total = end
	}
	for i := range tr.parts {
		f := &tr.parts[i]
		if p.FragOffset < f.offset+uint32(len(f.data)) && f.offset < end {
			t.Counters.Overlaps++
			if p.IPVersion == 4 {
				p.Events.Add(decode.IPv4FragOverlap)
			} else {
				p.Events.Add(decode.IPv6FragOverlap)
			}
			break
		}
	}
	tr.parts = append(tr.parts, fragment{p.FragOffset, append([]byte(nil), data...)})
	tr.kept += len(data)
	tr.bytes += int64(len(data)) + partBytes
	t.bytes += int64(len(data)) + partBytes
	tr.cover(p.FragOffset, end)
}

// cover notes which eight bytes came. Fewer than eight count only at the datagram's own end.
func (tr *tracker) cover(from, end uint32) {
	upto := end / 8
	if end == tr.total {
		upto = (end + 7) / 8
	}
	for b := from / 8; b < upto; b++ {
		tr.have[b/64] |= 1 << (b % 64)
	}
}

// whole says whether the fragments cover the payload.
func (tr *tracker) whole() bool {
	n := (tr.total + 7) / 8
	for i := range n / 64 {
		if tr.have[i] != ^uint64(0) {
			return false
		}
	}
	last := uint64(1)<<(n%64) - 1
	return n%64 == 0 || tr.have[n/64]&last == last
}

// build writes the datagram: the first fragment's header, the payload as the target's policy has it.
func (t *Table) build(tr *tracker) []byte {
	h := len(tr.header)
	n := h + int(tr.total)
	if cap(t.out) < n {
		t.out = make([]byte, n, n+n/2)
	}
	out := t.out[:n]
	copy(out, tr.header)
	policy := BSD
	if t.cfg.Policy != nil {
		policy = t.cfg.Policy(tr.key.dst)
	}
	t.fill(out[h:], tr, policy)
	if tr.key.version == 4 {
		binary.BigEndian.PutUint16(out[2:], uint16(n))
		out[6], out[7] = out[6]&0x40, 0
		out[10], out[11] = 0, 0
		binary.BigEndian.PutUint16(out[10:], sum(out[:h]))
		return out
	}
	binary.BigEndian.PutUint16(out[4:], uint16(n-40))
	t.nextHeader(out, h, tr.proto)
	return out
}

// nextHeader lets the header before the fragment header name what follows it now.
func (t *Table) nextHeader(out []byte, h int, proto uint8) {
	at, next := 6, 40
	for next < h {
		at = next
		next += 8 + int(out[next+1])*8
	}
	out[at] = proto
}

// fill puts each byte in place; owner remembers which fragment wrote it.
func (t *Table) fill(payload []byte, tr *tracker, policy Policy) {
	if cap(t.owner) < len(payload) {
		t.owner = make([]int16, len(payload)*2)
	}
	owner := t.owner[:len(payload)]
	for i := range owner {
		owner[i] = -1
	}
	for i := range tr.parts {
		f := &tr.parts[i]
		for j, b := range f.data {
			at := int(f.offset) + j
			if at >= len(payload) {
				break
			}
			if o := owner[at]; o < 0 || policy.favours(&tr.parts[o], f) {
				payload[at], owner[at] = b, int16(i)
			}
		}
	}
}

// favours says whether a newer fragment's bytes win over an older one's (Novak, "Target-Based Fragmentation
// Reassembly", 2005).
func (p Policy) favours(old, fresh *fragment) bool {
	oldEnd, newEnd := old.offset+uint32(len(old.data)), fresh.offset+uint32(len(fresh.data))
	switch p {
	case First:
		return false
	case Last:
		return true
	case Linux:
		return fresh.offset <= old.offset
	case BSDRight:
		return fresh.offset >= old.offset
	case Solaris:
		return fresh.offset < old.offset && newEnd >= oldEnd
	case Windows:
		return fresh.offset < old.offset && newEnd > oldEnd
	}
	return fresh.offset < old.offset
}

// sum is the Internet checksum (RFC 1071).
func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}
