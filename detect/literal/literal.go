// Package literal finds which of many byte strings occur in a text.
//
// In: patterns once, at rule load; texts at run time. Out: the ids of the patterns that
// occur, each once per scan. Called by detect for each group of rules. A Matcher is
// immutable and shared between workers; Hits is one worker's scratch memory. Scanning
// never allocates once Hits has grown and never reads outside the text.
//
// Three parts: a filter (a bitmap over hashed four-byte grams, one test a position),
// a verifier (buckets of masked eight-byte compares), and tables for literals under
// four bytes. Where the processor allows it and the number of literals makes it pay, a
// sieve in assembly stands before filter and tables; the hits are the same.
package literal

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sort"
)

// Pattern is one literal to find.
type Pattern struct {
	Bytes  []byte // 1 to 65535 bytes; copied
	NoCase bool
	// Offset and Depth bound where it may lie: it starts at Offset or later and ends at Depth or before. Depth 0: no bound.
	Offset, Depth uint32
	ID            uint32 // given back in Hits
}

// Matcher finds a fixed set of patterns. Immutable.
type Matcher struct {
	sieve   *sieve   // before the filter; nil: none
	filter  []uint64 // bit per gram hash
	shift   uint     // hash -> filter bit
	bucket  uint     // hash -> bucket number
	starts  []uint32 // bucket b holds entries[starts[b]:starts[b+1]]
	entries []entry
	data    []byte // literals longer than eight bytes, folded where their case is free

	near   shorts // short literals that lie within nearBytes of the start
	far    shorts // all other short literals
	count  int
	minLen int
}

// nearBytes is how far the depth of a short literal may reach for the scan to stop there.
const nearBytes = 64

// shorts finds literals of one to three bytes.
type shorts struct {
	ones       []short // one-byte literals
	two, three prefixes
}

// prefixes finds literals of two bytes, or of three, by their first two.
type prefixes struct {
	width    int      // of the literals; 0: none
	sieve    *sieve   // before pairs; nil: none
	pairs    []uint64 // bit per two folded bytes that begin a literal
	rank     []uint16 // how many pairs lie in the words before this one
	lists    [][]short
	building map[uint16][]short
}

// entry is one literal of four bytes or more.
type entry struct {
	value, mask   uint64 // its first eight bytes (fewer: mask is zero above)
	offset, depth uint32
	id            uint32
	index         uint32 // of the pattern, for the seen bit
	data          uint32 // of the bytes from the ninth on
	length        uint16
	gram          uint8 // offset of the gram within it
	nocase        bool
}

// short is a literal of one to three bytes.
type short struct {
	bytes, mask   [3]byte
	length        uint8
	offset, depth uint32
	id, index     uint32
}

// Hits collects the ids found by one scan. One per worker; reused.
type Hits struct {
	IDs  []uint32
	seen []uint32 // epoch of the last scan that found a pattern index
	now  uint32
}

const hashMul = 0x9E3779B1 // 2^32 divided by the golden ratio

const foldWord = 0xDFDFDFDF

func gramAt(b []byte) uint32 { return binary.LittleEndian.Uint32(b) & foldWord }

// commonness estimates how often a folded byte occurs in traffic; higher is more common.
func commonness(b byte) int {
	switch {
	case b&0xDF >= 'A' && b&0xDF <= 'Z':
		if c := b & 0xDF; c == 'E' || c == 'T' || c == 'A' || c == 'O' || c == 'I' || c == 'N' || c == 'S' || c == 'R' {
			return 6
		}
		return 4
	case b == 0 || b == 0x20:
		return 7
	case b == '/' || b == '.' || b == '-' || b == '=' || b == '\r' || b == '\n' || b == ':' || b == 0xff:
		return 6
	case b >= '0' && b <= '9':
		return 4
	case b < 0x80:
		return 3
	}
	return 2
}

// Build makes a matcher. Patterns with equal bytes, case and bounds share an entry only if they share an ID:
// the caller merges equal literals. Empty patterns are ignored.
func Build(patterns []Pattern) *Matcher { return build(patterns, sieving) }

