package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/dejpha/dejpha/audit"
	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield"
)

type auditCmd struct {
	Claim     string   `arg:"" help:"A claim's file."`
	Dir       []string `short:"d" required:"" sep:"none" placeholder:"DIR|URL" help:"The log: its folder (evidence), the folder it lies in, or the address that serves its tiles. Repeatable, for merged claims: the folders of its logs, in any order."`
	Key       []string `placeholder:"KEY" sep:"none" help:"Check against this verifier key from elsewhere, or a file that holds it. Repeatable, for merged claims."`
	Sample    int      `default:"300" placeholder:"N" help:"Draw so many of the claimed attacks. ${default} without a find: fewer than 1 % are invented, at 95 % confidence."`
	Stretches int      `default:"-1" placeholder:"N" help:"Draw so many leaves and recount the stretches they lie in. Default as --sample."`
	Seed      string   `placeholder:"HEX" help:"Draw by this seed: one that whoever keeps the log could not know before. Default the operating system's randomness, printed."`
	Full      bool     `help:"Recount every leaf instead of stretches."`
	NoRerun   bool     `help:"Leave the detection alone."`
}

// Help is shown by audit -h.
func (auditCmd) Help() string {
	return "Example: dejpha audit claim.json -d out --sample 300\n         dejpha audit claim.json -d https://log.example.org --key key.txt --full\n         dejpha audit both.json -d east -d west --full"
}

// Run audits a claim.
func (c *auditCmd) Run(w *world) error {
	keys, err := verifierKeys(c.Key)
	if err != nil {
		return err
	}
	if c.Sample < 0 {
		return usage("--sample %d: draw 0 or more", c.Sample)
	}
	opt := audit.Options{Sample: c.Sample, Stretches: c.Stretches, Full: c.Full}
	if opt.Stretches < 0 {
		opt.Stretches = c.Sample
	}
	if opt.Seed, err = c.seed(); err != nil {
		return err
	}
	file, err := readClaim(c.Claim)
	if err != nil {
		return err
	}
	p := newProgress(w.stderr)
	opt.Progress = p.things
	if file.One == nil {
		return c.merged(w, file.Merged, keys, opt, p)
	}
	if len(c.Dir) > 1 || len(keys) > 1 {
		return usage("%s is the claim of one log: give one -d and at most one --key", c.Claim)
	}
	if len(keys) > 0 {
		opt.Key = keys[0]
	}
	src, err := c.source(&opt)
	if err != nil {
		return err
	}
	r, err := audit.Run(file.One, src, opt)
	p.clear()
	if err != nil {
		return fmt.Errorf("cannot read the log at %s: %w", c.Dir[0], err)
	}
	r.Print(w.stdout)
	if !r.OK() {
		return coded{exitWrong, fmt.Errorf("%s does not hold: %s", c.Claim, claim.Clean(r.Problems[0]))}
	}
	return nil
}

// merged audits a claim over several logs in their folders.
func (c *auditCmd) merged(w *world, m *claim.Merged, keys []string, opt audit.Options, p *progress) error {
	at := map[string]string{} // by the log's key
	for _, d := range c.Dir {
		if overHTTP(d) {
			return usage("%s is merged from several logs' claims, and what it compares is private: give the folders of its logs", c.Claim)
		}
		dir := shield.EvidenceFolder(d)
		h, err := evidence.ReadHead(dir)
		if err != nil {
			return noLog(d, err)
		}
		at[h.Key] = dir
	}
	dirs := make([]string, len(m.Parts))
	for i, part := range m.Parts {
		if part == nil {
			continue // the check says so
		}
		if dirs[i] = at[part.Log.Key]; dirs[i] == "" {
			return usage("part %d of %s: none of the folders holds the log %s", i+1, c.Claim, claim.Clean(part.Log.Origin))
		}
	}
	rerun := again
	if c.NoRerun {
		rerun = nil
	}
	r, err := audit.RunMerged(m, dirs, keys, opt, rerun)
	p.clear()
	if err != nil {
		return fmt.Errorf("cannot read the logs of %s: %w", c.Claim, err)
	}
	r.Print(w.stdout)
	if !r.OK() {
		return coded{exitWrong, fmt.Errorf("%s does not hold: %s", c.Claim, claim.Clean(r.First()))}
	}
	return nil
}

func (c *auditCmd) seed() ([]byte, error) {
	if c.Seed == "" {
		b := make([]byte, 16)
		_, err := rand.Read(b)
		return b, err
	}
	b, err := hex.DecodeString(c.Seed)
	if err != nil || len(b) == 0 || len(b) > 64 {
		return nil, usage("--seed %.80s: write 1 to 64 bytes in hexadecimal", c.Seed)
	}
	return b, nil
}

// overHTTP says whether a log is read over HTTP.
func overHTTP(at string) bool {
	return strings.HasPrefix(at, "http://") || strings.HasPrefix(at, "https://")
}

// source is where the log is read, and with what is to be had there.
func (c *auditCmd) source(opt *audit.Options) (audit.Source, error) {
	if overHTTP(c.Dir[0]) {
		return &audit.Web{Address: c.Dir[0]}, nil
	}
	dir := shield.EvidenceFolder(c.Dir[0])
	if _, err := evidence.ReadHead(dir); err != nil {
		return nil, noLog(c.Dir[0], err)
	}
	if !c.NoRerun {
		opt.Rerun = again(dir)
	}
	return audit.Folder(dir), nil
}

// again runs the detection again on the packets that a log keeps.
func again(dir string) func(leaf int64) (audit.Again, error) {
	return func(leaf int64) (audit.Again, error) {
		a, err := shield.Rerun(dir, leaf)
		if err == nil && !a.Kept {
			err = errors.New("its packets are gone")
		}
		return audit.Again{Found: a.Found, Wider: a.Wider, Text: a.Text}, err
	}
}
