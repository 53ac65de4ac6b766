package block

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dejpha/dejpha/evidence/durable"
)

// BenchmarkRestart takes up a million blocks from the file, with no kernel: DEJPHA_BLOCKS says another number.
func BenchmarkRestart(b *testing.B) {
	n := 1 << 20
	if text := os.Getenv("DEJPHA_BLOCKS"); text != "" {
		if _, err := fmt.Sscan(text, &n); err != nil {
			b.Fatal(err)
		}
	}
	now := time.Now().UnixNano()
	s := image{id: "test", blocks: make([]Entry, n)}
	for i := range s.blocks {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0x0b000000+uint32(i))
		s.blocks[i] = Entry{Prefix: netip.PrefixFrom(netip.AddrFrom4(a), 32), Until: now + int64(time.Hour) + int64(i), Attack: uint64(i), By: "exploit: proven points 100 of 100: block for 10m", Since: now}
	}
	text, _ := s.text()
	name := filepath.Join(b.TempDir(), "blocks.json")
	b.ReportMetric(float64(len(text))/float64(n), "B/block")
	for b.Loop() {
		b.StopTimer()
		if err := durable.OS().Replace(name, text); err != nil { // as it was left: on the disk
			b.Fatal(err)
		}
		b.StartTimer()
		k, err := Open(Options{File: name, Now: func() int64 { return now }, Enforcer: &roomy{}})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if got := k.Stats().InForce; got != n {
			b.Fatalf("%d of %d in force", got, n)
		}
		_ = k.Close()
		b.StartTimer()
	}
}

// roomy has room for a million and holds nothing.
type roomy struct{ Enforcer }

func (*roomy) Name() string              { return "roomy" }
func (*roomy) Sizes() Sizes              { return Sizes{Hosts: 1 << 22} }
func (*roomy) Load(int64) (State, error) { return State{ID: "another"}, nil }
func (*roomy) Apply(Changes) error       { return nil }
func (*roomy) Close() error              { return nil }