// build is Build with or without sieves.
func build(patterns []Pattern, sieves bool) *Matcher {
	m := &Matcher{minLen: 1 << 30}
	long := 0
	for i := range patterns {
		if len(patterns[i].Bytes) >= 4 {
			long++
		}
	}
	width := uint(bits.Len(uint(long*64) | 1<<11)) // about one bit in 64 set
	width = min(width, 20)
	m.shift = 32 - width
	bw := min(max(uint(bits.Len(uint(long))), 4), 16)
	m.bucket = 32 - bw
	m.filter = make([]uint64, 1<<width/64)
	if sieves {
		m.sieve = sieveFor(long, gramBytes)
	}
	common := make(map[uint32]bool, len(commonGrams))
	for _, g := range commonGrams {
		common[gramAt([]byte(g))] = true
	}
	load := make(map[uint32]int, long)
	keyed := make([]keyedEntry, 0, long)
	for i := range patterns {
		p := &patterns[i]
		if n := len(p.Bytes); n == 0 || n > 65535 {
			continue
		}
		m.minLen = min(m.minLen, len(p.Bytes))
		if len(p.Bytes) < 4 {
			m.addShort(p)
		} else {
			keyed = append(keyed, m.makeEntry(p, load, common))
		}
		m.count++
	}
	m.fillBuckets(keyed, 1<<bw)
	m.near.finish(sieves)
	m.far.finish(sieves)
	return m
}

// Count returns how many patterns the matcher holds.
func (m *Matcher) Count() int { return m.count }

// Bytes returns the memory the matcher holds.
func (m *Matcher) Bytes() int {
	n := m.sieve.bytes() + len(m.filter)*8 + len(m.starts)*4 + len(m.entries)*48 + len(m.data)
	for _, t := range []*shorts{&m.near, &m.far} {
		for _, p := range []*prefixes{&t.two, &t.three} {
			n += p.sieve.bytes() + len(p.pairs)*10 + len(p.lists)*56
		}
	}
	return n
}

type keyedEntry struct {
	entry
	hash uint32
}

func (m *Matcher) makeEntry(p *Pattern, load map[uint32]int, common map[uint32]bool) keyedEntry {
	best, at := 1<<30, 0
	for i := 0; i+4 <= len(p.Bytes) && i < 256; i++ {
		g := gramAt(p.Bytes[i:])
		cost := load[g] * 3
		for _, b := range p.Bytes[i : i+4] {
			cost += commonness(b)
		}
		if p.Bytes[i] == p.Bytes[i+1] && p.Bytes[i] == p.Bytes[i+2] {
			cost += 8
		}
		if common[g] {
			cost += 40
		}
		if cost < best {
			best, at = cost, i
		}
	}
	g := gramAt(p.Bytes[at:])
	load[g]++
	e := entry{offset: p.Offset, depth: p.Depth, id: p.ID, index: uint32(m.count), length: uint16(len(p.Bytes)), gram: uint8(at), nocase: p.NoCase}
	for i := 0; i < 8 && i < len(p.Bytes); i++ {
		c, mask := p.Bytes[i], byte(0xff)
		if p.NoCase && isLetter(c) {
			c, mask = c&0xDF, 0xDF
		}
		e.value |= uint64(c) << (8 * i)
		e.mask |= uint64(mask) << (8 * i)
	}
	if len(p.Bytes) > 8 {
		e.data = uint32(len(m.data))
		for _, c := range p.Bytes[8:] {
			if p.NoCase {
				c = upper(c)
			}
			m.data = append(m.data, c)
		}
	}
	h := g * hashMul
	m.filter[h>>m.shift>>6] |= 1 << (h >> m.shift & 63)
	m.sieve.add(p.Bytes[at : at+gramBytes])
	return keyedEntry{e, h}
}

func (m *Matcher) fillBuckets(keyed []keyedEntry, buckets int) {
	sort.SliceStable(keyed, func(i, j int) bool { return keyed[i].hash>>m.bucket < keyed[j].hash>>m.bucket })
	m.starts = make([]uint32, buckets+1)
	m.entries = make([]entry, len(keyed))
	for i, k := range keyed {
		m.entries[i] = k.entry
		m.starts[k.hash>>m.bucket+1]++
	}
	for b := 1; b <= buckets; b++ {
		m.starts[b] += m.starts[b-1]
	}
}

func (m *Matcher) addShort(p *Pattern) {
	s := short{length: uint8(len(p.Bytes)), offset: p.Offset, depth: p.Depth, id: p.ID, index: uint32(m.count)}
	for i, c := range p.Bytes {
		s.bytes[i], s.mask[i] = c, 0xff
		if p.NoCase && isLetter(c) {
			s.bytes[i], s.mask[i] = c&0xDF, 0xDF
		}
	}
	if p.Depth != 0 && p.Depth <= nearBytes {
		m.near.add(s)
	} else {
		m.far.add(s)
	}
}

func (t *shorts) add(s short) {
	switch s.length {
	case 1:
		t.ones = append(t.ones, s)
	case pairBytes:
		t.two.add(s)
	default:
		t.three.add(s)
	}
}

