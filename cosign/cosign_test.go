package cosign

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tree is a log in memory.
type tree []tlog.Hash

func (t *tree) add(text string) {
	h, _ := tlog.StoredHashes(int64(t.size()), []byte(text), t)
	*t = append(*t, h...)
}

func (t *tree) size() int64 {
	n := int64(0)
	for tlog.StoredHashCount(n) < int64(len(*t)) {
		n++
	}
	return n
}

func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, (*t)[i])
	}
	return out, nil
}

func (t *tree) head(origin string, size int64) Head {
	root, _ := tlog.TreeHash(size, t)
	return Head{origin, size, root}
}

func logSigner(t *testing.T, origin string) (note.Signer, string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte(origin), 64)), origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

func verifier(t *testing.T, text string) *Verifier {
	t.Helper()
	v, err := NewVerifier(text)
	if err != nil {
		t.Fatal(err)
	}
	if v.String() != text {
		t.Errorf("%s became %s", text, v)
	}
	return v
}

// What we cosign an independent implementation accepts, and what it cosigns we accept.
func TestCosignaturesAgreeWithTorchwood(t *testing.T) {
	var log tree
	for range 5 {
		log.add("leaf")
	}
	h := log.head("example.com/log", 5)
	signer, vkey := logSigner(t, h.Origin)
	msg, err := note.Sign(&note.Note{Text: h.Text()}, signer)
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewKey("witness.example/w1", bytes.Repeat([]byte{7}, SeedBytes))
	if err != nil {
		t.Fatal(err)
	}
	sigs, err := key.Sign(h.Text(), 1_700_000_000)
	if err != nil {
		t.Fatal(err)
	}
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	theirs, err := torchwood.NewCosignatureSigner("witness.example/w1", private)
	if err != nil {
		t.Fatal(err)
	}
	if theirs.Verifier().String() != key.Verifiers()[0] {
		t.Errorf("verifier keys: %s and %s", theirs.Verifier(), key.Verifiers()[0])
	}
	n, err := note.Open(append(msg, Lines(sigs)...), note.VerifierList(theirs.Verifier()))
	if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 2 {
		t.Fatalf("torchwood: %v", err)
	}
	if at, err := torchwood.CosignatureTimestamp(n.Sigs[0]); err != nil || at != 1_700_000_000 {
		t.Errorf("torchwood reads the time %d, %v", at, err)
	}
	other, err := note.Sign(&note.Note{Text: h.Text()}, signer, theirs)
	if err != nil {
		t.Fatal(err)
	}
	got, text, list, err := Open(other, verifier(t, vkey), verifier(t, key.Verifiers()[0]))
	if err != nil || got != h || text != h.Text() || len(list) != 2 || !list[0].Checked || !list[1].Checked || list[1].Timestamp < 1_700_000_000 || list[0].Timestamp != 0 {
		t.Fatalf("%+v %q %+v %v", got, text, list, err)
	}
	if !bytes.Equal(Note(text, list), other) {
		t.Error("the note is not put together again as it was")
	}
	if c, err := torchwood.ParseCheckpoint(h.Text()); err != nil || c.Origin != h.Origin || c.N != 5 || c.Hash != h.Root {
		t.Errorf("torchwood: %+v, %v", c, err)
	}
}

