package rule

import (
	"strings"
	"testing"
)

// words is a small vocabulary.
type words struct{}

func (words) Protocol(name string) (string, bool) { return name, name == "http" || name == "dns" }
func (words) Keyword(name string) (Entry, bool) {
	switch name {
	case "http.uri":
		return Entry{Name: "http.uri", App: "http", ToServer: true}, true
	case "http_uri", "uricontent":
		return Entry{Name: "http.uri", App: "http", Modifier: name == "http_uri", ToServer: true}, true
	case "dns.opcode":
		return Entry{Name: "dns.opcode", App: "dns", Kind: NumberEntry}, true
	}
	return Entry{}, false
}
func (words) AppEvent(string, string) (int, bool)       { return 0, false }
func (words) DecodeEvent(name string) (int, bool)       { return 3, name == "ipv4.trunc_pkt" }
func (words) StreamEvent(string) (int, bool)            { return 0, false }
func (words) Compile(e Entry, text string) (any, error) { return text, nil }
func (words) Words() []string                           { return []string{"http.uri", "dns.opcode"} }

func environment() *Environment {
	return &Environment{Vocabulary: words{}, AddressVars: map[string]string{"HOME_NET": "[10.0.0.0/8,!10.1.0.0/16]"}, PortVars: map[string]string{"HTTP_PORTS": "[80,8000:8080]"},
		Classifications: map[string]Classification{"trojan-activity": {"A trojan", 1}}}
}

func TestGoodRules(t *testing.T) {
	text := `# comment
alert http $HOME_NET any -> any $HTTP_PORTS (msg:"a \; b"; flow:established,to_server; http.uri; content:"|2f|x"; nocase; startswith; classtype:trojan-activity; metadata:attack_class malware; sid:1; rev:2;)
alert tcp any any -> any any (content:"one"; http_uri; content:"two"; \
  distance:1; within:10; pcre:/a\/b/i; sid:2;)
`
	rules, refused := ParseFile("t.rules", []byte(text), environment())
	if len(refused) > 0 || len(rules) != 2 {
		t.Fatalf("%d rules, refused %v", len(rules), refused)
	}
	r := rules[0]
	if r.Msg != "a ; b" || r.Priority != 1 || r.ClassDescription != "A trojan" || len(r.Src.In) != 1 || len(r.Src.Not) != 1 || len(r.DstPorts.In) != 2 {
		t.Errorf("%+v", r)
	}
	last := r.Groups[len(r.Groups)-1]
	c, ok := last.Conditions[0].(*Content)
	if last.Buffer.Name != "http.uri" || !ok || string(c.Pattern) != "/x" || !c.NoCase || !c.StartsWith {
		t.Errorf("%+v %+v", last, c)
	}
	if rules[1].Line != 3 {
		t.Errorf("a rule over two lines begins in line %d, want 3", rules[1].Line)
	}
}

func TestBadRulesAreNamedByPlace(t *testing.T) {
	for _, c := range []struct {
		text   string
		column int
		says   string
	}{
		{`alert http any any -> any any (msg:"x"; contnet:"a"; sid:1;)`, 41, `did you mean "content"?`},
		{`alrt tcp any any -> any any (sid:1;)`, 1, `did you mean "alert"?`},
		{`alert tcp any any -> any any (content:"abc"; depth:2; sid:1;)`, 31, "depth 2 is less"},
		{`alert tcp any any -> any any (nocase; sid:1;)`, 31, "follows no content"},
		{`alert tcp any any -> $HOM_NET any (sid:1;)`, 22, `did you mean "HOME_NET"?`},
		{`alert tcp any any -> any any (msg:"no sid";)`, 1, "sid is missing"},
		{`alert tcp any any -> any any (content:"|4|"; sid:1;)`, 40, "two digits"},
		{`alert tcp any any -> any any (flow:to_server,to_client; sid:1;)`, 36, "exclude each other"},
		{`alert tcp any any any any (sid:1;)`, 23, "expected source, port"},
		{`alert dns any any -> any any (http.uri; content:"a"; sid:1;)`, 1, "http.uri is a buffer of http"},
	} {
		rules, refused := ParseFile("t.rules", []byte("\n"+c.text+"\n"), environment())
		if len(rules) != 0 || len(refused) != 1 {
			t.Errorf("%s: %d rules, refused %v", c.text, len(rules), refused)
			continue
		}
		r := refused[0]
		if r.Line != 2 || r.Column != c.column || !strings.Contains(r.Message, c.says) {
			t.Errorf("%s:\ngot  %v\nwant column %d and %q", c.text, r, c.column, c.says)
		}
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add(`alert http any any -> any any (msg:"x"; http.uri; content:"|2f|a"; byte_test:1,>,3,0,relative; sid:1;)`)
	f.Add(`alert tcp [1.2.3.4,!$HOME_NET] 1:5 <> any any (pcre:"/a(b)c/Ri"; flowbits:set,a|b; threshold:type limit,track by_src,count 1,seconds 60; sid:2;)`)
	f.Fuzz(func(t *testing.T, text string) {
		rules, refused := ParseFile("f", []byte(text), environment())
		for _, r := range rules {
			if r.SID == 0 {
				t.Errorf("a rule without sid was taken: %q", text)
			}
		}
		for _, r := range refused {
			if r.Line < 1 || r.Message == "" {
				t.Errorf("a refusal without a place: %+v", r)
			}
		}
	})
}