func (t *shorts) finish(sieves bool) {
	t.two.finish(sieves)
	t.three.finish(sieves)
}

func (t *prefixes) add(s short) {
	if t.width == 0 {
		t.width, t.pairs, t.building = int(s.length), make([]uint64, 1024), map[uint16][]short{}
	}
	k := pairKey(s.bytes[0], s.bytes[1])
	t.pairs[k>>6] |= 1 << (k & 63)
	t.building[k] = append(t.building[k], s)
}

// finish lays the pairs' lists out in the order of their bits.
func (t *prefixes) finish(sieves bool) {
	if t.width == 0 {
		return
	}
	if sieves {
		n := 0
		for _, list := range t.building {
			n += len(list)
		}
		t.sieve = sieveFor(n, t.width)
	}
	t.rank = make([]uint16, len(t.pairs))
	for w, word := range t.pairs {
		t.rank[w] = uint16(len(t.lists))
		for ; word != 0; word &= word - 1 {
			list := t.building[uint16(w<<6|bits.TrailingZeros64(word))]
			t.lists = append(t.lists, list)
			for i := range list {
				t.sieve.add(list[i].bytes[:t.width])
			}
		}
	}
	t.building = nil
}

func pairKey(a, b byte) uint16 { return uint16(a&0xDF) | uint16(b&0xDF)<<8 }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 32
	}
	return c
}

// begin starts a scan for n patterns.
func (h *Hits) begin(n int) {
	h.IDs = h.IDs[:0]
	if len(h.seen) < n {
		h.seen = make([]uint32, n+n/4)
		h.now = 0
	}
	h.now++
	if h.now == 0 {
		clear(h.seen)
		h.now = 1
	}
}

// Scan finds the patterns that occur in text and leaves their ids in h.IDs, each once, in the order they were found.
func (m *Matcher) Scan(text []byte, h *Hits) {
	h.begin(m.count)
	if len(text) < m.minLen {
		return
	}
	switch {
	case len(m.entries) == 0 || len(text) < gramBytes:
	case m.sieve != nil && len(text) >= sieveLeast:
		m.sift(text, h)
	default:
		m.scanLong(text, h)
	}
	m.near.scan(text, min(nearBytes, len(text)), h)
	m.far.scan(text, len(text), h)
}

// sift is the filter behind a sieve: only what it lets pass is tested.
func (m *Matcher) sift(text []byte, h *Hits) {
	var marks [sieveStretch]uint64
	filter, shift := m.filter, m.shift&31
	for at, n := 0, len(text)-gramBytes+1; at < n; at += 64 * sieveStretch {
		positions := min(n-at, 64*sieveStretch)
		m.sieve.mark(&marks, text[at:], positions)
		for w := range (positions + 63) / 64 {
			for word := marks[w]; word != 0; word &= word - 1 {
				i := at + w*64 + bits.TrailingZeros64(word)
				g := gramAt(text[i:]) * hashMul
				if filter[g>>shift>>6]>>(g>>shift&63)&1 != 0 {
					m.verify(text, i, g, h)
				}
			}
		}
	}
}

// scanLong is the filter: one load, one multiply, one bit test a position.
func (m *Matcher) scanLong(text []byte, h *Hits) {
	filter, shift := m.filter, m.shift&31 // a bound the compiler sees
	n := len(text) - 3
	i := 0
	for ; i+5 <= n; i += 5 { // five windows of four bytes lie in eight
		w := binary.LittleEndian.Uint64(text[i:]) & (foldWord | foldWord<<32)
		h0 := uint32(w) * hashMul
		h1 := uint32(w>>8) * hashMul
		h2 := uint32(w>>16) * hashMul
		h3 := uint32(w>>24) * hashMul
		h4 := uint32(w>>32) * hashMul
		b0 := filter[h0>>shift>>6] >> (h0 >> shift & 63)
		b1 := filter[h1>>shift>>6] >> (h1 >> shift & 63)
		b2 := filter[h2>>shift>>6] >> (h2 >> shift & 63)
		b3 := filter[h3>>shift>>6] >> (h3 >> shift & 63)
		b4 := filter[h4>>shift>>6] >> (h4 >> shift & 63)
		if (b0|b1|b2|b3|b4)&1 == 0 {
			continue
		}
		if b0&1 != 0 {
			m.verify(text, i, h0, h)
		}
		if b1&1 != 0 {
			m.verify(text, i+1, h1, h)
		}
		if b2&1 != 0 {
			m.verify(text, i+2, h2, h)
		}
		if b3&1 != 0 {
			m.verify(text, i+3, h3, h)
		}
		if b4&1 != 0 {
			m.verify(text, i+4, h4, h)
		}
	}
	for ; i < n; i++ {
		g := gramAt(text[i:]) * hashMul
		if filter[g>>shift>>6]>>(g>>shift&63)&1 != 0 {
			m.verify(text, i, g, h)
		}
	}
}

