package main

import (
	"fmt"
	"io"
	"os"

	"github.com/dejpha/dejpha/stated"
)

type claimCheckCmd struct {
	File string `arg:"" help:"A file of figures that somebody stated (JSON; docs/stated.md)."`
	JSON bool   `name:"json" help:"Write what was found as JSON."`
}

// Help is shown by claim check -h.
func (claimCheckCmd) Help() string {
	return `Example: dejpha claim check figures.json

A file of figures is a list such as
  [{"sentence": "33 million attacks were foiled last year.", "count": 33000000, "unit": "attacks",
    "window": {"from": "2018-01-01", "to": "2018-12-31"}, "source": "a newspaper"}]

Exit code 4: at least one of them is contradictory.`
}

// figuresMax is how much of a file of figures is read; stated refuses less.
const figuresMax = 8 << 20

// Run judges the file's figures, each alone and beside the others.
func (c claimCheckCmd) Run(w *world) error {
	f, err := os.Open(c.File)
	if err != nil {
		return usage("%v", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, figuresMax))
	if err != nil {
		return usage("%v", err)
	}
	figures, err := stated.Read(c.File, b)
	if err != nil {
		return coded{exitUsage, err}
	}
	judged := stated.Judge(figures, nil)
	if c.JSON {
		if err := stated.PrintJSON(w.stdout, judged); err != nil {
			return err
		}
	} else {
		stated.Print(w.stdout, judged)
	}
	if n := stated.Count(judged)[stated.Contradictory]; n > 0 {
		return coded{exitWrong, fmt.Errorf("%s: %d of %d figures cannot hold as stated", c.File, n, len(judged))}
	}
	return nil
}
