package shield

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/evidence"
)

// EvidenceFolder is dir itself if it holds a log, else the log's folder in it.
func EvidenceFolder(dir string) string {
	if below := filepath.Join(dir, "evidence"); exists(below) {
		return below
	}
	return dir
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// Again is what the packets kept with an attack's leaf show when the detection runs on them again.
type Again struct {
	Kept  bool   // there are packets
	Found bool   // the attack's class shows again
	Wider bool   // it does not, and was told by behaviour over more than the kept packets: no contradiction
	Text  string // for a person
}

// Rerun runs the rules and detectors that were in force again on the packets kept with an attack's leaf. What decided
// the outcome, verdicts on a live line, cannot be run again.
func Rerun(dir string, leaf int64) (a Again, err error) {
	r, err := evidence.ReadRecord(dir, leaf)
	if errors.Is(err, evidence.ErrErased) {
		return a, fmt.Errorf("leaf %d holds no attack whose record can be read: it is another kind of leaf, or its private part is gone", leaf)
	}
	if err != nil {
		return a, fmt.Errorf("leaf %d: %w", leaf, err)
	}
	pcap, err := evidence.ReadPackets(dir, leaf)
	if err != nil || len(pcap) == 0 { // none were kept, or they are erased
		a.Text = fmt.Sprintf("leaf %d: %s, %v; no packets are kept with it, its detection cannot be run again", leaf, r.Class, r.Detectors)
		return a, nil
	}
	setup, err := setupOf(dir, leaf)
	if err != nil {
		return a, fmt.Errorf("leaf %d: %w", leaf, err)
	}
	sum := &Summary{}
	e, err := newEngine(&setup.settings, io.Discard, sum, nil)
	if err != nil {
		return a, err
	}
	src, err := file.New("kept packets", bytes.NewReader(pcap))
	if err != nil {
		return a, err
	}
	if err := errors.Join(e.play(src, nil, nil), e.close()); err != nil {
		return a, err
	}
	a.Kept, a.Found = true, sum.ByClass[r.Class] > 0
	a.Wider = !a.Found && len(r.Alerts) == 0
	form := "leaf %d: %s; its %d kept packets, run again, show: %v"
	if a.Wider {
		form = "leaf %d: %s, told by behaviour over more than its %d kept packets, which alone show: %v"
	}
	a.Text = fmt.Sprintf(form, leaf, r.Class, sum.Ledger.Received, sum.ByClass)
	return a, nil
}

// setupOf is the setup that an attack was found with; of a log that was not told its rules, the own ones.
func setupOf(dir string, leaf int64) (*Setup, error) {
	packed, err := evidence.ReadRules(dir, leaf)
	if err != nil {
		return nil, err
	}
	if packed == nil {
		return NewSetup(SetupOptions{Detectors: true, Workers: 1, Checksums: "none"})
	}
	folder, err := os.MkdirTemp("", "dejpha-rules-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	return unpack(packed, folder)
}
