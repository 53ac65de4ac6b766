package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/console/index"
	"github.com/dejpha/dejpha/evidence"
)

// blind inspects nothing.
type blind struct{}

func (blind) Frames(pcap []byte) ([]Frame, error)        { return []Frame{{Data: pcap}}, nil }
func (blind) Describe(f *Frame)                          { f.Summary = "a packet" }
func (blind) Capture(f []Frame) []byte                   { return f[0].Data }
func (blind) Marks([]attack.AlertCount, *Frame) [][2]int { return [][2]int{{1, 3}} }
func (blind) Rule(uint32, uint32) (Rule, bool)           { return Rule{"alert tcp ...", "x.rules", 7}, true }

const t0 = int64(1_760_000_000e9)

func record(i int, class string) attack.Record {
	at := t0 + int64(i)*60e9
	r := attack.Record{ID: uint64(i), State: "closed", Class: class, Techniques: []string{"T1046"}, Severity: uint8(1 + i%4), Risk: attack.Real, Side: attack.Outside,
		Origin: attack.Origin{IP: fmt.Sprintf("193.0.6.%d", i), Proven: true, Count: 1}, Target: attack.Target{Group: "10.0.0.0/24", IPs: []string{"10.0.0.1", "10.0.0.12"}, Ports: []uint16{80}, Count: 2, Proto: 6},
		Outcome: attack.Observed, Result: attack.Unknown, FirstSeen: at, LastSeen: at + 5e9, ClosedAt: at + 600e9, OpenedAt: at, Observations: 3, Flows: 2, Packets: 9, Bytes: 900,
		Alerts: []attack.AlertCount{{SID: 7, GID: 1, Rev: 1, Msg: "50% of a'b", Count: 3}}, Incident: uint64(i), Evidence: attack.Evidence{Leaf: -1}}
	r.Retell()
	return r
}

// site is a running console over a sealed log of some attacks, and a browser.
type site struct {
	*Console
	t      *testing.T
	dir    string
	client *http.Client
	now    time.Time
}

