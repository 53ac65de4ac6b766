package shield

import (
	"encoding/binary"
	"io"
	"testing"

	"github.com/dejpha/dejpha/capture"
)

// manyFlows makes UDP datagrams, each of a flow of its own, a millisecond apart.
type manyFlows struct {
	n, most int
	frame   [60]byte
}

func (m *manyFlows) Next(f *capture.Frame) error {
	if m.n == m.most {
		return io.EOF
	}
	m.n++
	b := m.frame[:]
	copy(b, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00\x00\x2e")
	b[22], b[23] = 64, 17
	copy(b[26:], []byte{203, 0, 113, 1, 203, 0, 113, 2})
	binary.BigEndian.PutUint16(b[34:], uint16(1024+m.n/60000))
	binary.BigEndian.PutUint16(b[36:], uint16(2000+m.n%60000))
	binary.BigEndian.PutUint16(b[38:], 26)
	*f = capture.Frame{Data: b, WireLen: 60, LinkType: 1, Time: int64(1e18) + int64(m.n)*1e6}
	return nil
}

func (m *manyFlows) Close() error { return nil }

// Conversations that have fallen silent end early once all of them together hold too much, and the summary says so.
func TestIdleConversationsEndEarlyUnderPressure(t *testing.T) {
	setup, err := NewSetup(SetupOptions{Workers: 1, Checksums: "none", NoRules: true, Sets: []string{"memory=32 MiB"}})
	if err != nil {
		t.Fatal(err)
	}
	setup.Config.FlowTimeouts = map[string]map[string]int64{"udp": {"new": 600}}
	set, sum := setup.settings, &Summary{}
	e, err := newEngine(&set, io.Discard, sum, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.play(&manyFlows{most: 60000}, nil, nil); err != nil {
		t.Fatal(err)
	}
	live := e.workers[0].flows.Counters.Live
	e.figures(sum)
	if most := uint64(32<<20/5/flowBytes + 31000); live > most || sum.Limits["idle flows ended early"] == 0 {
		t.Errorf("%d flows are live, at most %d are expected; limits met: %v", live, most, sum.Limits)
	}
	if err := e.close(); err != nil || !sum.Ledger.Balanced() {
		t.Errorf("%v, ledger %+v", err, sum.Ledger)
	}
}
