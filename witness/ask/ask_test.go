package ask

import (
	"bytes"
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
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dejpha/dejpha/cosign"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/witness"
)

const t0 = int64(1_700_000_000e9)

// begin makes a log of some leaves; more lets it grow and flushes it.
func begin(t *testing.T, dir string) (l *evidence.Log, more func(n int)) {
	t.Helper()
	key, err := evidence.LoadKey(nil, filepath.Join(dir, "log.key"), rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	l, err = evidence.Open(filepath.Join(dir, "evidence"), evidence.Options{Kind: evidence.Live, Key: key, Rand: rand.NewChaCha8([32]byte{2}), Origin: "example.org/log", Time: t0})
	if err != nil {
		t.Fatal(err)
	}
	return l, func(n int) {
		t.Helper()
		for i := range n {
			if err := l.Event(evidence.CodeDecision, l.Now()+1e6, -1, fmt.Appendf(nil, `{"n":%d}`, i), nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

// heard is what was said.
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

// seat is a witness with its address.
type seat struct {
	*witness.Witness
	url  string
	down bool
}

func seated(t *testing.T, name, logKey string) *seat {
	t.Helper()
	w, err := witness.Open(witness.Options{Dir: t.TempDir(), Name: name, Logs: []string{logKey}, Rand: rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32s", name)))), Now: func() int64 { return 1_700_000_000 }, Say: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	s := &seat{Witness: w}
	h := w.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		if s.down {
			http.Error(out, "closed", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(out, in)
	}))
	s.url = server.URL
	t.Cleanup(func() { server.Close(); w.Close() })
	return s
}

func panel(t *testing.T, quorum int, seats ...*seat) Panel {
	t.Helper()
	var keys, urls []string
	for _, s := range seats {
		keys, urls = append(keys, s.Keys()[0]), append(urls, s.url)
	}
	p, err := NewPanel(keys, urls, quorum)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func cosigned(t *testing.T, dir string, p Panel, logKey string) Signed {
	t.Helper()
	b, err := evidence.ReadCosigned(filepath.Join(dir, "evidence"))
	if err != nil || b == nil {
		t.Fatalf("%q %v", b, err)
	}
	s, unchecked, err := p.Check(b, logKey)
	if err != nil || len(unchecked) > 0 {
		t.Fatal(err, unchecked)
	}
	return s
}

// A log's heads are cosigned as it grows; a witness that is down costs its signature alone, and the quorum decides.
func TestHeadsAreCosigned(t *testing.T) {
	dir := t.TempDir()
	l, more := begin(t, dir)
	more(300)
	one, two := seated(t, "one.example", l.Verifier()), seated(t, "two.example", l.Verifier())
	p, h := panel(t, 2, one, two), &heard{}
	a := New(filepath.Join(dir, "evidence"), p, h.say)
	a.Round(time.Minute)
	s := cosigned(t, dir, p, l.Verifier())
	if s.Head.Size != l.Size() || len(s.By) != 2 || a.Other() != nil || !bytes.Equal(a.Newest(), s.Note) || a.Newest() != nil {
		t.Fatalf("%+v, other %v", s.Head, a.Other())
	}
	two.down = true
	for range 3 {
		more(50)
		a.Round(time.Minute)
	}
	if s := cosigned(t, dir, p, l.Verifier()); s.Head.Size == l.Size() || a.Newest() != nil {
		t.Error("one of two is no quorum of two")
	}
	st := a.States()
	if st[0].Cosigned != 4 || st[1].Cosigned != 1 || st[1].Failed != 3 || !strings.Contains(st[1].Error, "503") || strings.Count(h.all(), "does not sign") != 1 {
		t.Errorf("%+v\n%s", st, h.all())
	}
	if st[0].Behind != 0 || st[0].At == 0 || st[1].Behind != l.Size()-st[1].Size || st[1].Behind < 150 || st[1].Size < 300 {
		t.Errorf("of %d leaves: %+v", l.Size(), st)
	}
	if known := New(filepath.Join(dir, "evidence"), p, h.say).States(); known[1].Size != st[1].Size || known[1].At != 0 {
		t.Errorf("a new start knows %+v, the run before %+v", known, st)
	}
	two.down = false
	a.Round(time.Minute) // the head is the one that the first signed already
	if s := cosigned(t, dir, p, l.Verifier()); s.Head.Size != l.Size() || len(s.By) != 2 {
		t.Errorf("%+v %v", s.Head, s.By)
	}
	if !strings.Contains(h.all(), "two.example signs again") || a.States()[1].Error != "" {
		t.Error(h.all())
	}
	// What the log knows of its witnesses is lost: it asks, and goes on.
	if err := os.Remove(filepath.Join(dir, "evidence", "witnesses")); err != nil {
		t.Fatal(err)
	}
	more(7)
	a.Round(time.Minute)
	if s := cosigned(t, dir, p, l.Verifier()); s.Head.Size != l.Size() || len(s.By) != 2 {
		t.Errorf("%+v %v", s.Head, s.By)
	}
	if r, err := evidence.CheckAll(filepath.Join(dir, "evidence"), l.Verifier()); err != nil || !r.OK() || r.Cosigned != l.Size() {
		t.Errorf("%v %q cosigned %d", err, r.Problems, r.Cosigned)
	}
	a.Start(time.Hour)
	a.End()
}

// A log that was brought back from a backup is told by its witness, before it signs anything and after it grew past what
// the witness knows; a witness that answers nonsense stops nothing.
func TestARestoredLogIsRefused(t *testing.T) {
	for _, grown := range []int{0, 200} {
		dir, old := t.TempDir(), t.TempDir()
		l, more := begin(t, dir)
		more(20)
		one := seated(t, "one.example", l.Verifier())
		p := panel(t, 1, one)
		if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(old, "log.key"), 0o600); err != nil {
			t.Fatal(err)
		}
		more(100)
		a := New(filepath.Join(dir, "evidence"), p, func(string) {})
		a.Round(time.Minute)
		if a.Other() != nil {
			t.Fatal(a.Other())
		}
		b, more2 := begin(t, old)
		if grown > 0 {
			more2(grown)
		}
		r := New(filepath.Join(old, "evidence"), p, func(string) {})
		r.Round(time.Minute)
		var other *OtherHistoryError
		if !errors.As(r.Other(), &other) || other.Knows != l.Size() || !strings.Contains(other.Error(), "bring the newer copy back") {
			t.Errorf("grown %d: %v", grown, r.Other())
		}
		if c, _ := evidence.ReadCosigned(filepath.Join(old, "evidence")); c != nil {
			t.Error("the older copy was cosigned")
		}
		_ = b
	}
}

// What hostile witnesses answer is bounded and stops nothing but their own signature, unless they claim, as only the
// witnesses that the operator chose can, to know another history.
func TestHostileAnswers(t *testing.T) {
	dir := t.TempDir()
	l, more := begin(t, dir)
	more(9)
	honest := seated(t, "one.example", l.Verifier())
	stranger := seated(t, "one.example.other", l.Verifier())
	key, _ := cosign.NewKey("one.example", bytes.Repeat([]byte{9}, cosign.SeedBytes))
	head, err := evidence.ReadHead(filepath.Join(dir, "evidence"))
	if err != nil {
		t.Fatal(err)
	}
	n, _, _ := strings.Cut(string(head.Note), "\n\n")
	forged, _ := key.Sign(n+"\n", 5)
	elsewhere, _ := key.Sign("example.org/log\n1\n"+strings.Repeat("A", 43)+"=\n", 5)
	for what, answer := range map[string]func(w http.ResponseWriter){
		"500":                  func(w http.ResponseWriter) { w.WriteHeader(500) },
		"nothing":              func(http.ResponseWriter) {},
		"too long":             func(w http.ResponseWriter) { _, _ = w.Write(bytes.Repeat([]byte("x\n"), cosign.AnswerMax)) },
		"nonsense":             func(w http.ResponseWriter) { _, _ = io.WriteString(w, "— one.example !!!\n") },
		"another key":          func(w http.ResponseWriter) { _, _ = w.Write(cosign.Lines(forged)) },
		"another head":         func(w http.ResponseWriter) { _, _ = w.Write(cosign.Lines(elsewhere)) },
		"another note":         func(w http.ResponseWriter) { _, _ = io.WriteString(w, "\nexample.org/log\n9\nx\n\n— x AAAA\n") },
		"409 without a size":   func(w http.ResponseWriter) { w.WriteHeader(409) },
		"409 with a false one": func(w http.ResponseWriter) { w.WriteHeader(409); _, _ = io.WriteString(w, "-7\n") },
		"elsewhere":            func(w http.ResponseWriter) { w.Header().Set("Location", stranger.url); w.WriteHeader(307) },
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
		p, err := NewPanel([]string{honest.Keys()[0]}, []string{server.URL}, 1)
		if err != nil {
			t.Fatal(err)
		}
		a := New(filepath.Join(dir, "evidence"), p, func(string) {})
		a.Round(time.Minute)
		if s := a.States()[0]; s.Failed != 1 || s.Error == "" || a.Other() != nil || a.Newest() != nil {
			t.Errorf("%s: %+v %v", what, s, a.Other())
		}
		server.Close()
		a.Round(time.Minute) // nobody is there
		if s := a.States()[0]; s.Failed != 2 {
			t.Errorf("%s, then closed: %+v", what, s)
		}
	}
	if b, _ := evidence.ReadCosigned(filepath.Join(dir, "evidence")); b != nil {
		t.Errorf("cosigned: %q", b)
	}
}

// By file, for places without a network: request, cosign, accept; signatures of two witnesses over one head come
// together; what is not of this log, or not signed by its witnesses, is refused.
func TestByFile(t *testing.T) {
	dir := t.TempDir()
	evid := filepath.Join(dir, "evidence")
	l, more := begin(t, dir)
	more(30)
	one, two := seated(t, "one.example", l.Verifier()), seated(t, "two.example", l.Verifier())
	p, err := NewPanel([]string{one.Keys()[0], one.Keys()[1], two.Keys()[1]}, []string{"", "", ""}, 2)
	if err != nil || len(p.Parties) != 2 || New(evid, p, nil) != nil {
		t.Fatal(err, len(p.Parties))
	}
	var none *Asker
	none.Start(time.Second)
	none.Round(time.Second)
	none.End()
	if none.Newest() != nil || none.Other() != nil || none.States() != nil {
		t.Error("nobody is asked")
	}
	ask := func(s *seat) []byte {
		t.Helper()
		b, _, err := Request(evid, Known(evid, s.Witness.Keys()[0][:11]))
		if err != nil {
			t.Fatal(err)
		}
		lines, err := s.Add(b)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := cosign.ParseRequest(b)
		return append(r.Checkpoint, lines...)
	}
	first := ask(one)
	second := ask(two)
	more(5)
	if k, err := p.Keep(evid, first); err != nil || k.Quorum || len(k.By) != 1 {
		t.Fatalf("%+v %v", k, err)
	}
	if b, _ := evidence.ReadCosigned(evid); b != nil {
		t.Error("one of two is enough")
	}
	k, err := p.Keep(evid, second)
	if err != nil || !k.Quorum || !k.Newest || len(k.By) != 2 || Known(evid, "one.example") != k.Head.Size {
		t.Fatalf("%+v %v", k, err)
	}
	if s := cosigned(t, dir, p, l.Verifier()); len(s.By) != 2 || strings.Count(string(s.Note), "— one.example ") != 2 || strings.Count(string(s.Note), "— two.example ") != 1 {
		t.Errorf("%s", s.Note)
	}
	if k, err := p.Keep(evid, first); err != nil || !k.Quorum {
		t.Errorf("again: %+v %v", k, err)
	}
	if k, err = p.Keep(evid, ask(one)); err != nil || k.Head.Size >= l.Size() { // asked about the head that is cosigned: signatures come together
		t.Errorf("%+v %v", k, err)
	}
	// Another's log, a head without its signature, one of a longer and of another history.
	far := t.TempDir()
	fork, more2 := begin(t, far)
	more2(3)
	more2(4)
	stolen, _ := os.ReadFile(filepath.Join(far, "evidence", "checkpoint"))
	text, _, _ := strings.Cut(string(stolen), "\n\n")
	key, _ := cosign.NewKey("x.example", bytes.Repeat([]byte{9}, cosign.SeedBytes))
	sigs, _ := key.Sign(text+"\n", 1)
	q, err := NewPanel([]string{key.Verifiers()[0]}, []string{""}, 1)
	if err != nil {
		t.Fatal(err)
	}
	var other *OtherHistoryError
	if _, err := q.Keep(evid, append(stolen, cosign.Lines(sigs)...)); !errors.As(err, &other) {
		t.Errorf("another history: %v", err)
	}
	if _, err := q.Keep(evid, stolen); err == nil || !strings.Contains(err.Error(), "none of the log's witnesses") {
		t.Errorf("no witness's signature: %v", err)
	}
	if _, err := q.Keep(evid, append([]byte(text+"\n\n"), cosign.Lines(sigs)...)); err == nil || !strings.Contains(err.Error(), "own signature is missing") {
		t.Errorf("without the log's signature: %v", err)
	}
	more2(200)
	longer, _ := os.ReadFile(filepath.Join(far, "evidence", "checkpoint"))
	text, _, _ = strings.Cut(string(longer), "\n\n")
	sigs, _ = key.Sign(text+"\n", 1)
	if _, err := q.Keep(evid, append(longer, cosign.Lines(sigs)...)); err == nil || !strings.Contains(err.Error(), fmt.Sprint(fork.Size())) {
		t.Errorf("a longer one: %v", err)
	}
	if _, _, err := Request(evid, l.Size()+1); !errors.As(err, &other) {
		t.Errorf("a request from beyond: %v", err)
	}
}

func TestPanelsAreChecked(t *testing.T) {
	key, _ := cosign.NewKey("w", bytes.Repeat([]byte{1}, cosign.SeedBytes))
	_, logKey, _ := note.GenerateKey(rand.NewChaCha8([32]byte{}), "log")
	for _, x := range []struct {
		key, url string
		quorum   int
	}{{"nonsense", "", 1}, {logKey, "", 1}, {key.Verifiers()[0], "ftp://x", 1}, {key.Verifiers()[0], "http://", 1}, {key.Verifiers()[0], "http://x/?q", 1}, {key.Verifiers()[0], "", 2}} {
		if _, err := NewPanel([]string{x.key}, []string{x.url}, x.quorum); err == nil {
			t.Errorf("%+v is accepted", x)
		}
	}
}
