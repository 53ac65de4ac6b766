package shield

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/samples"
	"github.com/dejpha/dejpha/shield/clerk"
)

// sealing is a merge point with a log in a new folder.
func sealing(t *testing.T, authorised ...string) (m *merger, dir string) {
	t.Helper()
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1, NoRules: true})
	if err != nil {
		t.Fatal(err)
	}
	if setup.settings.authorised, err = prefixes(authorised, nil); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	seal, err := clerk.Open(clerk.Options{Dir: dir, Kind: evidence.Recording, Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return newMerger(&setup.settings, io.Discard, &Summary{}, seal), filepath.Join(dir, "evidence")
}

const noon = int64(1_700_000_000e9)

// of is an observation with packets whose bytes say which.
func of(m *merger, class, origin string, second int64, strong bool) {
	at := noon + second*1e9
	o := attack.Observation{Time: at, Number: uint64(second), Class: class, Origin: netip.MustParseAddr(origin), Proven: true, Target: netip.MustParseAddr("10.0.0.1"), Packets: 1, Severity: 3}
	if strong {
		o.Severity = 1
	}
	m.observe(o, func() []Packet {
		return []Packet{{Data: fmt.Appendf(nil, "at second %d", second), LinkType: 1, Time: at, Number: uint64(second)}}
	})
}

// checked ends the log and returns its report and attacks.
func checked(t *testing.T, m *merger, dir string) (evidence.Report, []attack.Record) {
	t.Helper()
	m.finish()
	report, err := evidence.CheckAll(dir, "")
	if err != nil || !report.OK() || m.err != nil {
		t.Fatalf("%v %v, problems %q", m.err, err, report.Problems)
	}
	all, err := evidence.Records(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	return report, all
}

// An attack is sealed with its own packets, not with those of an earlier one of its account, of weak observations that
// came to nothing, or of a later one; what came to nothing is not kept for ever.
func TestAnAttackIsSealedWithItsOwnPackets(t *testing.T) {
	m, dir := sealing(t)
	const who = "192.0.2.1"
	of(m, "web-attack", who, 0, false) // comes to nothing
	of(m, "web-attack", who, 4000, true)
	of(m, "web-attack", who, 4010, false)
	of(m, "web-attack", who, 9000, true) // the clock has not moved yet: both are open
	m.advance(noon + 5000e9)
	of(m, "web-attack", "192.0.2.2", 9100, false)
	if _, n := m.kept.Held(); n == 0 {
		t.Fatal("nothing is kept")
	}
	m.advance(noon + 20000e9)
	m.heartbeat(noon + 20000e9)
	if n, bytes := m.kept.Held(); n != 0 || bytes != 0 {
		t.Errorf("packets of %d accounts, %d bytes, are kept of what has closed", n, bytes)
	}
	_, all := checked(t, m, dir)
	want := [][]string{{"at second 4000", "at second 4010"}, {"at second 9000"}}
	if len(all) != len(want) {
		t.Fatalf("%d attacks", len(all))
	}
	for i, r := range all {
		pcap, err := evidence.ReadPackets(dir, r.Evidence.Leaf)
		if err != nil || bytes.Count(pcap, []byte("at second")) != len(want[i]) {
			t.Errorf("attack %d: %q %v", i, pcap, err)
		}
		for _, text := range want[i] {
			if !bytes.Contains(pcap, []byte(text)) {
				t.Errorf("attack %d lacks %q", i, text)
			}
		}
		if src, err := file.New("kept", bytes.NewReader(pcap)); err != nil || src == nil {
			t.Errorf("attack %d: %v", i, err)
		}
	}
}

// A decision's event does not move the log's clock past an attack that closed before it: the attack keeps its closing.
func TestEventsStandInTheOrderOfTime(t *testing.T) {
	m, dir := sealing(t)
	of(m, "web-attack", "192.0.2.1", 0, true)
	of(m, "exploit", "192.0.2.2", 1000, true) // decided, before the clock was told
	if len(m.notes) == 0 {
		t.Fatal("nothing was decided")
	}
	m.advance(noon + 2000e9)
	_, all := checked(t, m, dir)
	gap := int64(5 * time.Minute)
	if len(all) != 2 || all[0].ClosedAt != noon+gap || all[1].ClosedAt != noon+1000e9+gap {
		t.Errorf("closed at %d and %d s", (all[0].ClosedAt-noon)/1e9, (all[1].ClosedAt-noon)/1e9)
	}
}

// codes are the codes of a log's events, in order, with their public part.
func codes(t *testing.T, dir string, size int64) (out []string) {
	t.Helper()
	for i := range size {
		b, err := evidence.ReadLeaf(dir, i)
		if err != nil {
			t.Fatal(err)
		}
		if b[0] == 4 {
			out = append(out, fmt.Sprintf("%s %s", evidence.Code(uint16(b[2])<<8|uint16(b[3])), b[22:len(b)-32]))
		}
	}
	return out
}

// Authorised traffic is never counted, and its attacks outlive every index: they are events of the log.
func TestAuthorisedAttacksAreInTheLog(t *testing.T) {
	m, dir := sealing(t, "192.0.2.0/24")
	of(m, "exploit", "192.0.2.7", 0, true)
	of(m, "exploit", "198.51.100.1", 1, true)
	report, all := checked(t, m, dir)
	if report.Attacks != 1 || report.Authorised != 1 {
		t.Errorf("%d counted, %d authorised", report.Attacks, report.Authorised)
	}
	if len(all) != 2 || !all[0].Authorised || all[0].Origin.IP != "192.0.2.7" || all[0].Evidence.Leaf != -1 || all[0].Story == "" || all[1].Authorised {
		t.Errorf("read back: %+v", all)
	}
	for _, text := range codes(t, dir, report.Size) {
		if strings.Contains(text, "192.0.2") {
			t.Errorf("an address is public: %s", text)
		}
	}
}

// What a span cuts off from a counted attack is an event, and so is a bite of the accounts' bound.
func TestContinuationsAndCapsAreInTheLog(t *testing.T) {
	m, dir := sealing(t)
	for at := range int64(200) { // two UTC days
		of(m, "exploit", "192.0.2.7", at*250+60_000, true)
		m.advance(noon + (at*250+60_000)*1e9)
	}
	m.accounts.Counters.Forgotten += 3
	report, all := checked(t, m, dir)
	if len(all) != 1 || report.Attacks != 1 || report.Capped != 1 {
		t.Errorf("%d attacks, %d counted, %d times capped", len(all), report.Attacks, report.Capped)
	}
	got := codes(t, dir, report.Size)
	if !slices.ContainsFunc(got, func(s string) bool { return s == `continuation {"attack":1,"class":"exploit"}` }) ||
		!slices.ContainsFunc(got, func(s string) bool { return s == `caps {"observations_forgotten":3,"attacks_merged":0}` }) {
		t.Errorf("%d events, none of them a continuation and a cap", len(got))
	}
}

// A jump of the packets' clock is an event, forwards and backwards; the log's own clock never goes back.
func TestClockJumpsAreInTheLog(t *testing.T) {
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1, NoRules: true})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "jumps.pcap")
	b := file.AppendHeader(nil, 1)
	frame := append(append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5}, make([]byte, 46)...), 0)
	for _, start := range []int64{noon, noon + 5*3600e9, noon - 24*3600e9} {
		for i := range int64(2000) {
			b = file.AppendRecord(b, frame, uint32(len(frame)), start+i*1e6)
		}
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if _, err := setup.Replay([]string{name}, out, ReplayOptions{}); err != nil {
		t.Fatal(err)
	}
	report, err := evidence.CheckAll(filepath.Join(out, "evidence"), "")
	if err != nil || !report.OK() || report.JumpCount != 2 {
		t.Fatalf("%v %q, jumps %q", err, report.Problems, report.Jumps)
	}
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04") }
	if !strings.Contains(report.Jumps[0], "to "+at(noon+5*3600e9)) || !strings.Contains(report.Jumps[1], "to "+at(noon-24*3600e9)) {
		t.Errorf("jumps %q", report.Jumps)
	}
}

