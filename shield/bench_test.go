package shield

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"testing"
)

// BenchmarkRecording plays the capture named by DEJPHA_CAPTURE as `dejpha replay --workers 1 --detectors off
// --alerts-only -k none` does, with the rules named by DEJPHA_RULES or the own ones. DEJPHA_PROFILE names a file for
// the CPU profile of the play alone, loading left out.
func BenchmarkRecording(b *testing.B) {
	name := os.Getenv("DEJPHA_CAPTURE")
	if name == "" {
		b.Skip("DEJPHA_CAPTURE names no capture")
	}
	o := SetupOptions{Workers: 1, AlertsOnly: true, Checksums: "none"}
	if rules := os.Getenv("DEJPHA_RULES"); rules != "" {
		o.OnlyRules = []string{rules}
	}
	setup, err := NewSetup(o)
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	if profile := os.Getenv("DEJPHA_PROFILE"); profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			b.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	var packets, bytes uint64
	b.ResetTimer()
	for range b.N {
		sum, err := setup.Replay([]string{name}, b.TempDir(), ReplayOptions{})
		if err != nil {
			b.Fatal(err)
		}
		packets += sum.Ledger.Received
		bytes += sum.Counters.Bytes
	}
	rate(b, packets, bytes)
	b.ReportMetric(float64(packets), "packets")
}

// rate reports what every room's benchmark says: packets/s, MB/s and ns a packet.
func rate(b *testing.B, packets, bytes uint64) {
	s := b.Elapsed().Seconds()
	b.ReportMetric(float64(packets)/s, "packets/s")
	b.ReportMetric(float64(bytes)/1e6/s, "MB/s")
	b.ReportMetric(s*1e9/float64(packets), "ns/packet")
}

// BenchmarkTrip plays the project's samples, and captures beside the project where they are there, the whole way with
// own rules and detectors, one worker, records thrown away and nothing sealed.
func BenchmarkTrip(b *testing.B) {
	names, _ := filepath.Glob("../samples/*.pcap")
	more, _ := filepath.Glob("../../shared/corpora/normal/*.pcap*")
	names = append(names, more[:min(len(more), 100)]...)
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1})
	if err != nil {
		b.Fatal(err)
	}
	var packets, size uint64
	for b.Loop() {
		sum := &Summary{}
		e, err := newEngine(&setup.settings, io.Discard, sum, nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, name := range names {
			_ = playFile(e, name, ReplayOptions{}, sum) // a damaged capture is played up to the damage
		}
		if err := e.close(); err != nil {
			b.Fatal(err)
		}
		e.figures(sum)
		packets += sum.Ledger.Received
		size += sum.Counters.Bytes
	}
	rate(b, packets, size)
}
