package regex

import (
	"bufio"
	"compress/gzip"
	"os"
	"regexp"
	"strings"
	"testing"
)

func flagsOf(t string) (f Flags) {
	for _, c := range t {
		switch c {
		case 'i':
			f.CaseInsensitive = true
		case 's':
			f.DotAll = true
		case 'm':
			f.MultiLine = true
		case 'x':
			f.Extended = true
		case 'A':
			f.Anchored = true
		case 'E':
			f.DollarEndOnly = true
		case 'G':
			f.Ungreedy = true
		}
	}
	return f
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, flags, text, want string
		ok                         bool
	}{
		{`abc`, "", "xxabcx", "abc", true},
		{`a.c`, "", "a\nc", "", false},
		{`a.c`, "s", "a\nc", "a\nc", true},
		{`^b`, "m", "a\nb", "b", true},
		{`^b`, "", "a\nb", "", false},
		{`a$`, "", "a\n", "a", true},
		{`a$`, "E", "a\n", "", false},
		{`(a|ab)(c|bcd)(d*)`, "", "abcd", "abcd", true},
		{`a{1500}b`, "", strings.Repeat("a", 1600) + "b", strings.Repeat("a", 1500) + "b", true},
		{`(?:ab){2,3}`, "", "abababab", "ababab", true},
		{`(?:ab){2,3}?`, "", "abababab", "abab", true},
		{`(?:a|b)*?c`, "", "ababc", "ababc", true},
		{`(\w+) \1`, "", "say hey hey", "hey hey", true},
		{`(?i:A)b`, "", "ab", "ab", true},
		{`(?<=foo)bar`, "", "foobar", "bar", true},
		{`(?<!foo)bar`, "", "foobar", "", false},
		{`(?<=a|bc)d`, "", "bcd", "d", true},
		{`foo(?!bar)`, "", "foobar foobaz", "foo", true},
		{`a++b`, "", "aaab", "aaab", true},
		{`a++ab`, "", "aaab", "", false},
		{`(?>a*)ab`, "", "aaab", "", false},
		{`(a)?(?(1)b|c)`, "", "xab", "ab", true},
		{`^(a)?(?(1)b|c)$`, "", "c", "c", true},
		{`(?(?=x)xy|ab)`, "", "zab", "ab", true},
		{`foo\Kbar`, "", "foobar", "bar", true},
		{`(?P<q>['"]).*?(?P=q)`, "", `a 'b" c' d`, `'b" c'`, true},
		{`\((?:[^()]++|(?R))*\)`, "", "x(a(b)c)y", "(a(b)c)", true},
		{`^(?:(?=[a-z]*\d)[a-z\d]{4})$`, "", "ab1c", "ab1c", true},
		{`[\x00-\x1f]`, "", "a\x05", "\x05", true},
		{`\x{41}\101`, "", "AA", "AA", true},
		{`[[:alpha:]]+`, "", "12ab3", "ab", true},
		{`[]a]+`, "", "x]a]", "]a]", true},
		{`[^]a]`, "", "]ab", "b", true},
		{`\Qa.b\E+`, "", "a.bb", "a.bb", true},
		{`a b # c`, "x", "ab", "ab", true},
		{`abc`, "A", "xabc", "", false},
		{`a+`, "G", "aaa", "a", true},
		{`\bfoo\b`, "", "a foo b", "foo", true},
		{`(?:a*)*b`, "", "aaab", "aaab", true},
		{`(?:a*)+$`, "", "aaa", "aaa", true},
		{`(?:)`, "", "", "", true},
		{`x{,3}`, "", "x{,3}", "x{,3}", true},
		{`(a+|b){0,1}c`, "", "aac", "aac", true},
		{`(?|a(b)|c(d))\1`, "", "cdd", "cdd", true},
	} {
		re, err := Compile(c.pattern, flagsOf(c.flags))
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		var m Machine
		s, e, ok := m.Match(re, []byte(c.text), 0)
		if ok != c.ok || ok && c.text[s:e] != c.want {
			t.Errorf("/%s/%s on %q: %v %d %d, want %q", c.pattern, c.flags, c.text, ok, s, e, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for pattern, column := range map[string]int{`a(b`: 2, `a)`: 2, `*a`: 1, `a[b`: 2, `(?<=a+)b`: 1, `\2(a)`: 1, `a{3,1}`: 2, `[z-a]`: 3, `(?<n`: 4} {
		_, err := Compile(pattern, Flags{})
		e, ok := err.(*Error)
		if !ok || e.Column != column {
			t.Errorf("%s: %v, want column %d", pattern, err, column)
		}
	}
}

func TestBudget(t *testing.T) {
	re, err := Compile(`^(?:a+)+$`, Flags{})
	if err != nil {
		t.Fatal(err)
	}
	var m Machine
	if _, _, ok := m.Match(re, []byte(strings.Repeat("a", 60)+"b"), 0); ok || m.Exceeds != 1 || !m.Exceeded() {
		t.Fatalf("ok %v, exceeded %d", ok, m.Exceeds)
	}
}

func TestCaptures(t *testing.T) {
	re, _ := Compile(`(\w+)@(?P<host>\w+)(x)?`, Flags{})
	var m Machine
	m.Match(re, []byte("mail me@home now"), 0)
	a, _ := m.Capture(1)
	b, _ := m.Capture(re.Group("host"))
	_, none := m.Capture(3)
	if string(a) != "me" || string(b) != "home" || none {
		t.Fatalf("%q %q %v", a, b, none)
	}
}

var corpus = []string{`a`, `ab|a`, `(a|ab)(bc|c)?`, `[^a]+b`, `\w+\s*=\s*\d+`, `(?:a|b)*abb`, `(a*)(a|b)*?b`, `^a.*b$`, `(?i)HeLLo`, `a{2,4}b?`, `(ab?)*c`, `\bab\b`, `(?:(a)|b)+`, `x*`, `(?s).+b`, `(?m)^b$`, `a??b`, `(a|b|ab)+c`}

func compare(t *testing.T, pattern string, text []byte) {
	std, err := regexp.Compile(pattern)
	if err != nil || strings.ContainsAny(pattern, "$\\{[?") && !known(pattern) {
		return
	}
	re, err := Compile(pattern, Flags{})
	if err != nil {
		return
	}
	var m Machine
	s, e, ok := m.Match(re, text, 0)
	want := std.FindIndex(text)
	if m.over {
		return
	}
	if ok != (want != nil) || ok && (s != want[0] || e != want[1]) {
		t.Errorf("/%s/ on %q: %v [%d %d], Go %v", pattern, text, ok, s, e, want)
	}
}

func known(p string) bool {
	for _, c := range corpus {
		if c == p {
			return true
		}
	}
	return false
}

func TestAgainstGo(t *testing.T) {
	seed := uint32(7)
	for i := 0; i < 20000; i++ {
		seed = seed*1664525 + 1013904223
		n := int(seed>>16) % 14
		b := make([]byte, n)
		for j := range b {
			seed = seed*1664525 + 1013904223
			b[j] = "aabbcx =1\nhelo"[(seed>>16)%14]
		}
		compare(t, corpus[i%len(corpus)], b)
	}
}

func FuzzMatch(f *testing.F) {
	for _, p := range corpus {
		f.Add(p, []byte("aab abb\nab = 12 hello"))
	}
	f.Add(`(?<=a)(?(1)x|y)(b)*+\K`, []byte("ab"))
	f.Fuzz(func(t *testing.T, pattern string, text []byte) {
		if len(pattern) > 200 || len(text) > 2000 {
			return
		}
		re, err := Compile(pattern, Flags{})
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Column < 1 || e.Column > len(pattern)+1 {
				t.Fatalf("%q: %v", pattern, err)
			}
			return
		}
		var m Machine
		if s, e, ok := m.Match(re, text, 0); ok && (s < 0 || e > len(text)) {
			t.Fatalf("%q: %d %d", pattern, s, e)
		}
	})
}

func TestRealExpressions(t *testing.T) {
	file, err := os.Open("../../../shared/rules/et-open.rules.gz")
	if err != nil {
		t.Skip("the real rule set is absent: ", err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(z)
	in.Buffer(make([]byte, 1<<20), 1<<20)
	total, refused := 0, 0
	for in.Scan() {
		line := in.Text()
		for {
			i := strings.Index(line, `pcre:"/`)
			if i < 0 {
				break
			}
			line = line[i+7:]
			end := strings.Index(line, `";`)
			if end < 0 {
				break
			}
			slash := strings.LastIndexByte(line[:end], '/')
			if slash < 0 {
				break
			}
			total++
			pat := line[:slash]
			if _, err := Compile(pat, flagsOf(line[slash+1:end])); err != nil {
				refused++
				if refused < 20 {
					t.Logf("%s: %v", pat, err)
				}
			}
			line = line[end:]
		}
	}
	t.Logf("%d expressions, %d refused", total, refused)
	if refused > total/200 {
		t.Fail()
	}
}
