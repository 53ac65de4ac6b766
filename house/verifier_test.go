package house

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// verifierLinesMax is what a stranger can be asked to read before trusting it; tests are not counted.
const verifierLinesMax = 1500

// TestVerifierStandsAlone holds the second module to its promise: it is short, imports only the standard library and
// shares no code with what it checks.
func TestVerifierStandsAlone(t *testing.T) {
	mod, err := os.ReadFile("../verifier/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "module " + module + "/verifier\n\ngo 1.26\n"; string(mod) != want {
		t.Errorf("verifier/go.mod is %q, want %q: no requirement, no replace", mod, want)
	}
	lines := 0
	err = filepath.WalkDir("../verifier", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			first, _, _ := strings.Cut(name, "/")
			if strings.Contains(first, ".") && !strings.HasPrefix(name, module+"/verifier/") || name == "unsafe" || name == "C" {
				t.Errorf("%s imports %q; the verifier has the standard library and itself", path, name)
			}
		}
		if tidy, err := format.Source(src); err != nil || !bytes.Equal(tidy, src) {
			t.Errorf("%s: run gofmt -w %s", path, path)
		}
		if strings.HasSuffix(path, "_test.go") {
			return nil
		}
		lines += bytes.Count(src, []byte("\n"))
		for _, d := range f.Decls {
			x, ok := d.(*ast.FuncDecl)
			if ok && x.Name.IsExported() && x.Doc == nil && (x.Recv == nil || exportedReceiver(x)) {
				t.Errorf("%s: %s has no comment", set.Position(x.Pos()), x.Name.Name)
			}
		}
		for i, line := range strings.Split(string(src), "\n") {
			for _, b := range banned {
				if !strings.HasPrefix(strings.TrimSpace(line), "//") && b.pattern.MatchString(line) {
					t.Errorf("%s:%d: %s: %s", path, i+1, strings.TrimSpace(line), b.instead)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("the verifier has %d lines", lines); lines > verifierLinesMax || lines == 0 {
		t.Errorf("the verifier has %d lines, at most %d", lines, verifierLinesMax)
	}
}
