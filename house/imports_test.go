// Package house holds the tests about the house itself: who may import whom, names, docs.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/dejpha/dejpha"

// source is one Go file of the house, parsed.
type source struct {
	path  string // from the top of the tree
	dir   string
	test  bool
	bytes []byte
	file  *ast.File
	set   *token.FileSet
}

// sources reads every Go file in this process, so that the test cache knows of each.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "testdata", "node_modules", "verifier", "var", "bin"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
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
		rel, _ := filepath.Rel("..", path)
		all = append(all, source{rel, filepath.ToSlash(filepath.Dir(rel)), strings.HasSuffix(path, "_test.go"), src, f, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func planned(name string) (roomPlan, bool) {
	i := slices.IndexFunc(plan, func(r roomPlan) bool { return r.room == name })
	if i < 0 {
		return roomPlan{}, false
	}
	return plan[i], true
}

// room is the plan's name for a folder: its own line, else an ancestor's "/*", else the folder itself.
func room(dir string) string {
	if _, ok := planned(dir); ok {
		return dir
	}
	for up := filepath.Dir(dir); up != "." && up != "/"; up = filepath.Dir(up) {
		if _, ok := planned(up + "/*"); ok {
			return up + "/*"
		}
		if _, ok := planned(up); ok && strings.Contains(dir, "internal") {
			return up
		}
	}
	return dir
}

func TestImportsFollowThePlan(t *testing.T) {
	for _, s := range sources(t) {
		from := room(s.dir)
		line, ok := planned(from)
		if !ok {
			t.Errorf("%s: %s is not in the plan; add its line to house/plan_test.go and ARCHITECTURE.md", s.path, s.dir)
			continue
		}
		allowed := line.imports
		if s.test {
			allowed = append([]string{"app/apptest", "eve/evetest", "app", "capture", "capture/*", "decode"}, allowed...)
			if from == "eve" || from == "console" || from == "cmd/*" {
				allowed = append(allowed, "shield")
			}
		}
		for _, spec := range s.file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if rel, ours := strings.CutPrefix(imported, module+"/"); ours {
				if to := room(rel); to != from && !slices.Contains(allowed, to) {
					t.Errorf("%s: %s must not import %s; move the shared struct left, or pass the value in from shield", s.path, from, to)
				}
			}
			for _, f := range forbidden {
				if !s.test && slices.Contains(f.rooms, from) && slices.Contains(f.imports, imported) {
					t.Errorf("%s: %s must not import %q: %s", s.path, from, imported, f.why)
				}
			}
		}
	}
}

func TestPlanHasNoCycle(t *testing.T) {
	state := map[string]int{}
	var visit func(name string, trail []string)
	visit = func(name string, trail []string) {
		if state[name] == 1 {
			t.Errorf("the plan has a cycle: %s", strings.Join(append(trail, name), " -> "))
			return
		}
		if state[name] == 2 {
			return
		}
		state[name] = 1
		line, ok := planned(name)
		if !ok {
			t.Errorf("the plan lets %s import %s, which has no line", trail[len(trail)-1], name)
		}
		for _, to := range line.imports {
			visit(to, append(trail, name))
		}
		state[name] = 2
	}
	for _, r := range plan {
		visit(r.room, nil)
	}
}
