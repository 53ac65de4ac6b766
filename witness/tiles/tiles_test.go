package tiles

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dejpha/dejpha/evidence"
)

const t0 = int64(1_700_000_000e9)

// written makes a log with some thousand leaves; a head of it on the way comes back, too.
func written(t *testing.T, dir string) (l *evidence.Log, early evidence.Head) {
	t.Helper()
	key, err := evidence.LoadKey(nil, filepath.Join(t.TempDir(), "log.key"), rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	l, err = evidence.Open(dir, evidence.Options{Kind: evidence.Live, Key: key, Rand: rand.NewChaCha8([32]byte{2}), Origin: "example.org/log", Time: t0})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(2500) {
		if err := l.Event(evidence.CodeDecision, t0+i*1e6, -1, fmt.Appendf(nil, `{"n":%d}`, i), nil); err != nil {
			t.Fatal(err)
		}
		if i != 777 {
			continue
		}
		if _, err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if early, err = evidence.ReadHead(dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	return l, early
}

// filippo.io/torchwood, an implementation that shares no code with ours, reads our log over HTTP: it verifies the
// checkpoint's signature, that it continues an earlier one, the inclusion of leaves, and every entry against the tree.
func TestTorchwoodReadsOurLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "evidence")
	l, early := written(t, dir)
	server := httptest.NewServer(Handler(dir))
	defer server.Close()
	fetch, err := torchwood.NewTileFetcher(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := torchwood.NewClient(fetch)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	signed, err := fetch.ReadEndpoint(ctx, "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(l.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	point, err := torchwood.ParseCheckpoint(n.Text)
	if err != nil || point.Origin != l.Origin() || point.N != l.Size() || point.N < 2500 {
		t.Fatalf("%+v %v", point, err)
	}
	hashes := torchwood.TileHashReaderWithContext(ctx, point.Tree, fetch)
	proof, err := tlog.ProveTree(point.N, early.Size, hashes)
	if err != nil || tlog.CheckTree(proof, point.N, point.Hash, early.Size, early.Root) != nil {
		t.Errorf("consistency: %v", err)
	}
	for _, i := range []int64{0, 255, 256, 777, early.Size, point.N - 1} {
		entry, record, err := client.Entry(ctx, point.Tree, i)
		if err != nil || tlog.CheckRecord(record, point.N, point.Hash, i, tlog.RecordHash(entry)) != nil {
			t.Errorf("inclusion of leaf %d: %v", i, err)
		}
		if own, err := evidence.ReadLeaf(dir, i); err != nil || string(own) != string(entry) {
			t.Errorf("leaf %d is served as %q", i, entry)
		}
	}
	count := int64(0)
	for i, entry := range client.Entries(ctx, point.Tree, 0) {
		if own, err := evidence.ReadLeaf(dir, i); err != nil || string(own) != string(entry) || i != count {
			t.Fatalf("leaf %d is served as %q", i, entry)
		}
		count++
	}
	if err := client.Err(); err != nil || count < point.N/256*256 { // it leaves a partial bundle for later
		t.Errorf("%d entries of %d: %v", count, point.N, err)
	}
}

// What is not there, or no tile, is 404; private files are never served.
func TestOnlyWhatTheLogHasIsServed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "evidence")
	l, early := written(t, dir)
	server := httptest.NewServer(Handler(dir))
	defer server.Close()
	get := func(path string) (int, []byte, http.Header) {
		a, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, _ := io.ReadAll(a.Body)
		return a.StatusCode, b, a.Header
	}
	width := l.Size() % 256
	last := fmt.Sprintf("%03d", l.Size()/256)
	for path, size := range map[string]int{
		"/tile/0/000": 8192, fmt.Sprintf("/tile/0/%s.p/%d", last, width): int(width) * 32, "/tile/0/000.p/7": 224, fmt.Sprintf("/tile/1/000.p/%d", l.Size()/256): int(l.Size()/256) * 32,
		fmt.Sprintf("/tile/0/%03d.p/%d", early.Size/256, early.Size%256): int(early.Size%256) * 32,
	} {
		if code, b, h := get(path); code != 200 || len(b) != size || !strings.Contains(h.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %d bytes, %s", path, code, len(b), h)
		}
	}
	for _, path := range []string{"/", "/log.key", "/seeds", "/private/000000", "/tile/0/" + last, fmt.Sprintf("/tile/0/%s.p/%d", last, width+1), "/tile/1/000", "/tile/0/0", "/tile/0/x000/000",
		"/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/000.p/07", "/tile/00/000", "/tile/7/000", "/tile/64/000", "/tile/-1/000", "/tile/entries/x001/000", "/tile/entries/" + last, "/tile/0/x999/x999/x999/x999/x999/999",
		"/tile/0/001/000", "/tile/0/..%2fseeds", "/tile/2/000.p/1", "/cosigned", "/tile/0/+01", "/tile/8/000.p/1"} {
		if code, b, _ := get(path); code != 404 {
			t.Errorf("%s: %d %.40q", path, code, b)
		}
	}
	if code, b, h := get("/checkpoint"); code != 200 || h.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.HasPrefix(string(b), "example.org/log\n") {
		t.Errorf("checkpoint: %d %q", code, b)
	}
	empty := httptest.NewServer(Handler(t.TempDir()))
	defer empty.Close()
	if a, err := http.Get(empty.URL + "/checkpoint"); err != nil || a.StatusCode != 404 {
		t.Errorf("no log: %v %v", a, err)
	}
}
