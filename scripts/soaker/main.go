// Command soaker kills a running shield again and again while attackers go on, and says whether what it promised held.
//
// In: two network namespaces joined by a veth, the program, how often. Out: lines of figures, exit 1 where a promise broke.
// Called by scripts/soak.sh as root, in a mount namespace with a BPF file system; it is no part of the program. Every
// round a new attacker makes a real connection and attacks until it is blocked, then sends all the time: nothing of that may
// pass while its block stands, above all not between a kill and the next start, and everything once the block has ended.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/evidence"
)

// Bounds of what is promised, and of patience.
const (
	inspectMost = time.Second            // from a start until packets are inspected again
	lateMost    = 500 * time.Millisecond // after its end a block lets nothing through for so long at most
	startMost   = time.Minute
	margin      = 20 * time.Millisecond // until what the shield lists is in the kernel's tables
	awayMost    = 10 * time.Second      // that the log may say nobody watched beyond what was measured, for each kill
)

// soak is one run.
type soak struct {
	bin, dir string
	left     string // namespace of the attackers
	here     string // of the shield and what it protects
	shield   *exec.Cmd
	crowd    *crowd
	waits    []time.Duration // from a start after a kill until packets were inspected
	dead     time.Duration   // between kills and the next starts
	killed   time.Time       // zero: it was not
	missing  int             // blocks that a restart did not take up
	read     int64           // of eve.json
	acked    map[uint64]int64
}

