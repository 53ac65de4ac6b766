// Package evetest holds lines of eve.json to docs/eve.schema.json; tests only.
//
// In: the bytes of an eve.json. Out: failures of the test, one for each kind of fault. Called by the tests of
// every room that makes lines. It judges shapes, never values.
package evetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// faultsMax bounds how many faults of one text are told.
const faultsMax = 10

// Schema is a compiled docs/eve.schema.json: what every line is held to.
type Schema struct{ s *jsonschema.Schema }

// Open compiles the schema, which is looked for from the test's folder upwards.
func Open(t testing.TB) Schema {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join("docs", "eve.schema.json")
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatalf("%s is not there", name)
		}
	}
	s, err := jsonschema.NewCompiler().Compile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return Schema{s}
}

// Line says what is wrong with one line, nil if nothing is.
func (s Schema) Line(line []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err != nil {
		return err
	}
	if err := duplicates(json.NewDecoder(bytes.NewReader(line))); err != nil {
		return err
	}
	err = s.s.Validate(v)
	if x := (*jsonschema.ValidationError)(nil); errors.As(err, &x) {
		return deepest(x)
	}
	return err
}

// Check holds each line of text to the schema and returns how many lines there were of each event type.
func (s Schema) Check(t testing.TB, name string, text []byte) map[string]int {
	t.Helper()
	counts, told := map[string]int{}, map[string]bool{}
	for line := range bytes.Lines(text) {
		var head struct {
			Type string `json:"event_type"`
		}
		err := json.Unmarshal(line, &head)
		counts[head.Type]++
		if err == nil {
			err = s.Line(line)
		}
		if err == nil || told[err.Error()] || len(told) >= faultsMax {
			continue
		}
		told[err.Error()] = true
		t.Errorf("%s: %v\n%s", name, err, line[:min(len(line), 2000)])
	}
	return counts
}

// fault is the innermost reason of a refusal: where it is and what is wrong there.
type fault struct{ at, what string }

// Error says both.
func (f fault) Error() string { return f.at + ": " + f.what }

// deepest finds the reason among those that other kinds of records would have given.
func deepest(x *jsonschema.ValidationError) error {
	best := x
	for _, c := range x.Causes {
		if e, ok := deepest(c).(fault); ok && len(c.InstanceLocation) >= len(best.InstanceLocation) {
			_, group := best.ErrorKind.(*kind.Group)
			if group || len(best.Causes) > 0 {
				return e
			}
		}
	}
	at := "/"
	for _, p := range best.InstanceLocation {
		at += p + "/"
	}
	return fault{at, best.ErrorKind.LocalizedString(message.NewPrinter(language.English))}
}

// duplicates finds a key that an object has twice, which parsers that keep the last one would hide.
func duplicates(d *json.Decoder) error {
	type level struct {
		object bool
		key    bool // the next string is a key
		keys   []string
	}
	var stack []level
	for {
		token, err := d.Token()
		if err != nil {
			return nil // the end: the line was parsed before
		}
		top := len(stack) - 1
		if s, ok := token.(string); ok && top >= 0 && stack[top].object && stack[top].key {
			if slices.Contains(stack[top].keys, s) {
				return errors.New("key " + s + " twice in one object")
			}
			stack[top].keys, stack[top].key = append(stack[top].keys, s), false
			continue
		}
		if delim, ok := token.(json.Delim); ok && (delim == '{' || delim == '[') {
			if top >= 0 {
				stack[top].key = true
			}
			stack = append(stack, level{object: delim == '{', key: true})
			continue
		} else if ok {
			stack = stack[:top]
			continue
		}
		if top >= 0 {
			stack[top].key = true
		}
	}
}
