package rule

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var expectation = regexp.MustCompile(`^# ERROR (\d+) "(.*)"$`)

// TestRefused holds every rule of refused.rules to the comment above it.
func TestRefused(t *testing.T) {
	text, err := os.ReadFile("testdata/refused.rules")
	if err != nil {
		t.Fatal(err)
	}
	env := fullEnvironment(t)
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		m := expectation.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		column, _ := strconv.Atoi(m[1])
		good, bad := ParseFile("refused.rules", []byte(lines[i+1]), env)
		if len(good) != 0 || len(bad) != 1 {
			t.Errorf("line %d: %d loaded, %d refused: %s", i+2, len(good), len(bad), lines[i+1])
			continue
		}
		if bad[0].Column != column || !strings.Contains(bad[0].Message, m[2]) {
			t.Errorf("line %d: got column %d, %q; want column %d, %q", i+2, bad[0].Column, bad[0].Message, column, m[2])
		}
	}
}

// one reads one rule that must be taken.
func one(t *testing.T, text string) *Rule {
	t.Helper()
	good, bad := ParseFile("a.rules", []byte(text), fullEnvironment(t))
	if len(bad) != 0 || len(good) != 1 {
		t.Fatalf("%s\n%d loaded, refused: %v", text, len(good), bad)
	}
	return good[0]
}

// show writes a rule's conditions in one line: the golden form of the tree.
func show(r *Rule) string {
	var b strings.Builder
	for _, g := range r.Groups {
		b.WriteString("[" + g.Buffer.Name)
		for _, x := range g.Transforms {
			b.WriteString("|" + x.Name)
			if x.Arg != "" {
				b.WriteString("(" + x.Arg + ")")
			}
		}
		b.WriteString("]")
		for _, c := range g.Conditions {
			b.WriteString(" " + showCondition(c))
		}
		b.WriteString(" ")
	}
	return strings.TrimSpace(b.String())
}

func showBound(name string, b Bound) string {
	switch {
	case !b.Set:
		return ""
	case b.Var != "":
		return fmt.Sprintf(",%s=%s#%d", name, b.Var, b.VarIndex)
	}
	return fmt.Sprintf(",%s=%d", name, b.Value)
}

func showCondition(c Condition) string {
	switch t := c.(type) {
	case *Content:
		s := fmt.Sprintf("%q", t.Pattern)
		for name, on := range map[string]bool{"!": t.Negated} {
			if on {
				s = name + s
			}
		}
		for _, f := range []struct {
			name string
			on   bool
		}{{",i", t.NoCase}, {",starts", t.StartsWith}, {",ends", t.EndsWith}, {",fast", t.FastPattern}, {",only", t.FastPatternOnly}} {
			if f.on {
				s += f.name
			}
		}
		return s + showBound("offset", t.Offset) + showBound("depth", t.Depth) + showBound("distance", t.Distance) + showBound("within", t.Within)
	case *PCRE:
		return fmt.Sprintf("/%s/ negated=%v relative=%v i=%v %v", t.Pattern, t.Negated, t.Relative, t.CaseInsensitive, t.Captures)
	case *ByteTest:
		return fmt.Sprintf("byte_test(!%v %s string=%v base=%d%s%s%s)", t.Negated, t.Op, t.String, t.Base, showBound("count", t.Count), showBound("value", t.Value), showBound("offset", t.Offset))
	case *ByteExtract:
		return fmt.Sprintf("byte_extract(%s#%d)", t.Name, t.VarIndex)
	case *ByteMath:
		return fmt.Sprintf("byte_math(%s#%d %s%s)", t.Result, t.VarIndex, t.Op, showBound("rvalue", t.RValue))
	case *IsDataAt:
		return fmt.Sprintf("isdataat(!%v relative=%v%s)", t.Negated, t.Relative, showBound("at", t.At))
	case *Number:
		return fmt.Sprintf("%s op=%d %d %d", t.Name, t.Op, t.A, t.B)
	case *FlowBits:
		return "flowbits:" + t.Op + "," + strings.Join(t.Names, "|")
	case *FlowState:
		return fmt.Sprintf("flow(%v %v %v)", t.ToServer, t.ToClient, t.Established)
	}
	return c.Keyword()
}

