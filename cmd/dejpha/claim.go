package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield"
)

// claimCmd is what concerns claims.
type claimCmd struct {
	Make  claimMakeCmd  `cmd:"" help:"Make a file that shows a stranger how many attacks a log counted in a window."`
	Show  claimShowCmd  `cmd:"" help:"Check a claim's file and say what it claims, what it covers and what it does not show."`
	Check claimCheckCmd `cmd:"" help:"Judge figures that somebody stated: proven, partly, unverifiable or contradictory, and why."`
	Merge claimMergeCmd `cmd:"" help:"Make one claim of several logs' claims that counts no attack twice."`
	Pairs claimPairsCmd `cmd:"" help:"Draw pairs of a merged claim and open them in the logs: are they one attack?"`
}

type claimMakeCmd struct {
	Dir     string   `short:"d" required:"" placeholder:"DIR" help:"The folder of a log (evidence), or the folder it lies in."`
	Class   []string `placeholder:"CLASS" help:"Only attacks of this class. Repeatable, as the next four."`
	Outcome []string `placeholder:"OUTCOME" help:"Only: foiled, contained, observed."`
	Result  []string `placeholder:"RESULT" help:"Only: succeeded, failed, unknown."`
	Risk    []string `placeholder:"RISK" help:"Only: real, decoy, none."`
	Side    []string `placeholder:"SIDE" help:"Only: outside, inside."`
	From    string   `placeholder:"TIME" help:"Begin of the window, UTC: 2026-11-01, 2026-11-01T08:30, 2026-11-01T08:30:00Z. Default the log's begin."`
	To      string   `placeholder:"TIME" help:"End of the window. Default the log's end."`
	Sensor  []string `placeholder:"NAME" help:"What the claim says of the sensor; said, not proven. Default the log's origin."`
	Out     string   `short:"o" placeholder:"FILE" help:"Write the claim there. Default the standard output."`
}

// Help is shown by claim make -h.
func (claimMakeCmd) Help() string {
	return "Example: dejpha claim make -d out --class brute-force --outcome foiled --from 2026-11-01 --to 2026-12-01 -o claim.json"
}

type claimShowCmd struct {
	File string   `arg:"" help:"A claim's file."`
	Key  []string `placeholder:"KEY" help:"Check against this verifier key from elsewhere, or a file that holds it. Repeatable, for merged claims."`
}

type claimMergeCmd struct {
	File []string `arg:"" help:"Files of claims over the same selection and window."`
	Dir  []string `short:"d" required:"" placeholder:"DIR" help:"The folders of their logs, in any order: what is compared is private and stands in no claim."`
	Out  string   `short:"o" placeholder:"FILE" help:"Write the claim there. Default the standard output."`
}

// Help is shown by claim merge -h.
func (claimMergeCmd) Help() string {
	return "Example: dejpha claim merge east.json west.json -d east -d west -o both.json"
}

type claimPairsCmd struct {
	File   string   `arg:"" help:"A merged claim's file."`
	Dir    []string `short:"d" required:"" placeholder:"DIR" help:"The folders of its logs, in any order."`
	Sample int      `placeholder:"N" default:"300" help:"How many pairs are drawn."`
	Seed   string   `placeholder:"HEX" help:"What decides which. Default random."`
}

// Help is shown by claim pairs -h.
func (claimPairsCmd) Help() string {
	return "Example: dejpha claim pairs both.json -d east -d west --sample 300"
}

// Help is shown by claim show -h.
func (claimShowCmd) Help() string { return "Example: dejpha claim show claim.json --key key.txt" }

// Run makes a claim.
func (c *claimMakeCmd) Run(w *world) error {
	dir := shield.EvidenceFolder(c.Dir)
	whole, err := claim.Whole(dir)
	if err != nil {
		return noLog(c.Dir, err)
	}
	window := whole
	for _, x := range []struct {
		flag, text string
		to         *claim.Time
	}{{"--from", c.From, &window.From}, {"--to", c.To, &window.To}} {
		if x.text != "" {
			if *x.to, err = moment(x.flag, x.text); err != nil {
				return err
			}
		}
	}
	made, err := claim.Make(dir, claim.Select{Class: c.Class, Outcome: c.Outcome, Result: c.Result, Risk: c.Risk, Side: c.Side}, window, c.Sensor...)
	if err != nil {
		return noLog(c.Dir, err)
	}
	return writeClaim(w, c.Out, made.Encode(), made.Sentence)
}

// writeClaim writes a claim's file and tells its sentence, where that does not get in the file's way.
func writeClaim(w *world, path string, b []byte, sentence string) error {
	if path == "" || path == "-" {
		_, err := w.stdout.Write(b)
		return err
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return fmt.Errorf("cannot write the claim: %w", err)
	}
	fmt.Fprintln(w.stdout, sentence)
	return nil
}

