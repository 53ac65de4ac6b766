package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// leaves are the full names of the keys that take values.
func leaves(t reflect.Type, prefix string) (keys []string) {
	for i := range t.NumField() {
		name := prefix + t.Field(i).Tag.Get("yaml")
		if s := t.Field(i).Type; s.Kind() == reflect.Struct {
			keys = append(keys, leaves(s, name+".")...)
			continue
		}
		keys = append(keys, name)
	}
	return keys
}

func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := leaves(reflect.TypeFor[own](), "")
	for _, k := range keys {
		if !strings.Contains(string(text), "\n| `"+k+"` |") {
			t.Errorf("docs/configuration.md has no line for %s", k)
		}
	}
	if rows := strings.Count(string(text), "\n| `"); rows != len(keys) {
		t.Errorf("docs/configuration.md has %d lines for %d keys", rows, len(keys))
	}
}