func TestTree(t *testing.T) {
	for _, c := range []struct{ options, want string }{
		{`content:"a\;b\:c\"d\\e|41 4a|";`, `[] "a;b:c\"d\\eAJ"`},
		{`content:!"abc"; nocase; offset:1; depth:9;`, `[] !"abc",i,offset=1,depth=9`},
		{`CONTENT:"abc"; NoCase; Offset:2;`, `[] "abc",i,offset=2`},
		{`http.uri; content:"/a"; startswith; http.method; content:"GET";`, `[http.uri] "/a",starts [http.method] "GET"`},
		{`content:"/a"; http_uri; content:"GET"; http_method; content:"/b"; http_uri; distance:3;`, `[http.uri] "/a" "/b",distance=3 [http.method] "GET"`},
		{`uricontent:"one"; pcre:/(one)+self/U;`, `[http.uri] "one" /(one)+self/ negated=false relative=false i=false []`},
		{`http.uri; content:"x"; pcre:"/y/U";`, `[http.uri] "x" /y/ negated=false relative=false i=false []`},
		{`http.request_body; pcre:!"/alert\s*/Pi";`, `[http.request_body] /alert\s*/ negated=true relative=false i=true []`},
		{`file_data; content:"x"; pcre:"/y/QR";`, `[file.data] "x" /y/ negated=false relative=true i=false []`},
		{`pcre:"/(.)(.)/, flow:a, pkt:b";`, `[] /(.)(.)/ negated=false relative=false i=false [{flow a} {pkt b}]`},
		{`http.uri; content:"v="; from_base64: offset 6; content:"x";`, `[http.uri] "v=" [http.uri|from_base64(offset 6)] "x"`},
		{`http.uri; to_lowercase; url_decode; content:"x";`, `[http.uri|to_lowercase|url_decode] "x"`},
		{`http.uri; content:"x"; pkt_data; content:"y";`, `[] "y" [http.uri] "x"`},
		{`byte_test:0,>,99,0,string,dec;`, `[] byte_test(!false > string=true base=10,count=0,value=99,offset=0)`},
		{`byte_test:1,!&,128,214748364;`, `[] byte_test(!true & string=false base=0,count=1,value=128,offset=214748364)`},
		{`byte_extract:1,0,n; content:"a"; offset:n; byte_math:bytes 1, offset 0, oper +, rvalue n, result m;`, `[] byte_extract(n#0) "a",offset=n#0 byte_math(m#1 +,rvalue=n#0)`},
		{`isdataat:!10,relative;`, `[] isdataat(!true relative=true,at=10)`},
		{`dsize:10<>20; ttl:!3; window:>5;`, `[] dsize op=6 10 20 ttl op=1 3 0 tcp.window op=3 5 0`},
		{`flow.pkts:toclient,=10; flow.bytes:either,>3000; flow.pkts:>1;`, `[] flow.pkts_toclient op=0 10 0 flow.bytes op=3 3000 0 flow.pkts op=3 1 0`},
		{`flowbits:isset,a|b; flow:established,from_server;`, `[] flowbits:isset,a|b flow(false true true)`},
		{`dsize:10; content:"boom"; content:"loom"; distance:-10;`, `[] dsize op=0 10 0 "boom" "loom",distance=-10`},
	} {
		if got := show(one(t, "alert ip any any -> any any ("+c.options+" sid:1;)")); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.options, got, c.want)
		}
	}
}