// A signature by a key that a reader lacks comes back unchecked; both kinds are checked by one that has it, and neither
// covers another checkpoint, another name or another time.
func TestWhatACosignatureCovers(t *testing.T) {
	h := Head{"log", 3, tlog.Hash{1}}
	signer, vkey := logSigner(t, "log")
	key, _ := NewKey("w", bytes.Repeat([]byte{9}, SeedBytes))
	sigs, err := key.Sign(h.Text(), 12345)
	if err != nil {
		t.Fatal(err)
	}
	msg, _ := note.Sign(&note.Note{Text: h.Text()}, signer)
	full := append(msg, Lines(sigs)...)
	_, _, list, err := Open(full, verifier(t, vkey), verifier(t, key.Verifiers()[0]))
	if err != nil || len(list) != 3 || !list[1].Checked || list[2].Checked || list[2].Timestamp != 0 || len(list[2].Bytes) != 8+2420 {
		t.Fatalf("%v %+v", err, list)
	}
	_, _, list, err = Open(full, verifier(t, vkey), verifier(t, key.Verifiers()[1]))
	if err != nil || list[1].Checked || !list[2].Checked || list[2].Timestamp != 12345 {
		t.Fatalf("%v %+v", err, list)
	}
	if _, _, _, err := Open(full, verifier(t, logKeyOf(t, "another"))); err == nil || err.Error() != ErrNoSignature.Error() {
		t.Errorf("no known key: %v", err)
	}
	for i, name := range key.Verifiers() {
		v := verifier(t, name)
		if !v.Witness() || v.Name() != "w" {
			t.Error("a witness's key")
		}
		sig := sigs[i].Bytes
		if !v.Verify([]byte(h.Text()), sig) {
			t.Errorf("%d: its own signature is refused", i)
		}
		later := bytes.Clone(sig)
		later[7]++
		high := bytes.Clone(sig)
		high[0] |= 0x80
		for what, ok := range map[string]bool{
			"another root": v.Verify([]byte(Head{"log", 3, tlog.Hash{2}}.Text()), sig), "another size": v.Verify([]byte(Head{"log", 4, h.Root}.Text()), sig),
			"another log": v.Verify([]byte(Head{"lop", 3, h.Root}.Text()), sig), "another time": v.Verify([]byte(h.Text()), later),
			"a time past 2^63": v.Verify([]byte(h.Text()), high), "no signature": v.Verify([]byte(h.Text()), nil), "half of it": v.Verify([]byte(h.Text()), sig[:40]),
			"no checkpoint": v.Verify([]byte("x\n"), sig),
		} {
			if ok {
				t.Errorf("%d: %s is accepted", i, what)
			}
		}
	}
}

func logKeyOf(t *testing.T, origin string) string {
	_, vkey := logSigner(t, origin)
	return vkey
}

