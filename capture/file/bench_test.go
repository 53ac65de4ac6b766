package file

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/dejpha/dejpha/capture"
)

// BenchmarkRead reads the project's samples, and captures beside the project where they are there.
func BenchmarkRead(b *testing.B) {
	names, _ := filepath.Glob("../../samples/*.pcap")
	more, _ := filepath.Glob("../../../shared/corpora/normal/*.pcap*")
	names = append(names, more[:min(len(more), 50)]...)
	var texts [][]byte
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil {
			texts = append(texts, text)
		}
	}
	packets, size := 0, 0
	var f capture.Frame
	for b.Loop() {
		for i, text := range texts {
			r, err := New(names[i], bytes.NewReader(text))
			if err != nil {
				continue
			}
			for err = r.Next(&f); err == nil; err = r.Next(&f) {
				packets++
				size += len(f.Data)
			}
			if !errors.Is(err, io.EOF) && !errors.Is(err, capture.ErrDamaged) {
				b.Fatal(err)
			}
		}
	}
	rate(b, packets, size)
}

// rate reports what every room's benchmark says: packets/s, MB/s and ns a packet.
func rate(b *testing.B, packets, bytes int) {
	s := b.Elapsed().Seconds()
	b.ReportMetric(float64(packets)/s, "packets/s")
	b.ReportMetric(float64(bytes)/1e6/s, "MB/s")
	b.ReportMetric(s*1e9/float64(max(packets, 1)), "ns/packet")
}
