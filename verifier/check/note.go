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

// Limits of a signed note (C2SP signed-note asks for at least 16 signatures).
const (
	noteBytesMax = 256 << 10
	noteSigsMax  = 64
	keyBytesMax  = 4096
)

// Types of keys that are known by name; only the two of Ed25519 are checked.
const (
	typeEd25519     = 0x01
	typeCosignature = 0x04
	typeMLDSA44     = 0x06
)

var be = binary.BigEndian

// Key is a verifier key of a C2SP signed note: NAME+ID+BASE64 of a type byte and the public key.
type Key struct {
	Name   string
	ID     uint32
	Type   byte
	Public []byte
}

// ParseKey reads a verifier key and checks that its id is the one its name and bytes give.
func ParseKey(s string) (Key, error) {
	parts := strings.SplitN(s, "+", 3)
	if len(s) > keyBytesMax || len(parts) != 3 || !nameFits(parts[0]) || len(parts[1]) != 8 {
		return Key{}, errors.New("not a verifier key of the form NAME+ID+BASE64")
	}
	id, err := strconv.ParseUint(parts[1], 16, 32)
	b, err2 := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || err2 != nil || len(b) < 2 {
		return Key{}, errors.New("not a verifier key of the form NAME+ID+BASE64")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), b...))
	if be.Uint32(sum[:]) != uint32(id) {
		return Key{}, fmt.Errorf("verifier key of %s: its id is not that of its bytes", parts[0])
	}
	k := Key{parts[0], uint32(id), b[0], b[1:]}
	if (k.Type == typeEd25519 || k.Type == typeCosignature) && len(k.Public) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("verifier key of %s: an Ed25519 key has %d bytes", k.Name, ed25519.PublicKeySize)
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
		sig, err := base64.StdEncoding.Strict().DecodeString(text)
		if !ok || !ok2 || err != nil || !nameFits(name) || len(sig) < 5 {
			return c, errors.New("the checkpoint has a line of signature that is none")
		}
		c.sigs = append(c.sigs, signature{name, be.Uint32(sig), sig[4:]})
	}
	body := strings.Split(c.text, "\n")
	if len(body) != 4 {
		return c, errors.New("the checkpoint is not origin, size and root in three lines")
	}
	c.Origin = body[0]
	size, err := strconv.ParseInt(body[1], 10, 63)
	root, err2 := base64.StdEncoding.Strict().DecodeString(body[2])
	if err != nil || err2 != nil || c.Origin == "" || size < 0 || strconv.FormatInt(size, 10) != body[1] || len(root) != len(c.Root) {
		return c, errors.New("the checkpoint is not origin, size and root in three lines")
	}
	c.Size = size
	copy(c.Root[:], root)
	return c, nil
}

// signedBy checks the log's own signatures: at least one by k, and none by it that fails.
func (c *Checkpoint) signedBy(k Key) error {
	if k.Type != typeEd25519 {
		return errors.New("the log's key is no Ed25519 key of a log (type 1)")
	}
	if c.Origin != k.Name {
		return fmt.Errorf("the checkpoint is of %q, the key of %q", c.Origin, k.Name)
	}
	good := false
	for _, s := range c.sigs {
		if s.name != k.Name || s.id != k.ID {
			continue
		}
		if !ed25519.Verify(k.Public, []byte(c.text), s.sig) {
			return errors.New("the log's signature does not fit the checkpoint")
		}
		good = true
	}
	if !good {
		return errors.New("the checkpoint is not signed by this key")
	}
	return nil
}

// Signer is one signature under a checkpoint, for people to read.
type Signer struct {
	Name string `json:"name"`
	Says string `json:"says"` // signed, cosigned and when, wrong, or unchecked and why
	Good bool   `json:"good"`
}

// signers judges every signature; met is how many distinct witnesses cosigned, wrong what a known key did not sign.
// The same key under two names counts once, the log's own key never: a log is no witness of itself.
func (c *Checkpoint) signers(log Key, witnesses []Key) (list []Signer, met int, wrong []string) {
	counted := map[string]bool{string(log.Public): true}
	keys := append(slices.Clone(witnesses), log)
	for _, s := range c.sigs {
		out := Signer{Name: s.name}
		k, known := knownKey(s, keys)
		switch {
		case known && k.Type == typeEd25519:
			out.Good = ed25519.Verify(k.Public, []byte(c.text), s.sig)
			out.Says = "signed as the log"
			if k.ID != log.ID || k.Name != log.Name {
				out.Good, out.Says = false, "unchecked: a plain signature is no cosignature"
			}
		case known && k.Type == typeCosignature:
			var when uint64
			if when, out.Good = c.cosigned(k, s.sig); !out.Good {
				out.Says = "wrong cosignature"
				wrong = append(wrong, fmt.Sprintf("the cosignature of %s does not fit the checkpoint", s.name))
				break
			}
			out.Says = "cosigned at " + stamp(when*1e6)
			if !counted[string(k.Public)] {
				met++
			}
			counted[string(k.Public)] = true
		case len(s.sig) == 8+2420:
			out.Says = "unchecked: has the length of ML-DSA-44, which this verifier lacks"
		case known:
			out.Says = fmt.Sprintf("unchecked: signatures of type %d", k.Type)
		default:
			out.Says = fmt.Sprintf("unchecked: no key was given for it (id %08x)", s.id)
		}
		list = append(list, out)
	}
	return list, met, wrong
}

func knownKey(s signature, keys []Key) (Key, bool) {
	for _, k := range keys {
		if k.Name == s.name && k.ID == s.id {
			return k, true
		}
	}
	return Key{}, false
}

// cosigned checks a cosignature/v1 and returns its time, seconds since 1970.
func (c *Checkpoint) cosigned(k Key, sig []byte) (when uint64, good bool) {
	if len(sig) != 8+ed25519.SignatureSize {
		return 0, false
	}
	if when = be.Uint64(sig); when > 1<<43 {
		return 0, false
	}
	return when, ed25519.Verify(k.Public, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", when, c.text), sig[8:])
}

// stamp is a time of a leaf, microseconds since 1970, for people.
func stamp(us uint64) string {
	return time.UnixMicro(int64(min(us, 1<<62))).UTC().Format("2006-01-02 15:04:05 UTC")
}
