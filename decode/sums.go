package decode

// A recording made on one of the talking hosts, or one whose addresses were exchanged, holds packets with wrong sums
// that were right on the wire: more than one in ten among the first thousand packets are no accident of the line.
const (
	sumsLooked   = 1000
	sumsWrongMax = 10 // one in so many
)

// SumsSayNothing looks at the frames that next yields until false, and says whether too many sums are wrong to be judged.
func SumsSayNothing(next func() (link uint16, data []byte, wire uint32, ok bool)) bool {
	d, p := Decoder{Checksums: true}, &Packet{}
	judged, wrong := 0, 0
	for judged < sumsLooked {
		link, data, wire, ok := next()
		if !ok {
			break
		}
		d.Decode(p, link, data)
		if p.Undecodable != ReasonNone || !p.HasL4 || p.Fragment || uint32(len(data)) < wire {
			continue
		}
		judged++
		if p.BadL4Checksum || p.BadIPChecksum {
			wrong++
		}
	}
	return wrong*sumsWrongMax > judged
}
