package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield"
	"github.com/dejpha/dejpha/witness/ask"
)

type verifyCmd struct {
	Dir     string   `arg:"" help:"The folder of a log (evidence), or the folder it lies in."`
	Key     string   `placeholder:"KEY" help:"Check against this verifier key from elsewhere, or a file that holds it."`
	Earlier []string `placeholder:"FILE" sep:"none" help:"A checkpoint of this log that was kept elsewhere: nothing may contradict it. Repeatable."`
	Counts  bool     `help:"Recount what is public; leave private parts and packets closed. About a million leaves a second."`
	Keys    []string `name:"witness" sep:"none" placeholder:"KEY" help:"Verifier key of a witness whose cosignature is checked. Repeatable."`
	Quorum  int      `placeholder:"N" default:"0" help:"So many of the named witnesses must have cosigned the log; 0: it is only told who has."`
	Attack  int64    `placeholder:"LEAF" default:"-1" help:"Run the detection again on the packets of the attack sealed in this leaf."`
}

// Help is shown by verify -h.
func (verifyCmd) Help() string {
	return "Example: dejpha verify out/evidence\n         dejpha verify --attack 12 out"
}

// verifierKey reads a key that was given as such or as the name of a file that holds it.
func verifierKey(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	b, err := os.ReadFile(text)
	if err != nil {
		b = []byte(text)
	}
	key := strings.TrimSpace(string(b))
	if _, bad := note.NewVerifier(key); bad == nil {
		return key, nil
	}
	if err != nil && !strings.Contains(text, "+") {
		return "", usage("--key %s: no verifier key, and no file that holds one: %v", text, errors.Unwrap(err))
	}
	return "", usage("--key %s: not a verifier key; it looks like NAME+HASH+KEY, as in the log's file format", text)
}

// verifierKeys reads several.
func verifierKeys(texts []string) (keys []string, err error) {
	for _, text := range texts {
		key, err := verifierKey(text)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// witnessed tells who cosigned the log: a line for a person, and how many of the named witnesses.
func (c verifyCmd) witnessed(dir, key string) (line string, signed int, err error) {
	panel, err := ask.NewPanel(c.Keys, make([]string, len(c.Keys)), c.Quorum)
	if err != nil {
		return "", 0, coded{exitUsage, err}
	}
	b, err := evidence.ReadCosigned(dir)
	own, err2 := evidence.ReadHead(dir)
	if err != nil || err2 != nil || b == nil {
		return "", 0, nil // what is wrong with them the report says
	}
	if key == "" {
		key = own.Key
	}
	s, unchecked, err := panel.Check(b, key)
	if err != nil {
		return "", 0, nil
	}
	slices.Sort(unchecked)
	by, others := strings.Join(s.By, ", "), strings.Join(slices.Compact(unchecked), ", ")
	if by == "" {
		by = "nobody named here"
	}
	if others != "" {
		others = "; unchecked, for their keys are not known here (--witness): " + others
	}
	return fmt.Sprintf("cosigned   %d leaves by %s%s\n", s.Head.Size, by, others), len(s.By), nil
}

// Run checks the log from its files alone.
func (c verifyCmd) Run(w *world) error {
	dir := shield.EvidenceFolder(c.Dir)
	key, err := verifierKey(c.Key)
	if err != nil {
		return err
	}
	opt := evidence.CheckOptions{Key: key, Public: c.Counts}
	for _, name := range c.Earlier {
		b, err := os.ReadFile(name)
		if err != nil {
			return usage("--earlier: %v", err)
		}
		opt.Earlier = append(opt.Earlier, b)
	}
	report, err := evidence.Check(dir, opt)
	if err != nil {
		return coded{exitUsage, fmt.Errorf("cannot read the log: %w", err)}
	}
	line, signed, err := c.witnessed(dir, key)
	if err != nil {
		return err
	}
	fmt.Fprint(w.stdout, line)
	report.Print(w.stdout)
	if signed < c.Quorum {
		return coded{exitWrong, fmt.Errorf("%d of the named witnesses have cosigned %s, not %d", signed, dir, c.Quorum)}
	}
	if !report.OK() {
		return coded{exitWrong, fmt.Errorf("%s does not hold: %d problems", dir, report.ProblemCount)}
	}
	if c.Attack < 0 {
		return nil
	}
	again, err := shield.Rerun(dir, c.Attack)
	if err != nil {
		return coded{exitUsage, err}
	}
	fmt.Fprintln(w.stdout, again.Text)
	if again.Kept && !again.Found && !again.Wider {
		return coded{exitWrong, fmt.Errorf("the packets kept with leaf %d do not show its attack again", c.Attack)}
	}
	return nil
}
