// Command dejpha-verify checks a whole log folder without trusting the program that made it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dejpha/dejpha/verifier/check"
)

// Exit codes.
const (
	exitDone  = 0
	exitUsage = 2
	exitWrong = 4
)

const usage = `dejpha-verify --log DIR [--key VKEY] [--witness VKEY]... [--quorum N] [--earlier FILE] [--json]

Recounts the whole log in DIR (a run's folder or its "evidence"): every leaf, hash, ordinal, running total and signature.
For example: dejpha-verify --log var/live --key shield.example+1a2b3c4d+AbCd... --earlier october.checkpoint

  --key VKEY      the log's key from elsewhere, or a file that holds it; without it the check is self-certified
  --witness VKEY  a witness's key, or a file that holds it; may be given again
  --quorum N      how many of the witnesses must have cosigned (all that are named)
  --earlier FILE  a checkpoint of the same log kept from before: the newer one must lead on from it
  --json          the result as JSON
Exit: 0 proven, 2 the command line or a file is not what it should be, 4 something is wrong.
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// list is a flag that may be given again.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func run(args []string, out, say io.Writer) int {
	flags := flag.NewFlagSet("dejpha-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	key, log := flags.String("key", "", ""), flags.String("log", "", "")
	earlier := flags.String("earlier", "", "")
	quorum, asJSON := flags.Int("quorum", -1, ""), flags.Bool("json", false, "")
	var witnesses list
	flags.Var(&witnesses, "witness", "")
	var files []string
	for rest := args; ; { // flags may stand behind the file
		if err := flags.Parse(rest); errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(out, usage)
			return exitDone
		} else if err != nil {
			return fail(say, fmt.Errorf("%w; -h shows the flags", err))
		}
		if rest = flags.Args(); len(rest) == 0 {
			break
		}
		files, rest = append(files, rest[0]), rest[1:]
	}
	if len(files) > 0 || *log == "" {
		return fail(say, errors.New("give --log DIR; -h shows the flags"))
	}
	o, err := options(*key, witnesses, *quorum, *earlier)
	if err != nil {
		return fail(say, err)
	}
	r, err := check.Log(folder(*log), o)
	if err != nil {
		return fail(say, err)
	}
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		_ = e.Encode(r)
	} else {
		r.Print(out)
	}
	if !r.OK() {
		return exitWrong
	}
	return exitDone
}

func fail(say io.Writer, err error) int {
	fmt.Fprintf(say, "dejpha-verify: %v\n", err)
	return exitUsage
}

// folder takes a run's folder for its evidence.
func folder(dir string) fs.FS {
	if in := filepath.Join(dir, "evidence"); exists(in) {
		dir = in
	}
	return os.DirFS(dir)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// read is a file of at most 1 MiB: keys and checkpoints.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

func options(key string, witnesses []string, quorum int, earlier string) (o check.Options, err error) {
	if key != "" {
		k, err := keyOf(key)
		if err != nil {
			return o, fmt.Errorf("--key: %w", err)
		}
		o.Key = &k
	}
	for _, w := range witnesses {
		k, err := keyOf(w)
		if err != nil {
			return o, fmt.Errorf("--witness: %w", err)
		}
		o.Witnesses = append(o.Witnesses, k)
	}
	if o.Quorum = quorum; quorum < 0 {
		o.Quorum = len(witnesses)
	}
	if o.Quorum > len(witnesses) {
		return o, fmt.Errorf("--quorum %d: only %d witnesses are named", quorum, len(witnesses))
	}
	if earlier != "" {
		b, err := read(earlier)
		if err != nil {
			return o, err
		}
		o.Earlier = string(b)
	}
	return o, nil
}

// keyOf is a key, or the one that stands in a file.
func keyOf(s string) (check.Key, error) {
	if b, err := read(s); err == nil {
		s = strings.TrimSpace(string(b))
	}
	return check.ParseKey(s)
}
