package cases

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/eve/evetest"
	"github.com/dejpha/dejpha/rules"
	"github.com/dejpha/dejpha/shield"
)

// Every case raises exactly the own rules that it names.
func TestCases(t *testing.T) {
	all := readCases(t)
	raised := play(t, all, segmentUsual)
	for i, k := range all {
		if got, want := raised[i], k.wanted(); !slices.Equal(got, want) {
			t.Errorf("%s: case of rule %d raised %v, want %v", k.where, k.rule, got, want)
		}
	}
}

// What an attacker sends in small pieces raises the same rules, but for rules that speak of single packets.
func TestCasesInSmallSegments(t *testing.T) {
	packets := map[int]bool{}
	for _, r := range ownRules(t) {
		if strings.Contains(r.text, "dsize:") || strings.Contains(r.text, "alert tcp-pkt") {
			packets[r.sid] = true
		}
	}
	all := readCases(t)
	raised := play(t, all, segmentSmall)
	for i, k := range all {
		if got, want := raised[i], k.wanted(); !slices.Equal(got, want) && !packets[k.rule] {
			t.Errorf("%s: case of rule %d raised %v, want %v", k.where, k.rule, got, want)
		}
	}
}

// play records all cases in one capture, plays it once and returns which rules alerted on each, in order.
func play(t *testing.T, all []*kase, segment int) [][]int {
	t.Helper()
	r := newRecorder(segment)
	for i, k := range all {
		sends, err := k.sends()
		if err != nil {
			t.Fatal(err)
		}
		r.play(i, k, sends)
	}
	dir := t.TempDir()
	if keep := os.Getenv("DEJPHA_CASES_KEEP"); keep != "" { // a folder for the captures and their records, to look into
		dir = filepath.Join(keep, t.Name())
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, "cases.pcap")
	if err := os.WriteFile(name, r.out, 0o600); err != nil {
		t.Fatal(err)
	}
	alerts := replay(t, name, dir)
	raised := make([][]int, len(all))
	for i, k := range all {
		client, _ := addresses(i, k.transport == "icmp6")
		sids := alerts[client]
		slices.Sort(sids)
		raised[i] = slices.Compact(sids)
	}
	return raised
}

// replay plays a capture with the own rules alone and returns the rules that alerted by the client's address.
func replay(t *testing.T, name, out string) map[netip.Addr][]int {
	t.Helper()
	setup, err := shield.NewSetup(shield.SetupOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range setup.Refused {
		t.Errorf("own rule refused: %v", r)
	}
	if _, err := setup.Replay([]string{name}, out, shield.ReplayOptions{}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(out, "eve.json"))
	if err != nil {
		t.Fatal(err)
	}
	evetest.Open(t).Check(t, name, text)
	raised := map[netip.Addr][]int{}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		var e struct {
			Kind  string `json:"event_type"`
			Src   string `json:"src_ip"`
			Dst   string `json:"dest_ip"`
			Alert struct {
				SID int `json:"signature_id"`
			}
		}
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			t.Fatalf("eve.json: %v in %s", err, s.Text())
		}
		if e.Kind != "alert" {
			continue
		}
		for _, text := range []string{e.Src, e.Dst} {
			a, err := netip.ParseAddr(text) // records write IPv6 in full
			if err != nil {
				t.Fatal(err)
			}
			raised[a] = append(raised[a], e.Alert.SID)
		}
	}
	return raised
}

// ownRule is what the tests read of a rule's text.
type ownRule struct {
	sid  int
	file string
	text string
}

var sidOf = regexp.MustCompile(`\bsid:(\d+);`)

// ownRules returns the enabled own rules.
func ownRules(t *testing.T) []ownRule {
	t.Helper()
	names, err := fs.Glob(rules.Files, "*.rules")
	if err != nil {
		t.Fatal(err)
	}
	var all []ownRule
	for _, name := range names {
		text, err := rules.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range strings.Split(string(text), "\n") {
			m := sidOf.FindStringSubmatch(s)
			if m == nil || strings.HasPrefix(s, "#") {
				continue
			}
			sid, _ := strconv.Atoi(m[1])
			all = append(all, ownRule{sid, name, s})
		}
	}
	return all
}

// helps says whether a rule only sets a bit for another.
func (r ownRule) helps() bool { return strings.Contains(r.text, "noalert;") }

// Every own rule has a case that fires it and a near miss; every case is of an own rule.
func TestEveryOwnRuleHasItsCases(t *testing.T) {
	have := map[int][2]int{}
	for _, k := range readCases(t) {
		n := have[k.rule]
		if k.fires {
			n[0]++
		} else {
			n[1]++
		}
		have[k.rule] = n
	}
	for _, r := range ownRules(t) {
		if n := have[r.sid]; !r.helps() && (n[0] == 0 || n[1] == 0) {
			t.Errorf("%s: rule %d has %d cases that fire it and %d that must not; each wants one at least", r.file, r.sid, n[0], n[1])
		}
		delete(have, r.sid)
	}
	for sid := range have {
		t.Errorf("cases are of rule %d, and there is none", sid)
	}
}

var (
	technique = regexp.MustCompile(`mitre_technique_id T1\d{3}(?:\.\d{3})?\b`)
	className = regexp.MustCompile(`attack_class ([\w-]+)`)
	bitSet    = regexp.MustCompile(`flowbits:set,([\w.]+)`)
)

// Every own rule says what an attack's account needs: class of rule, technique, class of attack.
func TestEveryOwnRuleSaysWhatItFinds(t *testing.T) {
	all := ownRules(t)
	known := map[int]bool{}
	for _, r := range all {
		if known[r.sid] {
			t.Errorf("%s: two rules have number %d", r.file, r.sid)
		}
		known[r.sid] = true
		if r.helps() {
			helped(t, r, all)
			continue
		}
		m := className.FindStringSubmatch(r.text)
		switch {
		case !strings.Contains(r.text, "classtype:"):
			t.Errorf("%s: rule %d has no classtype", r.file, r.sid)
		case !technique.MatchString(r.text):
			t.Errorf("%s: rule %d names no ATT&CK technique (metadata:mitre_technique_id T...)", r.file, r.sid)
		case m == nil || attack.ClassIndex(m[1]) < 0:
			t.Errorf("%s: rule %d names no class of attack (metadata:attack_class ...)", r.file, r.sid)
		}
	}
}

// helped checks that a bit set is read by another rule.
func helped(t *testing.T, r ownRule, all []ownRule) {
	t.Helper()
	m := bitSet.FindStringSubmatch(r.text)
	if m == nil {
		t.Errorf("%s: rule %d alerts on nothing and sets no bit", r.file, r.sid)
		return
	}
	for _, other := range all {
		if strings.Contains(other.text, "flowbits:isset,"+m[1]+";") {
			return
		}
	}
	t.Errorf("%s: rule %d sets a bit that no rule reads", r.file, r.sid)
}
