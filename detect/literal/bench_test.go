package literal

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// shared is data beside the project; benchmarks use it where it is there and made-up text where it is not.
const shared = "../../../shared"

var (
	contents = regexp.MustCompile(`content:\s*"((?:[^"\\]|\\.)*)"`)
	hexes    = regexp.MustCompile(`\|([0-9A-Fa-f ]+)\|`)
)

// ruleLiterals returns n literals of four bytes or more from the rules beside the project, drawn at random, else made up.
func ruleLiterals(n int) []Pattern {
	r := rand.New(rand.NewSource(7))
	var all [][]byte
	seen := map[string]bool{}
	if f, err := os.Open(filepath.Join(shared, "rules/et-open.rules.gz")); err == nil {
		defer f.Close()
		if z, err := gzip.NewReader(f); err == nil {
			text, _ := io.ReadAll(z)
			for _, m := range contents.FindAllSubmatch(text, -1) {
				lit := hexes.ReplaceAllFunc(m[1], func(h []byte) []byte {
					var out []byte
					for _, x := range bytes.Fields(h[1 : len(h)-1]) {
						v, _ := strconv.ParseUint(string(x), 16, 8)
						out = append(out, byte(v))
					}
					return out
				})
				if len(lit) >= gramBytes && !seen[string(lit)] {
					seen[string(lit)] = true
					all = append(all, lit)
				}
			}
		}
	}
	for len(all) < n {
		p := make([]byte, 6+r.Intn(20))
		for j := range p {
			p[j] = "etaoinshrdlu/.=-_0123456789"[r.Intn(27)]
		}
		all = append(all, p)
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	patterns := make([]Pattern, n)
	for i := range patterns {
		patterns[i] = Pattern{Bytes: all[i], NoCase: i%2 == 0, ID: uint32(i)}
	}
	return patterns
}

// traffic returns texts of up to 1,400 bytes: the frames of captures, without their headers' first 54 bytes.
func traffic() (texts [][]byte, size int) {
	names, _ := filepath.Glob(filepath.Join(shared, "corpora/normal/*.pcap"))
	own, _ := filepath.Glob("../../samples/*.pcap")
	names = append(names, own...)
	for i := 0; i < len(names) && size < 8<<20; i += 1 + len(names)/200 {
		b, _ := os.ReadFile(names[i])
		if len(b) < 24 || binary.LittleEndian.Uint32(b) != 0xa1b2c3d4 {
			continue
		}
		b = b[24:min(len(b), 256<<10)]
		for len(b) > 16 {
			n := int(binary.LittleEndian.Uint32(b[8:]))
			if n > len(b)-16 {
				break
			}
			if n > 54 {
				texts = append(texts, b[16+54:16+n])
				size += n - 54
			}
			b = b[16+n:]
		}
	}
	return texts, size
}

// BenchmarkScan prints both forms side by side: plain Go, and with the sieve where a group of that size is given one.
func BenchmarkScan(b *testing.B) {
	texts, size := traffic()
	for _, n := range []int{8, 100, 300, 1000, 2000, 5000, 20000} {
		patterns := ruleLiterals(n)
		for _, f := range forms {
			m := f.build(patterns)
			b.Run(fmt.Sprintf("literals=%d/%s", n, f.name), func(b *testing.B) {
				var h Hits
				hits, best := 0, time.Hour
				b.SetBytes(int64(size))
				for b.Loop() {
					hits = 0
					began := time.Now()
					for _, t := range texts {
						m.Scan(t, &h)
						hits += len(h.IDs)
					}
					best = min(best, time.Since(began))
				}
				b.ReportMetric(float64(size)/1e6/best.Seconds(), "best-MB/s") // what a busy machine takes least from
				b.ReportMetric(float64(hits)*1024/float64(size), "hits/KB")
			})
		}
	}
}
