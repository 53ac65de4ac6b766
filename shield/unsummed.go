package shield

import (
	"os"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/decode"
)

// A recording made on one of the talking hosts, or one whose addresses were exchanged, holds packets with wrong sums
// that were right on the wire. Unless it was asked for, sums are then not judged, as Suricata does: more wrong ones
// than one in ten among the first thousand packets are no accident of the line.
const (
	sumsLooked   = 1000
	sumsWrongMax = 10 // one in so many
)

// unsummed hands on a recording whose checksums say nothing.
type unsummed struct{ capture.Source }

// Next implements capture.Source.
func (u unsummed) Next(f *capture.Frame) error {
	err := u.Source.Next(f)
	f.Unsummed = true
	return err
}

// sumsSayNothing reads the beginning of a regular file; pipes can be read but once, and are judged strictly.
func sumsSayNothing(name string, set *settings) bool {
	if info, err := os.Stat(name); !set.checksums || set.strict || err != nil || !info.Mode().IsRegular() {
		return false
	}
	r, err := file.Open(name)
	if err != nil {
		return false // whoever opens it next says why
	}
	defer r.Close()
	var d decode.Decoder
	d.Checksums = true
	p := &decode.Packet{}
	var f capture.Frame
	judged, wrong := 0, 0
	for judged < sumsLooked && r.Next(&f) == nil {
		d.Decode(p, f.LinkType, f.Data)
		if p.Undecodable != decode.ReasonNone || !p.HasL4 || p.Fragment || uint32(len(f.Data)) < f.WireLen {
			continue
		}
		judged++
		if p.BadL4Checksum || p.BadIPChecksum {
			wrong++
		}
	}
	return wrong*sumsWrongMax > judged
}
