// Command dejpha-verify checks a claim file, or a whole log folder, without trusting the program that made it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/dejpha/dejpha/verifier/check"
)

const usage = `dejpha-verify CLAIM|--log DIR [--key VKEY]... [--witness VKEY]... [--quorum N] [--earlier FILE [--consistency FILE]] [--json]
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

// run does what the command line asks for and returns the exit code, as the usage has it.
func run(args []string, out, say io.Writer) int {
	o, files, r := check.Options{}, []string{}, check.Result{}
	flags := flag.NewFlagSet("dejpha-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	log, asJSON := flags.String("log", "", ""), flags.Bool("json", false, "")
	flags.IntVar(&o.Quorum, "quorum", -1, "")
	flags.Func("key", "", func(s string) error { return addKey(&o.Keys, s) })
	flags.Func("witness", "", func(s string) error { return addKey(&o.Witnesses, s) })
	flags.Func("earlier", "", func(path string) error { return read(&o.Earlier, path) })
	flags.Func("consistency", "", func(path string) error { return read(&o.Consistency, path) })
	err := flags.Parse(args)
	for ; err == nil && flags.NArg() > 0; err = flags.Parse(flags.Args()[1:]) { // flags may stand behind the file
		files = append(files, flags.Arg(0))
	}
	switch file := ""; {
	case err != nil:
	case len(files) == 0 && *log != "":
		if in := filepath.Join(*log, "evidence"); read(&file, filepath.Join(in, "format")) == nil {
			*log = in
		}
		r, err = check.Log(os.DirFS(*log), o)
	case len(files) == 1 && *log == "":
		if err = read(&file, files[0]); err == nil {
			r, err = check.Claim([]byte(file), o)
		}
	default:
		err = errors.New("give one claim file, or --log DIR; -h shows the flags")
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return 0
	case err != nil:
		fmt.Fprintf(say, "dejpha-verify: %v\n", err)
		return 2
	case *asJSON:
		_ = json.NewEncoder(out).Encode(r)
	default:
		r.Print(out)
	}
	if !r.OK() {
		return 4
	}
	return 0
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
	if text := ""; read(&text, s) == nil {
		s = text
	}
	k, err := check.ParseKey(strings.TrimSpace(s))
	*list = append(*list, k)
	return err
}