// A crash after an authorised attack closed does not bring it back.
func TestAuthorisedAttacksCloseOnce(t *testing.T) {
	a := attack.New(attack.Config{Authorised: func(netip.Addr) bool { return true }})
	a.Add(attack.Observation{Time: noon, Class: "exploit", Origin: netip.MustParseAddr("192.0.2.1"), Proven: true, Target: netip.MustParseAddr("10.0.0.1"), Severity: 1})
	saved, err := a.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	closed := slices.Clone(a.Advance(noon + 3600e9))
	b, err := json.Marshal(closed[0].Record)
	if err != nil || len(closed) != 1 {
		t.Fatal(err)
	}
	var r attack.Record
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if err := a.Restore(saved); err != nil {
		t.Fatal(err)
	}
	if a.Sealed([]attack.Record{r}); a.Open() != 0 {
		t.Errorf("%d accounts are open", a.Open())
	}
}

// A demonstration that is stopped and taken up again tells everything once.
func TestDemoWithNotesVerifies(t *testing.T) {
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	for range 2 {
		src, err := samples.Open(0, nil)
		if err != nil {
			t.Fatal(err)
		}
		src.Rounds, src.Skip = 2, 2*time.Hour
		if _, err := setup.Run(RunOptions{State: state, Kind: evidence.Demo, Source: src}); err != nil {
			t.Fatal(err)
		}
		if r, err := evidence.CheckAll(filepath.Join(state, "evidence"), ""); err != nil || !r.OK() || r.JumpCount == 0 {
			t.Errorf("%v %q, %d jumps", err, r.Problems, r.JumpCount)
		}
	}
}
