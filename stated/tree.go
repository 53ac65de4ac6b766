package stated

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of a file.
const (
	fileMax    = 4 << 20
	figuresMax = 2000
	depthMax   = 8
	textMax    = 4000 // bytes of one text that are read
)

// FormatError says where a file is wrong and what to do.
type FormatError struct {
	Name string
	Line int
	What string
}

// Error is file:line: what.
func (e *FormatError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.What) }

// node is one JSON value with the line it ends in.
type node struct {
	line   int
	kind   byte // '{', '[', 's' text, 'n' number, 'b' true or false, '0' null
	text   string
	keys   []string
	values []*node
}

func (n *node) get(key string) *node {
	for i, k := range n.keys {
		if k == key {
			return n.values[i]
		}
	}
	return nil
}

// tree reads one JSON value and keeps its lines.
type tree struct {
	name string
	b    []byte
	d    *json.Decoder
	at   int64 // up to here lines are counted
	line int
}

func (t *tree) here() int {
	if end := min(t.d.InputOffset(), int64(len(t.b))); end > t.at {
		t.line += bytes.Count(t.b[t.at:end], []byte("\n"))
		t.at = end
	}
	return t.line
}

func (t *tree) wrong(line int, f string, args ...any) error {
	return &FormatError{t.name, line, fmt.Sprintf(f, args...)}
}

func parseTree(name string, b []byte) (*node, error) {
	t := &tree{name: name, b: b, d: json.NewDecoder(bytes.NewReader(b)), line: 1}
	if len(b) > fileMax {
		return nil, t.wrong(1, "the file has more than %d MiB; give figures in several files", fileMax>>20)
	}
	t.d.UseNumber()
	n, err := t.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := t.d.Token(); !errors.Is(err, io.EOF) {
		return nil, t.wrong(t.here(), "something follows the end of the list; a file holds one list of figures, [ {...}, {...} ]")
	}
	return n, nil
}

func (t *tree) token() (json.Token, error) {
	tok, err := t.d.Token()
	if err == nil {
		return tok, nil
	}
	line := t.here()
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		at := min(max(syntax.Offset-1, 0), int64(len(t.b)))
		if syntax.Offset == t.d.InputOffset() { // it is the end of the last good one then
			rest := t.b[min(syntax.Offset, int64(len(t.b))):]
			at = int64(len(t.b) - len(bytes.TrimLeft(rest, " \t\r\n")))
		}
		line = 1 + bytes.Count(t.b[:at], []byte("\n"))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		line = 1 + bytes.Count(bytes.TrimRight(t.b, "\n"), []byte("\n"))
		return nil, t.wrong(line, "the file ends too early; it must hold a list of figures: [{\"sentence\": \"...\", \"count\": 1000, \"unit\": \"attacks\"}]")
	}
	return nil, t.wrong(line, "this is not JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
}

func (t *tree) value(depth int) (*node, error) {
	tok, err := t.token()
	if err != nil {
		return nil, err
	}
	n := &node{line: t.here()}
	if depth > depthMax {
		return nil, t.wrong(n.line, "values are nested more than %d deep; a figure is a flat object", depthMax)
	}
	switch v := tok.(type) {
	case json.Delim:
		n.kind = byte(v)
		return n, t.members(n, depth)
	case string:
		n.kind, n.text = 's', v
	case json.Number:
		n.kind, n.text = 'n', v.String()
	case bool:
		n.kind, n.text = 'b', fmt.Sprint(v)
	default:
		n.kind = '0'
	}
	return n, nil
}

func (t *tree) members(n *node, depth int) error {
	for t.d.More() {
		if n.kind == '{' {
			tok, err := t.token()
			if err != nil {
				return err
			}
			key, _ := tok.(string)
			if n.get(key) != nil {
				return t.wrong(t.here(), "the key %q stands twice in one object; keep one", key)
			}
			n.keys = append(n.keys, key)
			if len(n.keys) > 200 {
				return t.wrong(t.here(), "an object has more than 200 keys; a figure needs fewer")
			}
		}
		v, err := t.value(depth + 1)
		if err != nil {
			return err
		}
		if n.values = append(n.values, v); len(n.values) > figuresMax {
			return t.wrong(t.here(), "more than %d values in one list; give figures in several files", figuresMax)
		}
	}
	_, err := t.token()
	return err
}
