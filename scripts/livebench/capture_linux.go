package main

import (
	"fmt"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
)

const recordedMost = 512 << 20 // bytes of a capture held in memory

// recorded is the frames of a capture, again and again with other addresses: IPv4 hosts get the round's number into
// the second byte of theirs, both ends the same, so that each round's flows are new. Checksums are not made right.
func recorded(name string) (func([][]byte), error) {
	r, err := file.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var frames [][]byte
	held := 0
	var f capture.Frame
	for r.Next(&f) == nil && held < recordedMost {
		if len(f.Data) >= 14 && len(f.Data) <= 1514 {
			frames = append(frames, append([]byte(nil), f.Data...))
			held += len(f.Data)
		}
	}
	if len(frames) == 0 {
		return nil, fmt.Errorf("%s: no Ethernet frames of up to 1,514 bytes", name)
	}
	at, round := 0, byte(0)
	return func(batch [][]byte) {
		for i := range batch {
			b := append(batch[i], frames[at]...)
			if len(b) >= 34 && b[12] == 8 && b[13] == 0 {
				b[27] ^= round
				b[31] ^= round
			}
			batch[i] = b
			if at++; at == len(frames) {
				at, round = 0, round+1
			}
		}
	}, nil
}
