package console

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// operating is a shield with two interfaces and one refused rule.
type operating struct {
	reloads int
	err     error
}

func (o *operating) Interfaces() ([]Interface, error) {
	return []Interface{
		{Name: "eth0", Mode: "tap", Up: true, Filter: "not port 22", Received: 10, Inspected: 5, Bypassed: 3, Dropped: 1, Undecodable: 1, BypassedBy: Reasons(map[string]uint64{"tls": 1, "rule": 2}), ShedBy: Reasons(nil)},
		{Name: "eth1", Mode: "bridge", OnFailure: "block", Received: 1, Shed: 1, BypassedBy: Reasons(nil), ShedBy: Reasons(map[string]uint64{"blocked": 1})},
	}, o.err
}

func (o *operating) RuleSet() RuleSet {
	return RuleSet{On: true, Since: 5, Loaded: 7, Refused: 1, Refusals: []Refusal{{File: "rules/web.rules", Line: 12, Column: 34, SID: 9, Message: `unknown keyword "contnet"`}}}
}

func (o *operating) Renew() (string, error) {
	if o.err == nil {
		o.reloads++
	}
	return "rules reloaded in 0.10 s", o.err
}

func TestReasonsAreSorted(t *testing.T) {
	b, err := json.Marshal(Reasons(map[string]uint64{"tls": 1, "rule": 2, "depth": 1}))
	if want := `[{"why":"rule","packets":2},{"why":"depth","packets":1},{"why":"tls","packets":1}]`; err != nil || string(b) != want {
		t.Errorf("%s %v, expected %s", b, err, want)
	}
}

func TestReloadIsForThoseInside(t *testing.T) {
	s, o := open(t, t.TempDir()), &operating{}
	s.Operating(o)
	for _, call := range [][2]string{{"GET", "/api/interfaces"}, {"GET", "/api/rules"}, {"POST", "/api/rules/reload"}} {
		if code, _ := s.do(call[0], call[1], "{}"); code != 401 {
			t.Errorf("%s %s without a login: %d", call[0], call[1], code)
		}
	}
	s.enter()
	for _, headers := range [][]string{{"Origin", "http://evil.example"}, {"Origin", ""}, {"Content-Type", "text/plain"}} {
		if code, _ := s.do("POST", "/api/rules/reload", "{}", headers...); code != 403 && code != 415 {
			t.Errorf("with %v: %d", headers, code)
		}
	}
	if code, _ := s.do("GET", "/api/rules/reload", ""); code != 405 && code != 404 {
		t.Errorf("a link reloads: %d", code)
	}
	if o.reloads != 0 {
		t.Fatal("a refused request reloaded the rules")
	}
	if code, said := s.do("POST", "/api/rules/reload", "{}"); code != 200 || o.reloads != 1 || !strings.Contains(said, "reloaded in") {
		t.Errorf("%d %s, %d times", code, said, o.reloads)
	}
	o.err = errors.New("rules/web.rules:12:34: unknown keyword")
	if code, said := s.do("POST", "/api/rules/reload", "{}"); code != 400 || !strings.Contains(said, "rules/web.rules:12:34") {
		t.Errorf("%d %s", code, said)
	}
}
