package shield

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield/records"
)

// kills is how often the kill test kills; DEJPHA_KILLS asks for more.
func kills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("DEJPHA_KILLS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("DEJPHA_KILLS: %v", err)
	}
	return n
}

// buildBinary builds the real program.
func buildBinary(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "dejpha")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/dejpha").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// The real program, killed at random moments and started again, loses nothing that it acknowledged and counts
// nothing twice. The samples' clock jumps, so that attacks end and are sealed all the time; when the process dies
// is all that chance and the machine's pace decide. Every other time the power fails, too: what was not synced of
// eve.json is lost from some byte on.
func TestKilledAtAnyMoment(t *testing.T) {
	n := kills(t)
	bin, dir := buildBinary(t), t.TempDir()
	state := filepath.Join(dir, "demo")
	// Record files are closed and packets deleted all the time, too, but no line and no private part.
	args := []string{"run", "--set", "state=" + dir, "--set", "keep.packets.bytes=1 MiB", "--set", fmt.Sprintf("keep.eve.bytes=%d MiB", 2*n+4),
		"--no-console", "--pace", "0", "--skip", "20m", "--rounds"}
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	var acked, torn, rewritten int
	for i := range n {
		before, held := sealedLines(t, state), bytesBelow(state)
		cmd := exec.Command(bin, append(args, "0")...)
		var says bytes.Buffer
		cmd.Stderr = &says
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // every other time it has surely begun: a busy machine needs seconds for the start
			for range 1000 {
				if bytesBelow(state) != held {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
		time.Sleep(time.Duration(5+r.IntN(700)) * time.Millisecond)
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); cmd.ProcessState.Exited() {
			t.Fatalf("kill %d: it ended by itself: %v\n%s", i, err, says.String())
		}
		acked = len(checkAcknowledged(t, state))
		checkKept(t, before, state)
		if i%2 == 1 {
			torn += powerCut(t, r, state)
		}
		rewritten += bytes.Count(says.Bytes(), []byte("broken line"))
	}
	// A last run stops cleanly; then everything must be there once.
	out, err := exec.Command(bin, append(args, "3")...).CombinedOutput()
	if err != nil {
		t.Fatalf("the last run: %v\n%s", err, out)
	}
	report, err := evidence.CheckAll(filepath.Join(state, "evidence"), "")
	if err != nil || !report.OK() {
		t.Fatalf("verify: %v %q", err, report.Problems)
	}
	records := checkAcknowledged(t, state)
	if report.RestartCount == 0 {
		t.Error("no restart is named by the log")
	}
	if report.PrivateOpen < report.Attacks+report.Decisions || // continuations have private parts of their own
		report.Erased != 0 {
		t.Errorf("%d attacks, %d decisions, %d private parts open", report.Attacks, report.Decisions, report.PrivateOpen)
	}
	checkEveryLeafHasItsLine(t, state, records)
	checkOnce(t, records)
	names, _ := filepath.Glob(filepath.Join(state, "eve-*.json"))
	t.Logf("%d kills: %d attacks sealed (%d before the last run), each once; %d leaves; %d unclean starts named; %d record files torn, %d broken lines cut; %d record files closed, %d files of packets deleted",
		n, len(records), acked, report.Size, report.RestartCount, torn, rewritten, len(names), report.Retained)
}

// bytesBelow adds up the files of a run's state.
func bytesBelow(state string) (n int64) {
	_ = filepath.WalkDir(state, func(_ string, d fs.DirEntry, err error) error {
		if err == nil {
			if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// recordsText is the closed record files and eve.json, in the order in which they were written.
func recordsText(t *testing.T, state string) (text []byte) {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(state, "eve-*.json"))
	for _, name := range append(names, filepath.Join(state, "eve.json")) {
		b, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		text = append(text, b...)
	}
	return text
}

// sealedLines returns the lines of sealed attacks that stand whole in the records, by leaf.
func sealedLines(t *testing.T, state string) map[int64][]byte {
	t.Helper()
	text := recordsText(t, state)
	lines := map[int64][]byte{}
	for _, line := range bytes.SplitAfter(text, []byte("\n")) {
		m := records.Mended{Leaf: -1}
		if !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		if m.Attack(line); m.Leaf < 0 {
			continue
		}
		if old := lines[m.Leaf]; old != nil && !bytes.Equal(old, line) {
			t.Errorf("leaf %d has two different lines:\n%s%s", m.Leaf, old, line)
		}
		lines[m.Leaf] = line
	}
	return lines
}

// checkAcknowledged holds the log's files, as the kill left them, against the lines that were told to the world.
func checkAcknowledged(t *testing.T, state string) []attack.Record {
	t.Helper()
	dir := filepath.Join(state, "evidence")
	lines := sealedLines(t, state)
	report, err := evidence.CheckAll(dir, "")
	if len(lines) == 0 && (err != nil || report.Size == 0) {
		return nil // killed before the first checkpoint
	}
	if err != nil || !report.OK() {
		t.Fatalf("verify: %v %q", err, report.Problems)
	}
	sealed, err := evidence.Records(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	sealed = slices.DeleteFunc(sealed, func(r attack.Record) bool { return r.Evidence.Leaf >= report.Size }) // under no checkpoint yet
	if uint64(len(sealed)) != report.Attacks {
		t.Fatalf("%d private parts open, %d attacks counted", len(sealed), report.Attacks)
	}
	for i := range sealed {
		r := &sealed[i]
		if line := lines[r.Evidence.Leaf]; line != nil && !bytes.Equal(line, eve.AppendAttack(nil, r)) {
			t.Errorf("leaf %d: eve.json says\n%sthe log\n%s", r.Evidence.Leaf, line, eve.AppendAttack(nil, r))
		}
		delete(lines, r.Evidence.Leaf)
	}
	for leaf, line := range lines {
		t.Errorf("leaf %d was told and lies under no checkpoint of %d leaves: %s", leaf, report.Size, line)
	}
	return sealed
}

// checkKept fails if a line of a sealed attack that once stood in the records is not there any more, but for the
// oldest ones of a machine so fast that it wrote more than is kept: those fell to retention, which the log says.
func checkKept(t *testing.T, before map[int64][]byte, state string) {
	t.Helper()
	now := sealedLines(t, state)
	oldest := oldestKept(t, state, now)
	for leaf := range before {
		if now[leaf] == nil && leaf > oldest {
			t.Errorf("the line of leaf %d is gone", leaf)
		}
	}
}

// oldestKept is the oldest leaf whose line stands in the records, if the log says that record files were deleted; else -1.
func oldestKept(t *testing.T, state string, lines map[int64][]byte) int64 {
	t.Helper()
	dir := filepath.Join(state, "evidence")
	report, err := evidence.CheckAll(dir, "")
	if err != nil {
		return -1 // killed before the first checkpoint
	}
	deleted := false
	for leaf := int64(0); leaf < report.Size && !deleted; leaf++ {
		b, err := evidence.ReadLeaf(dir, leaf)
		deleted = err == nil && bytes.Contains(b, []byte("eve/eve-"))
	}
	if !deleted || len(lines) == 0 {
		return -1
	}
	return slices.Min(slices.Collect(maps.Keys(lines)))
}

func checkEveryLeafHasItsLine(t *testing.T, state string, records []attack.Record) {
	t.Helper()
	text := recordsText(t, state)
	named := map[uint64]string{}
	for i, line := range bytes.SplitAfter(text, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var x struct {
			Type   string `json:"event_type"`
			Attack struct {
				ID     uint64
				Class  string
				Origin struct{ IP string }
			}
		}
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatalf("eve.json:%d is no record: %.200q", i+1, line)
		}
		if x.Type != "attack" {
			continue
		}
		who := x.Attack.Class + " " + x.Attack.Origin.IP
		if other := named[x.Attack.ID]; other != "" && other != who {
			t.Errorf("eve.json:%d: number %d was given to %q and to %q", i+1, x.Attack.ID, other, who)
		}
		named[x.Attack.ID] = who
	}
	lines := sealedLines(t, state)
	oldest := oldestKept(t, state, lines)
	for i := range records {
		if leaf := records[i].Evidence.Leaf; lines[leaf] == nil && leaf > oldest {
			t.Errorf("leaf %d has no line", records[i].Evidence.Leaf)
		}
	}
}

// checkOnce fails if an attack was counted twice: under its number, or because a later one of the same account
// begins before the gap of the one before had passed.
func checkOnce(t *testing.T, records []attack.Record) {
	t.Helper()
	gaps := map[string]int64{}
	for _, c := range attack.Table() {
		gaps[c.Name] = int64(c.Gap)
	}
	ids := map[uint64]int64{}
	last := map[string]attack.Record{}
	for _, r := range records {
		if leaf, twice := ids[r.ID]; twice {
			t.Errorf("attack %d is sealed in leaf %d and leaf %d", r.ID, leaf, r.Evidence.Leaf)
		}
		ids[r.ID] = r.Evidence.Leaf
		key := fmt.Sprint(r.Class, r.Origin.IP, r.Origin.Prefix, r.Origin.MAC, r.Origin.Domain, r.Target.Group, r.Subject)
		if b, ok := last[key]; ok && r.FirstSeen-b.LastSeen <= gaps[r.Class] {
			t.Errorf("%s: attack %d goes on as attack %d", key, b.ID, r.ID)
		}
		last[key] = r
	}
}

// powerCut takes what was not yet synced of eve.json away from a random byte on, and says whether it did.
func powerCut(t *testing.T, r *rand.Rand, state string) int {
	t.Helper()
	path := filepath.Join(state, "eve.json")
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	synced := int64(0)
	if b, err := os.ReadFile(filepath.Join(state, "evidence", "accounts")); err == nil {
		var outer struct{ Accounts []byte }
		var s snapshot
		if json.Unmarshal(b, &outer) != nil || json.Unmarshal(outer.Accounts, &s) != nil {
			t.Fatalf("the snapshot cannot be read: %.200q", b)
		}
		synced = s.Records
	}
	if info.Size() <= synced {
		return 0
	}
	if err := os.Truncate(path, synced+r.Int64N(info.Size()-synced)); err != nil {
		t.Fatal(err)
	}
	return 1
}
