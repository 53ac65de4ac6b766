package witness

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dejpha/dejpha/cosign"
	"github.com/dejpha/dejpha/evidence/durable"
)

// tree is a log in memory, in the storage form of x/mod's tlog.
type tree struct {
	hashes []tlog.Hash
	size   int64
}

func (t *tree) add(leaves ...string) {
	for _, x := range leaves {
		h, _ := tlog.StoredHashes(t.size, []byte(x), t)
		t.hashes = append(t.hashes, h...)
		t.size++
	}
}

func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, t.hashes[i])
	}
	return out, nil
}

// party is a log with its key.
type party struct {
	tree
	origin string
	signer note.Signer
	vkey   string
}

func newParty(t *testing.T, origin string) *party {
	t.Helper()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte(origin), 64)), origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return &party{origin: origin, signer: s, vkey: vkey}
}

// fork is a copy that goes its own way from a size on.
func (p *party) fork(from int64, salt string) *party {
	f := &party{origin: p.origin, signer: p.signer, vkey: p.vkey}
	for i := range from {
		f.add(fmt.Sprint("leaf ", i))
	}
	for i := from; i < p.size; i++ {
		f.add(fmt.Sprint(salt, i))
	}
	return f
}

func (p *party) grow(n int64) {
	for range n {
		p.add(fmt.Sprint("leaf ", p.size))
	}
}

func (p *party) head(size int64) cosign.Head {
	root, _ := tlog.TreeHash(size, p)
	return cosign.Head{Origin: p.origin, Size: size, Root: root}
}

func (p *party) signed(size int64) []byte {
	b, _ := note.Sign(&note.Note{Text: p.head(size).Text()}, p.signer)
	return b
}

func (p *party) request(old, size int64) []byte {
	var proof tlog.TreeProof
	if old > 0 && old < size {
		proof, _ = tlog.ProveTree(size, old, p)
	}
	r := cosign.Request{Old: old, Proof: proof, Checkpoint: p.signed(size)}
	return r.Append(nil)
}

// heard is what a witness told a person.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) say(s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, s)
}

func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}

