package audit

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/evidence"
)

// MergedReport is what an audit of a claim over several logs found.
type MergedReport struct {
	Claim         *claim.Merged
	Fingerprint   string
	SelfCertified bool
	Parts         []Report    // each part against its own log
	Pairs         claim.Drawn // pairs, opened in the logs
	Again         string      // what merging again showed; "": it was not asked for, or no part held
	Problems      []string    // of the claim, its pairs and its merging
}

// OK says whether nothing was found wrong.
func (r *MergedReport) OK() bool { return r.count() == 0 }

func (r *MergedReport) count() uint64 {
	n := uint64(len(r.Problems))
	for i := range r.Parts {
		n += r.Parts[i].ProblemCount
	}
	return n
}

// First is the first thing that is wrong, "" if nothing is.
func (r *MergedReport) First() string {
	if len(r.Problems) > 0 {
		return r.Problems[0]
	}
	for i := range r.Parts {
		if !r.Parts[i].OK() {
			return fmt.Sprintf("part %d: %s", i+1, r.Parts[i].Problems[0])
		}
	}
	return ""
}

// RunMerged audits a claim over several logs: each part against its log, as Run does, then pairs, as many as attacks are
// drawn; with Options.Full all pairs, and the logs are merged again, which finds a pair that is missing. dirs are the
// logs' folders in the parts' order, keys verifier keys from elsewhere. rerun is Options.Rerun of a folder, or nil.
func RunMerged(m *claim.Merged, dirs, keys []string, opt Options, rerun func(dir string) func(int64) (Again, error)) (MergedReport, error) {
	checked := m.Check(keys...)
	r := MergedReport{Claim: m, Fingerprint: checked.Fingerprint, SelfCertified: checked.SelfCertified}
	for _, p := range checked.Problems {
		r.Problems = append(r.Problems, "the claim does not hold in itself: "+p)
	}
	if !r.OK() {
		return r, nil
	}
	for i, c := range m.Parts {
		own := opt
		own.Key = claim.KeyFor(c.Log.Origin, keys)
		if rerun != nil {
			own.Rerun = rerun(dirs[i])
		}
		part, err := Run(c, Folder(dirs[i]), own)
		r.Parts = append(r.Parts, part)
		if err != nil {
			return r, fmt.Errorf("part %d: %w", i+1, err)
		}
	}
	if !r.OK() { // what is behind pairs of leaves that are not the signed ones says nothing
		return r, nil
	}
	sample := opt.Sample
	if opt.Full {
		sample = len(m.Pairs)
	}
	var err error
	if r.Pairs, err = m.Draw(dirs, sample, opt.Seed); r.wrong(err) != nil {
		return r, err
	}
	r.Problems = append(r.Problems, r.Pairs.Problems...)
	if opt.Full && r.OK() {
		return r, r.again(dirs)
	}
	return r, nil
}

// wrong takes in an error that says something of the logs; another is handed back.
func (r *MergedReport) wrong(err error) error {
	var no *claim.MergeError
	var damaged *evidence.CorruptError
	if errors.As(err, &no) || errors.As(err, &damaged) {
		r.Problems = append(r.Problems, err.Error())
		return nil
	}
	return err
}

// again merges again: the same parts give the same pairs.
func (r *MergedReport) again(dirs []string) error {
	m, err := claim.Merge(r.Claim.Parts, dirs)
	switch {
	case err != nil:
		return r.wrong(err)
	case !slices.Equal(m.Unmatched, r.Claim.Unmatched): // what was erased since cannot be compared any more
		r.Again = "attacks were erased since it was made: which pairs it would have now says nothing of those it has"
	case !slices.Equal(m.Pairs, r.Claim.Pairs):
		r.Problems = append(r.Problems, fmt.Sprintf("merged again, the logs show %d pairs and together %d attacks, where it has %d and counts %d", len(m.Pairs), m.Count.Net, len(r.Claim.Pairs), r.Claim.Count.Net))
	default:
		r.Again = fmt.Sprintf("merged again from the logs, the same %s pairs came of it: none is missing, none too many by its rule", number(uint64(len(m.Pairs))))
	}
	return nil
}

// Print writes the report for a person; its last line is the verdict.
func (r *MergedReport) Print(w io.Writer) {
	line := liner(w)
	line("claim", "%s", r.Claim.Sentence)
	for i := range r.Parts {
		p := &r.Parts[i]
		line(fmt.Sprintf("part %d", i+1), "%s, %s leaves in the window: %s", p.Claim.Log.Origin, number(p.Leaves), p.Claim.Sentence)
		p.body(line)
	}
	if len(r.Parts) == len(r.Claim.Parts) && r.Pairs.All+r.Pairs.Drawn > 0 {
		drawn := uint64(r.Pairs.Drawn - r.Pairs.Withheld)
		line("pairs", "%d of %d drawn; %d could not be opened, for they were erased; %d are not one attack", r.Pairs.Drawn, r.Pairs.All, r.Pairs.Withheld, len(r.Pairs.Problems))
		if text := bound(uint64(r.Pairs.All), drawn, "pairs", "join different attacks"); len(r.Pairs.Problems) == 0 && text != "" {
			line("so", "%s", text)
		}
	}
	if r.Again != "" {
		line("merging", "%s", r.Again)
	} else if r.OK() {
		line("merging", "that no pair is missing was not looked at: --full merges again")
	}
	for _, p := range r.Problems {
		line("WRONG", "%s", p)
	}
	closing(w, r.count(), r.SelfCertified, r.Fingerprint)
}
