package evidence

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

// What a log shows to others: its head, the head that witnesses cosigned, proofs that one continues the other, tiles and
// bundles of entries. All of it may be read while the log is written: what a checkpoint covers never changes.

// cosignedFile is the newest checkpoint that a quorum of witnesses cosigned, with their signatures.
func cosignedFile(dir string) string { return filepath.Join(dir, "cosigned") }

// ReadCosigned reads the newest checkpoint that a quorum of witnesses cosigned: a signed note with the log's signature and
// theirs, which is not checked here. nil: there is none.
func ReadCosigned(dir string) ([]byte, error) {
	b, err := os.ReadFile(cosignedFile(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the cosigned checkpoint: %w", err)
	}
	return b, nil
}

// KeepCosigned makes a note the newest cosigned checkpoint, durably. The caller has checked it.
func KeepCosigned(d interface {
	Replace(path string, p []byte) error
}, dir string, note []byte) error {
	return d.Replace(cosignedFile(dir), note)
}

// Cosigned tells the log the newest cosigned checkpoint: the totals leaves from now on name it by its hash.
func (l *Log) Cosigned(note []byte) { l.cosigned = sha256.Sum256(note) }

// Consistency proves that a tree of size leaves continues the one of its first old leaves (RFC 6962). Empty where old is
// 0 or size. The caller has a checkpoint of at least that size.
func Consistency(dir string, old, size int64) (tlog.TreeProof, error) {
	if old < 0 || old > size {
		return nil, fmt.Errorf("no proof leads from %d leaves to %d", old, size)
	}
	if old == 0 || old == size {
		return nil, nil
	}
	p, err := tlog.ProveTree(size, old, tileReader(dir))
	if err != nil {
		return nil, &CorruptError{err.Error()}
	}
	return p, nil
}

// RootAt is the root of the tree of the first size leaves. The caller has a checkpoint of at least that size.
func RootAt(dir string, size int64) (tlog.Hash, error) {
	h, err := tlog.TreeHash(size, tileReader(dir))
	if err != nil {
		return h, &CorruptError{err.Error()}
	}
	return h, nil
}

// TileWidth is how many hashes or entries a full tile holds.
const TileWidth = bundle

// ErrNoTile says that a tree of this size has no such tile.
var ErrNoTile = errors.New("no such tile")

// width is how many of the n-th tile's hashes of a level a tree of size leaves has, at most want.
func width(size int64, level int, n, want int64) error {
	if level < 0 || level >= tileLevels || n < 0 || n > size>>8 || want < 1 || want > TileWidth {
		return ErrNoTile
	}
	if n*TileWidth+want > size>>(8*level) {
		return ErrNoTile
	}
	return nil
}

// ReadTile reads the first want hashes (1 to 256) of the n-th tile of a level of a tree of size leaves, 32 bytes each.
// ErrNoTile where the tree does not reach.
func ReadTile(dir string, size int64, level int, n, want int64) ([]byte, error) {
	if err := width(size, level, n, want); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(dir, fmt.Sprintf("tile%d", level)))
	if err != nil {
		return nil, fmt.Errorf("reading tile: %w", err)
	}
	defer f.Close()
	b := make([]byte, want*tlog.HashSize)
	if _, err := f.ReadAt(b, n*TileWidth*tlog.HashSize); err != nil {
		return nil, fmt.Errorf("reading tile: %w", err)
	}
	return b, nil
}

// ReadBundle reads the first want entries (1 to 256) of the n-th bundle of a log of size leaves: u16 length, entry, and so
// on, as the tiles' specification has them. ErrNoTile where the log does not reach.
func ReadBundle(dir string, size, n, want int64) ([]byte, error) {
	if err := width(size, 0, n, want); err != nil {
		return nil, err
	}
	var out []byte
	first := n * TileWidth
	err := Walk(dir, first, func(i int64, entry []byte) bool {
		out = append(be.AppendUint16(out, uint16(len(entry))), entry...)
		return i+1 < first+want
	})
	return out, err
}
