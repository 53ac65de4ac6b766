package check

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"slices"
	"testing/fstest"
)

const flagStart, flagStop, flagUnclean = 1, 2, 4

// made is a log made by the tests alone, from the formats.
type made struct {
	leaves [][]byte
	counts [idEnd]uint64
	number uint64
	lastAt int
	time   uint64
	ledger [6]uint64
	kind   uint16
	table  byte
	name   string
}

const madeStart = uint64(1_793_491_200_000_000) // 2026-11-01 00:00:00 UTC

func newMade(kind uint16) *made {
	m := &made{kind: kind, time: madeStart, name: "log"}
	m.counts[idStarts]++
	m.totals(flagStart)
	return m
}

func madeKey(seed, name string, kind byte) (ed25519.PrivateKey, Key) {
	s := sha256.Sum256([]byte(seed))
	private := ed25519.NewKeyFromSeed(s[:])
	public := private.Public().(ed25519.PublicKey)
	sum := sha256.Sum256(append([]byte(name+"\n"+string(kind)), public...))
	return private, Key{name, be.Uint32(sum[:]), kind, public}
}

func (k Key) text() string {
	return fmt.Sprintf("%s+%08x+%s", k.Name, k.ID, base64.StdEncoding.EncodeToString(append([]byte{k.Type}, k.Public...)))
}

func (m *made) attack(cell int, flags uint16) {
	m.counts[2*cell]++
	side, rest := cell%2, cell/2
	b := []byte{1, 1}
	b = be.AppendUint16(b, flags|uint16(rest%3)|uint16(side)<<2)
	b = be.AppendUint16(b, uint16(rest/27))
	b = append(b, byte(rest/3%9), 2)
	b = be.AppendUint64(b, m.counts[2*cell])
	b = be.AppendUint64(b, m.time)
	if flags&8 != 0 {
		m.counts[idOverflow+rest/27]++
	}
	m.leaves = append(m.leaves, append(b, make([]byte, attackBytes-len(b))...))
}

func (m *made) event(code int, data []byte) {
	m.counts[idEvents+code]++
	b := be.AppendUint16([]byte{4, 1}, uint16(code))
	b = be.AppendUint64(be.AppendUint64(b, m.time), 0)
	b = append(be.AppendUint16(b, uint16(len(data))), data...)
	m.leaves = append(m.leaves, append(b, make([]byte, 32)...))
}

func (m *made) correct(leaf, from, to int) {
	m.counts[2*from+1]++
	if to < 1350 {
		m.counts[2*to]++
	}
	b := be.AppendUint64([]byte{3, 1}, uint64(leaf))
	m.leaves = append(m.leaves, append(be.AppendUint32(b, uint32(to)), 0, 0))
}

func (m *made) totals(flags uint16) {
	b := be.AppendUint16([]byte{2, 1}, flags|m.kind<<8)
	b = append(b, 0, 0, 0, 0)
	for _, v := range append([]uint64{m.number, uint64(m.lastAt), m.time}, m.ledger[:]...) {
		b = be.AppendUint64(b, v)
	}
	b = append(b, make([]byte, 64)...)
	b[112] = m.table
	at, n, last := len(b), 0, -1
	b = append(b, 0, 0)
	for id, v := range m.counts {
		if v != 0 {
			b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(id-last-1)), v)
			n, last = n+1, id
		}
	}
	be.PutUint16(b[at:], uint16(n))
	m.number, m.lastAt = m.number+1, len(m.leaves)
	m.leaves = append(m.leaves, b)
}

func (m *made) root(size int) Hash {
	var t tree
	for _, b := range m.leaves[:size] {
		t.add(leafHash(b, nil))
	}
	return t.root()
}

// sparse is a tree of which only some leaves are known; a subtree without any is a hash made up from its bounds.
type sparse struct {
	known []int64 // rising
	leaf  map[int64]Hash
	size  int64
}

func (s *sparse) hash(lo, hi int64) Hash {
	at, found := slices.BinarySearch(s.known, lo)
	if !found && (at == len(s.known) || s.known[at] >= hi) {
		return sha256.Sum256(be.AppendUint64(be.AppendUint64(nil, uint64(lo)), uint64(hi)))
	}
	if hi-lo == 1 {
		return s.leaf[lo]
	}
	k := split(hi - lo)
	return nodeHash(s.hash(lo, lo+k), s.hash(lo+k, hi))
}

// split is the largest power of two below n.
func split(n int64) int64 { return 1 << (bits.Len64(uint64(n-1)) - 1) }

// path is an inclusion path, by the definition (RFC 9162, 2.1.3.1).
func (s *sparse) path(i, lo, hi int64) []Hash {
	if hi-lo == 1 {
		return nil
	}
	k := lo + split(hi-lo)
	if i < k {
		return append(s.path(i, lo, k), s.hash(k, hi))
	}
	return append(s.path(i, k, hi), s.hash(lo, k))
}