func TestHead(t *testing.T) {
	r := one(t, "\ufeffdrop tcp $EXTERNAL_NET $MANY <> [10.1.0.0/16,!10.1.2.3,fe80::/10] ![22,80:90] \\\r\n  (msg:\"a\\; b\"; sid:7; gid:2; rev:3; \\\r\n  classtype:web-application-attack; reference:cve,2021-44228; metadata:attack_class exploit, mitre_technique_id T1190; target:dest_ip; noalert;)\r\n")
	if r.Action != Drop || !r.Bidirectional || r.SID != 7 || r.GID != 2 || r.Rev != 3 || r.Msg != "a; b" || !r.NoAlert || r.Target != TargetDst {
		t.Errorf("head: %+v", r)
	}
	if r.Priority != 1 || r.ClassDescription != "Web Application Attack" {
		t.Errorf("class: priority %d, %q", r.Priority, r.ClassDescription)
	}
	if !r.Src.Any || len(r.Src.Not) != 2 || len(r.Dst.In) != 2 || len(r.Dst.Not) != 1 {
		t.Errorf("addresses: %+v %+v", r.Src, r.Dst)
	}
	if len(r.SrcPorts.In) != 1 || r.SrcPorts.In[0] != (PortRange{1024, 65535}) || len(r.SrcPorts.Not) != 1 || !r.DstPorts.Any || len(r.DstPorts.Not) != 2 {
		t.Errorf("ports: %+v %+v", r.SrcPorts, r.DstPorts)
	}
	if len(r.References) != 1 || r.References[0] != (Reference{"cve", "2021-44228", "http://cve.example/?name="}) {
		t.Errorf("references: %v", r.References)
	}
	if len(r.Metadata) != 2 || r.Metadata[0] != (KeyValue{"attack_class", "exploit"}) || r.Metadata[1] != (KeyValue{"mitre_technique_id", "T1190"}) {
		t.Errorf("metadata: %v", r.Metadata)
	}
}

// TestFile: comments, disabled rules, positions behind continuations, and that a refused rule hides no other.
func TestFile(t *testing.T) {
	good, bad := ParseFile("f.rules", []byte("# alert tcp any any -> any any (sid:1;)\n\nalert tcp any any -> any any (sid:2;)\nalert tcp any any -> any any \\\n (nonsense; sid:3;)\nalert tcp any any -> any any (sid:4;)"), fullEnvironment(t))
	if len(good) != 2 || good[0].SID != 2 || good[0].Line != 3 || good[1].SID != 4 || good[1].Line != 6 {
		t.Errorf("loaded: %+v", good)
	}
	if len(bad) != 1 || bad[0].Line != 4 || bad[0].SID != 3 || bad[0].Keyword != "nonsense" || !strings.HasPrefix(bad[0].Error(), "f.rules:4:") {
		t.Errorf("refused: %+v", bad)
	}
}

// TestTwice: of two rules with one sid the higher revision stands, at the first one's place.
func TestTwice(t *testing.T) {
	rule := func(sid, rev int) string {
		return fmt.Sprintf("alert tcp any any -> any any (sid:%d; rev:%d;)\n", sid, rev)
	}
	good, bad := ParseFile("f.rules", []byte(rule(1, 2)+rule(2, 1)+rule(1, 3)+rule(1, 3)+rule(2, 1)), fullEnvironment(t))
	if len(good) != 2 || good[0].SID != 1 || good[0].Rev != 3 || good[1].SID != 2 || len(bad) != 2 {
		t.Errorf("loaded %d, refused %v", len(good), bad)
	}
}

