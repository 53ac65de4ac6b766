package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
)

const (
	roomLinesMax = 4000 // without tests and generated files; past it a room is split by purpose
	fileLinesMax = 1000
)

func TestFilesAreFormatted(t *testing.T) {
	for _, s := range sources(t) {
		want, err := format.Source(s.bytes)
		if err != nil || !bytes.Equal(want, s.bytes) {
			t.Errorf("%s: run gofmt -w %s", s.path, s.path)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	doc := map[string]bool{}
	name := map[string]string{}
	for _, s := range sources(t) {
		if s.test && s.dir != "house" {
			continue
		}
		n := s.file.Name.Name
		name[s.dir] = n
		if s.file.Doc == nil {
			continue
		}
		text := s.file.Doc.Text()
		if strings.HasPrefix(text, "Package "+n+" ") || n == "main" && strings.HasPrefix(text, "Command ") {
			doc[s.dir] = true
		}
	}
	for dir, n := range name {
		if !doc[dir] {
			t.Errorf("%s: no package comment; start one file with \"// Package %s ...\": what comes in, what goes out, who calls it, what it never does", dir, n)
		}
	}
}

func TestRoomsStaySmall(t *testing.T) {
	lines := map[string]int{}
	files := map[string][]string{}
	for _, s := range sources(t) {
		if s.test || strings.HasSuffix(s.path, "_gen.go") {
			continue
		}
		n := bytes.Count(s.bytes, []byte("\n"))
		lines[s.dir] += n
		files[s.dir] = append(files[s.dir], fmt.Sprintf("%5d %s", n, s.path))
		if n > fileLinesMax {
			t.Errorf("%s has %d lines, at most %d: split it by topic", s.path, n, fileLinesMax)
		}
	}
	for dir, n := range lines {
		if n > roomLinesMax {
			sort.Sort(sort.Reverse(sort.StringSlice(files[dir])))
			t.Errorf("%s has %d lines, at most %d: split it by purpose; largest files:\n%s", dir, n, roomLinesMax, strings.Join(files[dir][:min(3, len(files[dir]))], "\n"))
		}
	}
}

// banned words, where they are allowed all the same, and what to write instead.
var banned = []struct {
	pattern *regexp.Regexp
	allowed []string
	instead string
}{
	{regexp.MustCompile(`\btime\.Now\(`), []string{"shield/", "cmd/", "console/", "control/", "notify/", "samples/", "evidence/durable/", "scripts/"}, "take the clock that shield hands on"},
	{regexp.MustCompile(`(^|[^.\w"])panic\(`), nil, "return an error; a broken invariant is counted, not thrown"},
	{regexp.MustCompile(`^func init\(`), nil, "hand the value in from shield"},
	{regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`), nil, "do it, or say in the issue's note that it is missing"},
	{regexp.MustCompile(`^package (util|common|helpers|types|manager|misc)$`), nil, "name the room after what it is for"},
}

func TestNoBannedWords(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for i, line := range strings.Split(string(s.bytes), "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "//") {
				continue
			}
			for _, b := range banned {
				if b.pattern.MatchString(line) && !slices.ContainsFunc(b.allowed, func(p string) bool { return strings.HasPrefix(s.path, p) }) {
					t.Errorf("%s:%d: %s: %s", s.path, i+1, strings.TrimSpace(line), b.instead)
				}
			}
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Doc != nil || f.Recv != nil && !exportedReceiver(f) {
				continue
			}
			t.Errorf("%s: %s has no comment; one sentence, then units, range, errors, ownership", s.set.Position(f.Pos()), f.Name.Name)
		}
	}
}

func exportedReceiver(f *ast.FuncDecl) bool {
	e := f.Recv.List[0].Type
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	id, ok := e.(*ast.Ident)
	return ok && id.IsExported()
}

func TestArchitectureShowsThePlan(t *testing.T) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range plan {
		imports := strings.Join(r.imports, ", ")
		if imports == "" {
			imports = "-"
		}
		line := fmt.Sprintf("| `%s` | %s | %s |", r.room, r.purpose, imports)
		if !strings.Contains(string(text), line) {
			t.Errorf("ARCHITECTURE.md lacks the line\n%s", line)
		}
	}
}

var markdownLink = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

func TestLinksInDocumentsExist(t *testing.T) {
	docs, _ := filepath.Glob("../*.md")
	more, _ := filepath.Glob("../docs/*.md")
	for _, doc := range append(docs, more...) {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range markdownLink.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", doc, m[1])
			}
		}
	}
}

func TestNothingLargeIsKept(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "node_modules", "bin", "var"}, d.Name()) {
			return filepath.SkipDir
		}
		if d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > 200<<10 && d.Name() != "package-lock.json" && d.Name() != "go.sum" {
			t.Errorf("%s has %d bytes, at most %d: keep captures small and binaries out", path, info.Size(), 200<<10)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestGoModReplacesNothing(t *testing.T) {
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("\nreplace")) {
		t.Error("go.mod: a replace line breaks `go install`; depend on a released version")
	}
}
