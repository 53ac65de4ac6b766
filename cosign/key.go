package cosign

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/mldsa"
	"golang.org/x/mod/sumdb/note"
)

// Kinds of keys: the byte before the key in a verifier key, as C2SP's specifications give them.
const (
	algEd25519     = 1 // a log's own signatures
	algCosignature = 4 // cosignature/v1
	algMLDSA       = 6 // subtree/v1 by ML-DSA-44
)

const (
	timeBytes = 8 // before the signature of a cosignature
	nameMax   = 255
)

// Verifier checks the signatures of one key. It is a note.Verifier.
type Verifier struct {
	name string
	hash uint32
	alg  byte
	key  []byte
	pq   *mldsa.PublicKey // of an ML-DSA-44 key
}

// NewVerifier reads a verifier key NAME+HASH+KEY: of a log (Ed25519), or of a witness (cosignature/v1, ML-DSA-44).
func NewVerifier(text string) (*Verifier, error) {
	name, rest, ok := strings.Cut(text, "+")
	hex, b64, ok2 := strings.Cut(rest, "+")
	if !ok || !ok2 || !ValidName(name) || len(hex) != 8 {
		return nil, errors.New("not a verifier key; it looks like NAME+HASH+KEY")
	}
	hash, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		return nil, errors.New("not a verifier key: its hash is no hexadecimal number")
	}
	b, err := base64.StdEncoding.DecodeString(b64)
	if err != nil || len(b) < 2 {
		return nil, errors.New("not a verifier key: its key is no base64")
	}
	if keyID(name, b) != uint32(hash) {
		return nil, errors.New("not a verifier key: its hash is not that of its name and key")
	}
	v := &Verifier{name: name, hash: uint32(hash), alg: b[0], key: b[1:]}
	switch {
	case (v.alg == algEd25519 || v.alg == algCosignature) && len(v.key) == ed25519.PublicKeySize:
	case v.alg == algMLDSA:
		if v.pq, err = mldsa.NewPublicKey(mldsa.MLDSA44(), v.key); err != nil {
			return nil, errors.New("not a verifier key: its ML-DSA-44 key cannot be read")
		}
	default:
		return nil, fmt.Errorf("a verifier key of a kind (%d) that is not known here", v.alg)
	}
	return v, nil
}

// ValidName says whether a key may bear this name: not empty, at most 255 bytes, no spaces, no plus.
func ValidName(name string) bool {
	return name != "" && len(name) <= nameMax && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsSpace) < 0 && !strings.Contains(name, "+")
}

// Name is the key's name.
func (v *Verifier) Name() string { return v.name }

// KeyHash names the key in signature lines.
func (v *Verifier) KeyHash() uint32 { return v.hash }

// Witness says whether it is a witness's key, whose signatures bear a time; otherwise it is a log's.
func (v *Verifier) Witness() bool { return v.alg != algEd25519 }

// String is the verifier key.
func (v *Verifier) String() string { return vkey(v.name, append([]byte{v.alg}, v.key...)) }

func vkey(name string, key []byte) string {
	return fmt.Sprintf("%s+%08x+%s", name, keyID(name, key), base64.StdEncoding.EncodeToString(key))
}

// Verify checks a signature over a checkpoint's text.
func (v *Verifier) Verify(msg, sig []byte) bool {
	if v.alg == algEd25519 {
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(v.key, msg, sig)
	}
	h, err := ParseHead(string(msg))
	if err != nil || len(sig) < timeBytes {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	if at > math.MaxInt64 {
		return false
	}
	sig = sig[timeBytes:]
	if v.alg == algCosignature {
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(v.key, messageV1(string(msg), at), sig)
	}
	message, ok := messageSubtree(v.name, h, at)
	return ok && mldsa.Verify(v.pq, message, sig, nil) == nil
}

// messageV1 is what an Ed25519 cosignature signs.
func messageV1(text string, at uint64) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text)
}

// messageSubtree is what an ML-DSA-44 cosignature signs: of a whole tree.
func messageSubtree(name string, h Head, at uint64) ([]byte, bool) {
	if len(name) > 255 || len(h.Origin) > 255 {
		return nil, false
	}
	b := []byte("subtree/v1\n\x00")
	b = append(append(b, byte(len(name))), name...)
	b = binary.BigEndian.AppendUint64(b, at)
	b = append(append(b, byte(len(h.Origin))), h.Origin...)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Size))
	return append(b, h.Root[:]...), true
}

// Key is a witness's: an Ed25519 key and an ML-DSA-44 key under one name.
type Key struct {
	name string
	ed   ed25519.PrivateKey
	pq   *mldsa.PrivateKey
}

// SeedBytes is how many random bytes make a key.
const SeedBytes = ed25519.SeedSize + mldsa.PrivateKeySize

// NewKey makes a witness's key from its name and SeedBytes random bytes.
func NewKey(name string, seed []byte) (*Key, error) {
	if !ValidName(name) {
		return nil, fmt.Errorf("%q cannot name a key: no spaces, no plus, 1 to %d bytes", name, nameMax)
	}
	if len(seed) != SeedBytes {
		return nil, fmt.Errorf("a key is made of %d random bytes", SeedBytes)
	}
	pq, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed[ed25519.SeedSize:])
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return &Key{name, ed25519.NewKeyFromSeed(seed[:ed25519.SeedSize]), pq}, nil
}

// Name is the key's name.
func (k *Key) Name() string { return k.name }

// Verifiers are the verifier keys of what it signs with: Ed25519, then ML-DSA-44.
func (k *Key) Verifiers() [2]string {
	return [2]string{vkey(k.name, k.edKey()), vkey(k.name, k.pqKey())}
}

func (k *Key) edKey() []byte {
	pub, _ := k.ed.Public().(ed25519.PublicKey)
	return append([]byte{algCosignature}, pub...)
}

func (k *Key) pqKey() []byte { return append([]byte{algMLDSA}, k.pq.PublicKey().Bytes()...) }

// Sign cosigns a checkpoint's text at a time, s since 1970: a signature by each of its keys.
func (k *Key) Sign(text string, at int64) ([]Signature, error) {
	h, err := ParseHead(text)
	if err != nil {
		return nil, err
	}
	t := uint64(max(at, 0))
	stamp := binary.BigEndian.AppendUint64(nil, t)
	message, ok := messageSubtree(k.name, h, t)
	if !ok {
		return nil, fmt.Errorf("the log's name is longer than %d bytes", nameMax)
	}
	pq, err := k.pq.Sign(nil, message, nil)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return []Signature{
		{Name: k.name, ID: keyID(k.name, k.edKey()), Bytes: append(stamp[:timeBytes:timeBytes], ed25519.Sign(k.ed, messageV1(text, t))...), Timestamp: int64(t), Checked: true},
		{Name: k.name, ID: keyID(k.name, k.pqKey()), Bytes: append(stamp[:timeBytes:timeBytes], pq...), Timestamp: int64(t), Checked: true},
	}, nil
}

var _ note.Verifier = (*Verifier)(nil)
