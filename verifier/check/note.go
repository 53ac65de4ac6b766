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
	"unicode"
	"unicode/utf8"
)

// Limits of a signed note; types of keys that are checked; the length of signatures that are known by name only.
const (
	noteBytesMax    = 256 << 10
	noteSigsMax     = 64
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
	for _, line := range lines {
		rest, ok := strings.CutPrefix(line, "— ")
		name, text, ok2 := strings.Cut(rest, " ")
		sig, ok3 := unbase(text)
		if !ok || !ok2 || !ok3 || !nameFits(name) || len(sig) < 5 || len(c.sigs) == noteSigsMax {
			return c, fmt.Errorf("the checkpoint has a line of signature that is none, or more than %d", noteSigsMax)
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

// judge checks every signature. An error unless the log signed, and whoever is known by a key and signed, signed this; met is
// how many distinct witnesses cosigned: a key under two names counts once, the log's own never.
func (c *Checkpoint) judge(log Key, witnesses []Key) (list []string, met int, err error) {
	if log.Type != typeEd25519 || c.Origin != log.Name {
		return nil, 0, fmt.Errorf("the checkpoint is of %q, the key of %q (type %d, a log's is 1)", c.Origin, log.Name, log.Type)
	}
	counted := map[string]bool{}
	for _, s := range c.sigs {
		at := slices.IndexFunc(witnesses, func(k Key) bool { return k.Name == s.name && k.ID == s.id })
		says, good := fmt.Sprintf("unchecked: no key of a type that can be checked was given for it (id %08x)", s.id), true
		switch {
		case s.name == log.Name && s.id == log.ID:
			says, good = "signed as the log", ed25519.Verify(log.Public, []byte(c.text), s.sig)
			counted[string(log.Public)] = true
		case at >= 0 && witnesses[at].Type == typeCosignature:
			var when uint64
			when, good = c.cosigned(witnesses[at], s.sig)
			says = fmt.Sprintf("cosigned at %v UTC", micros(when*1e6))
			counted[string(witnesses[at].Public)] = true
		case len(s.sig) == lengthMLDSA44:
			says = "unchecked: it has the length of ML-DSA-44, which this verifier lacks"
		}
		if list = append(list, s.name+": "+says); !good {
			return nil, 0, fmt.Errorf("the signature of %s does not fit the checkpoint", s.name)
		}
	}
	if !counted[string(log.Public)] || !slices.ContainsFunc(c.sigs, func(s signature) bool { return s.name == log.Name && s.id == log.ID }) {
		return nil, 0, errors.New("the checkpoint is not signed by this key")
	}
	return list, len(counted) - 1, nil
}

// cosigned checks a cosignature/v1 and returns its time, seconds since 1970.
func (c *Checkpoint) cosigned(k Key, sig []byte) (when uint64, good bool) {
	if len(sig) != 8+ed25519.SignatureSize || be.Uint64(sig) > 1<<42 {
		return 0, false
	}
	when = be.Uint64(sig)
	return when, ed25519.Verify(k.Public, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", when, c.text), sig[8:])
}
