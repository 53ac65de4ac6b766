package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/console/index"
)

// object is a part of the document.
type object = map[string]any

func document(t *testing.T) object {
	t.Helper()
	b, err := os.ReadFile("../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc object
	if err := yaml.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// follow is what a part stands for: itself, or what it refers to.
func follow(doc object, v any) object {
	o, _ := v.(object)
	ref, ok := o["$ref"].(string)
	if !ok {
		return o
	}
	var at any = doc
	for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		at = at.(object)[name]
	}
	return follow(doc, at)
}

// known are the words of schemas that valid understands; another one would check nothing.
var known = []string{"type", "enum", "minimum", "maximum", "default", "pattern", "minLength", "maxLength", "items", "properties", "required", "additionalProperties", "oneOf", "description", "$ref"}

// valid says what is wrong with a value of JSON by a schema, "" for nothing.
func valid(doc object, schema any, v any, at string) string {
	s := follow(doc, schema)
	for word := range s {
		if !slices.Contains(known, word) {
			return at + ": the schema has a word that is not checked: " + word
		}
	}
	if all, ok := s["oneOf"].([]any); ok {
		var said []string
		for _, one := range all {
			if wrong := valid(doc, one, v, at); wrong != "" {
				said = append(said, wrong)
			}
		}
		if len(said) != len(all)-1 {
			return at + ": fits not exactly one: " + strings.Join(said, "; ")
		}
		return ""
	}
	if s["type"] == nil {
		return at + ": the schema names no type"
	}
	if !slices.ContainsFunc(listOf(s["type"]), func(kind any) bool { return isA(v, kind) }) {
		return fmt.Sprintf("%s: %T is not %v", at, v, s["type"])
	}
	if all, ok := s["enum"].([]any); ok && !slices.Contains(all, v) {
		return fmt.Sprintf("%s: %v is none of %v", at, v, all)
	}
	switch v := v.(type) {
	case float64:
		if least, ok := number(s["minimum"]); ok && v < least {
			return fmt.Sprintf("%s: %v is below %v", at, v, least)
		}
		if most, ok := number(s["maximum"]); ok && v > most {
			return fmt.Sprintf("%s: %v is above %v", at, v, most)
		}
	case string:
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			return fmt.Sprintf("%s: %q is not like %s", at, v, p)
		}
	case []any:
		for i, x := range v {
			if wrong := valid(doc, s["items"], x, fmt.Sprintf("%s[%d]", at, i)); wrong != "" {
				return wrong
			}
		}
	case object:
		return validObject(doc, s, v, at)
	}
	return ""
}

func validObject(doc, s, v object, at string) string {
	fields, _ := s["properties"].(object)
	for _, name := range listOf(s["required"]) {
		if _, ok := v[name.(string)]; !ok {
			return fmt.Sprintf("%s: lacks %v", at, name)
		}
	}
	for name, x := range v {
		if fields[name] == nil {
			if s["additionalProperties"] == true {
				continue
			}
			return at + ": has a field that is not described: " + name
		}
		if wrong := valid(doc, fields[name], x, at+"."+name); wrong != "" {
			return wrong
		}
	}
	return ""
}

func listOf(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	if v == nil {
		return nil
	}
	return []any{v}
}

func number(v any) (float64, bool) {
	f := reflect.ValueOf(v)
	switch {
	case v == nil:
		return 0, false
	case f.CanInt():
		return float64(f.Int()), true
	case f.CanUint():
		return float64(f.Uint()), true
	}
	return 0, false
}

func isA(v, kind any) bool {
	switch v := v.(type) {
	case nil:
		return kind == "null"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "integer" && v == math.Trunc(v)
	case string:
		return kind == "string"
	case []any:
		return kind == "array"
	case object:
		return kind == "object"
	}
	return false
}

func TestEveryRouteIsDescribed(t *testing.T) {
	doc := document(t)
	described := map[string]bool{}
	for path, methods := range doc["paths"].(object) {
		for method, o := range methods.(object) {
			_, open := o.(object)["security"]
			described[strings.ToUpper(method)+" "+path] = !open
		}
	}
	inCode := map[string]bool{}
	for _, r := range (&Console{}).routes() {
		inCode[r.pattern] = r.private
	}
	if !maps.Equal(described, inCode) {
		for p := range inCode {
			if _, ok := described[p]; !ok {
				t.Errorf("docs/openapi.yaml lacks %s", p)
			}
		}
		for p, private := range described {
			if in, ok := inCode[p]; !ok || in != private {
				t.Errorf("docs/openapi.yaml has %s (behind the login: %v), the code: %v, %v", p, private, ok, in)
			}
		}
	}
}

