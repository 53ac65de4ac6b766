package evidence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows that one leaf is in the log: whoever holds the log's key can check it without the log.
type Proof struct {
	Index      int64
	Leaf       []byte   // the leaf's bytes; its hash is SHA-256(0x00 | leaf)
	Size       int64    // leaves under the checkpoint
	Path       [][]byte // inclusion path of RFC 6962, from the leaf up
	Root       []byte
	Checkpoint []byte // the signed note
	Verifier   string // the log's key in C2SP form
}

// ErrUnsealed says that no durable checkpoint covers the leaf yet.
var ErrUnsealed = errors.New("no checkpoint covers this leaf yet")

// ReadProof reads a leaf and its inclusion proof from a log's files, also while the log is written.
func ReadProof(dir string, leaf int64) (p Proof, err error) {
	form, err := readFormat(dir)
	if err != nil {
		return p, err
	}
	if p.Checkpoint, err = os.ReadFile(filepath.Join(dir, "checkpoint")); err != nil {
		return p, fmt.Errorf("reading checkpoint: %w", err)
	}
	c, err := OpenCheckpoint(p.Checkpoint, form.Key)
	if err != nil {
		return p, &CorruptError{err.Error()}
	}
	if leaf < 0 || leaf >= c.Size {
		return p, ErrUnsealed
	}
	p.Index, p.Size, p.Root, p.Verifier = leaf, c.Size, c.Root[:], form.Key
	if p.Leaf, err = ReadLeaf(dir, leaf); err != nil {
		return p, err
	}
	path, err := tlog.ProveRecord(c.Size, leaf, tileReader(dir))
	if err != nil {
		return p, &CorruptError{err.Error()}
	}
	if err := tlog.CheckRecord(path, c.Size, c.Root, leaf, tlog.RecordHash(p.Leaf)); err != nil {
		return p, &CorruptError{fmt.Sprintf("leaf %d does not lead to the checkpoint's root", leaf)}
	}
	for _, h := range path {
		p.Path = append(p.Path, append([]byte(nil), h[:]...))
	}
	return p, nil
}

// tileReader reads hashes of complete subtrees from the tile files: the level below is read and hashed up.
func tileReader(dir string) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			level, n := tlog.SplitStoredHashIndex(x)
			h, err := subtreeHash(dir, level, n)
			if err != nil {
				return nil, err
			}
			out[i] = h
		}
		return out, nil
	})
}

// subtreeHash is the hash of the n-th complete subtree of a height, from at most 128 hashes of its tile.
func subtreeHash(dir string, height int, n int64) (h tlog.Hash, err error) {
	tile, up := height/8, height%8
	if tile >= tileLevels {
		return h, fmt.Errorf("no tile of height %d", height)
	}
	f, err := os.Open(filepath.Join(dir, fmt.Sprintf("tile%d", tile)))
	if err != nil {
		return h, fmt.Errorf("reading tile: %w", err)
	}
	defer f.Close()
	b := make([]byte, tlog.HashSize<<up)
	if _, err := f.ReadAt(b, n<<up*tlog.HashSize); err != nil {
		return h, fmt.Errorf("reading tile: %w", err)
	}
	hashes := make([]tlog.Hash, 1<<up)
	for i := range hashes {
		copy(hashes[i][:], b[i*tlog.HashSize:])
	}
	for len(hashes) > 1 {
		for i := range len(hashes) / 2 {
			hashes[i] = tlog.NodeHash(hashes[2*i], hashes[2*i+1])
		}
		hashes = hashes[:len(hashes)/2]
	}
	return hashes[0], nil
}

var errFound = errors.New("found")

// ReadLeaf is the bytes of one leaf: found by its bundle's offset and a walk of at most 255 frames.
func ReadLeaf(dir string, leaf int64) ([]byte, error) {
	f, err := os.Open(filepath.Join(dir, "offsets"))
	if err != nil {
		return nil, fmt.Errorf("reading offsets: %w", err)
	}
	defer f.Close()
	var b [8]byte
	if _, err := f.ReadAt(b[:], leaf/bundle*8); err != nil {
		return nil, fmt.Errorf("reading offsets: %w", err)
	}
	at := scanned{size: leaf / bundle * bundle, pos: be.Uint64(b[:])}
	var found []byte
	buf := make([]byte, entryMax)
	for n := int(at.pos >> positionShift); found == nil; n++ {
		skip := int64(0)
		if n == int(at.pos>>positionShift) {
			skip = int64(at.pos & (1<<positionShift - 1))
		}
		err := scanFile(segmentName(filepath.Join(dir, "entries"), n), skip, &at, buf, func(i int64, _ uint64, entry []byte) error {
			if i == leaf {
				found = append([]byte(nil), entry...)
				return errFound
			}
			return nil
		})
		if err != nil && !errors.Is(err, errFound) {
			return nil, err
		}
		if at.bad {
			return nil, &CorruptError{fmt.Sprintf("leaf %d cannot be read", leaf)}
		}
		at.pos = uint64(n+1) << positionShift
	}
	return found, nil
}

// ReadAttackLeaf is ReadLeaf with the fields of an attack's leaf.
func ReadAttackLeaf(b []byte) (AttackLeaf, error) { return decodeAttack(b) }

// Opening opens the commitment of one field of a private part: FieldCommitment of its salt and value.
type Opening struct{ Salt, Value []byte } // a nil value is absent

// Openings are those of a leaf's eight fields. ErrErased when its seed is gone.
func Openings(dir string, leaf int64) (out [fieldCount]Opening, err error) {
	s, err := readSlot(dir, leaf)
	if err != nil {
		return out, err
	}
	p, err := ReadPrivate(dir, leaf)
	if err != nil {
		return out, err
	}
	for i, v := range p {
		out[i] = Opening{salt(s.seed[:], i), v}
	}
	return out, nil
}

// Commitments are the eight field commitments of a leaf's private part; their hash with 0x21 before them is the
// leaf's private commitment. ErrErased when its seed is gone.
func Commitments(dir string, leaf int64) (out [fieldCount][32]byte, err error) {
	all, err := Openings(dir, leaf)
	if err != nil {
		return out, err
	}
	for i, o := range all {
		out[i] = FieldCommitment(i, o.Salt, o.Value)
	}
	return out, nil
}
