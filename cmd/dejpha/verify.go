package main

import (
	"fmt"
	"os"

	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield"
)

type verifyCmd struct {
	Dir    string `arg:"" help:"The folder of a log (evidence), or the folder it lies in."`
	Key    string `placeholder:"KEY" help:"Check against this verifier key from elsewhere, or a file that holds it."`
	Attack int64  `placeholder:"LEAF" default:"-1" help:"Run the detection again on the packets of the attack sealed in this leaf."`
}

// Help is shown by verify -h.
func (verifyCmd) Help() string {
	return "Example: dejpha verify out/evidence\n         dejpha verify --attack 12 out"
}

// Run checks the log from its files alone.
func (c verifyCmd) Run(w *world) error {
	dir := shield.EvidenceFolder(c.Dir)
	key := c.Key
	if b, err := os.ReadFile(key); key != "" && err == nil {
		key = string(b)
	}
	report, err := evidence.CheckAll(dir, key)
	if err != nil {
		return coded{exitUsage, fmt.Errorf("cannot read the log: %w", err)}
	}
	report.Print(w.stdout)
	if !report.OK() {
		return coded{exitWrong, fmt.Errorf("%s does not hold: %d problems", dir, report.ProblemCount)}
	}
	if c.Attack < 0 {
		return nil
	}
	text, same, err := shield.Rerun(dir, c.Attack)
	if err != nil {
		return coded{exitUsage, err}
	}
	fmt.Fprintln(w.stdout, text)
	if !same {
		return coded{exitWrong, fmt.Errorf("the packets kept with leaf %d do not show its attack again", c.Attack)}
	}
	return nil
}
