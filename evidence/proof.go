package evidence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dejpha/dejpha/evidence/compact"
	"github.com/dejpha/dejpha/evidence/leaves"
	"github.com/dejpha/dejpha/evidence/segment"
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

// Head is what a folder says of its log, and the log's signed head.
type Head struct {
	Origin, Kind string
	Key          string // verifier key of C2SP notes, as the folder holds it
	Table        string // version of the classes
	Note         []byte // the checkpoint with all its signatures
	Checkpoint
}

// ReadHead reads a log's head, also while the log is written. CorruptError when its own key did not sign it.
func ReadHead(dir string) (h Head, err error) {
	form, err := readFormat(dir)
	if err != nil {
		return h, err
	}
	h = Head{Origin: form.Origin, Kind: form.Kind, Key: form.Key, Table: form.Table}
	if h.Note, err = os.ReadFile(filepath.Join(dir, "checkpoint")); err != nil {
		return h, fmt.Errorf("reading checkpoint: %w", err)
	}
	if h.Checkpoint, err = OpenCheckpoint(h.Note, form.Key); err != nil {
		return h, &CorruptError{err.Error()}
	}
	return h, nil
}

// ProveLeaf is the inclusion path of RFC 6962 of a leaf under a head, from the leaf up; it leads to the head's root.
func ProveLeaf(dir string, h *Head, leaf int64, b []byte) ([]tlog.Hash, error) {
	path, err := tlog.ProveRecord(h.Size, leaf, tileReader(dir))
	if err != nil {
		return nil, &CorruptError{err.Error()}
	}
	if err := tlog.CheckRecord(path, h.Size, h.Root, leaf, tlog.RecordHash(b)); err != nil {
		return nil, &CorruptError{fmt.Sprintf("leaf %d does not lead to the checkpoint's root", leaf)}
	}
	return path, nil
}

// ReadProof reads a leaf and its inclusion proof from a log's files, also while the log is written.
func ReadProof(dir string, leaf int64) (p Proof, err error) {
	h, err := ReadHead(dir)
	if err != nil {
		return p, err
	}
	if leaf < 0 || leaf >= h.Size {
		return p, ErrUnsealed
	}
	p.Index, p.Size, p.Root, p.Verifier, p.Checkpoint = leaf, h.Size, h.Root[:], h.Key, h.Note
	if p.Leaf, err = ReadLeaf(dir, leaf); err != nil {
		return p, err
	}
	path, err := ProveLeaf(dir, &h, leaf, p.Leaf)
	if err != nil {
		return p, err
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

// errEnough ends a walk.
var errEnough = errors.New("enough")

// ReadLeaf is the bytes of one leaf: found by its bundle's offset and a walk of at most 255 frames.
func ReadLeaf(dir string, leaf int64) (found []byte, err error) {
	err = Walk(dir, leaf, func(_ int64, b []byte) bool {
		found = append([]byte(nil), b...)
		return false
	})
	return found, err
}

// Walk hands over the leaves of a folder from one on, in order, until do wants no more or they end; the bytes are valid
// during the call. It finds its first leaf by the file offsets, so that a walk costs what it hands over. A leaf that
// cannot be read is a CorruptError, from one behind the last too.
func Walk(dir string, from int64, do func(index int64, leaf []byte) (more bool)) error {
	f, err := os.Open(filepath.Join(dir, "offsets"))
	if err != nil {
		return fmt.Errorf("reading offsets: %w", err)
	}
	defer f.Close()
	var b [8]byte
	if _, err := f.ReadAt(b[:], from/bundle*8); err != nil {
		return fmt.Errorf("reading offsets: %w", err)
	}
	at := segment.Scanned{Size: from / bundle * bundle, Pos: be.Uint64(b[:])}
	entries := filepath.Join(dir, "entries")
	first, skip := segment.Place(at.Pos)
	list, err := segment.List(entries)
	if err != nil {
		return err
	}
	for n := first; n == first || n < len(list); n++ {
		err := segment.ScanFile(segment.Name(entries, n), skip, &at, func(i int64, _ uint64, entry []byte) error {
			if i >= from && !do(i, entry) {
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
		if at.Bad {
			break
		}
		at.Pos, skip = segment.Position(n+1, 0), 0
	}
	if at.Bad || at.Size <= from {
		return &CorruptError{fmt.Sprintf("leaf %d cannot be read", max(at.Size, from))}
	}
	return nil
}

// ReadAttackLeaf reads the fields of an attack's leaf from its bytes.
func ReadAttackLeaf(b []byte) (AttackLeaf, error) { return leaves.DecodeAttack(b) }

// ReadTotalsLeaf reads the fields of a totals leaf.
func ReadTotalsLeaf(b []byte) (*TotalsLeaf, error) { return leaves.DecodeTotals(b) }

// ReadEventLeaf reads the fields of an event's leaf.
func ReadEventLeaf(b []byte) (EventLeaf, error) { return leaves.DecodeEvent(b) }

// ReadCorrectionLeaf reads the fields of a correction.
func ReadCorrectionLeaf(b []byte) (CorrectionLeaf, error) { return leaves.DecodeCorrection(b) }

// KindOf is the kind of the log that a totals leaf is of.
func KindOf(l *TotalsLeaf) Kind { return Kind(l.Flags >> leaves.KindShift & 3) }

// Places of what is compared or shown alone among a private part's fields.
const (
	FieldOrigin  = fieldOrigin  // JSON of attack.Origin
	FieldTarget  = fieldTarget  // JSON of attack.Target
	FieldSubject = fieldSubject // text; absent where there is none
)

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
		salt := compact.NewSecrets(s.seed[:]).Salt(i)
		out[i] = Opening{salt[:], v}
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