func opened(t *testing.T, dir string, d *durable.Disk, h *heard, logs ...string) *Witness {
	t.Helper()
	w, err := Open(options(dir, d, h, logs...))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func options(dir string, d *durable.Disk, h *heard, logs ...string) Options {
	return Options{Dir: dir, Name: "witness.example/w1", Logs: logs, Rand: rand.NewChaCha8([32]byte{3}), Now: func() int64 { return 1_700_000_000 }, Say: h.say, Disk: d}
}

func code(err error) int {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	if err != nil {
		return 500
	}
	return 200
}

// Each answer of the specification, over HTTP; what is cosigned an independent implementation verifies.
func TestAnswersOfTheSpecification(t *testing.T) {
	log, stranger := newParty(t, "example.com/log"), newParty(t, "example.com/other")
	log.grow(20)
	stranger.grow(20)
	h := &heard{}
	w := opened(t, t.TempDir(), nil, h, log.vkey)
	defer w.Close()
	server := httptest.NewServer(w.Handler())
	defer server.Close()
	post := func(b []byte) (int, string, string) {
		a, err := http.Post(server.URL+"/add-checkpoint", "", bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		body, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(body), a.Header.Get("Content-Type")
	}
	forged := bytes.Replace(log.request(0, 5), []byte("\n5\n"), []byte("\n6\n"), 1)
	impostor := &party{tree: stranger.tree, origin: log.origin, signer: stranger.signer}
	// The proof of 5 to 12, one hash of it changed, and the one of 5 to 11.
	broken, _ := cosign.ParseRequest(log.request(5, 12))
	broken.Proof[0][3] ^= 1
	other, _ := cosign.ParseRequest(log.request(5, 11))
	other.Checkpoint = log.signed(12)
	for _, x := range []struct {
		what string
		b    []byte
		code int
		body string
	}{
		{"nothing", nil, 400, ""}, {"no proof line", []byte("old 0\nx\n\n" + string(log.signed(3))), 400, ""}, {"a long one", bytes.Repeat([]byte("x"), cosign.RequestMax+1), 400, ""},
		{"an unknown log", stranger.request(0, 5), 404, ""}, {"another's signature", impostor.request(0, 5), 403, ""}, {"a changed size", forged, 403, ""},
		{"old above new", log.request(6, 5), 400, ""}, {"a size that was not cosigned", log.request(3, 5), 409, "0\n"}, {"a proof from nothing", bytes.Replace(log.request(0, 5), []byte("old 0\n"), []byte("old 0\n"+strings.Repeat("A", 43)+"=\n"), 1), 422, ""},
		{"the first head", log.request(0, 5), 200, "— witness.example/w1 "}, {"it again, from nothing", log.request(0, 5), 409, "5\n"}, {"it again", log.request(5, 5), 200, "— witness.example/w1 "},
		{"a changed proof", broken.Append(nil), 422, ""}, {"another head's proof", other.Append(nil), 422, ""}, {"no proof", bytes.Replace(log.request(0, 12), []byte("old 0"), []byte("old 5"), 1), 422, ""},
		{"the next head", log.request(5, 12), 200, "— witness.example/w1 "}, {"a late copy", log.request(0, 5), 409, "12\n"}, {"a fork", log.fork(8, "other ").request(12, 12), 409, "12\n"},
	} {
		got, body, kind := post(x.b)
		if got != x.code || !strings.HasPrefix(body, x.body) {
			t.Errorf("%s: %d %q, want %d %q", x.what, got, body, x.code, x.body)
		}
		if (kind == "text/x.tlog.size") != (x.code == 409) {
			t.Errorf("%s: %s", x.what, kind)
		}
	}
	if a, err := http.Get(server.URL + "/add-checkpoint"); err != nil || a.StatusCode != 405 {
		t.Errorf("GET: %v %v", a, err)
	}
	_, body, _ := post(log.request(12, 20))
	v := torchwoodVerifier(t)
	if v.String() != w.Keys()[0] {
		t.Errorf("torchwood names the key %s, we %s", v, w.Keys()[0])
	}
	logv, _ := note.NewVerifier(log.vkey)
	n, err := note.Open(append(log.signed(20), body...), note.VerifierList(v, logv))
	if err != nil || len(n.Sigs) != 2 || len(n.UnverifiedSigs) != 1 {
		t.Errorf("torchwood on %q: %v", body, err)
	}
	if !strings.Contains(h.all(), "FORK, refused at 2023-11-14") {
		t.Errorf("said: %s", h.all())
	}
}

// torchwoodVerifier is their verifier of our test key, made from its seed.
func torchwoodVerifier(t *testing.T) *torchwood.CosignatureVerifier {
	t.Helper()
	seed := make([]byte, 64)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(seed)
	s, err := torchwood.NewCosignatureSigner("witness.example/w1", ed25519.NewKeyFromSeed(seed[:32]))
	if err != nil {
		t.Fatal(err)
	}
	return s.Verifier()
}

// A log that forks, rolls back, forges its proofs or is replaced gets none of it cosigned: 100 of 100 times, at points
// that chance chooses, with several senders at once and the witness restarted, or killed before it answers, in between.
func TestForksAreRefusedEveryTime(t *testing.T) {
	r := rand.New(rand.NewPCG(20261127, 11))
	const trials = 100
	kinds := map[string]int{}
	for trial := range trials {
		log := newParty(t, "example.com/log")
		log.grow(2 + r.Int64N(200))
		base := 1 + r.Int64N(log.size-1)
		dir, h := t.TempDir(), &heard{}
		w := opened(t, dir, nil, h, log.vkey)
		if _, err := w.Add(log.request(0, base)); err != nil {
			t.Fatal(err)
		}
		at := log.size
		if _, err := w.Add(log.request(base, at)); err != nil {
			t.Fatal(err)
		}
		if r.IntN(2) == 0 { // the witness is started again
			w.Close()
			w = opened(t, dir, nil, h, log.vkey)
		}
		kind := []string{"fork at the size", "fork beyond", "rollback", "forged proof", "replaced log", "fork of an earlier head", "killed"}[trial%7]
		kinds[kind]++
		var bad [][]byte
		from := r.Int64N(at)
		f := log.fork(from, "other ")
		switch kind {
		case "fork at the size":
			bad = append(bad, f.request(at, at), f.request(base, at), f.request(0, at))
		case "fork beyond":
			f.grow(1 + r.Int64N(100))
			bad = append(bad, f.request(at, f.size), f.request(0, f.size), f.request(from, f.size))
			joined, _ := cosign.ParseRequest(f.request(at, f.size)) // the honest log's own proof before the fork's head
			log.grow(f.size - at)
			honest, _ := cosign.ParseRequest(log.request(at, f.size))
			joined.Proof = honest.Proof
			bad = append(bad, joined.Append(nil))
		case "rollback":
			small := 1 + r.Int64N(at-1)
			bad = append(bad, log.request(0, small), log.request(small, small), f.request(0, small))
		case "forged proof":
			log.grow(1 + r.Int64N(50))
			q, _ := cosign.ParseRequest(log.request(at, log.size))
			if len(q.Proof) > 0 {
				q.Proof[r.IntN(len(q.Proof))][r.IntN(32)] ^= 1 << r.IntN(8)
			}
			bad = append(bad, q.Append(nil))
		case "replaced log":
			n := newParty(t, "example.com/log")
			for i := range at + r.Int64N(50) {
				n.add(fmt.Sprint("new ", i))
			}
			bad = append(bad, n.request(0, n.size), n.request(at, n.size))
		case "fork of an earlier head":
			g := log.fork(r.Int64N(base), "other ")
			bad = append(bad, g.request(0, base), g.request(base, base))
		case "killed": // after the head was kept, before it was answered: the other head of that size must not get through
			w.Close()
			log.grow(3)
			k := opened(t, dir, durable.Faulty(1+r.IntN(2), r.IntN(2) == 0), h, log.vkey) // the temporary file, or its new name
			if lines, err := k.Add(log.request(at, log.size)); err == nil || lines != nil {
				t.Fatal("a killed witness answered")
			}
			k.Close()
			w = opened(t, dir, nil, h, log.vkey)
			two := log.fork(at, "other ")
			_, err1 := w.Add(log.request(at, log.size))
			second, err2 := w.Add(two.request(at, two.size))
			third, err3 := w.Add(two.request(two.size, two.size))
			if err2 == nil || err3 == nil || second != nil || third != nil {
				t.Fatalf("trial %d: a killed witness cosigned the other head: %v %v", trial, err2, err3)
			}
			if err1 != nil && code(err1) != 409 { // it was kept: then it is asked for from there
				t.Fatal(err1)
			}
			if _, err := w.Add(log.request(log.size, log.size)); err != nil {
				t.Fatalf("trial %d: the head that was kept is not cosigned again: %v", trial, err)
			}
		}
		var wait sync.WaitGroup
		for _, b := range bad {
			for range 1 + r.IntN(3) {
				wait.Add(1)
				go func() {
					defer wait.Done()
					if lines, err := w.Add(b); err == nil || lines != nil {
						t.Errorf("trial %d, %s: cosigned %q", trial, kind, b)
					}
				}()
			}
		}
		wait.Wait()
		w.Close()
		shown, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if kind == "fork at the size" || kind == "fork of an earlier head" && base < at {
			if len(shown.Forks) != 1 || shown.Proven != 1 || !bothHeads(&shown.Forks[0], log.vkey) || strings.Count(h.all(), "FORK") != 1 {
				t.Errorf("trial %d, %s: shown %+v, said %s", trial, kind, shown.Forks, h.all())
			}
		}
		if kind == "rollback" && (len(shown.Forks) == 0 || !bothHeads(&shown.Forks[0], log.vkey)) && !strings.Contains(string(bad[0]), fmt.Sprintf("\n%d\n", base)) {
			t.Errorf("trial %d: a rollback is not shown", trial)
		}
	}
	t.Logf("%d trials: %v", trials, kinds)
}

// bothHeads says whether a contradiction holds two different heads, both signed by the log.
func bothHeads(c *Contradiction, vkey string) bool {
	v, _ := note.NewVerifier(vkey)
	a, err1 := note.Open([]byte(c.Held), note.VerifierList(v))
	b, err2 := note.Open([]byte(c.Offered), note.VerifierList(v))
	return err1 == nil && err2 == nil && a.Text != b.Text
}

// Two heads of one size, sent by many at once: one of them is cosigned, the other one never.
func TestNeverBothHeads(t *testing.T) {
	for round := range 20 {
		a := newParty(t, "example.com/log")
		a.grow(40)
		b := a.fork(int64(round), "other ")
		w := opened(t, t.TempDir(), nil, &heard{}, a.vkey)
		var got [2]int
		var mu sync.Mutex
		var wait sync.WaitGroup
		for i := range 8 {
			p := []*party{a, b}[i%2]
			wait.Add(1)
			go func() {
				defer wait.Done()
				for _, old := range []int64{0, 40} {
					if _, err := w.Add(p.request(old, 40)); err == nil {
						mu.Lock()
						got[i%2]++
						mu.Unlock()
					}
				}
			}()
		}
		wait.Wait()
		if (got[0] > 0) == (got[1] > 0) {
			t.Fatalf("round %d: cosigned %d and %d times", round, got[0], got[1])
		}
		w.Close()
	}
}

// Whatever change of its disk fails, lost or landed: a head that was cosigned is known after the next start, and after
// the failure nothing is signed.
func TestEveryWriteFailing(t *testing.T) {
	log := newParty(t, "example.com/log")
	log.grow(30)
	for _, landed := range []bool{false, true} {
		for n := 1; n < 40; n++ {
			dir, h := t.TempDir(), &heard{}
			d := durable.Faulty(n, landed)
			w, err := Open(options(dir, d, h, log.vkey))
			last := int64(0)
			if err == nil {
				failed := false
				for _, size := range []int64{5, 9, 9, 30} {
					_, err := w.Add(log.request(last, size))
					if err == nil && failed {
						t.Fatalf("change %d, landed %v: signed after the disk had failed", n, landed)
					}
					if err == nil {
						last = size
					} else {
						failed = true
					}
				}
				w.Close()
				if !failed && n > d.Ops() {
					return // no change is left to fail
				}
			}
			w, err = Open(options(dir, nil, h, log.vkey))
			if err != nil {
				t.Fatalf("change %d, landed %v: %v", n, landed, err)
			}
			if have, err := w.logs[log.origin].head(); err != nil || have.Size < last {
				t.Fatalf("change %d, landed %v: %d leaves were cosigned, %d are known", n, landed, last, have.Size)
			}
			w.Close()
		}
	}
}

// A witness that cannot know what it signed does not go on.
func TestWhatAWitnessRefusesToStartWith(t *testing.T) {
	log := newParty(t, "example.com/log")
	log.grow(5)
	begin := func() (string, *heard) {
		dir, h := t.TempDir(), &heard{}
		w := opened(t, dir, nil, h, log.vkey)
		if _, err := w.Add(log.request(0, 5)); err != nil {
			t.Fatal(err)
		}
		w.Close()
		return dir, h
	}
	head := func(dir string) string { return filepath.Join(dir, "heads", place(log.origin)) }
	for what, do := range map[string]func(dir string, o *Options) error{
		"can be read by others": func(dir string, _ *Options) error { return os.Chmod(filepath.Join(dir, "witness.key"), 0o644) },
		"is no witness's key": func(dir string, _ *Options) error {
			return os.WriteFile(filepath.Join(dir, "witness.key"), []byte("x"), 0o600)
		},
		"bring the key back":   func(dir string, _ *Options) error { return os.Remove(filepath.Join(dir, "witness.key")) },
		"cannot be read":       func(dir string, _ *Options) error { return os.Truncate(head(dir), 40) },
		"is named":             func(_ string, o *Options) error { o.Name = "another"; return nil },
		"is no log's verifier": func(_ string, o *Options) error { o.Logs = []string{"nonsense"}; return nil },
		"logs:2: not a verifier": func(dir string, _ *Options) error {
			return os.WriteFile(filepath.Join(dir, "logs"), []byte("# mine\nnonsense\n"), 0o600)
		},
	} {
		dir, h := begin()
		o := options(dir, nil, h, log.vkey)
		if err := do(dir, &o); err != nil {
			t.Fatal(err)
		}
		if w, err := Open(o); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q: %v", what, err)
			if w != nil {
				w.Close()
			}
		}
	}
	dir, h := begin()
	if info, err := os.Stat(filepath.Join(dir, "witness.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v %v", info.Mode(), err)
	}
	w := opened(t, dir, nil, h, log.vkey)
	if _, err := Open(options(dir, nil, h, log.vkey)); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("a second one: %v", err)
	}
	w.Close()
	// Logs from the folder's list, no name given: as it was.
	if err := os.WriteFile(filepath.Join(dir, "logs"), []byte("# mine\n\n"+log.vkey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(dir, nil, h)
	o.Name = ""
	w, err := Open(o)
	if err != nil || w.Logs() != 1 {
		t.Fatal(err)
	}
	if _, err := w.Add(log.request(5, 5)); err != nil {
		t.Error(err)
	}
	w.Close()
	if _, err := Open(options(filepath.Join(t.TempDir(), "x"), nil, h, "nonsense")); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
	o = options(filepath.Join(t.TempDir(), "x"), nil, h)
	o.Name = "a b"
	if _, err := Open(o); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
}

// Contradictions are bounded: who holds many heads of a log cannot fill the disk with them.
func TestContradictionsAreBounded(t *testing.T) {
	log := newParty(t, "example.com/log")
	log.grow(400)
	dir, h := t.TempDir(), &heard{}
	w := opened(t, dir, nil, h, log.vkey)
	defer w.Close()
	if _, err := w.Add(log.request(0, 400)); err != nil {
		t.Fatal(err)
	}
	for n := range int64(399) {
		if _, err := w.Add(log.request(0, n+1)); code(err) != 409 {
			t.Fatal(err)
		}
	}
	_, _ = w.Add(log.fork(3, "x").request(400, 400))
	s, err := Read(dir)
	if err != nil || len(s.Forks) != refusedMax+1 || s.Proven != 1 || strings.Count(h.all(), "no more are kept") != 1 {
		t.Errorf("%d kept, %d proven, %v", len(s.Forks), s.Proven, err)
	}
	var b bytes.Buffer
	s.Print(&b)
	if !strings.Contains(b.String(), "101 contradictions, 1 of them proven forks") || !strings.Contains(b.String(), "two histories") {
		t.Errorf("%.300s", b.String())
	}
}