func TestVersion(t *testing.T) {
	for text, want := range map[string]bool{">= 8": true, ">= 8.0.7": true, ">= 8.0.8": false, "< 8": false, "< 8 | >= 8.0.4": true,
		">= 7.0 < 8": false, ">= 7.0.3 < 8.1": true, "> 8.0.7": false, "<= 8.0.7": true, "": false, ">=": false, ">= x": false, "== 8": false} {
		if got := versionHolds(text); got != want {
			t.Errorf("version %q: got %v, want %v", text, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"content", "uricontent", "offset", "depth"}
	for word, want := range map[string]string{"contnet": "content", "ofset": "offset", "dept": "depth", "zzzzzz": "", "": ""} {
		if got := Nearest(word, words); got != want {
			t.Errorf("nearest to %q: got %q, want %q", word, got, want)
		}
	}
}

// etFloor is what must load of the ET open rules; the vocabulary here is the one of testdata.
const etFloor = 31980

func TestETOpen(t *testing.T) {
	f, err := os.Open("../../shared/rules/et-open.rules.gz")
	if err != nil {
		t.Skip("the shared rules are absent:", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	env := fullEnvironment(t)
	env.NoVariables = true
	good, bad := ParseFile("et-open.rules", text, env)
	if len(good) < etFloor {
		t.Errorf("%d loaded, at least %d expected", len(good), etFloor)
		for i := range min(len(bad), 20) {
			t.Log(bad[i])
		}
	}
	if n := bytes.Count(text, []byte("\nalert ")); len(good)+len(bad) < n {
		t.Errorf("%d loaded and %d refused of at least %d", len(good), len(bad), n)
	}
}

func FuzzLanguage(f *testing.F) {
	if text, err := os.ReadFile("testdata/refused.rules"); err == nil {
		for _, line := range bytes.Split(text, []byte("\n")) {
			f.Add(line)
		}
	}
	f.Add([]byte(`alert http any any -> any any (msg:"x"; http.uri; content:"a|41|"; nocase; pcre:"/a/U"; byte_extract:1,0,n; content:"b"; offset:n; sid:1;)`))
	f.Add([]byte(`drop tcp [10.0.0.0/8,!10.1.0.0/16] [1:,!80] <> any any (threshold:type limit,track by_src,count 1,seconds 1; xbits:set,a,track ip_src,expire 3; sid:1;)`))
	env := fullEnvironment(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		env.addresses, env.ports = nil, nil
		good, bad := ParseFile("f", text, env)
		for _, r := range good {
			if r.SID == 0 || len(r.Groups) == 0 || r.Text == "" {
				t.Errorf("loaded without sid, groups or text: %+v", r)
			}
		}
		for _, b := range bad {
			if b.Line < 1 || b.Column < 1 || b.Message == "" {
				t.Errorf("refused without a place or a reason: %+v", b)
			}
		}
	})
}

func TestSeveralNumbers(t *testing.T) {
	for text, want := range map[string]Of{"200": {}, "!500,all": {All: true}, ">3,all1": {All: true, Some: true}, "0x12C,1": {One: true, At: 1}, "400,-1": {One: true, At: -1}, "7,any": {}} {
		r := one(t, "alert ip any any -> any any (vlan.id:"+text+"; sid:1;)")
		if n, ok := r.Groups[0].Conditions[0].(*Number); !ok || n.Of != want {
			t.Errorf("%s: got %+v, want %+v", text, r.Groups[0].Conditions[0], want)
		}
	}
	if _, bad := ParseFile("a.rules", []byte("alert ip any any -> any any (vlan.id:3,each; sid:1;)"), fullEnvironment(t)); len(bad) != 1 {
		t.Error("vlan.id:3,each was taken")
	}
	env := fullEnvironment(t)
	env.References = map[string]string{"url": "https://"}
	good, _ := ParseFile("a.rules", []byte("alert tcp any any -> any any (reference:url,example.org/a; reference:url,ftp://example.org/b; bypass; sid:1;)"), env)
	if r := good[0]; r.References[0].URL == "" || r.References[1].URL != "" {
		t.Errorf("got %+v", r.References)
	}
}

func TestFileConditions(t *testing.T) {
	env := fullEnvironment(t)
	env.ReadList = func(file, name string) ([]byte, error) {
		if file != "a.rules" || name != "bad.md5" {
			return nil, fmt.Errorf("%s of %s is not there", name, file)
		}
		return []byte("# hashes\n44d88612fea8a8f36de82e1278abb02f eicar\nzz\n"), nil
	}
	good, bad := ParseFile("a.rules", []byte(`alert http any any -> any any (filemagic:!"PDF|20|document"; fileext:"exe"; filemd5:bad.md5; filestore; sid:1;)
alert http any any -> any any (filemd5:none.md5; sid:2;)
alert http any any -> any any (filename:""; sid:3;)`), env)
	if len(good) != 1 || len(bad) != 2 {
		t.Fatalf("%d good, refused: %v", len(good), bad)
	}
	c := good[0].Groups[0].Conditions
	magic, digests := c[0].(*Custom), c[2].(*Custom)
	if magic.Arg != "PDF document" || !magic.Negated || c[1].(*Custom).Arg != "exe" {
		t.Errorf("got %+v, %+v", magic, c[1])
	}
	if list := digests.Arg.(Digests); len(list) != 1 || !list["\x44\xd8\x86\x12\xfe\xa8\xa8\xf3\x6d\xe8\x2e\x12\x78\xab\xb0\x2f"] {
		t.Errorf("got %v", list)
	}
}
