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

// Rerun runs the own rules and detectors again on the packets kept with an attack's leaf. same: its class was found
// again. An attack told by behaviour over many flows is not shown by the packets of its last one; text says so.
func Rerun(dir string, leaf int64) (text string, same bool, err error) {
	r, err := evidence.ReadRecord(dir, leaf)
	if errors.Is(err, evidence.ErrErased) {
		return "", false, fmt.Errorf("leaf %d holds no attack whose record can be read: it is another kind of leaf, or its private part is gone", leaf)
	}
	if err != nil {
		return "", false, fmt.Errorf("leaf %d: %w", leaf, err)
	}
	pcap, err := evidence.ReadPackets(dir, leaf)
	if err != nil || len(pcap) == 0 { // none were kept, or they are erased
		return fmt.Sprintf("leaf %d: %s, %v; no packets are kept with it, its detection cannot be run again", leaf, r.Class, r.Detectors), true, nil
	}
	setup, err := setupOf(dir, leaf)
	if err != nil {
		return "", false, fmt.Errorf("leaf %d: %w", leaf, err)
	}
	sum := &Summary{}
	e, err := newEngine(&setup.settings, io.Discard, sum, nil)
	if err != nil {
		return "", false, err
	}
	src, err := file.New("kept packets", bytes.NewReader(pcap))
	if err != nil {
		return "", false, err
	}
	if err := e.play(src, nil, nil); err != nil {
		return "", false, err
	}
	if err := e.close(); err != nil {
		return "", false, err
	}
	same = sum.ByClass[r.Class] > 0
	if !same && len(r.Alerts) == 0 {
		return fmt.Sprintf("leaf %d: %s, told by behaviour over more than its %d kept packets, which alone show: %v", leaf, r.Class, sum.Ledger.Received, sum.ByClass), true, nil
	}
	return fmt.Sprintf("leaf %d: %s; its %d kept packets, run again, show: %v", leaf, r.Class, sum.Ledger.Received, sum.ByClass), same, nil
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
