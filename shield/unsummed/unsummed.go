// Package unsummed tells recordings whose checksums were left to the hardware and so say nothing.
//
// In: a capture's name, or its source. Out: a judgement, and the source with every frame marked. Called by shield.
package unsummed

import (
	"os"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/decode"
)

// Source hands on a recording whose checksums say nothing.
type Source struct{ capture.Source }

// Next implements capture.Source.
func (u Source) Next(f *capture.Frame) error {
	err := u.Source.Next(f)
	f.Unsummed = true
	return err
}

// Is reads the beginning of a regular file, as Suricata does. Pipes can be read but once, and are judged strictly.
func Is(name string) bool {
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return false
	}
	r, err := file.Open(name)
	if err != nil {
		return false // whoever opens it next says why
	}
	defer r.Close()
	var f capture.Frame
	return decode.SumsSayNothing(func() (uint16, []byte, uint32, bool) {
		err := r.Next(&f)
		return f.LinkType, f.Data, f.WireLen, err == nil
	})
}
