package rule

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// listed is a vocabulary written down in testdata/vocabulary.txt, one word a line:
// protocol NAME, or keyword NAME CANONICAL KIND APP DIRECTIONS [value=number,...].
type listed struct {
	protocols []string
	entries   map[string]Entry
	words     []string
}

func vocabularyOf(t testing.TB) *listed {
	t.Helper()
	text, err := os.ReadFile("testdata/vocabulary.txt")
	if err != nil {
		t.Fatal(err)
	}
	v := &listed{entries: map[string]Entry{}}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		f := strings.Fields(line)
		if len(f) == 2 && f[0] == "protocol" {
			v.protocols = append(v.protocols, f[1])
			continue
		}
		if len(f) < 6 || f[0] != "keyword" {
			t.Fatalf("testdata/vocabulary.txt:%d: %q", i+1, line)
		}
		v.add(i, f)
	}
	return v
}

func (v *listed) add(i int, f []string) {
	e := Entry{Name: f[2], Index: i, ToServer: strings.Contains(f[5], ">"), ToClient: strings.Contains(f[5], "<"), Values: map[string]uint64{}}
	if f[4] != "-" {
		e.App = f[4]
	}
	switch f[3] {
	case "multi":
		e.Multi = true
	case "modifier":
		e.Modifier = true
	case "number":
		e.Kind = NumberEntry
	case "flag":
		e.Kind = FlagEntry
	case "custom":
		e.Kind = CustomEntry
	}
	if len(f) > 6 {
		for _, pair := range strings.Split(f[6], ",") {
			name, n, _ := strings.Cut(pair, "=")
			e.Values[name], _ = strconv.ParseUint(n, 10, 64)
		}
	}
	v.entries[f[1]] = e
	v.words = append(v.words, f[1])
}

func (v *listed) Protocol(name string) (string, bool) {
	return name, slices.Contains(v.protocols, name)
}
func (v *listed) Keyword(name string) (Entry, bool) { e, ok := v.entries[name]; return e, ok }
func (v *listed) AppEvent(app, name string) (int, bool) {
	return 0, name == "known_event"
}
func (v *listed) DecodeEvent(name string) (int, bool) { return 0, name == "ipv6.rh_type_0" }
func (v *listed) StreamEvent(name string) (int, bool) { return 0, name == "known_event" }
func (v *listed) Compile(_ Entry, text string) (any, error) {
	if text == "wrong" {
		return nil, errors.New("expected something else")
	}
	return text, nil
}
func (v *listed) Words() []string { return v.words }

func fullEnvironment(t testing.TB) *Environment {
	return &Environment{
		AddressVars:     map[string]string{"HOME_NET": "[10.0.0.0/8,192.168.0.0/16]", "EXTERNAL_NET": "!$HOME_NET", "HTTP_SERVERS": "$HOME_NET", "LOOP": "[$LOOP]"},
		PortVars:        map[string]string{"HTTP_PORTS": "80", "MANY": "[1024:,!8080]", "LOOP": "[$LOOP]"},
		Classifications: ParseClassifications([]byte("config classification: web-application-attack,Web Application Attack,1\n")),
		References:      ParseReferences([]byte("config reference: cve http://cve.example/?name=\n")),
		Vocabulary:      vocabularyOf(t),
	}
}
