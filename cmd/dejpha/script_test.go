package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dejpha": main})
}

// TestScripts runs the program as a person does; testdata/*.txtar hold command lines, files and what must come of
// them. Commands of our own: `exits CODE PROGRAM ARGS...`, `spoil FILE OFFSET`, `cut FILE BYTES`,
// `damage FILE RECORD` (a pcap's record claims a length that no record has) and `replace OLD NEW FILE OTHER`.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			names, err := filepath.Glob("../../samples/*.pcap")
			if err != nil || len(names) == 0 {
				return fmt.Errorf("the samples are missing: %w", err)
			}
			names = append(names, "../../claim/testdata/claim.json", "../../claim/testdata/merged.json")
			for _, name := range names {
				b, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(e.WorkDir, strings.Replace(filepath.Base(name), "claim.json", "claim-sample.json", 1)), b, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "mounts":
			case "setpriv":
				return exec.Command("setpriv", "--bounding-set=-net_raw", "true").Run() == nil, nil
			default:
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=100k", "none", "/mnt").Run() == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "spoil": spoil, "cut": cut, "damage": damage, "replace": replace,
		},
	})
}

// exits runs a program that must end with a given code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if x := (*exec.ExitError)(nil); errors.As(err, &x) {
		code = x.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, not %s", code, args[0])
	}
}

func number(ts *testscript.TestScript, args []string) int64 {
	if len(args) != 2 {
		ts.Fatalf("expected FILE NUMBER")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	return n
}

func spoil(ts *testscript.TestScript, _ bool, args []string) {
	n, name := number(ts, args), ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	b[n] ^= 0x40
	ts.Check(os.WriteFile(name, b, 0o600))
}

func cut(ts *testscript.TestScript, _ bool, args []string) {
	n, name := number(ts, args), ts.MkAbs(args[0])
	info, err := os.Stat(name)
	ts.Check(err)
	ts.Check(os.Truncate(name, info.Size()-n))
}

func damage(ts *testscript.TestScript, _ bool, args []string) {
	n, name := number(ts, args), ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	at := 24
	for range n {
		at += 16 + int(binary.LittleEndian.Uint32(b[at+8:]))
	}
	binary.LittleEndian.PutUint32(b[at+8:], 0x7fffffff)
	ts.Check(os.WriteFile(name, b, 0o600))
}

// replace writes a file with the first of some words in it replaced.
func replace(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: replace OLD NEW FILE OTHER")
	}
	b, err := os.ReadFile(ts.MkAbs(args[2]))
	ts.Check(err)
	if !bytes.Contains(b, []byte(args[0])) {
		ts.Fatalf("%s does not hold %q", args[2], args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), bytes.Replace(b, []byte(args[0]), []byte(args[1]), 1), 0o600))
}