// verify compares the bucket's literals at a position that passed the filter.
func (m *Matcher) verify(text []byte, at int, hash uint32, h *Hits) {
	b := hash >> m.bucket
	list := m.entries[m.starts[b]:m.starts[b+1]]
	for i := range list {
		e := &list[i]
		start := at - int(e.gram)
		if uint(start) >= uint(len(text)) {
			continue
		}
		rest := text[start:]
		if len(rest) >= 8 {
			if binary.LittleEndian.Uint64(rest)&e.mask != e.value {
				continue
			}
		} else if !tailEqual(rest, e) {
			continue
		}
		if len(rest) < int(e.length) || h.seen[e.index] == h.now {
			continue
		}
		if uint32(start) < e.offset || e.depth != 0 && uint32(start)+uint32(e.length) > e.depth {
			continue
		}
		if e.length > 8 && !m.restEqual(rest[8:e.length], e) {
			continue
		}
		h.seen[e.index] = h.now
		h.IDs = append(h.IDs, e.id)
	}
}

// tailEqual compares near the end of the text, where eight bytes cannot be read.
func tailEqual(rest []byte, e *entry) bool {
	var v uint64
	for i, c := range rest {
		v |= uint64(c) << (8 * i)
	}
	return v&e.mask == e.value
}

func (m *Matcher) restEqual(text []byte, e *entry) bool {
	lit := m.data[e.data : int(e.data)+len(text)]
	if !e.nocase {
		return string(text) == string(lit)
	}
	for i, c := range text {
		if upper(c) != lit[i] {
			return false
		}
	}
	return true
}

// scan looks at the first n positions.
func (t *shorts) scan(text []byte, n int, h *Hits) {
	for i := range t.ones {
		h.one(&t.ones[i], text[:n])
	}
	t.two.scan(text, n, h)
	t.three.scan(text, n, h)
}

// scan looks at the first n positions.
func (t *prefixes) scan(text []byte, n int, h *Hits) {
	if t.width == 0 {
		return
	}
	n = min(n, len(text)-t.width+1)
	if t.sieve == nil || len(text) < sieveLeast {
		for i := range n {
			t.try(text, i, h)
		}
		return
	}
	var marks [sieveStretch]uint64
	for at := 0; at < n; at += 64 * sieveStretch {
		positions := min(n-at, 64*sieveStretch)
		t.sieve.mark(&marks, text[at:], positions)
		for w := range (positions + 63) / 64 {
			for word := marks[w]; word != 0; word &= word - 1 {
				t.try(text, at+w*64+bits.TrailingZeros64(word), h)
			}
		}
	}
}

// try compares the literals that begin with the two bytes at a position.
func (t *prefixes) try(text []byte, at int, h *Hits) {
	k := pairKey(text[at], text[at+1])
	if word := t.pairs[k>>6]; word>>(k&63)&1 != 0 {
		i := int(t.rank[k>>6]) + bits.OnesCount64(word&(1<<(k&63)-1))
		h.short(t.lists[i], text, at)
	}
}

// one looks for a one-byte literal between its bounds.
func (h *Hits) one(s *short, text []byte) {
	if s.depth != 0 && int64(s.depth) < int64(len(text)) {
		text = text[:s.depth]
	}
	if int64(s.offset) >= int64(len(text)) {
		return
	}
	text = text[s.offset:]
	if bytes.IndexByte(text, s.bytes[0]) >= 0 || s.mask[0] != 0xff && bytes.IndexByte(text, s.bytes[0]|0x20) >= 0 {
		h.IDs = append(h.IDs, s.id)
	}
}

func (h *Hits) short(list []short, text []byte, at int) {
	for i := range list {
		s := &list[i]
		if h.seen[s.index] == h.now || at+int(s.length) > len(text) {
			continue
		}
		if uint32(at) < s.offset || s.depth != 0 && uint32(at)+uint32(s.length) > s.depth {
			continue
		}
		ok := true
		for j := 0; j < int(s.length); j++ {
			ok = ok && text[at+j]&s.mask[j] == s.bytes[j]
		}
		if ok {
			h.seen[s.index] = h.now
			h.IDs = append(h.IDs, s.id)
		}
	}
}