func main() {
	s := &soak{acked: map[uint64]int64{}}
	flag.StringVar(&s.bin, "bin", "", "the program")
	flag.StringVar(&s.dir, "dir", ".", "folder to work in")
	flag.StringVar(&s.left, "attackers", "", "network namespace")
	flag.StringVar(&s.here, "shield", "", "network namespace")
	kills := flag.Int("kills", 100, "how often")
	live := flag.Duration("live", 7*time.Second, "how long the shield lives at most between two kills")
	first := flag.Duration("block", 20*time.Second, "how long a block stands")
	flag.Parse()
	ok, err := s.run(*kills, *live, *first)
	if s.shield != nil {
		_ = s.shield.Process.Kill()
		_ = s.shield.Wait()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soaker:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

// run is the whole: rounds, a last time without a shield until every block has ended, the log.
func (s *soak) run(kills int, live, first time.Duration) (ok bool, err error) {
	settings := fmt.Sprintf("state: state\nprotected: [10.20.0.0/24]\npolicy: {hosts-ipv4: 0, first: %s}\nblock: {mode: on}\n", first)
	if err := os.WriteFile(filepath.Join(s.dir, "soak.yaml"), []byte(settings), 0o600); err != nil {
		return false, err
	}
	if s.crowd, err = newCrowd(s.left, s.here); err != nil {
		return false, err
	}
	defer s.crowd.end()
	for round := range kills {
		if err := s.start(); err != nil {
			return false, err
		}
		go s.crowd.attack(round)
		time.Sleep(time.Duration(rand.Int64N(int64(live))))
		if err := s.look(); err != nil {
			return false, err
		}
		if err := s.kill(); err != nil {
			return false, err
		}
	}
	time.Sleep(time.Until(s.crowd.lastEnd().Add(2 * lateMost))) // nobody sweeps
	if err := s.start(); err != nil {
		return false, err
	}
	for n := range 3 { // those that were killed too early to be seen
		go s.crowd.attack(kills + n)
	}
	time.Sleep(2 * time.Second)
	if err := s.look(); err != nil {
		return false, err
	}
	if err := s.stop(); err != nil {
		return false, err
	}
	fine := []bool{s.tellWaits(), s.crowd.tell(s.missing), s.tellLog(kills)}
	return !slices.Contains(fine, false), nil
}

// start starts the shield and waits until it inspects; blocks of before must stand.
func (s *soak) start() error {
	out, err := os.OpenFile(filepath.Join(s.dir, "out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	began := time.Now()
	s.shield = exec.Command("nsenter", "--net=/run/netns/"+s.here, s.bin, "run", "-i", "dv0", "--no-console", "-c", "soak.yaml")
	s.shield.Dir, s.shield.Stdout, s.shield.Stderr = s.dir, out, out
	if err := s.shield.Start(); err != nil {
		return err
	}
	for end := began.Add(startMost); ; time.Sleep(5 * time.Millisecond) {
		var f struct {
			Ledger struct{ Inspected uint64 }
		}
		if s.ask("figures", &f) == nil && f.Ledger.Inspected > 0 {
			break
		}
		if time.Now().After(end) {
			return errors.New("the shield does not inspect; its words are in " + out.Name())
		}
	}
	if !s.killed.IsZero() {
		s.waits = append(s.waits, time.Since(began))
		s.dead += began.Sub(s.killed)
	}
	stand, err := s.blocks()
	if err != nil {
		return err
	}
	s.missing += s.crowd.compare(stand)
	return nil
}

func (s *soak) ask(command string, answer any) error {
	c, err := control.Dial(filepath.Join(s.dir, "state", "dejpha.socket"))
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Ask(command, nil, answer)
}

// blocks are those that stand, until when.
func (s *soak) blocks() (map[string]time.Time, error) {
	var list []struct {
		Prefix string
		Until  int64
	}
	if err := s.ask("blocks", &list); err != nil {
		return nil, err
	}
	stand := map[string]time.Time{}
	for _, b := range list {
		who, _, _ := strings.Cut(b.Prefix, "/")
		stand[who] = time.Unix(0, b.Until)
	}
	return stand, nil
}

// look takes note of who is blocked.
func (s *soak) look() error {
	stand, err := s.blocks()
	if err == nil {
		s.crowd.know(stand, time.Now().Add(margin))
	}
	return err
}

// kill kills the shield as a crash does, and takes note of what it had acknowledged.
func (s *soak) kill() error {
	s.killed = time.Now()
	if err := s.shield.Process.Kill(); err != nil {
		return err
	}
	_ = s.shield.Wait()
	s.shield = nil
	return s.acknowledged()
}

func (s *soak) stop() error {
	if err := s.shield.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := s.shield.Wait()
	s.shield = nil
	return errors.Join(err, s.acknowledged())
}

// acknowledged reads the closed attacks that stand in eve.json since the last look.
func (s *soak) acknowledged() error {
	b, err := os.ReadFile(filepath.Join(s.dir, "state", "eve.json"))
	if err != nil {
		return err
	}
	s.read = min(s.read, int64(len(b)))
	for line := range strings.Lines(string(b[s.read:])) {
		if !strings.HasSuffix(line, "\n") {
			break // torn by the kill: it will be written again
		}
		s.read += int64(len(line))
		var r struct {
			Attack struct {
				ID       uint64
				State    string
				Evidence *struct{ Leaf int64 }
			}
		}
		if json.Unmarshal([]byte(line), &r) == nil && r.Attack.State == "closed" && r.Attack.Evidence != nil {
			s.acked[r.Attack.ID] = r.Attack.Evidence.Leaf
		}
	}
	return nil
}

func (s *soak) tellWaits() bool {
	slices.Sort(s.waits)
	middle, most := s.waits[len(s.waits)/2], s.waits[len(s.waits)-1]
	fmt.Printf("kills: %d; from the next start until own rules inspected again: %d ms in the middle, %d ms at most (allowed %d)\n",
		len(s.waits), middle.Milliseconds(), most.Milliseconds(), inspectMost.Milliseconds())
	return most <= inspectMost
}

// tellLog checks the log: nothing acknowledged is lost or counted twice, and the time without a shield is in it.
func (s *soak) tellLog(kills int) bool {
	dir := filepath.Join(s.dir, "state", "evidence")
	report, err := evidence.CheckAll(dir, "")
	if err != nil || !report.OK() {
		fmt.Printf("kills: the log does not hold: %v %q\n", err, report.Problems)
		return false
	}
	all, err := evidence.Records(dir, 0)
	if err != nil {
		fmt.Println("kills: the log cannot be read:", err)
		return false
	}
	sealed, twice, lost := map[uint64]int64{}, 0, 0
	for i := range all {
		if _, there := sealed[all[i].ID]; there {
			twice++
		}
		sealed[all[i].ID] = all[i].Evidence.Leaf
	}
	for id, leaf := range s.acked {
		if at, there := sealed[id]; !there || at != leaf {
			lost++
		}
	}
	away := time.Duration(report.Counters[evidence.CounterAway]) * time.Microsecond
	unclean := report.Counters[evidence.CounterUnclean]
	fmt.Printf("       the log: %d starts after a crash, %.1f s in which nobody watched (at least %.1f s passed); %d attacks acknowledged, %d lost, %d counted twice\n",
		unclean, away.Seconds(), s.dead.Seconds(), len(s.acked), lost, twice)
	return lost+twice == 0 && unclean == uint64(kills) && away >= s.dead && away <= s.dead+time.Duration(kills)*awayMost
}