// noLog gives what keeps a claim from being made its exit code: a log that is damaged is no fault of the command line.
func noLog(dir string, err error) error {
	var damaged *evidence.CorruptError
	switch {
	case errors.As(err, &damaged):
		return coded{exitWrong, fmt.Errorf("%s: %w; see dejpha verify", dir, err)}
	case errors.Is(err, os.ErrNotExist):
		return usage("%s holds no log: %v", dir, err)
	}
	return usage("%s: %v", dir, err)
}

// moment reads a time, UTC unless it names a zone.
func moment(flag, text string) (claim.Time, error) {
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateTime, time.RFC3339} {
		if t, err := time.Parse(layout, strings.TrimSuffix(text, " UTC")); err == nil {
			return claim.TimeOf(t), nil
		}
	}
	return 0, usage("%s %q: no time; write it as 2026-11-01, 2026-11-01T08:30 or 2026-11-01T08:30:00Z", flag, text)
}

// readClaim reads a claim's file.
func readClaim(path string) (claim.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return claim.File{}, usage("%v", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, claim.FileMax+1))
	if err != nil {
		return claim.File{}, usage("%v", err)
	}
	file, err := claim.Read(b)
	if err != nil {
		return file, usage("%s: %v", path, err)
	}
	return file, nil
}

// Run checks a claim and shows it.
func (c *claimShowCmd) Run(w *world) error {
	keys, err := verifierKeys(c.Key)
	if err != nil {
		return err
	}
	file, err := readClaim(c.File)
	if err != nil {
		return err
	}
	var r claim.Result
	if file.Merged != nil {
		r = file.Merged.Check(keys...)
		file.Merged.Print(w.stdout, &r)
	} else {
		key := claim.KeyFor(file.One.Log.Origin, keys)
		if key == "" && len(keys) > 0 {
			key = keys[0] // of another log: the check says so
		}
		r = file.One.Check(key)
		file.One.Print(w.stdout, &r)
	}
	if !r.OK() {
		return coded{exitWrong, fmt.Errorf("%s does not hold: %s", c.File, claim.Clean(r.Problems[0]))}
	}
	return nil
}

// folders are the logs' folders in the folders given.
func folders(dirs []string) (out []string) {
	for _, d := range dirs {
		out = append(out, shield.EvidenceFolder(d))
	}
	return out
}

// Run merges claims.
func (c *claimMergeCmd) Run(w *world) error {
	var parts []*claim.Claim
	for _, name := range c.File {
		file, err := readClaim(name)
		if err != nil {
			return err
		}
		if file.One == nil {
			return usage("%s is merged already: merge the claims of the single logs", name)
		}
		if r := file.One.Check(""); !r.OK() {
			return coded{exitWrong, fmt.Errorf("%s does not hold: %s", name, claim.Clean(r.Problems[0]))}
		}
		parts = append(parts, file.One)
	}
	merged, err := claim.Merge(parts, folders(c.Dir))
	if err != nil {
		return noLog(strings.Join(c.Dir, ", "), err)
	}
	return writeClaim(w, c.Out, merged.Encode(), merged.Sentence)
}

// Run draws pairs.
func (c *claimPairsCmd) Run(w *world) error {
	file, err := readClaim(c.File)
	if err != nil {
		return err
	}
	if file.Merged == nil {
		return usage("%s is the claim of one log: it has no pairs", c.File)
	}
	if c.Sample < 1 {
		return usage("--sample %d: at least one pair", c.Sample)
	}
	seed, err := hex.DecodeString(c.Seed)
	if err != nil {
		return usage("--seed %s: not hexadecimal", c.Seed)
	}
	if len(seed) == 0 {
		seed = make([]byte, 32)
		_, _ = rand.Read(seed) // never an error
	}
	if r := file.Merged.Check(); !r.OK() {
		return coded{exitWrong, fmt.Errorf("%s does not hold: %s", c.File, claim.Clean(r.Problems[0]))}
	}
	d, err := file.Merged.Draw(folders(c.Dir), c.Sample, seed)
	if err != nil {
		return noLog(strings.Join(c.Dir, ", "), err)
	}
	for _, p := range d.Problems {
		fmt.Fprintln(w.stdout, "WRONG      "+p)
	}
	fmt.Fprintf(w.stdout, "drawn      %d of %d pairs with seed %x; %d could not be opened, for they were erased\n", d.Drawn, d.All, seed, d.Withheld)
	if len(d.Problems) > 0 {
		return coded{exitWrong, fmt.Errorf("%s: %d of %d pairs drawn are not one attack by its rule", c.File, len(d.Problems), d.Drawn)}
	}
	return nil
}
