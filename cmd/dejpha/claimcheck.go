package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/stated"
)

type claimCheckCmd struct {
	File string   `arg:"" help:"A file of figures that somebody stated (JSON; docs/stated.md)."`
	Key  []string `placeholder:"KEY" sep:"none" help:"Check claim files that are named against this verifier key from elsewhere, or a file that holds it. Repeatable, for merged claims."`
	JSON bool     `name:"json" help:"Write what was found as JSON."`
}

// Help is shown by claim check -h.
func (claimCheckCmd) Help() string {
	return `Example: dejpha claim check figures.json

A file of figures is a list such as
  [{"sentence": "33 million attacks were foiled last year.", "count": 33000000, "unit": "attacks",
    "window": {"from": "2018-01-01", "to": "2018-12-31"}, "source": "a newspaper"}]
With "claim": "claim.json" a figure names the claim file that is said to prove it.

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
	proofs, err := c.proofs(figures)
	if err != nil {
		return err
	}
	judged := stated.Judge(figures, proofs)
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

// proofs checks the claim files that figures name, beside the file of figures.
func (c claimCheckCmd) proofs(figures []stated.Figure) (map[string]stated.Proof, error) {
	keys, err := verifierKeys(c.Key)
	if err != nil {
		return nil, err
	}
	out := map[string]stated.Proof{}
	for _, f := range figures {
		if _, done := out[f.Claim]; done || f.Claim == "" {
			continue
		}
		name := f.Claim
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(c.File), name)
		}
		file, err := readClaim(name)
		if err != nil {
			return nil, usage("%s:%d: claim: %w", c.File, f.Line, err)
		}
		if file.One == nil {
			out[f.Claim] = proofOfMerged(file.Merged, keys)
			continue
		}
		key := claim.KeyFor(file.One.Log.Origin, keys)
		if key == "" && len(keys) == 1 {
			key = keys[0] // of another log: the check says so
		}
		out[f.Claim] = proofOf(file.One, key)
	}
	return out, nil
}

// proofOf is what a claim file shows, for a figure to be compared with.
func proofOf(c *claim.Claim, key string) stated.Proof {
	r := c.Check(key)
	p := counted(&r, c.Unit, c.Count.Net, c.Window, &c.Select)
	p.Kind, p.Sentence, p.Coverage = c.Log.Kind, c.Sentence, fmt.Sprintf("Of %.0f seconds at least %.0f were watched.", c.Coverage.Seconds, c.Coverage.Watched)
	return p
}

// proofOfMerged is what a claim over several logs shows: its parts, and a sum that rests on what it says of pairs.
func proofOfMerged(m *claim.Merged, keys []string) stated.Proof {
	r := m.Check(keys...)
	p := counted(&r, m.Unit, m.Count.Net, m.Window, &m.Select)
	p.Sentence, p.Said = m.Sentence, fmt.Sprintf("which attacks %d logs saw in common", len(m.Parts))
	for _, c := range m.Parts {
		if c != nil && (p.Kind == "" || c.Log.Kind != "live") {
			p.Kind = c.Log.Kind
		}
	}
	return p
}

func counted(r *claim.Result, unit string, net int64, w claim.Window, s *claim.Select) stated.Proof {
	p := stated.Proof{Key: r.Fingerprint, SelfCertified: r.SelfCertified, Unit: unit, Net: uint64(max(net, 0)), From: w.From.Go(), To: w.To.Go(),
		Classes: s.Class, Outcomes: s.Outcome, Results: s.Result, Risks: s.Risk, Sides: s.Side}
	if !r.OK() {
		p.Err = r.Problems[0]
	}
	return p
}