func TestEveryFilterIsDescribed(t *testing.T) {
	doc := document(t)
	described := 0
	for _, p := range doc["paths"].(object)["/api/summary"].(object)["get"].(object)["parameters"].([]any) {
		name := follow(doc, p)["name"].(string)
		if described++; reflect.DeepEqual(*filter(url.Values{name: {"1"}}), index.Filter{}) {
			t.Errorf("%s is described and not read", name)
		}
	}
	if n := reflect.TypeFor[index.Filter]().NumField(); n != described {
		t.Errorf("%d filters are described, the code has %d", described, n)
	}
	for _, p := range doc["paths"].(object)["/api/attacks"].(object)["get"].(object)["parameters"].([]any) {
		if o := follow(doc, p); o["name"] == "sort" {
			for _, sort := range o["schema"].(object)["enum"].([]any) {
				if !index.KnownOrder(sort.(string)) {
					t.Errorf("the order %q is described and not known", sort)
				}
			}
		}
	}
}

// The real handlers' answers, good ones and refusals, are what the document says.
func TestAnswersAreAsDescribed(t *testing.T) {
	mac := record(2, "spoofing")
	mac.Origin = attack.Origin{Sources: []attack.Source{{IP: "193.0.6.7", Count: 3}, {IP: "10.0.0.1", Count: 1}}, Count: 2, MAC: "02:00:00:00:00:01", VLAN: 7}
	s := open(t, t.TempDir(), record(1, "scan"), mac, record(3, "scan"))
	doc := document(t)
	seen := map[string]bool{}
	ask := func(want int, pattern, path, body string, headers ...string) {
		t.Helper()
		method, under, _ := strings.Cut(pattern, " ")
		code, text := s.do(method, path, body, headers...)
		answers := doc["paths"].(object)[under].(object)[strings.ToLower(method)].(object)["responses"].(object)
		if code != want || answers[fmt.Sprint(code)] == nil {
			t.Errorf("%s %s: %d %s, want %d, described %v", method, path, code, text, want, slices.Sorted(maps.Keys(answers)))
			return
		}
		seen[fmt.Sprint(pattern, " ", code)] = true
		media, ok := follow(doc, answers[fmt.Sprint(code)])["content"].(object)["application/json"].(object)
		if !ok {
			return
		}
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Errorf("%s: %v", path, err)
		} else if wrong := valid(doc, media["schema"], v, "answer"); wrong != "" {
			t.Errorf("%s %s: %s", method, path, wrong)
		}
	}
	routes := s.routes()
	for _, r := range routes {
		if r.private {
			_, path, _ := strings.Cut(r.pattern, " ")
			ask(401, r.pattern, strings.NewReplacer("{id}", "1", "{month}", "2025-10").Replace(path), "")
		}
	}
	ask(200, "GET /api/session", "/api/session", "")
	setup, logIn := "POST /api/setup", "POST /api/login"
	good := fmt.Sprintf(`{"token":%q,"password":"correct horse"}`, s.login.token())
	ask(403, setup, "/api/setup", `{"token":"x","password":"correct horse"}`)
	ask(400, setup, "/api/setup", strings.Replace(good, "correct horse", "short", 1))
	for _, pattern := range []string{setup, logIn, "POST /api/logout"} {
		ask(415, pattern, pattern[5:], good, "Content-Type", "text/plain")
		ask(403, pattern, pattern[5:], good, "Origin", "http://evil.example")
	}
	ask(200, setup, "/api/setup", good)
	ask(200, "POST /api/logout", "/api/logout", "{}")
	ask(400, logIn, "/api/login", "{")
	for range failuresFree {
		ask(403, logIn, "/api/login", `{"password":"wrong"}`)
	}
	ask(429, logIn, "/api/login", `{"password":"wrong"}`)
	s.now = s.now.Add(failureMost)
	ask(200, logIn, "/api/login", `{"password":"correct horse"}`)

	unfinished := record(7, "flood")
	unfinished.State, unfinished.ClosedAt, unfinished.Incident = "opened", 0, 1
	s.Packets(7, []Frame{{Data: []byte("frame")}})
	s.Attack(unfinished)
	s.Ledger(index.Ledger{Received: 3, Inspected: 2, Dropped: 1}, 1, t0)
	s.settle(7)
	for _, path := range []string{"status", "classes", "summary", "timeline", "attacks", "origins", "ledger"} {
		for _, query := range []string{"", "?class=scan", "?q=nothing+like+it"} {
			ask(200, "GET /api/"+path, "/api/"+path+query, "")
		}
	}
	ask(400, "GET /api/attacks", "/api/attacks?sort=record", "")
	for _, what := range []string{"", "/packets", "/packets.pcap", "/proof"} {
		for _, id := range []string{"1", "2", "7"} {
			ask(200, "GET /api/attacks/{id}"+what, "/api/attacks/"+id+what, "")
		}
		ask(404, "GET /api/attacks/{id}"+what, "/api/attacks/99"+what, "")
	}
	const undo = "POST /api/blocks/undo"
	ask(200, "GET /api/blocks", "/api/blocks", "")
	ask(404, undo, "/api/blocks/undo", `{"prefix":"203.0.113.7"}`)
	s.Blocking(&blocking{items: []Block{{Prefix: "203.0.113.7", By: "x"}}, price: &Price{}})
	ask(200, "GET /api/blocks", "/api/blocks", "")
	ask(400, undo, "/api/blocks/undo", `{"prefix":"nobody"}`)
	ask(403, undo, "/api/blocks/undo", `{}`, "Origin", "http://evil.example")
	ask(415, undo, "/api/blocks/undo", `{}`, "Content-Type", "text/plain")
	ask(200, undo, "/api/blocks/undo", `{"prefix":"203.0.113.7"}`)
	const reload = "POST /api/rules/reload"
	ask(200, "GET /api/interfaces", "/api/interfaces", "")
	ask(200, "GET /api/rules", "/api/rules", "")
	ask(404, reload, "/api/rules/reload", "{}")
	s.Operating(&operating{})
	ask(200, "GET /api/interfaces", "/api/interfaces", "")
	ask(200, "GET /api/rules", "/api/rules", "")
	ask(200, reload, "/api/rules/reload", "{}")
	ask(403, reload, "/api/rules/reload", "{}", "Origin", "http://evil.example")
	ask(415, reload, "/api/rules/reload", "{}", "Content-Type", "text/plain")
	s.Operating(&operating{err: errors.New("busy")})
	ask(503, "GET /api/interfaces", "/api/interfaces", "")
	ask(400, reload, "/api/rules/reload", "{}")
	s.Operating(&operating{err: ErrBusy})
	ask(409, reload, "/api/rules/reload", "{}")
	s.Blocking(&blocking{err: errors.New("busy")})
	ask(503, "GET /api/blocks", "/api/blocks", "")
	ask(200, "GET /api/reports", "/api/reports", "")
	for _, form := range []string{"html", "json"} {
		pattern := "GET /api/reports/{month}/report." + form
		ask(200, pattern, "/api/reports/2025-10/report."+form, "")
		for _, none := range []string{"2025-09", "0000-01", "2025-13", "9999-12", "x"} {
			ask(404, pattern, "/api/reports/"+none+"/report."+form, "")
		}
	}
	for _, r := range routes {
		if r.pattern != "GET /api/events" && !seen[r.pattern+" 200"] {
			t.Errorf("%s was never asked for", r.pattern)
		}
	}
}

