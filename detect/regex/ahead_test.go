package regex

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// made builds a random expression of what the parser knows, over few letters.
func made(r *rand.Rand, depth int) string {
	atoms := []string{"a", "b", "c", "[ab]", "[^a]", ".", `\d`, `\b`, `\B`, "^", "$", "x", `\.`, "(?=a)", "(?!b)", "(?<=a)", "(?<!ab)", `\w+`, "a*?", "b{2,3}", "[bc]*+"}
	if depth == 0 || r.IntN(4) == 0 {
		return atoms[r.IntN(len(atoms))]
	}
	sub := func() string { return made(r, depth-1) }
	switch r.IntN(12) {
	case 0:
		return sub() + "|" + sub()
	case 1:
		return "(?:" + sub() + "|" + sub() + "|" + sub() + ")"
	case 2:
		return "(" + sub() + ")"
	case 3:
		return "(?:" + sub() + ")*"
	case 4:
		return "(?:" + sub() + ")+?"
	case 5:
		return "(?:" + sub() + ")?"
	case 6:
		return "(?>" + sub() + ")"
	case 7:
		return fmt.Sprintf("(?:%s){%d,%d}", sub(), r.IntN(2), 2+r.IntN(3))
	case 8:
		return "(" + sub() + `)\1`
	case 9:
		return "(" + sub() + ")?(?(1)" + sub() + "|" + sub() + ")"
	}
	return sub() + sub()
}

// agree matches with and without looking ahead; what each needs to come back differs, what it finds must not.
func agree(t *testing.T, pattern string, flags Flags, texts []string) {
	t.Helper()
	seeing, err := compile(pattern, flags, false)
	if err != nil {
		return
	}
	blind, err := compile(pattern, flags, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		var m, n Machine
		s1, e1, ok1 := m.Match(seeing, []byte(text), 0)
		s2, e2, ok2 := n.Match(blind, []byte(text), 0)
		if n.Exceeded() {
			continue
		}
		if m.Exceeded() || ok1 != ok2 || s1 != s2 || e1 != e2 {
			t.Fatalf("/%s/ on %q: %d to %d %v, blind %d to %d %v", pattern, text, s1, e1, ok1, s2, e2, ok2)
		}
		for i := 0; ok1 && i <= seeing.Captures(); i++ {
			c1, has1 := m.Capture(i)
			c2, has2 := n.Capture(i)
			if has1 != has2 || string(c1) != string(c2) {
				t.Fatalf("/%s/ on %q: group %d is %q %v, blind %q %v", pattern, text, i, c1, has1, c2, has2)
			}
		}
	}
}

func TestLookingAheadChangesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 20000 {
		texts := make([]string, 8)
		for i := range texts {
			b := make([]byte, r.IntN(12))
			for j := range b {
				b[j] = "aabbc1. \nx"[r.IntN(10)]
			}
			texts[i] = string(b)
		}
		agree(t, made(r, 4), Flags{CaseInsensitive: r.IntN(2) == 0, DotAll: r.IntN(2) == 0, MultiLine: r.IntN(2) == 0}, texts)
	}
}

// The expressions of our own rules, on texts that are near to them.
func TestLookingAheadInOwnRules(t *testing.T) {
	files, err := filepath.Glob("../../rules/*.rules")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	r := rand.New(rand.NewPCG(9, 10))
	quoted := regexp.MustCompile(`pcre:"/(.*?[^\\])/([a-zA-Z]*)"`)
	pieces := strings.Fields(`select union ' " = ? & / ../ etc passwd %2e %27 or and 1 -- /* */ <script> onload= ${ jndi: ldap:// } ( ) ; | sh cmd.exe \x16 sleep(5) {{7*7}} http:// :`)
	tried := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range quoted.FindAllStringSubmatch(string(text), -1) {
			var texts []string
			for range 200 {
				var b strings.Builder
				for range 1 + r.IntN(12) {
					b.WriteString(pieces[r.IntN(len(pieces))])
					b.WriteString([]string{"", "", " ", "+", "\n"}[r.IntN(5)])
				}
				texts = append(texts, b.String())
			}
			pattern := strings.NewReplacer(`\;`, ";", `\"`, `"`).Replace(p[1])
			agree(t, pattern, Flags{CaseInsensitive: strings.Contains(p[2], "i"), DotAll: strings.Contains(p[2], "s"), MultiLine: strings.Contains(p[2], "m")}, texts)
			tried++
		}
	}
	if tried < 50 {
		t.Errorf("%d expressions only", tried)
	}
}
