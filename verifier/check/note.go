// Package check verifies what dejpha counted: claim files and whole log folders.
//
// In: bytes and, where the caller has them, keys of the log and of witnesses and an earlier checkpoint. Out: a Result
// that says what holds, what is wrong, what is only said and what nobody can see from files. It is written from the
// formats alone (docs/evidence.md, docs/claims.md, C2SP, RFC 9162), shares no code with the sealer, imports only the
// standard library, writes nothing, reads no clock and asks no network. Every input may be hostile: all sizes are bounded.
package check

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of a signed note; C2SP asks for at least 16 signatures.
const (
	noteBytesMax = 256 << 10
	noteSigsMax  = 64
)

// Types of keys that are checked, and the length of the signatures that are known by name only.
const (
	typeEd25519     = 1
	typeCosignature = 4
	lengthMLDSA44   = 8 + 2420
)

var be = binary.BigEndian

// unbase reads standard base64 with padding in its one form.
func unbase(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return b, err == nil && base64.StdEncoding.EncodedLen(len(b)) == len(s)
}

// Key is a verifier key of a C2SP signed note: NAME+ID+BASE64 of a type byte and the public key.
type Key struct {
	Name   string
	ID     uint32
	Type   byte
	Public []byte
}

// ParseKey reads a verifier key and checks that its id is the one its name and bytes give.
func ParseKey(s string) (Key, error) {
	parts := append(strings.SplitN(s, "+", 3), "", "", "")
	b, ok := unbase(parts[2])
	if len(s) > 4096 || !ok || len(b) < 2 || !nameFits(parts[0]) {
		return Key{}, errors.New("not a verifier key of the form NAME+ID+BASE64")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), b...))
	k := Key{parts[0], be.Uint32(sum[:]), b[0], b[1:]}
	if parts[1] != fmt.Sprintf("%08x", k.ID) || (k.Type == typeEd25519 || k.Type == typeCosignature) && len(k.Public) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("verifier key of %q: its id or length is not that of its bytes", k.Name)
	}
	return k, nil
}

// Fingerprint names a key in sixteen hexadecimal digits, as dejpha prints it.
func (k Key) Fingerprint() string {
	sum := sha256.Sum256(append([]byte{k.Type}, k.Public...))
	return hex.EncodeToString(sum[:8])
}

func nameFits(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '+' || r < ' ' })
}

// signature is one line below a note's text.
type signature struct {
	name string
	id   uint32
	sig  []byte
}

// Checkpoint is the signed head of a log, its signatures not yet checked.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   Hash
	text   string
	sigs   []signature
}

// ParseCheckpoint reads a C2SP tlog-checkpoint in a signed note: origin, size, root, no extension lines.
func ParseCheckpoint(b string) (c Checkpoint, err error) {
	at := strings.LastIndex(b, "\n\n")
	if len(b) > noteBytesMax || at < 0 || !utf8.ValidString(b) || !strings.HasSuffix(b, "\n") || strings.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\n' }) {
		return c, errors.New("the checkpoint is no signed note")
	}
	c.text = b[:at+1]
	lines := strings.Split(strings.TrimSuffix(b[at+2:], "\n"), "\n")
	if len(lines) > noteSigsMax {
		return c, fmt.Errorf("the checkpoint bears more than %d signatures", noteSigsMax)
	}
	for _, line := range lines {
		rest, ok := strings.CutPrefix(line, "— ")
		name, text, ok2 := strings.Cut(rest, " ")
		sig, ok3 := unbase(text)
		if !ok || !ok2 || !ok3 || !nameFits(name) || len(sig) < 5 {
			return c, errors.New("the checkpoint has a line of signature that is none")
		}
		c.sigs = append(c.sigs, signature{name, be.Uint32(sig), sig[4:]})
	}
	body := append(strings.Split(c.text, "\n"), "", "")
	root, ok := unbase(body[2])
	c.Origin = body[0]
	c.Size, err = strconv.ParseInt(body[1], 10, 63)
	if len(body) != 6 || err != nil || !ok || c.Origin == "" || c.Size < 0 || strconv.FormatInt(c.Size, 10) != body[1] || len(root) != len(c.Root) {
		return c, errors.New("the checkpoint is not origin, size and root in three lines")
	}
	c.Root = Hash(root)
	return c, nil
}

// signedBy checks the log's own signatures: at least one by k, and none by it that fails.
func (c *Checkpoint) signedBy(k Key) error {
	if k.Type != typeEd25519 || c.Origin != k.Name {
		return fmt.Errorf("the checkpoint is of %q, the key of %q (type %d, a log's is 1)", c.Origin, k.Name, k.Type)
	}
	good := false
	for _, s := range c.sigs {
		if s.name != k.Name || s.id != k.ID {
			continue
		}
		if good = ed25519.Verify(k.Public, []byte(c.text), s.sig); !good {
			return errors.New("the log's signature does not fit the checkpoint")
		}
	}
	if !good {
		return errors.New("the checkpoint is not signed by this key")
	}
	return nil
}

// signers judges every signature under a checkpoint that the log signed; met is how many distinct witnesses cosigned, bad
// how many cosignatures by known keys do not fit. A key under two names counts once, the log's own never.
func (c *Checkpoint) signers(log Key, witnesses []Key) (list []string, met, bad int) {
	counted := map[string]bool{string(log.Public): true}
	for _, s := range c.sigs {
		says := fmt.Sprintf("unchecked: no key was given for it (id %08x)", s.id)
		at := slices.IndexFunc(witnesses, func(k Key) bool { return k.Name == s.name && k.ID == s.id })
		switch {
		case s.name == log.Name && s.id == log.ID:
			says = "signed as the log"
		case at >= 0 && witnesses[at].Type == typeCosignature:
			k := witnesses[at]
			when, good := c.cosigned(k, s.sig)
			if says = "cosigned at " + stamp(when*1e6); !good {
				says = "WRONG: the cosignature does not fit the checkpoint"
				bad++
			} else if !counted[string(k.Public)] {
				counted[string(k.Public)] = true
				met++
			}
		case len(s.sig) == lengthMLDSA44:
			says = "unchecked: it has the length of ML-DSA-44, which this verifier lacks"
		case at >= 0:
			says = fmt.Sprintf("unchecked: its key is of type %d, a witness's is 4", witnesses[at].Type)
		}
		list = append(list, s.name+": "+says)
	}
	return list, met, bad
}

// cosigned checks a cosignature/v1 and returns its time, seconds since 1970.
func (c *Checkpoint) cosigned(k Key, sig []byte) (when uint64, good bool) {
	if len(sig) != 8+ed25519.SignatureSize || be.Uint64(sig) > 1<<42 {
		return 0, false
	}
	when = be.Uint64(sig)
	return when, ed25519.Verify(k.Public, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", when, c.text), sig[8:])
}

// stamp is a time of a leaf, microseconds since 1970, for people.
func stamp(us uint64) string {
	return time.UnixMicro(int64(min(us, 1<<62))).UTC().Format("2006-01-02 15:04:05 UTC")
}
