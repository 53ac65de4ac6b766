package forget

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
)

const t0 = int64(1_700_000_040e9)

// run makes the folder of a run: 40 attacks, ten of them of 192.0.2.7, decisions against it, and the records.
func run(t *testing.T, kind evidence.Kind) (dir string, mine []int64) {
	t.Helper()
	dir = t.TempDir()
	random := rand.NewChaCha8([32]byte{1})
	key, err := evidence.LoadKey(durable.OS(), filepath.Join(dir, "log.key"), random)
	if err != nil {
		t.Fatal(err)
	}
	l, err := evidence.Open(filepath.Join(dir, "evidence"), evidence.Options{Kind: kind, Key: key, Rand: random, Origin: "example.org/x", Time: t0, Rules: []byte("rules")})
	if err != nil {
		t.Fatal(err)
	}
	var records bytes.Buffer
	for i := range 40 {
		at := t0 + int64(i)*5e9
		r := attack.Record{ID: uint64(i + 1), State: "closed", Class: "scan", Severity: 3, Risk: attack.Real, Side: attack.Outside, Outcome: attack.Observed, Result: attack.Unknown, Incident: 1,
			Origin: attack.Origin{IP: fmt.Sprintf("192.0.2.%d", 7+i%4), Proven: true, Count: 1}, Target: attack.Target{Group: "10.0.0.0/24", IPs: []string{"10.0.0.1"}, Count: 1, Proto: 6},
			FirstSeen: at - 9e9, LastSeen: at - 5e9, ClosedAt: at, OpenedAt: at - 9e9, Observations: 3, Packets: 9, Bytes: 900, Evidence: attack.Evidence{Leaf: -1}}
		err := l.Seal(&r, []byte("packets of "+r.Origin.IP+"."))
		if err == nil && i == 8 {
			err = l.Event(evidence.CodeDecision, at, r.Evidence.Leaf, []byte("{}"), []byte(`{"against":"192.0.2.7","undo":"dejpha unblock 192.0.2.7"}`))
			mine = append(mine, l.Size()-1)
		}
		if err != nil {
			t.Fatal(err)
		}
		if i%4 == 0 {
			mine = append(mine, r.Evidence.Leaf)
		}
		fmt.Fprintf(&records, `{"timestamp":"2026-11-01T00:00:%02d.000000+0000","event_type":"alert","src_ip":"%s","src_port":77,"dest_ip":"10.0.0.1"}`+"\n", i, r.Origin.IP)
		fmt.Fprintf(&records, `{"timestamp":"2026-11-01T00:00:%02d.000000+0000","event_type":"attack","attack":{"id":%d,"state":"opened"}}`+"\n", i, r.ID)
		fmt.Fprintf(&records, `{"timestamp":"2026-11-01T00:00:%02d.000000+0000","event_type":"attack","attack":{"id":%d,"state":"closed","evidence":{"leaf":%d}}}`+"\n", i, r.ID, r.Evidence.Leaf)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"eve.json": records.Bytes(), "eve-20261101T000000Z.json": records.Bytes()[:500], "console.db": []byte("an index"), "console.db-wal": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(mine)
	return dir, mine
}

func checked(t *testing.T, dir string) evidence.Report {
	t.Helper()
	head, err := evidence.ReadHead(filepath.Join(dir, "evidence"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := evidence.CheckAll(filepath.Join(dir, "evidence"), head.Key)
	if err != nil || !r.OK() {
		t.Fatalf("%v %q", err, r.Problems)
	}
	return r
}

func TestPersonIsForgotten(t *testing.T) {
	for _, kind := range []evidence.Kind{evidence.Live, evidence.Recording, evidence.Demo} {
		dir, mine := run(t, kind)
		before := checked(t, dir)
		who, _ := ParseWho("192.0.2.7")
		r, err := Do(Options{Dir: dir, Who: who, Why: "asked by the person", Now: t0 + 3600e9})
		if err != nil {
			t.Fatal(kind, err)
		}
		if !slices.Equal(r.Leaves, mine) || len(mine) != 11 || !r.Index || r.Lines != 30+3 || r.Files != 2 || r.Open {
			t.Errorf("%s: erased %v, they are %v; %+v", kind, r.Leaves, mine, r)
		}
		after := checked(t, dir)
		if after.Attacks != before.Attacks || after.Erased != 11 || after.PrivateOpen != before.PrivateOpen-11 || after.Earlier != 0 {
			t.Errorf("%s: %d attacks, %d erased, %d open", kind, after.Attacks, after.Erased, after.PrivateOpen)
		}
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
			if b, err := os.ReadFile(path); err == nil && !d.IsDir() && who.named(b) {
				t.Errorf("%s: %s still names the person", kind, path)
			}
			return nil
		})
		if b, _ := os.ReadFile(filepath.Join(dir, "evidence/packets/000000")); bytes.Contains(b, []byte("192.0.2.7.")) || !bytes.Contains(b, []byte("192.0.2.8.")) {
			t.Errorf("%s: wrong packets are gone", kind)
		}
		for line := range strings.Lines(string(must(os.ReadFile(filepath.Join(dir, "eve.json"))))) {
			if !strings.HasPrefix(line, `{"timestamp":"2026-11-01T00:00:`) {
				t.Errorf("a line is %q", line)
			}
		}
		again, err := Do(Options{Dir: dir, Who: who, Leaves: mine[:2], Why: "again", Now: t0 + 3700e9})
		if err != nil || len(again.Leaves) != 0 || again.Already != 2 || again.Lines != 0 {
			t.Errorf("%s: again: %+v %v", kind, again, err)
		}
	}
}

func must(b []byte, _ error) []byte { return b }

func TestLeavesAreForgotten(t *testing.T) {
	dir, mine := run(t, evidence.Live)
	r, err := Do(Options{Dir: filepath.Join(dir, "evidence"), Leaves: []int64{mine[1], mine[1]}, Why: "asked", Now: t0 + 3600e9})
	if err != nil || !slices.Equal(r.Leaves, mine[1:2]) || r.Lines != 2 {
		t.Errorf("%+v %v", r, err)
	}
	checked(t, dir)
	var none *LeafError
	for _, leaf := range []int64{0, 1 << 20, -3} {
		if _, err := Do(Options{Dir: dir, Leaves: []int64{leaf}, Now: t0 + 3600e9}); !errors.As(err, &none) {
			t.Errorf("leaf %d: %v", leaf, err)
		}
	}
	var key *KeyError
	if _, err := Do(Options{Dir: dir, Leaves: mine, Key: filepath.Join(dir, "nowhere")}); !errors.As(err, &key) {
		t.Errorf("without a key: %v", err)
	}
	lock, err := durable.OS().Lock(filepath.Join(dir, "evidence", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Do(Options{Dir: dir, Leaves: mine, Now: t0 + 3600e9}); !errors.Is(err, ErrInUse) {
		t.Errorf("a log in use: %v", err)
	}
	_ = lock.Close()
}

// What a power cut leaves undone is done by erasing again, and the log holds all the while.
func TestCutErasureIsEndedByAnother(t *testing.T) {
	for n := 1; ; n += 19 {
		dir, mine := run(t, evidence.Live)
		who, _ := ParseWho("192.0.2.7")
		disk := durable.Faulty(n, n%2 == 0)
		_, err := Do(Options{Dir: dir, Who: who, Why: "asked", Now: t0 + 3600e9, Disk: disk})
		if err == nil {
			break
		}
		r, err := Do(Options{Dir: dir, Who: who, Leaves: mine, Why: "asked", Now: t0 + 3700e9})
		if err != nil || len(r.Leaves)+r.Already != len(mine) {
			t.Fatalf("cut at change %d: %+v %v", n, r, err)
		}
		if rep := checked(t, dir); rep.Attacks != 40 || rep.Erased != 11 {
			t.Fatalf("cut at change %d: %d attacks, %d erased", n, rep.Attacks, rep.Erased)
		}
		if b := must(os.ReadFile(filepath.Join(dir, "eve.json"))); who.named(b) {
			t.Fatalf("cut at change %d: eve.json names the person", n)
		}
		if b := must(os.ReadFile(filepath.Join(dir, "evidence/packets/000000"))); bytes.Contains(b, []byte("192.0.2.7.")) {
			t.Fatalf("cut at change %d: packets are there", n)
		}
	}
}

func TestWhoIsNamed(t *testing.T) {
	for _, x := range []struct {
		who, text string
		named     bool
	}{
		{"192.0.2.7", `{"ip":"192.0.2.7"}`, true}, {"192.0.2.7", `192.0.2.7:80`, true}, {"192.0.2.7", "by 192.0.2.7.", true}, {"192.0.2.7", "::ffff:192.0.2.7", true},
		{"192.0.2.7", "192.0.2.70", false}, {"192.0.2.7", "1192.0.2.7", false}, {"192.0.2.7", "192.0.2.0/24", false}, {"192.0.2.7", "192.0.2.7/32", true},
		{"192.0.2.0/30", "192.0.2.3", true}, {"192.0.2.0/30", "192.0.2.4", false}, {"192.0.2.0/30", "192.0.2.0/24", false},
		{"2001:db8::1", "2001:DB8:0::1", true}, {"2001:db8::1", "[2001:db8::1]:443", true}, {"2001:db8::1", "2001:db8::/64", true}, {"2001:db8::1", "2001:db8::/48", false},
		{"2001:db8::1", "2001:db8:1::/64", false}, {"00:00:5e:00:53:01", "mac 00-00-5E-00-53-01", true}, {"00:00:5e:00:53:01", "00:00:5e:00:53:02", false}, {"192.0.2.7", "", false},
	} {
		w, err := ParseWho(x.who)
		if err != nil || w.named([]byte(x.text)) != x.named {
			t.Errorf("%s in %q: %v, %v", x.who, x.text, !x.named, err)
		}
	}
	if _, err := ParseWho("example.org"); err == nil {
		t.Error("a name was taken for an address")
	}
}
