package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dejpha/dejpha/evidence"
)

// Source is where an auditor reads a log. Nothing that it says is taken on trust.
type Source interface {
	// Tile is the first width hashes (1 to 256) of the n-th tile of a level, 32 bytes each.
	Tile(size int64, level int, n, width int64) ([]byte, error)
	// Bundle is the first width leaves (1 to 256) of the n-th bundle: u16 length, leaf, and so on.
	Bundle(size, n, width int64) ([]byte, error)
}

// Folder is a log's own folder: there private parts can be opened, too.
type Folder string

// Tile reads a tile's file.
func (f Folder) Tile(size int64, level int, n, width int64) ([]byte, error) {
	return evidence.ReadTile(string(f), size, level, n, width)
}

// Bundle reads entries.
func (f Folder) Bundle(size, n, width int64) ([]byte, error) {
	return evidence.ReadBundle(string(f), size, n, width)
}

// LeafError says that a leaf is not the one that the checkpoint signed, or cannot be had.
type LeafError struct {
	Leaf int64
	What string
}

// Error names the leaf.
func (e *LeafError) Error() string { return fmt.Sprintf("leaf %d: %s", e.Leaf, e.What) }

// sourceError says that a source failed, which tells nothing of the log.
type sourceError struct{ err error }

// Error is the source's.
func (e *sourceError) Error() string { return e.err.Error() }

// Unwrap is the source's error.
func (e *sourceError) Unwrap() error { return e.err }

// had tells a source that failed from a log that lacks what its checkpoint signed.
func had(err error) error {
	var damaged *evidence.CorruptError
	if err == nil || errors.As(err, &damaged) || errors.Is(err, errNotThere) || errors.Is(err, evidence.ErrNoTile) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.EOF) {
		return err
	}
	return &sourceError{err}
}

// of makes an error one of a leaf, unless the source failed.
func of(leaf int64, what string, err error) error {
	var failed *sourceError
	if errors.As(err, &failed) {
		return failed
	}
	return &LeafError{leaf, what + err.Error()}
}

// What is kept of what was read, so that neighbours are not fetched again.
const (
	tilesKept   = 4096     // of 8 KiB
	bundlesKept = 64 << 20 // bytes
	bundleMax   = evidence.TileWidth * (2 + 65535)
)

// log reads leaves from a source and holds each to a signed root.
type log struct {
	src     Source
	point   evidence.Checkpoint
	tiles   map[tlog.Tile][]byte
	bundles map[int64][][]byte
	kept    int // bytes in bundles
}

func newLog(src Source, point evidence.Checkpoint) *log {
	return &log{src: src, point: point, tiles: map[tlog.Tile][]byte{}, bundles: map[int64][][]byte{}}
}

// Height is that of tiles.
func (l *log) Height() int { return 8 }

// ReadTiles fetches tiles; tlog holds them to the root.
func (l *log) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		b, kept := l.tiles[t]
		if !kept {
			var err error
			if b, err = l.src.Tile(l.point.Size, t.L, t.N, int64(t.W)); err != nil {
				return nil, had(err)
			}
			if len(b) != t.W*tlog.HashSize {
				return nil, fmt.Errorf("tile %s has %d bytes", t.Path(), len(b))
			}
		}
		out[i] = b
	}
	return out, nil
}

// SaveTiles keeps tiles that lead to the root.
func (l *log) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, t := range tiles {
		if len(l.tiles) >= tilesKept {
			clear(l.tiles)
		}
		l.tiles[t] = data[i]
	}
}

// bundle is the n-th 256 leaves, each held to the root.
func (l *log) bundle(n int64) ([][]byte, error) {
	if b, kept := l.bundles[n]; kept {
		return b, nil
	}
	first := n * evidence.TileWidth
	width := min(evidence.TileWidth, l.point.Size-first)
	raw, err := l.src.Bundle(l.point.Size, n, width)
	if err != nil {
		return nil, of(first, "it cannot be had: ", had(err))
	}
	leaves, err := unpacked(raw, int(width))
	if err != nil {
		return nil, &LeafError{first, "the 256 leaves from it on " + err.Error()}
	}
	indexes := make([]int64, width)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
	}
	hashes, err := tlog.TileHashReader(tlog.Tree{N: l.point.Size, Hash: l.point.Root}, l).ReadHashes(indexes)
	if err != nil {
		return nil, of(first, "the hashes over the 256 leaves from it on do not lead to the claim's checkpoint: ", err)
	}
	for i, b := range leaves {
		if tlog.RecordHash(b) != hashes[i] {
			return nil, &LeafError{first + int64(i), "it is not the one that the claim's checkpoint signed"}
		}
	}
	if l.kept += len(raw); l.kept > bundlesKept {
		clear(l.bundles)
		l.kept = len(raw)
	}
	l.bundles[n] = leaves
	return leaves, nil
}

func unpacked(raw []byte, width int) (out [][]byte, err error) {
	for len(raw) >= 2 {
		n := 2 + int(binary.BigEndian.Uint16(raw))
		if n > len(raw) || n == 2 {
			break
		}
		out = append(out, raw[2:n])
		raw = raw[n:]
	}
	if len(raw) > 0 || len(out) != width {
		return nil, errors.New("are not whole")
	}
	return out, nil
}

// walk hands over the leaves in [from, to) until do wants no more.
func (l *log) walk(from, to int64, do func(i int64, leaf []byte) (more bool)) error {
	for n := from / evidence.TileWidth; n*evidence.TileWidth < to; n++ {
		leaves, err := l.bundle(n)
		if err != nil {
			return err
		}
		for k, b := range leaves {
			i := n*evidence.TileWidth + int64(k)
			if i < from {
				continue
			}
			if i >= to || !do(i, b) {
				return nil
			}
		}
	}
	return nil
}

// totalsApart is how far totals leaves lie apart at most: who leaves out more breaks the format's rule.
const totalsApart = 4096

// totalsIn is the first totals leaf in [from, to), nil if there is none.
func (l *log) totalsIn(from, to int64) (at int64, t *evidence.TotalsLeaf, err error) {
	end := min(to, from+totalsApart)
	walked := l.walk(from, end, func(i int64, b []byte) bool {
		if b[0] != typeTotals {
			return true
		}
		at = i
		if t, err = evidence.ReadTotalsLeaf(b); err != nil {
			err = &LeafError{i, "it is a malformed totals leaf"}
		}
		return false
	})
	if t == nil && walked == nil && err == nil && end < to {
		err = &LeafError{from, "4,096 leaves from it on hold no totals leaf"}
	}
	return at, t, errors.Join(walked, err)
}

// leaf is one leaf's bytes.
func (l *log) leaf(i int64) ([]byte, error) {
	if i < 0 || i >= l.point.Size {
		return nil, &LeafError{i, "the claim's checkpoint does not reach to it"}
	}
	leaves, err := l.bundle(i / evidence.TileWidth)
	if err != nil {
		return nil, err
	}
	return slices.Clone(leaves[i%evidence.TileWidth]), nil
}

// Types of leaves, as docs/evidence.md numbers them.
const (
	typeAttack     = 1
	typeTotals     = 2
	typeCorrection = 3
)
