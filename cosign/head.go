// Package cosign holds what a transparency log and its witnesses say to each other, in the forms of C2SP: checkpoints
// as signed notes, verifier keys, cosignatures by Ed25519 and ML-DSA-44, and the request to add a checkpoint.
//
// In: bytes and keys. Out: the same, checked. Called by witness (signing) and by all who read a checkpoint that others
// signed, too. It touches no file, no network and no clock; what it is handed may be hostile and is bounded.
package cosign

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Head is what a checkpoint says: the log's name, how many leaves it has, and the root of their tree.
type Head struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

var errHead = errors.New("malformed checkpoint")

// extensionsMax bounds the lines that a log may add to its checkpoints.
const extensionsMax = 16

// ParseHead reads the text of a checkpoint: origin, size, root, and lines of the log's own that are left unread. What is
// not in the one form the specification allows is an error.
func ParseHead(text string) (h Head, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || len(lines) > 4+extensionsMax || lines[len(lines)-1] != "" || lines[0] == "" {
		return h, errHead
	}
	for _, extension := range lines[3 : len(lines)-1] {
		if extension == "" {
			return h, errHead
		}
	}
	h.Origin = lines[0]
	if h.Size, err = parseSize(lines[1]); err != nil {
		return h, err
	}
	h.Root, err = parseHash(lines[2])
	return h, err
}

// Text is a checkpoint's text without lines of the log's own.
func (h Head) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", h.Origin, h.Size, base64.StdEncoding.EncodeToString(h.Root[:]))
}

// parseSize reads a number of leaves in its one decimal form.
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, errors.New("malformed checkpoint: a size is a decimal number without leading zeros")
	}
	return n, nil
}

func parseHash(s string) (h tlog.Hash, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, errors.New("malformed checkpoint: a hash is 32 bytes in base64")
	}
	copy(h[:], b)
	return h, nil
}

// Signature is one signature line of a note.
type Signature struct {
	Name      string
	ID        uint32 // the first four bytes of the line: they name the key
	Bytes     []byte // what follows them
	Timestamp int64  // of a checked cosignature, s since 1970; 0 on others
	Checked   bool   // by one of the keys at hand
}

// line writes it as it stands in a note.
func (s Signature) line() string {
	b := binary.BigEndian.AppendUint32(nil, s.ID)
	return "— " + s.Name + " " + base64.StdEncoding.EncodeToString(append(b, s.Bytes...)) + "\n"
}

// Lines writes signature lines.
func Lines(list []Signature) []byte {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(s.line())
	}
	return []byte(b.String())
}

// ErrNoSignature says that none of the keys at hand has signed.
var ErrNoSignature = errors.New("none of the keys at hand has signed this checkpoint")

// Open reads a signed checkpoint. Signatures by the verifiers come back as checked, those by unknown keys as unchecked, in
// the note's order; a wrong one by a known key is an error, and so is it if no known key has signed. A note that it
// accepts is at most a million bytes with at most a hundred signatures.
func Open(msg []byte, by ...note.Verifier) (h Head, text string, list []Signature, err error) {
	n, err := note.Open(msg, note.VerifierList(by...))
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		return h, "", nil, ErrNoSignature
	case err != nil:
		return h, "", nil, fmt.Errorf("checkpoint: %w", err)
	}
	if h, err = ParseHead(n.Text); err != nil {
		return h, "", nil, err
	}
	checked := map[string]bool{}
	for _, s := range n.Sigs {
		checked[s.Name+" "+s.Base64] = true
	}
	_, tail, _ := strings.Cut(string(msg[len(n.Text):]), "\n")
	seen := map[string]bool{}
	for line := range strings.Lines(tail) {
		name, b64, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "— "), "\n"), " ")
		raw, err := base64.StdEncoding.DecodeString(b64)
		if err != nil || len(raw) < 5 || seen[line] {
			continue // note.Open has refused the first two
		}
		seen[line] = true
		s := Signature{Name: name, ID: binary.BigEndian.Uint32(raw), Bytes: raw[4:], Checked: checked[name+" "+b64]}
		if s.Checked && cosignature(by, s) {
			s.Timestamp = int64(binary.BigEndian.Uint64(s.Bytes))
		}
		list = append(list, s)
	}
	return h, n.Text, list, nil
}

// cosignature says whether a line that was checked is one that bears a time.
func cosignature(by []note.Verifier, s Signature) bool {
	for _, v := range by {
		x, ok := v.(*Verifier)
		if ok && x.name == s.Name && x.hash == s.ID {
			return x.alg == algCosignature || x.alg == algMLDSA
		}
	}
	return false
}

// Note puts a checkpoint's text and its signatures together.
func Note(text string, list []Signature) []byte {
	return append([]byte(text+"\n"), Lines(list)...)
}

func keyID(name string, key []byte) uint32 {
	h := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(h[:])
}
