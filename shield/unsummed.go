package shield

import (
	"os"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/decode"
)

// unsummed hands on a recording whose checksums say nothing.
type unsummed struct{ capture.Source }

// Next implements capture.Source.
func (u unsummed) Next(f *capture.Frame) error {
	err := u.Source.Next(f)
	f.Unsummed = true
	return err
}

// sumsSayNothing reads the beginning of a regular file, unless sums are asked for, as Suricata does. Pipes can be read
// but once, and are judged strictly.
func sumsSayNothing(name string, set *settings) bool {
	if info, err := os.Stat(name); !set.checksums || set.strict || err != nil || !info.Mode().IsRegular() {
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
