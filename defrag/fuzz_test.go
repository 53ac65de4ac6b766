package defrag

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/captest"
	"github.com/dejpha/dejpha/decode"
)

const rawIP = 101

// scrap is one fragment that a fuzzer asks for: 6 bytes, then its data.
type scrap struct {
	id     byte
	offset int
	more   bool
	v6     bool
	data   []byte
}

// scraps reads fragments from a fuzzer's bytes: id and flags, offset in units of 8, length, filling.
func scraps(b []byte) []scrap {
	var out []scrap
	for len(b) >= 5 && len(out) < 120 {
		n := int(b[3])<<3 | int(b[0]>>5)
		p := scrap{id: b[0] & 3, more: b[0]&4 != 0, v6: b[0]&8 != 0, offset: int(binary.BigEndian.Uint16(b[1:])&0x1fff) * 8}
		p.data = make([]byte, n)
		for i := range p.data {
			p.data[i] = b[4] + byte(p.offset+i)*3 + byte(len(out))
		}
		out = append(out, p)
		b = b[5:]
	}
	return out
}

// frame writes the fragment as an IP packet.
func (p *scrap) frame() []byte {
	if p.v6 {
		b := make([]byte, 48, 48+len(p.data))
		b[0], b[6], b[7], b[40] = 0x60, 44, 64, 59
		binary.BigEndian.PutUint16(b[4:], uint16(8+len(p.data)))
		b[23], b[39], b[47] = 1, 2, p.id
		binary.BigEndian.PutUint16(b[42:], uint16(p.offset))
		if p.more {
			b[43] |= 1
		}
		return append(b, p.data...)
	}
	b := make([]byte, 20, 20+len(p.data))
	b[0], b[5], b[8], b[9], b[15], b[19] = 0x45, p.id, 64, 253, 1, 2
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(p.data)))
	binary.BigEndian.PutUint16(b[6:], uint16(p.offset/8))
	if p.more {
		b[6] |= 0x20
	}
	return append(b, p.data...)
}

// reference is a datagram in the making, byte by byte, for First and Last.
type reference struct {
	bytes [datagramMax + 1]byte
	have  [datagramMax + 1]bool
	total int
	first bool
	parts int
	kept  int
}

func (r *reference) take(p *scrap, last bool) (done bool) {
	data := p.data
	if p.offset+len(data) > datagramMax || len(data) == 0 || p.more && p.v6 && len(data)%8 != 0 {
		return false
	}
	if p.more {
		data = data[:len(data)&^7]
	}
	if len(data) == 0 || r.parts >= fragmentsMax || r.kept+len(data) > keptMax {
		return false
	}
	r.parts++
	r.kept += len(data)
	r.first = r.first || p.offset == 0
	if !p.more && r.total == 0 {
		r.total = p.offset + len(data)
	}
	for i, c := range data {
		if at := p.offset + i; !r.have[at] || last {
			r.bytes[at], r.have[at] = c, true
		}
	}
	if r.total == 0 || !r.first {
		return false
	}
	for _, have := range r.have[:r.total] {
		if !have {
			return false
		}
	}
	return true
}

func FuzzAgainstReference(f *testing.F) {
	f.Add([]byte("\x04\x00\x00\x02a\x00\x00\x02\x02b"))
	f.Add([]byte("\x0c\x00\x01\x01a\x0c\x00\x00\x01b\x08\x00\x02\x01c"))
	f.Add([]byte("\x04\x00\x01\x04a\x04\x00\x00\x02b\x04\x00\x02\x03c\x00\x00\x05\x01d\x04\x00\x03\x02e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list := scraps(b)
		for _, policy := range []Policy{First, Last} {
			agrees(t, list, policy)
		}
		for policy := BSD; policy <= BSDRight; policy++ {
			tab := New(Config{MemoryBytes: 8 << 10, Policy: func(decode.Addr) Policy { return policy }})
			var d decode.Decoder
			var p, whole decode.Packet
			for i := range list {
				d.Decode(&p, rawIP, list[i].frame())
				if !p.Fragment {
					continue
				}
				p.Time = int64(b[i*5]) * 1e9
				if datagram, done := tab.Insert(&p); done {
					d.DecodeDatagram(&whole, datagram, &p)
				}
				bounded(t, tab)
			}
		}
	})
}

func bounded(t *testing.T, tab *Table) {
	t.Helper()
	sum, n := int64(0), 0
	for tr := tab.oldest; tr != nil; tr = tr.newer {
		sum += tr.bytes
		n++
	}
	if tab.bytes > tab.cfg.MemoryBytes || tab.bytes != sum || n != len(tab.open) {
		t.Fatalf("%d bytes counted, %d held, at most %d; %d datagrams, %d in order", tab.bytes, sum, tab.cfg.MemoryBytes, len(tab.open), n)
	}
}

// agrees compares with the reference.
func agrees(t *testing.T, list []scrap, policy Policy) {
	t.Helper()
	tab := New(Config{Policy: func(decode.Addr) Policy { return policy }})
	var d decode.Decoder
	var p decode.Packet
	refs := map[[2]byte]*reference{}
	for i := range list {
		x := &list[i]
		d.Decode(&p, rawIP, x.frame())
		if !p.Fragment {
			continue
		}
		key := [2]byte{x.id, 4}
		if x.v6 {
			key[1] = 6
		}
		if refs[key] == nil {
			refs[key] = &reference{}
		}
		want := refs[key].take(x, policy == Last)
		datagram, done := tab.Insert(&p)
		if done != want {
			t.Fatalf("policy %d, fragment %d (%+v): done %v, want %v", policy, i, *x, done, want)
		}
		if !done {
			continue
		}
		head := 20
		if x.v6 {
			head = 40
		}
		if r := refs[key]; !bytes.Equal(datagram[head:], r.bytes[:r.total]) {
			t.Fatalf("policy %d, fragment %d: other bytes than the reference", policy, i)
		}
		delete(refs, key)
	}
	bounded(t, tab)
}

// Recorded fragments, with bytes flipped: no panic, bounded.
func TestRecordedFragments(t *testing.T) {
	var d decode.Decoder
	var p, whole decode.Packet
	tab := New(Config{MemoryBytes: 64 << 10})
	n := 0
	captest.Frames(func(_ bool, f *capture.Frame) bool {
		for flip := range 4 {
			b := bytes.Clone(f.Data)
			if flip > 0 && len(b) > 0 {
				n += 7919
				b[n%len(b)] ^= byte(n >> 3)
			}
			d.Decode(&p, f.LinkType, b)
			p.Time = f.Time
			if p.Fragment {
				if datagram, done := tab.Insert(&p); done {
					d.DecodeDatagram(&whole, datagram, &p)
				}
			}
		}
		return true
	})
	bounded(t, tab)
}
