package evidence

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dejpha/dejpha/evidence/compact"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/evidence/twin"
)

const (
	keyHead    = "dejpha-signing-key-1 "
	algEd25519 = 1 // C2SP signed note: type of an Ed25519 key
)

// Key is a log's Ed25519 signing key. It lies outside the evidence folder and is never served.
type Key struct{ seed [32]byte }

// LoadKey reads the key at path, or makes one (mode 0600) from random bytes of r.
func LoadKey(d *durable.Disk, path string, r io.Reader) (Key, error) {
	if d == nil {
		d = durable.OS()
	}
	var k Key
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := io.ReadFull(r, k.seed[:]); err != nil {
			return k, fmt.Errorf("making signing key: %w", err)
		}
		if err := d.MkdirAll(filepath.Dir(path)); err != nil {
			return k, err
		}
		return k, d.Replace(path, []byte(keyHead+base64.StdEncoding.EncodeToString(k.seed[:])+"\n"))
	}
	if err != nil {
		return k, fmt.Errorf("reading signing key: %w", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		return k, fmt.Errorf("reading signing key: %s can be read by others than its owner, so they could sign in its place; if nobody has, chmod 600 it, else move the log and the key away and begin a new log", path)
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.TrimPrefix(string(b), keyHead)))
	if err != nil || len(seed) != len(k.seed) || !strings.HasPrefix(string(b), keyHead) {
		return k, fmt.Errorf("reading signing key: %s is not a signing key", path)
	}
	copy(k.seed[:], seed)
	return k, nil
}

func (k Key) public() []byte {
	pub, _ := ed25519.NewKeyFromSeed(k.seed[:]).Public().(ed25519.PublicKey)
	return append([]byte{algEd25519}, pub...)
}

func keyHash(name string, pub []byte) uint32 {
	h := sha256.Sum256(append([]byte(name+"\n"), pub...))
	return be.Uint32(h[:])
}

// Verifier is the public key of the log named origin, in the form of C2SP signed notes.
func (k Key) Verifier(origin string) string {
	pub := k.public()
	return fmt.Sprintf("%s+%08x+%s", origin, keyHash(origin, pub), base64.StdEncoding.EncodeToString(pub))
}

func (k Key) signer(origin string) (note.Signer, error) {
	private := append([]byte{algEd25519}, k.seed[:]...)
	return note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, keyHash(origin, k.public()), base64.StdEncoding.EncodeToString(private)))
}

// Fingerprint names a verifier key in sixteen hexadecimal digits.
func Fingerprint(verifier string) string {
	_, pub, _ := cutLast(verifier, "+")
	raw, _ := base64.StdEncoding.DecodeString(pub)
	h := sha256.Sum256(raw)
	return hex.EncodeToString(h[:8])
}

func cutLast(s, sep string) (string, string, bool) {
	// base64 may hold "+": the key's text begins after the second one
	first := strings.Index(s, sep)
	if first < 0 {
		return s, "", false
	}
	second := strings.Index(s[first+1:], sep)
	if second < 0 {
		return s, "", false
	}
	return s[:first], s[first+second+2:], true
}

// incidents makes the salts that hide incidents' numbers from those who cannot be shown them: AES-128 of the number, under
// half of what HMAC makes of the signing key.
func (k Key) incidents() compact.Secrets {
	m := mac(k.seed[:], []byte("incident"))
	return compact.NewSecrets(m[:seedBytes])
}

// mac is HMAC-SHA-256 of a short message under a key of 32 bytes, without the allocations of crypto/hmac.
func mac(key, message []byte) [sha256.Size]byte {
	const block = sha256.BlockSize
	var inner [2 * block]byte
	var outer [block + sha256.Size]byte
	for i := range block {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range key[:min(len(key), block)] {
		inner[i], outer[i] = inner[i]^b, outer[i]^b
	}
	h := sha256.Sum256(append(inner[:block], message...))
	copy(outer[block:], h[:])
	return sha256.Sum256(outer[:])
}

func incidentCommitment(opening []byte) [32]byte {
	var l twin.List
	commitIncident(&l, opening)
	var out [32]byte
	l.Sums(out[:])
	return out
}

// incidentOpening appends what opens the commitment to an incident.
func incidentOpening(b, salt []byte, incident uint64) []byte {
	return be.AppendUint64(append(b, salt...), incident)
}

// commitIncident adds what that is the hash of.
func commitIncident(l *twin.List, opening []byte) {
	l.Write(0x22)
	l.Write(opening...)
	l.End()
}

// Checkpoint is the signed head of a log.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

func parseCheckpoint(text string) (c Checkpoint, err error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) != 4 || lines[3] != "" {
		return c, errors.New("malformed checkpoint")
	}
	c.Origin = lines[0]
	if _, err := fmt.Sscanf(lines[1], "%d", &c.Size); err != nil || c.Size < 0 {
		return c, errors.New("malformed checkpoint: size")
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(c.Root) {
		return c, errors.New("malformed checkpoint: root")
	}
	copy(c.Root[:], root)
	if c.text() != text {
		return c, errors.New("malformed checkpoint: not in shortest form")
	}
	return c, nil
}

// OpenCheckpoint checks a checkpoint's signature by the verifier key.
func OpenCheckpoint(msg []byte, verifier string) (Checkpoint, error) {
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("verifier key: %w", err)
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	if err == nil && c.Origin != v.Name() {
		return c, errors.New("checkpoint: of another origin than its key")
	}
	return c, err
}
