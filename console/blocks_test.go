package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// blocking is a shield that blocks one.
type blocking struct {
	items []Block
	price *Price
	why   string
	err   error
}

func (b *blocking) Blocks() (Blocks, error) {
	return Blocks{Way: "XDP native on eth0", Mode: "on", Items: b.items, Price: b.price}, b.err
}

func (b *blocking) Undo(prefix, why string) error {
	for i, x := range b.items {
		if x.Prefix == prefix {
			b.items, b.why = append(b.items[:i:i], b.items[i+1:]...), why
			return nil
		}
	}
	if prefix == "nobody" {
		return errors.New("not an address")
	}
	return fmt.Errorf("%s: %w", prefix, ErrNotBlocked)
}

func TestBlocks(t *testing.T) {
	s := open(t, t.TempDir())
	for _, call := range [][2]string{{"GET", "/api/blocks"}, {"POST", "/api/blocks/undo"}} {
		if code, _ := s.do(call[0], call[1], `{"prefix":"203.0.113.7"}`); code != 401 {
			t.Errorf("%s %s without a login: %d", call[0], call[1], code)
		}
	}
	s.enter()
	doc := document(t)
	look := func(want string) (b Blocks) {
		t.Helper()
		code, body := s.do("GET", "/api/blocks", "")
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil || code != 200 {
			t.Fatalf("%d %s", code, body)
		}
		if wrong := valid(doc, object{"$ref": "#/components/schemas/Blocks"}, v, "blocks"); wrong != "" {
			t.Error(wrong)
		}
		if json.Unmarshal([]byte(body), &b) != nil || b.Mode != want {
			t.Errorf("%s, want mode %s", body, want)
		}
		return b
	}
	look("none")
	b := &blocking{items: []Block{{Prefix: "203.0.113.7", By: "exploit: proven points", Attack: 5, Since: 1, Until: 2, Packets: 3}}, price: &Price{Blocks: 1}}
	s.Console.Blocking(b)
	if got := look("on"); got.Total != 1 || got.Items[0].Prefix != "203.0.113.7" || got.Price == nil {
		t.Errorf("%+v", got)
	}
	undo := func(want int, body string, headers ...string) {
		t.Helper()
		if code, said := s.do("POST", "/api/blocks/undo", body, headers...); code != want {
			t.Errorf("undo %s: %d %s, want %d", body, code, said, want)
		}
	}
	undo(403, `{"prefix":"203.0.113.7"}`, "Origin", "http://evil.example")
	undo(403, `{"prefix":"203.0.113.7"}`, "Origin", "")
	undo(415, `{"prefix":"203.0.113.7"}`, "Content-Type", "text/plain")
	undo(400, `[`)
	undo(400, `{"prefix":"nobody"}`)
	undo(404, `{"prefix":"203.0.113.8"}`)
	if len(b.items) != 1 {
		t.Fatal("a refused request ended a block")
	}
	undo(200, `{"prefix":"203.0.113.7","why":"a customer"}`)
	if len(b.items) != 0 || b.why != "a customer" {
		t.Errorf("%+v", b)
	}
	b.err = errors.New("the shield is busy")
	if code, said := s.do("GET", "/api/blocks", ""); code != 503 || !strings.Contains(said, "busy") {
		t.Errorf("%d %s", code, said)
	}
}
