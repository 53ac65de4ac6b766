package audit

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
)

const t0 = int64(1_700_000_040e9) // a full minute, ns

// sealed is the i-th attack of a made log: 54 cells, one attack each 50 ms.
func sealed(i int) attack.Record {
	class := attack.Table()[i%9*2]
	at := t0 + int64(i)*50e6
	r := attack.Record{ID: uint64(i + 1), State: "closed", Class: class.Name, Techniques: class.Techniques[:1], Severity: class.Severity,
		Risk: attack.Real, Side: attack.Outside, Outcome: [...]string{attack.Foiled, attack.Observed, attack.Foiled}[i%3], Result: attack.Unknown, Incident: uint64(i + 1),
		Origin: attack.Origin{IP: fmt.Sprintf("192.0.2.%d", i%250), Proven: true, Count: 1}, Target: attack.Target{Group: "10.0.0.0/24", IPs: []string{"10.0.0.1"}, Ports: []uint16{80}, Count: 1, Proto: 6},
		FirstSeen: at - 9e9, LastSeen: at - 5e9, ClosedAt: at, OpenedAt: at - 9e9, Observations: 3, Flows: 1, Packets: 9, Bytes: uint64(900 + i%1000),
		Alerts: []attack.AlertCount{{SID: 7, GID: 1, Rev: 2, Msg: "m", Count: 3}}, Evidence: attack.Evidence{Leaf: -1}}
	if i%2 == 1 {
		r.Side = attack.Inside
	}
	if i%5 == 2 {
		r.Result = attack.Failed
	}
	return r
}

// makeLog writes a log of n attacks, one in packets of them with packets; its key lies beside the folder.
func makeLog(tb testing.TB, root string, kind evidence.Kind, n, packets int) (dir string) {
	tb.Helper()
	disk := durable.OS()
	random := rand.NewChaCha8([32]byte{1})
	key, err := evidence.LoadKey(disk, filepath.Join(root, "key"), random)
	if err != nil {
		tb.Fatal(err)
	}
	dir = filepath.Join(root, "evidence")
	l, err := evidence.Open(dir, evidence.Options{Kind: kind, Key: key, Rand: random, Origin: "example.org/" + kind.String(), Rules: []byte("rules"), Time: t0})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		r := sealed(i)
		var kept []byte
		if packets > 0 && i%packets == 0 {
			kept = binary.BigEndian.AppendUint64([]byte("packets of attack "), uint64(i))
		}
		if err := l.Totals(evidence.Ledger{Received: uint64(i) * 10, Inspected: uint64(i) * 10}, r.ClosedAt); err != nil {
			tb.Fatal(err)
		}
		if err := l.Seal(&r, kept); err != nil {
			tb.Fatal(err)
		}
		if l.Due(r.ClosedAt) {
			if _, err := l.Flush(); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if _, err := l.Close(); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// bigLog is a log of DEJPHA_RECOUNT attacks (default 100,000) in memory where that can be had.
func bigLog(b *testing.B) string {
	n := 100_000
	if s := os.Getenv("DEJPHA_RECOUNT"); s != "" {
		_, _ = fmt.Sscan(s, &n)
	}
	return makeLog(b, b.TempDir(), evidence.Recording, n, 0)
}

func BenchmarkRecount(b *testing.B) {
	dir := bigLog(b)
	for _, public := range []bool{true, false} {
		b.Run(fmt.Sprintf("public=%v", public), func(b *testing.B) {
			b.ReportAllocs()
			leaves := int64(0)
			for range b.N {
				r, err := evidence.Check(dir, evidence.CheckOptions{Public: public})
				if err != nil || !r.OK() {
					b.Fatalf("%v %q", err, r.Problems)
				}
				leaves += r.Size
			}
			b.ReportMetric(float64(leaves)/b.Elapsed().Seconds(), "leaves/s")
		})
	}
}
