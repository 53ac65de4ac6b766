package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/console/index"
	"github.com/dejpha/dejpha/evidence"
)

// FuzzQuery asks with any query. The answer is 200 or 400 and JSON, nothing is broken, and a list filtered by what a
// record says itself holds just those that say it, whatever the words contain.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"class=scan&class=exploit&sort=-packets&limit=2", "q=50%25+a'b&offset=3", "class=scan')%20OR%201--", "origin=193.0.6.3&risk=real", "from=1&to=99999999999999&step=0",
		"state=closed&severity=1&authorised=0", "buckets=7&limit=-1&offset=-9223372036854775808&minutes=x", "country=none&country=nl&target=10.0.0.1", "hours=24&steps=999999999&from=-9223372036854775808&to=9223372036854775807"} {
		f.Add(q)
	}
	dir := f.TempDir()
	key, err := evidence.LoadKey(nil, filepath.Join(dir, "log.key"), constant('k'))
	if err != nil {
		f.Fatal(err)
	}
	log, err := evidence.Open(filepath.Join(dir, "evidence"), evidence.Options{Kind: evidence.Live, Key: key, Rand: constant('s'), Time: t0})
	if err != nil {
		f.Fatal(err)
	}
	var all []attack.Record
	for i, class := range []string{"scan", "exploit", "scan", "flood", "c2", "scan", "exploit"} {
		r := record(i+1, class)
		all = append(all, r)
		if err := log.Seal(&r, []byte("packets")); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := log.Close(); err != nil {
		f.Fatal(err)
	}
	c, err := New(Options{State: dir, Evidence: filepath.Join(dir, "evidence"), Listen: "127.0.0.1:0", Inspector: blind{}, Now: func() time.Time { return time.Unix(0, t0) },
		Status: Status{Kind: "live", Origin: log.Origin(), Verifier: log.Verifier()}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	for range 20000 { // what was sealed before comes into the index while the console runs
		if _, total, err := c.index.List(f.Context(), &index.Filter{}, "", 1, 0); err == nil && total == len(all) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	pages := map[string]http.HandlerFunc{"attacks": c.attacks, "summary": c.summary, "timeline": c.timeline, "origins": c.origins, "ledger": c.ledger}
	f.Fuzz(func(t *testing.T, query string) {
		for name, page := range pages {
			r := &http.Request{Method: "GET", URL: &url.URL{Path: "/api/" + name, RawQuery: query}, Header: http.Header{}}
			w := httptest.NewRecorder()
			page(w, r.WithContext(t.Context()))
			if w.Code != 200 && w.Code != 400 || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s?%s: %d %s", name, query, w.Code, w.Body)
			}
			if name == "attacks" && w.Code == 200 {
				expected(t, all, r.URL.Query(), w.Body.Bytes())
			}
		}
	})
}

// expected compares a list's total with a plain count.
func expected(t *testing.T, all []attack.Record, q url.Values, body []byte) {
	t.Helper()
	var list struct {
		Total int
		Items []row
	}
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatal(err)
	}
	flt := filter(q)
	if len(flt.Severity)+len(flt.Country) > 0 || flt.Target+flt.Text+flt.Incident+flt.Authorised != "" || flt.From != 0 || flt.To != 0 {
		return
	}
	one := func(values []string, v string) bool { return len(values) == 0 || slices.Contains(values, v) }
	n := 0
	for i := range all {
		r := &all[i]
		if one(flt.Class, r.Class) && one(flt.Outcome, r.Outcome) && one(flt.Risk, r.Risk) && one(flt.Result, r.Result) && one(flt.Side, r.Side) && one(flt.State, r.State) &&
			(flt.Origin == "" || flt.Origin == r.OriginText()) {
			n++
		}
	}
	if list.Total != n || len(list.Items) > min(n, listMax) {
		t.Fatalf("%v: %d, %d items, want %d", q, list.Total, len(list.Items), n)
	}
}

// constant is an endless source of one byte.
type constant byte

// Read implements io.Reader.
func (c constant) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(c)
	}
	return len(b), nil
}
