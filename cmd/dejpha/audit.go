package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/dejpha/dejpha/audit"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield"
)

type auditCmd struct {
	Claim     string `arg:"" help:"A claim's file."`
	Dir       string `short:"d" required:"" placeholder:"DIR|URL" help:"The log: its folder (evidence), the folder it lies in, or the address that serves its tiles."`
	Key       string `placeholder:"KEY" help:"Check against this verifier key from elsewhere, or a file that holds it."`
	Sample    int    `default:"300" placeholder:"N" help:"Draw so many of the claimed attacks. ${default} without a find: fewer than 1 % are invented, at 95 % confidence."`
	Stretches int    `default:"-1" placeholder:"N" help:"Draw so many leaves and recount the stretches they lie in. Default as --sample."`
	Seed      string `placeholder:"HEX" help:"Draw by this seed: one that whoever keeps the log could not know before. Default the operating system's randomness, printed."`
	Full      bool   `help:"Recount every leaf instead of stretches."`
	NoRerun   bool   `help:"Leave the detection alone."`
}

// Help is shown by audit -h.
func (auditCmd) Help() string {
	return "Example: dejpha audit claim.json -d out --sample 300\n         dejpha audit claim.json -d https://log.example.org --key key.txt --full"
}

// Run audits a claim.
func (c *auditCmd) Run(w *world) error {
	key, err := verifierKey(c.Key)
	if err != nil {
		return err
	}
	if c.Sample < 0 {
		return usage("--sample %d: draw 0 or more", c.Sample)
	}
	opt := audit.Options{Key: key, Sample: c.Sample, Stretches: c.Stretches, Full: c.Full}
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
	if file.One == nil {
		return usage("%s is merged from several logs' claims; audit each of its parts against its own log", c.Claim)
	}
	src, err := c.source(&opt)
	if err != nil {
		return err
	}
	p := newProgress(w.stderr)
	opt.Progress = p.things
	r, err := audit.Run(file.One, src, opt)
	p.clear()
	if err != nil {
		return fmt.Errorf("cannot read the log at %s: %w", c.Dir, err)
	}
	r.Print(w.stdout)
	if !r.OK() {
		return coded{exitWrong, fmt.Errorf("%s does not hold: %s", c.Claim, r.Problems[0])}
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

// source is where the log is read, and with what is to be had there.
func (c *auditCmd) source(opt *audit.Options) (audit.Source, error) {
	if strings.HasPrefix(c.Dir, "http://") || strings.HasPrefix(c.Dir, "https://") {
		return &audit.Web{Address: c.Dir}, nil
	}
	dir := shield.EvidenceFolder(c.Dir)
	if _, err := evidence.ReadHead(dir); err != nil {
		return nil, noLog(c.Dir, err)
	}
	if !c.NoRerun {
		opt.Rerun = func(leaf int64) (audit.Again, error) {
			a, err := shield.Rerun(dir, leaf)
			if err == nil && !a.Kept {
				err = errors.New("its packets are gone")
			}
			return audit.Again{Found: a.Found, Wider: a.Wider, Text: a.Text}, err
		}
	}
	return audit.Folder(dir), nil
}