func path(hashes []Hash, i int) []Hash {
	s := dense(hashes)
	return s.path(int64(i), 0, s.size)
}

func dense(hashes []Hash) *sparse {
	s := &sparse{leaf: map[int64]Hash{}, size: int64(len(hashes))}
	for i, h := range hashes {
		s.known, s.leaf[int64(i)] = append(s.known, int64(i)), h
	}
	return s
}

// prefix is a consistency proof, by the definition (RFC 9162, 2.1.4.1).
func prefix(hashes []Hash, m int, whole bool) []Hash {
	if m == len(hashes) {
		if whole {
			return nil
		}
		return []Hash{rootOf(hashes)}
	}
	k := 1
	for 2*k < len(hashes) {
		k *= 2
	}
	if m <= k {
		return append(prefix(hashes[:k], m, whole), rootOf(hashes[k:]))
	}
	return append(prefix(hashes[k:], m-k, false), rootOf(hashes[:k]))
}

func rootOf(hashes []Hash) Hash {
	var t tree
	for _, h := range hashes {
		t.add(h)
	}
	return t.root()
}

func line(name string, id uint32, sig []byte) string {
	return "— " + name + " " + base64.StdEncoding.EncodeToString(append(be.AppendUint32(nil, id), sig...)) + "\n"
}

func signed(private ed25519.PrivateKey, k Key, size int64, root Hash) string {
	text := fmt.Sprintf("%s\n%d\n%s\n", k.Name, size, base64.StdEncoding.EncodeToString(root[:]))
	return text + "\n" + line(k.Name, k.ID, ed25519.Sign(private, []byte(text)))
}

func cosign(note string, private ed25519.PrivateKey, k Key, when uint64) string {
	c, _ := ParseCheckpoint(note)
	sig := ed25519.Sign(private, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", when, c.text))
	return note + line(k.Name, k.ID, append(be.AppendUint64(nil, when), sig...))
}

// folder is the log as a folder, with perFile leaves a file of entries.
func (m *made) folder(perFile int) fstest.MapFS {
	private, k := madeKey("log", "example.org/log", typeEd25519)
	fs := fstest.MapFS{
		"format":     {Data: fmt.Appendf(nil, `{"format":1,"origin":%q,"kind":%q,"key":%q,"table":"accounts/1"}`, k.Name, kinds[m.kind], k.text())},
		"checkpoint": {Data: []byte(signed(private, k, int64(len(m.leaves)), m.root(len(m.leaves))))},
	}
	for n := 0; n*perFile < len(m.leaves); n++ {
		var b []byte
		for _, e := range m.leaves[n*perFile : min((n+1)*perFile, len(m.leaves))] {
			frame := append(be.AppendUint16(nil, uint16(len(e))), e...)
			b = append(be.AppendUint32(b, crc32.Checksum(frame, crc32.MakeTable(crc32.Castagnoli))), frame...)
		}
		fs[fmt.Sprintf("entries/%06d", n)] = &fstest.MapFile{Data: b}
	}
	return fs
}

// sample is a log of a thousand attacks with everything in it that is counted.
func sample(kind uint16) *made { return sampleOf(kind, 1000, cells) }

func sampleOf(kind uint16, attacks, cells int) *made {
	m := newMade(kind)
	for i := range attacks {
		m.time += 7e6
		m.ledger[0], m.ledger[1] = m.ledger[0]+10, m.ledger[1]+9
		m.ledger[2+i%4]++
		m.attack(i*37%cells, uint16(i%17/16*8))
		switch i % 100 {
		case 11:
			m.event(3, be.AppendUint64(be.AppendUint64(nil, m.time), m.time+5e6))
			m.counts[idGaps] += 5e6
			m.time += 5e6
		case 22:
			m.event(2, fmt.Appendf(nil, `{"from":%d,"to":%d,"passed":3}`, m.time*1000, m.time*1000+2e9))
			m.counts[idUnguarded] += 2e6
			m.counts[idPassed] += 3
		case 33:
			m.event(6, []byte(`{"observations_forgotten":5,"attacks_merged":2}`))
			m.counts[idForgotten] += 5
			m.counts[idMerged] += 2
		case 44:
			m.correct(len(m.leaves)-1, i*37%cells, (i+1)*37%cells)
		case 55:
			m.event(4, make([]byte, 16))
		case 66:
			m.totals(flagStop)
			m.time += 60e6
			m.counts[idStarts]++
			m.counts[idAway] += 60e6
			m.totals(flagStart)
		case 77:
			m.leaves = append(m.leaves, []byte{9, 9, 9}) // a type that is not known
		case 88:
			m.time += 1e6
			m.counts[idStarts]++
			m.counts[idUnclean]++
			m.counts[idAway] += 1e6
			m.totals(flagStart | flagUnclean)
		}
		if i%20 == 0 {
			m.totals(0)
		}
	}
	m.totals(0)
	return m
}
