// Command dejpha-verify checks a claim file, or a whole log folder, without trusting the program that made it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
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

const usage = `dejpha-verify CLAIM [--key VKEY]... [--witness VKEY]... [--quorum N] [--earlier FILE [--consistency FILE]] [--json]
dejpha-verify --log DIR [the same]

Checks a claim file of dejpha, or recounts the whole log in DIR (a run's folder or its "evidence").
For example: dejpha-verify november.json --key shield.example+1a2b3c4d+AbCd... --earlier october.checkpoint

  --key VKEY          the log's key from elsewhere, or a file that holds it; without it the check is self-certified
  --witness VKEY      a witness's key, or a file that holds it
  --quorum N          how many of the witnesses must have cosigned; all that are named if not given
  --earlier FILE      a checkpoint of the same log kept from before: the newer one must lead on from it
  --consistency FILE  the consistency proof from it, a hash in base64 a line; a whole log needs none
  --json              the result as JSON
Exit: 0 proven, 2 the command line or a file is not what it should be, 4 something is wrong.
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, say io.Writer) int {
	r, asJSON, err := checked(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return exitDone
	case err != nil:
		fmt.Fprintf(say, "dejpha-verify: %v\n", err)
		return exitUsage
	case asJSON:
		fmt.Fprintf(out, "%s\n", r.JSON())
	default:
		r.Print(out)
	}
	if !r.OK() {
		return exitWrong
	}
	return exitDone
}

// checked does what the command line asks for.
func checked(args []string) (r check.Result, asJSON bool, err error) {
	o, files := check.Options{Quorum: -1}, []string{}
	flags := flag.NewFlagSet("dejpha-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	log := flags.String("log", "", "")
	flags.BoolVar(&asJSON, "json", false, "")
	flags.IntVar(&o.Quorum, "quorum", -1, "")
	flags.Func("key", "", func(s string) error { return addKey(&o.Keys, s) })
	flags.Func("witness", "", func(s string) error { return addKey(&o.Witnesses, s) })
	flags.Func("earlier", "", func(path string) error { return read(&o.Earlier, path) })
	flags.Func("consistency", "", func(path string) error { return read(&o.Consistency, path) })
	for rest := args; ; rest = rest[1:] { // flags may stand behind the file
		if err := flags.Parse(rest); err != nil {
			return r, asJSON, err
		}
		if rest = flags.Args(); len(rest) == 0 {
			break
		}
		files = append(files, rest[0])
	}
	if o.Quorum < 0 {
		o.Quorum = len(o.Witnesses)
	}
	switch {
	case o.Quorum > len(o.Witnesses):
		return r, asJSON, fmt.Errorf("--quorum %d: only %d witnesses are named", o.Quorum, len(o.Witnesses))
	case o.Consistency != "" && o.Earlier == "":
		return r, asJSON, errors.New("--consistency needs --earlier, the checkpoint that it leads from")
	case len(files) == 0 && *log != "":
		if in := filepath.Join(*log, "evidence"); exists(in) {
			*log = in
		}
		r, err = check.Log(os.DirFS(*log), o)
	case len(files) == 1 && *log == "":
		var b string
		if err = read(&b, files[0]); err == nil {
			r, err = check.Claim([]byte(b), o)
		}
	default:
		err = errors.New("give one claim file, or --log DIR; -h shows the flags")
	}
	return r, asJSON, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// read takes a file of at most what a claim may have; one byte more lets the check say so.
func read(into *string, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, check.ClaimMax+1))
	*into = string(b)
	return err
}

// addKey takes a key, or the one that stands in a file.
func addKey(list *[]check.Key, s string) error {
	if exists(s) {
		if err := read(&s, s); err != nil {
			return err
		}
	}
	k, err := check.ParseKey(strings.TrimSpace(s))
	*list = append(*list, k)
	return err
}