// What valid lets pass would pass for described; so it is tried on what must not.
func TestTheCheckerChecks(t *testing.T) {
	doc := document(t)
	schema := doc["components"].(object)["schemas"].(object)["Origins"]
	for text, want := range map[string]bool{
		`{"countries":[],"unplaced":0,"items":[]}`:                          true,
		`{"countries":[{"code":"NL","attacks":1}],"unplaced":0,"items":[]}`: true,
		`{"countries":[{"code":"nl","attacks":1}],"unplaced":0,"items":[]}`: false,
		`{"countries":[],"unplaced":-1,"items":[]}`:                         false,
		`{"countries":[],"unplaced":0.5,"items":[]}`:                        false,
		`{"countries":null,"unplaced":0,"items":[]}`:                        false,
		`{"countries":[],"unplaced":0}`:                                     false,
		`{"countries":[],"unplaced":0,"items":[],"more":1}`:                 false,
		`{"countries":[],"unplaced":0,"items":[{"origin":"x","kind":"who","country":"","attacks":1,"severity":1,"last_ms":1}]}`: false,
		`{"countries":[],"unplaced":0,"items":[{"origin":"x","kind":"ip","country":"","attacks":1,"severity":5,"last_ms":1}]}`:  false,
		`[]`: false,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if wrong := valid(doc, schema, v, "x"); (wrong == "") != want {
			t.Errorf("%s: %q", text, wrong)
		}
	}
}
