package evidence

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// heads opens the checkpoints that somebody kept elsewhere. The log must have at least their leaves.
func (c *checker) heads(notes [][]byte, key string) bool {
	for i, n := range notes {
		p, err := OpenCheckpoint(n, key)
		if err != nil {
			c.r.problem("the earlier checkpoint %d: %v", i+1, err)
			return false
		}
		if p.Size > c.point.Size {
			c.r.first("the log was cut: an earlier checkpoint signed %d leaves, its own only %d", p.Size, c.point.Size)
		}
		c.earlier = append(c.earlier, p)
	}
	c.against()
	return true
}

// against compares the tree so far with the earlier checkpoints of its size.
func (c *checker) against() {
	for _, p := range c.earlier {
		if p.Size != c.tree.size {
			continue
		}
		if p.Root == c.tree.root() {
			c.held = p.Size
			c.r.Earlier++
			continue
		}
		c.r.first("leaves %d to %d: among them is one that an earlier checkpoint, of %d leaves and root %s, did not sign: this is another history",
			c.held, p.Size-1, p.Size, p.Root)
	}
}

// derived takes a leaf into the tree and compares what is derived from it with the files.
func (c *checker) derived(i int64, pos uint64, b []byte) {
	var at [8]byte
	if be.PutUint64(at[:], pos); i%bundle == 0 && !c.offsets.expect(at[:]) {
		c.r.problem("offsets differs from the entries at byte %d, where leaf %d begins", c.offsets.n-8, i)
	}
	c.tree.add(c.tree.leafHash(b), func(level int, h tlog.Hash) {
		x := c.hashes[level]
		if x.expect(h[:]) {
			return
		}
		if level == 0 {
			c.differs = i
		} else if c.differs < 0 {
			c.r.problem("%s differs from the entries at byte %d, the hash over leaves that end with %d", x.name, x.n-tlog.HashSize, i)
		}
	})
	if len(c.earlier) > 0 {
		c.against()
	}
}

// locate says where the entries are not those that were signed. The tiles are derived from the leaves that were; so
// whoever changed one without the other has shown where.
func (c *checker) locate(read int64) {
	for _, x := range append(c.hashes[:], c.offsets) {
		if x.w != nil && x.n < x.w.Size() && c.r.Beyond == 0 && read >= c.point.Size {
			c.r.problem("%s is longer than the entries need: %d bytes of %d", x.name, x.n, x.w.Size())
		}
	}
	signed := read >= c.point.Size && c.tree.root() == c.point.Root
	switch {
	case signed && c.differs < 0:
	case signed:
		c.r.first("tile0 differs from the entries at byte %d, the hash of leaf %d", c.differs*tlog.HashSize, c.differs)
	case c.differs < 0:
		c.r.first("entries: not those that the checkpoint signed, and the tiles were made to fit; %s", c.between())
	case c.tileRoot() == c.point.Root:
		c.r.first("leaf %d is not the one that the checkpoint signed: tile0 leads to the signed root and holds another hash for it", c.differs)
	default:
		c.r.first("entries: not those that the checkpoint signed, nor is tile0, which differs from leaf %d on; %s", c.differs, c.between())
	}
	if read < c.point.Size {
		c.r.first("leaf %d cannot be read; the checkpoint signed %d leaves", read, c.point.Size)
	}
}

// between says where the change must lie.
func (c *checker) between() string {
	return fmt.Sprintf("the change lies in leaves %d to %d", c.held, c.point.Size-1)
}

// tileRoot is the root that the hashes in tile0 lead to; zero if there are too few.
func (c *checker) tileRoot() (root tlog.Hash) {
	var t tree
	for w := c.hashes[0].w; t.size < c.point.Size; {
		b := w.Get(t.size*tlog.HashSize, tlog.HashSize)
		if len(b) < tlog.HashSize {
			return root
		}
		t.add(tlog.Hash(b), func(int, tlog.Hash) {})
	}
	return t.root()
}

// written says where the files that are text are not as they are written: a change that alters nothing they say is one, too.
func (c *checker) written(checkpoint []byte) {
	key := strings.SplitN(c.form.Key, "+", 3)
	if len(key) == 3 && key[1] != strings.ToLower(key[1]) { // the key's hash is read whatever its case
		c.r.problem("format is not as it was written: the key's hash")
	}
	want, _ := json.Marshal(c.form)
	if have, err := os.ReadFile(filepath.Join(c.dir, "format")); err != nil || string(have) != string(want)+"\n" {
		c.r.problem("format is not as it was written")
	}
	_, signatures, _ := strings.Cut(string(checkpoint), "\n\n")
	for line := range strings.Lines(signatures) {
		line = strings.TrimSuffix(line, "\n")
		if _, err := base64.StdEncoding.Strict().DecodeString(line[strings.LastIndexByte(line, ' ')+1:]); err != nil {
			c.r.problem("checkpoint is not as it was written: %v", err)
		}
	}
}

// unhidden says where seeds holds a line for a leaf that hides nothing.
func (c *checker) unhidden(i int64) {
	if line := c.slot(i); line != nil && [slotBytes]byte(line) != [slotBytes]byte{} {
		c.r.problem("leaf %d hides nothing and has a line in seeds", i)
	}
}

// slot is a leaf's line in seeds, nil if it is missing.
func (c *checker) slot(i int64) []byte {
	if c.slots == nil {
		return nil
	}
	if b := c.slots.Get(i*slotBytes, slotBytes); len(b) == slotBytes {
		return b
	}
	return nil
}
