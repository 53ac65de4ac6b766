package cases

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// a case is one conversation and the own rules that alert on it.
type kase struct {
	where     string // file:line
	rule      int
	fires     bool
	transport string // http, tcp, udp, pipe, icmp or icmp6
	port      int    // of the server
	pipe      string
	also      []int // other rules that alert on it, rightly
	lines     []line
}

// line is one indented line of a case: a send, or a remote call.
type line struct {
	where string
	to    byte // '>' to the server, '<' to the client, 'c' a call
	text  string
}

// wanted returns the rules that must alert, in order; no others may.
func (k *kase) wanted() []int {
	w := slices.Clone(k.also)
	if k.fires {
		w = append(w, k.rule)
	}
	slices.Sort(w)
	return w
}

// readCases reads all case files.
func readCases(t *testing.T) []*kase {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var all []*kase
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".case") {
			continue
		}
		text, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		some, err := parse(e.Name(), string(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}

// parse reads one case file.
func parse(name, text string) ([]*kase, error) {
	var all []*kase
	var k *kase
	sid := 0
	for i, s := range strings.Split(text, "\n") {
		where := fmt.Sprintf("%s:%d", name, i+1)
		body := strings.TrimLeft(s, " ")
		word, rest, _ := strings.Cut(body, " ")
		switch {
		case body == "" || body[0] == '#':
		case word == "rule":
			n, err := strconv.Atoi(rest)
			if err != nil || n < 7000001 {
				return nil, fmt.Errorf("%s: rule wants the number of an own rule, not %q", where, rest)
			}
			sid, k = n, nil
		case word == "fires:" || word == "not:":
			k = &kase{where: where, rule: sid, fires: word == "fires:"}
			if err := k.head(rest); err != nil || sid == 0 {
				return nil, fmt.Errorf("%s: %q: %v (a rule must stand above)", where, s, err)
			}
			all = append(all, k)
		case k == nil || body == s:
			return nil, fmt.Errorf("%s: expected rule, fires: or not:, or below one an indented line: %q", where, s)
		case word == "also":
			for _, n := range strings.Fields(rest) {
				other, err := strconv.Atoi(n)
				if err != nil {
					return nil, fmt.Errorf("%s: also wants rule numbers: %v", where, err)
				}
				k.also = append(k.also, other)
			}
		case word == ">" || word == "<":
			k.lines = append(k.lines, line{where, word[0], rest})
		case word == "call":
			k.lines = append(k.lines, line{where, 'c', rest})
		default:
			return nil, fmt.Errorf("%s: %q is none of also, >, < and call", where, word)
		}
	}
	return all, nil
}

// head reads what stands behind fires: or not: (a transport, its port or pipe, and behind -- what it shows).
func (k *kase) head(s string) error {
	s, _, _ = strings.Cut(s, "--")
	f := strings.Fields(s)
	if len(f) == 0 {
		return fmt.Errorf("a transport is missing")
	}
	k.transport = f[0]
	switch {
	case k.transport == "http" && len(f) == 1:
		k.port = 80
	case (k.transport == "icmp" || k.transport == "icmp6") && len(f) == 1:
	case k.transport == "pipe" && len(f) == 2:
		k.port, k.pipe = 445, f[1]
	case (k.transport == "http" || k.transport == "tcp" || k.transport == "udp") && len(f) == 2:
		port, err := strconv.ParseUint(f[1], 10, 16)
		if err != nil {
			return err
		}
		k.port = int(port)
	default:
		return fmt.Errorf("the transport is none of http [port], tcp port, udp port, pipe name, icmp, icmp6")
	}
	return nil
}