func TestKeysAreRefused(t *testing.T) {
	key, _ := NewKey("w", bytes.Repeat([]byte{9}, SeedBytes))
	good := key.Verifiers()[0]
	for _, text := range []string{"", "w", "w+1", "w+12345678+", good[:len(good)-4], strings.Replace(good, "w+", "v+", 1), "a b+" + good[2:], strings.Replace(good, "+", "+0", 1),
		vkey("w", []byte{9, 1, 2}), vkey("w", append([]byte{6}, 1, 2, 3)), vkey("w", append([]byte{1}, make([]byte, 31)...))} {
		if _, err := NewVerifier(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb", strings.Repeat("x", 256), "\xff"} {
		if _, err := NewKey(name, make([]byte, SeedBytes)); err == nil {
			t.Errorf("%q is accepted as a name", name)
		}
	}
	if _, err := NewKey("w", make([]byte, 63)); err == nil {
		t.Error("a short seed is accepted")
	}
}

func TestHeadsAndRequestsHaveOneForm(t *testing.T) {
	h := Head{"log", 12, tlog.Hash{5}}
	if got, err := ParseHead(h.Text() + "an extension\n"); err != nil || got != h {
		t.Errorf("%+v %v", got, err)
	}
	root := strings.Split(h.Text(), "\n")[2]
	for _, text := range []string{"", "log\n", "log\n12\n", "\n12\n" + root + "\n", "log\n012\n" + root + "\n", "log\n-1\n" + root + "\n", "log\n+1\n" + root + "\n",
		"log\n12\n" + root, "log\n12\n" + root + "\n\n", "log\n12\n" + root[1:] + "\n", "log\n12\n" + root[:42] + "1=\n", "log\n99999999999999999999\n" + root + "\n",
		h.Text() + strings.Repeat("x\n", extensionsMax+1)} {
		if got, err := ParseHead(text); err == nil {
			t.Errorf("%q is accepted: %+v", text, got)
		}
	}
	r := Request{Old: 7, Proof: tlog.TreeProof{{1}, {2}}, Checkpoint: []byte("log\n12\nx\n\n— log AAAA\n")}
	b := r.Append(nil)
	got, err := ParseRequest(b)
	if err != nil || got.Old != 7 || len(got.Proof) != 2 || got.Proof[1] != (tlog.Hash{2}) || !bytes.Equal(got.Checkpoint, r.Checkpoint) {
		t.Fatalf("%+v %v", got, err)
	}
	for _, bad := range []string{"", "old 7\n", "old 07\n\nx", "old -1\n\nx", "new 7\n\nx", "old 7\nAAAA\n\nx", "old 7\r\n\nx", "old 7 \n\nx", "old 7\n" + strings.Repeat(root+"\n", 64) + "\nx",
		"old 7\n\n" + strings.Repeat("x", RequestMax)} {
		if _, err := ParseRequest([]byte(bad)); err == nil {
			t.Errorf("%.40q is accepted", bad)
		}
	}
}

// Every pair of heads of a small log is shown to continue by its own proof and by no other.
func TestContinues(t *testing.T) {
	var log, fork tree
	for i := range 9 {
		log.add(string(rune('a' + i)))
		fork.add(string(rune('a' + i + i/6)))
	}
	for size := int64(0); size <= 9; size++ {
		for old := int64(0); old <= 9; old++ {
			var proof tlog.TreeProof
			if old > 0 && old <= size {
				proof, _ = tlog.ProveTree(size, old, &log)
			}
			a, b := log.head("x", old), log.head("x", size)
			if got := Continues(proof, a, b); got != (old <= size) {
				t.Errorf("%d to %d: %v", old, size, got)
			}
			if old == 0 || old > size {
				continue
			}
			if Continues(append(proof, tlog.Hash{}), a, b) || len(proof) > 0 && Continues(proof[1:], a, b) {
				t.Errorf("%d to %d: a proof of another length is accepted", old, size)
			}
			if old > 6 {
				if f := fork.head("x", size); Continues(proof, a, f) {
					t.Errorf("%d to %d of a fork: accepted", old, size)
				}
			}
		}
	}
	if Continues(tlog.TreeProof{{}}, Head{}, log.head("x", 3)) || Continues(nil, Head{}, Head{Root: tlog.Hash{1}}) {
		t.Error("a proof from nothing, or a false root of nothing, is accepted")
	}
}

// FuzzHostileBytes hands made-up notes, keys and requests to every reader: none may fall, and what is read is written the
// same.
func FuzzHostileBytes(f *testing.F) {
	h := Head{"log", 12, tlog.Hash{5}}
	r := Request{Old: 7, Proof: tlog.TreeProof{{1}}, Checkpoint: []byte(h.Text() + "\n— log AAAAAAAA\n")}
	f.Add(r.Append(nil))
	f.Add([]byte(h.Text()))
	key, _ := NewKey("w", bytes.Repeat([]byte{9}, SeedBytes))
	f.Add([]byte(key.Verifiers()[0]))
	v, _ := NewVerifier(key.Verifiers()[0])
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := ParseHead(string(b)); err == nil && !strings.HasPrefix(string(b), h.Text()) {
			t.Errorf("%q was read as %q", b, h.Text())
		}
		if r, err := ParseRequest(b); err == nil && !bytes.Equal(r.Append(nil), b) {
			t.Errorf("%q was read as %q", b, r.Append(nil))
		}
		if v, err := NewVerifier(string(b)); err == nil {
			if w, err := NewVerifier(v.String()); err != nil || w.KeyHash() != v.KeyHash() {
				t.Errorf("%q: %v", b, err)
			}
		}
		_, _, _, _ = Open(b, v)
		v.Verify(b, b)
	})
}