func open(t *testing.T, dir string, attacks ...attack.Record) *site {
	t.Helper()
	key, err := evidence.LoadKey(nil, filepath.Join(dir, "log.key"), strings.NewReader(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	log, err := evidence.Open(filepath.Join(dir, "evidence"), evidence.Options{Kind: evidence.Live, Key: key, Rand: strings.NewReader(strings.Repeat("seed", 1<<12)), Time: t0})
	if err != nil {
		t.Fatal(err)
	}
	for i := range attacks {
		if err := log.Seal(&attacks[i], []byte("packets")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.Close(); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, now: time.Unix(0, t0)}
	jar, _ := cookiejar.New(nil)
	s.client = &http.Client{Jar: jar, Timeout: 10 * time.Second}
	s.Console, err = New(Options{State: dir, Evidence: filepath.Join(dir, "evidence"), Listen: "127.0.0.1:0", Inspector: blind{}, Now: func() time.Time { return s.now },
		Status: Status{Kind: "live", Origin: log.Origin(), Verifier: log.Verifier()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *site) do(method, path, body string, headers ...string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.address+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", "http://"+s.address)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

// get reads JSON of a 200 answer.
func (s *site) get(path string, v any) {
	s.t.Helper()
	code, body := s.do("GET", path, "")
	if code != 200 {
		s.t.Fatalf("GET %s: %d %s", path, code, body)
	}
	if err := json.Unmarshal([]byte(body), v); err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
}

func (s *site) enter() *site {
	s.t.Helper()
	if code, body := s.do("POST", "/api/setup", fmt.Sprintf(`{"token":%q,"password":"correct horse"}`, s.login.token())); code != 200 {
		s.t.Fatalf("setup: %d %s", code, body)
	}
	return s
}

func TestOnlyLoggedInAndOnlyThisSite(t *testing.T) {
	s := open(t, t.TempDir())
	for _, path := range []string{"/api/status", "/api/summary", "/api/timeline", "/api/attacks", "/api/attacks/1", "/api/attacks/1/packets", "/api/attacks/1/packets.pcap", "/api/attacks/1/proof", "/api/origins", "/api/ledger", "/api/events", "/api/classes"} {
		if code, _ := s.do("GET", path, ""); code != 401 {
			t.Errorf("GET %s without a login: %d", path, code)
		}
	}
	token := fmt.Sprintf(`{"token":%q,"password":"correct horse"}`, s.login.token())
	for name, c := range map[string]struct {
		want    int
		body    string
		headers []string
	}{
		"another name": {403, token, []string{"Host", "evil.example"}},
		"another site": {403, token, []string{"Origin", "http://evil.example"}},
		"no origin":    {403, token, []string{"Origin", ""}},
		"a form":       {415, token, []string{"Content-Type", "application/x-www-form-urlencoded"}},
		"no JSON":      {400, "{", nil},
		"wrong token":  {403, `{"token":"x","password":"correct horse"}`, nil},
		"short":        {400, strings.Replace(token, "correct horse", "short", 1), nil},
		"huge":         {400, `{"token":"` + strings.Repeat("x", bodyMax) + `"}`, nil},
	} {
		if code, body := s.do("POST", "/api/setup", c.body, c.headers...); code != c.want {
			t.Errorf("%s: %d %s, want %d", name, code, body, c.want)
		}
	}
	s.enter()
	if code, _ := s.do("POST", "/api/setup", token); code != 403 {
		t.Errorf("the token works twice: %d", code)
	}
	if info, err := os.Stat(filepath.Join(s.dir, "console.login")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the login's file: %v %v", info, err)
	}
	if b, _ := os.ReadFile(filepath.Join(s.dir, "console.login")); bytes.Contains(b, []byte("correct")) {
		t.Error("the password stands in its file")
	}
	if code, _ := s.do("GET", "/api/status", ""); code != 200 {
		t.Errorf("logged in: %d", code)
	}
	s.now = s.now.Add(sessionIdle + time.Second)
	if code, _ := s.do("GET", "/api/status", ""); code != 401 {
		t.Errorf("after a long silence: %d", code)
	}
}

func TestGuessingCostsTime(t *testing.T) {
	s := open(t, t.TempDir()).enter()
	var codes []int
	for range failuresFree + 1 {
		code, _ := s.do("POST", "/api/login", `{"password":"wrong password"}`)
		codes = append(codes, code)
	}
	if codes[0] != 403 || codes[failuresFree] != 429 {
		t.Errorf("answers %v", codes)
	}
	if code, _ := s.do("POST", "/api/login", `{"password":"correct horse"}`); code != 429 {
		t.Errorf("the right password while closed: %d", code)
	}
	s.now = s.now.Add(failureMost)
	if code, _ := s.do("POST", "/api/login", `{"password":"correct horse"}`); code != 200 {
		t.Errorf("the right password later: %d", code)
	}
}

func TestFiguresListAndProof(t *testing.T) {
	decoy := record(4, "scan")
	decoy.Risk = attack.Decoy
	foiled := record(5, "exploit")
	foiled.Outcome, foiled.Result = attack.Foiled, attack.Failed
	s := open(t, t.TempDir(), record(1, "scan"), record(2, "exploit"), record(3, "scan"), decoy, foiled).enter()
	own := record(6, "scan")
	own.Authorised = true
	unfinished := record(7, "flood")
	unfinished.State, unfinished.ClosedAt = "opened", 0
	s.Attack(own)
	s.Packets(7, []Frame{{Data: []byte("frame")}})
	s.Attack(unfinished)
	s.settle(7)

	var sum struct {
		figures
		Classes []figures
		Needs   []row
	}
	s.get("/api/summary", &sum)
	if want := (figures{Foiled: 1, Observed: 3, Decoy: 1, Authorised: 1, Open: 1}); sum.figures != want {
		t.Errorf("figures %+v, want %+v", sum.figures, want)
	}
	if len(sum.Needs) != 1 || sum.Needs[0].ID != 1 {
		t.Errorf("needs a person: %+v", sum.Needs)
	}
	for query, want := range map[string]int{"": 7, "?class=scan": 4, "?class=scan&class=exploit": 6, "?severity=1": 1, "?outcome=foiled": 1, "?risk=decoy": 1, "?state=opened": 1,
		"?country=NL": 7, "?country=none": 0, "?origin=193.0.6.3": 1, "?target=10.0.0.1": 7, "?target=10.0.0.0/24": 7, "?target=10.0.0.2": 0, "?q=50%25+a'b": 7, "?q=zzz": 0, "?q=193.0.6.2": 1,
		"?authorised=0": 6, "?incident=3": 1, fmt.Sprintf("?from=%d", (t0+4*60e9)/1e6): 4, fmt.Sprintf("?to=%d", (t0+4*60e9)/1e6): 3, "?class=scan')%20OR%201--": 0, "?limit=2": 7} {
		var list struct {
			Total int
			Items []row
		}
		s.get("/api/attacks"+query, &list)
		if list.Total != want || len(list.Items) > want || query == "?limit=2" && len(list.Items) != 2 {
			t.Errorf("%s: %d, %d items, want %d", query, list.Total, len(list.Items), want)
		}
	}
	if code, _ := s.do("GET", "/api/attacks?sort=record", ""); code != 400 {
		t.Errorf("unknown order: %d", code)
	}
	if code, _ := s.do("GET", "/api/attacks/99", ""); code != 404 {
		t.Errorf("unknown attack: %d", code)
	}
	var proof struct {
		Sealed   bool
		Path     []string
		Index    int64
		Ordinal  uint64
		Verifier string
	}
	s.get("/api/attacks/3/proof", &proof)
	if !proof.Sealed || len(proof.Path) == 0 || proof.Ordinal != 2 {
		t.Errorf("proof %+v", proof)
	}
	var packets struct {
		Total int
		Items []struct{ Data []byte }
	}
	s.get("/api/attacks/1/packets", &packets)
	if packets.Total != 1 || string(packets.Items[0].Data) != "packets" {
		t.Errorf("sealed packets %+v", packets)
	}
	s.get("/api/attacks/7/packets", &packets)
	if packets.Total != 1 || string(packets.Items[0].Data) != "frame" {
		t.Errorf("open attack's packets %+v", packets)
	}
}

// settle waits until the index has taken an attack in.
func (s *site) settle(id uint64) {
	s.t.Helper()
	for range 2000 {
		if r, err := s.index.Get(s.t.Context(), id); err == nil && r != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	s.t.Fatalf("attack %d does not come into the index", id)
}

func TestIndexIsBuiltAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, record(1, "scan"), record(2, "exploit"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, harm := range map[string]func(file string) error{
		"deleted": os.Remove,
		"broken":  func(f string) error { return os.WriteFile(f, bytes.Repeat([]byte("broken "), 1000), 0o600) },
		"cut":     func(f string) error { return os.Truncate(f, 5000) },
		"whole":   func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			if err := harm(filepath.Join(dir, "console.db")); err != nil {
				t.Fatal(err)
			}
			opt := s.opt
			c, err := New(opt)
			if err != nil {
				t.Fatal(err)
			}
			(&site{Console: c, t: t}).settle(2)
			_, total, err := c.index.List(t.Context(), &index.Filter{}, "", 10, 0)
			if err != nil || total != 2 {
				t.Errorf("%d attacks, %v", total, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A person who watches never holds the shield up: what the queue cannot take comes from the evidence.
func TestQueueOverflow(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, record(1, "scan"), record(2, "exploit"))
	s.settle(2) // it is built
	if err := s.index.Clear(); err != nil {
		t.Fatal(err)
	}
	later, err := evidence.Records(s.opt.Evidence, 0)
	if err != nil || len(later) != 2 {
		t.Fatal(len(later), err)
	}
	s.behind.Store(true) // the first was not queued, the second is
	s.Attack(later[1])
	s.settle(1)
	s.settle(2)
}

func TestOnlyLoopback(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:8470", "192.0.2.1:80", "x", ""} {
		if _, err := New(Options{State: t.TempDir(), Listen: listen, Now: time.Now}); err == nil {
			t.Errorf("%q was taken", listen)
		}
	}
}

// What is erased in the log is forgotten by the index too, and still counted, also when the index is built again.
func TestErasedAttacksStayCounted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, record(1, "scan"), record(2, "exploit"), record(3, "scan")).enter()
	s.settle(3)
	private := filepath.Join(s.opt.Evidence, "private")
	if err := os.Rename(private, private+".gone"); err != nil {
		t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		if again {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, "console.db")); err != nil {
				t.Fatal(err)
			}
			var err error
			if s.Console, err = New(s.opt); err != nil {
				t.Fatal(err)
			}
			if err := s.Serve(); err != nil {
				t.Fatal(err)
			}
			s.client.Jar, _ = cookiejar.New(nil)
			if code, body := s.do("POST", "/api/login", `{"password":"correct horse"}`); code != 200 {
				t.Fatal(code, body)
			}
		} else {
			s.Ledger(index.Ledger{}, 0, t0)
		}
		var list struct {
			Total int
			Items []row
		}
		for range 2000 {
			if s.get("/api/attacks?origin=erased", &list); list.Total == 3 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if s.get("/api/attacks?sort=first_seen", &list); list.Total != 3 {
			t.Fatalf("again %v: %d attacks", again, list.Total)
		}
		for i, a := range list.Items {
			want := record(i+1, "")
			if a.Origin != "erased" || a.OriginKind != "erased" || a.Target != "" || a.Class == "" || a.Severity != want.Severity || a.Outcome != want.Outcome || a.Risk != want.Risk || a.Packets != 9 || a.Techniques[0] != "T1046" ||
				a.First != want.FirstSeen/1e6 || strings.Contains(a.Story, "193.0.6") {
				t.Errorf("again %v: %+v", again, a)
			}
			if !again && a.ID != uint64(i+1) {
				t.Errorf("its number went: %d", a.ID)
			}
		}
		id := fmt.Sprint(list.Items[0].ID)
		for query, want := range map[string]int{"?q=193.0.6.1": 0, "?target=10.0.0.1": 0, "?origin=193.0.6.1": 0, "?country=NL": 0, "?class=scan": 2} {
			if s.get("/api/attacks"+query, &list); list.Total != want {
				t.Errorf("again %v: %s finds %d", again, query, list.Total)
			}
		}
		if code, _ := s.do("GET", "/api/attacks/"+id+"/proof", ""); code != 200 {
			t.Errorf("its proof: %d", code)
		}
		var sum figures
		if s.get("/api/summary", &sum); sum.Observed != 3 {
			t.Errorf("again %v: %+v", again, sum)
		}
	}
}
