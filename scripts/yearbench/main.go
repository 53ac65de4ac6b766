// Command yearbench plays a year of made-up attacks through the whole shield and checks what it counted.
//
// In: a number of attacks, a seed, the program built beside it, a folder to work in. Out: a table of figures, and exit
// code 1 if any attack was counted twice or not at all. Called by `make bench-year`; it is no part of the program. The
// frames are made in memory, one at a time; everything behind them is the program's own way, evidence on the disk and
// syncs included. What checks the log is the program itself, in processes of its own.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/dejpha/dejpha/shield"
)

// asked is the command line.
type asked struct {
	attacks uint64
	seed    uint64
	workers int
	dir     string
	program string
	judge   string
	profile string
	allocs  string
	keep    bool
	sets    []string
}

func main() {
	a := asked{sets: []string{"records.attacks-only=true", "keep.packets.sample=10000", "block.mode=off"}}
	flag.Uint64Var(&a.attacks, "attacks", 33_000_000, "distinct attacks to make")
	flag.Uint64Var(&a.seed, "seed", 1, "of everything that is made up")
	flag.IntVar(&a.workers, "workers", 2, "workers of the shield")
	flag.StringVar(&a.dir, "dir", "", "an empty folder to work in; \"\": a temporary one")
	flag.StringVar(&a.program, "program", "bin/dejpha", "the program that checks")
	flag.StringVar(&a.judge, "verifier", "bin/dejpha-verify", "the verifier that shares no code with it")
	flag.StringVar(&a.profile, "profile", "", "write a profile of processor time to this file")
	flag.StringVar(&a.allocs, "allocs", "", "write a profile of what was allocated to this file")
	flag.BoolVar(&a.keep, "keep", false, "keep the folder")
	flag.Func("set", "KEY=VALUE of the configuration; repeatable", func(s string) error {
		a.sets = append(a.sets, s)
		return nil
	})
	flag.Parse()
	if err := a.run(); err != nil {
		fmt.Fprintln(os.Stderr, "yearbench:", err)
		os.Exit(1)
	}
}

// row is one line of the table.
func row(name, format string, args ...any) {
	fmt.Printf("%-28s %s\n", name, fmt.Sprintf(format, args...))
}

func (a *asked) run() error {
	if a.dir == "" {
		dir, err := os.MkdirTemp("", "yearbench-")
		if err != nil {
			return err
		}
		a.dir = dir
	} else if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return err
	}
	if !a.keep {
		defer os.RemoveAll(a.dir)
	}
	out := filepath.Join(a.dir, "out")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	wrong, err := a.play(out)
	if err != nil {
		return err
	}
	if err := a.sizes(out); err != nil {
		return err
	}
	checks, err := a.checks(out)
	if err != nil {
		return err
	}
	if wrong = append(wrong, checks...); len(wrong) > 0 {
		return fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return nil
}

// play takes the year through the shield.
func (a *asked) play(out string) (wrong []string, err error) {
	setup, err := shield.NewSetup(shield.SetupOptions{Sets: a.sets, Workers: a.workers, Detectors: true})
	if err != nil {
		return nil, err
	}
	src := newTraffic(a.attacks, a.seed)
	if a.profile != "" {
		f, err := os.Create(a.profile)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, err
		}
		defer pprof.StopCPUProfile()
	}
	before, began := spent(syscall.RUSAGE_SELF), time.Now()
	sum, err := setup.ReplaySource(src, out, shield.ReplayOptions{Progress: a.progress(src, began)})
	if err != nil {
		return nil, err
	}
	if a.allocs != "" {
		f, err := os.Create(a.allocs)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := pprof.Lookup("allocs").WriteTo(f, 0); err != nil {
			return nil, err
		}
	}
	seconds, processor := time.Since(began).Seconds(), (spent(syscall.RUSAGE_SELF) - before).Seconds()
	row("attacks asked", "%d", a.attacks)
	row("attacks accounted", "%d", sum.Attacks)
	for _, class := range classesOf(src) {
		row("  "+class, "%d of %d", sum.ByClass[class], src.made[class])
		if sum.ByClass[class] != src.made[class] {
			wrong = append(wrong, fmt.Sprintf("%s: %d made, %d counted", class, src.made[class], sum.ByClass[class]))
		}
	}
	if sum.Attacks != a.attacks {
		wrong = append(wrong, fmt.Sprintf("%d attacks made, %d counted", a.attacks, sum.Attacks))
	}
	row("flows, packets", "%d, %d", src.flows, src.packets)
	if l := sum.Ledger; l.Received != src.packets || l.Inspected != src.packets {
		wrong = append(wrong, fmt.Sprintf("%d packets made, %d received, %d inspected", src.packets, l.Received, l.Inspected))
	}
	rate := float64(a.attacks) / seconds
	row("seconds", "%.1f (processor %.1f)", seconds, processor)
	row("attacks/s, packets/s", "%.0f, %.0f", rate, float64(src.packets)/seconds)
	row("processor per attack", "%.1f us", processor/float64(a.attacks)*1e6)
	if a.attacks < full {
		row("extrapolated to 33,000,000", "%.1f minutes at this rate; on two cores that do nothing else %.1f", full/rate/60, full*processor/float64(a.attacks)/2/60)
	}
	row("peak memory", "%.0f MiB", float64(sum.PeakBytes)/(1<<20))
	for name, n := range sum.Limits {
		row("  limit met", "%s: %d", name, n)
	}
	return wrong, nil
}

func (a *asked) progress(src *traffic, began time.Time) func(uint64, int64, int64) {
	told := began
	return func(uint64, int64, int64) {
		if now := time.Now(); now.Sub(told) > 20*time.Second {
			told = now
			fmt.Fprintf(os.Stderr, "yearbench: %d of %d attacks made in %.0f s\n", src.number, a.attacks, now.Sub(began).Seconds())
		}
	}
}

// spent is the processor time so far.
func spent(who int) time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(who, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sizes says what lies on the disk.
func (a *asked) sizes(out string) error {
	of := map[string]int64{}
	all := int64(0)
	evidence := filepath.Join(out, "evidence")
	err := filepath.WalkDir(evidence, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(evidence, path)
		name, _, _ := strings.Cut(rel, string(filepath.Separator))
		of[strings.TrimRight(name, "01234")] += info.Size()
		all += info.Size()
		return nil
	})
	if err != nil {
		return err
	}
	n := float64(a.attacks)
	row("evidence per attack", "%.1f bytes", float64(all)/n)
	for _, name := range []string{"entries", "tile", "offsets", "seeds", "private", "packets"} {
		row("  "+name, "%.1f", float64(of[name])/n)
	}
	if info, err := os.Stat(filepath.Join(out, "eve.json")); err == nil {
		row("eve.json per attack", "%.1f bytes (%.2f GB)", float64(info.Size())/n, float64(info.Size())/1e9)
	}
	return nil
}

// checks has the log claimed, checked and recounted by processes of their own.
func (a *asked) checks(out string) (wrong []string, err error) {
	claim := filepath.Join(a.dir, "claim.json")
	for _, x := range []struct {
		name  string
		one   bool // on one core
		say   string
		words []string
	}{
		{"claim made", false, fmt.Sprintf("counted %s attacks", thousands(a.attacks)), []string{a.program, "claim", "make", "-d", out, "-o", claim}},
		{"verifier asked for help", true, "dejpha-verify CLAIM", []string{a.judge, "-h"}}, // what a process takes that checks nothing
		{"claim checked by verifier", true, "claim: PROVEN", []string{a.judge, claim}},
		{"recount, public part", true, fmt.Sprintf("counted    %d attacks;", a.attacks), []string{a.program, "verify", "--counts", out}},
		{"full recount, one core", true, fmt.Sprintf("counted    %d attacks;", a.attacks), []string{a.program, "verify", out}},
	} {
		text, err := a.command(x.name, x.one, x.words...)
		if err != nil {
			wrong = append(wrong, err.Error())
		} else if !strings.Contains(text, x.say) {
			wrong = append(wrong, x.name+": it does not say: "+x.say)
		}
		if info, err := os.Stat(claim); err == nil && x.name == "claim made" {
			row("claim", "%d bytes", info.Size())
		}
	}
	return wrong, nil
}

// thousands writes a number as sentences do.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// command runs a program once and tells its time and memory.
func (a *asked) command(name string, one bool, words ...string) (string, error) {
	var out bytes.Buffer
	c := exec.Command(words[0], words[1:]...)
	c.Stdout, c.Stderr = &out, &out
	if one {
		c.Env = append(os.Environ(), "GOMAXPROCS=1")
	}
	began := time.Now()
	err := c.Start()
	if err == nil {
		ended := make(chan int)
		go func() { ended <- peakOf(c.Process.Pid) }()
		err = c.Wait()
		row(name, "%.3f s (processor %.3f), peak memory %d MiB", time.Since(began).Seconds(), (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds(), (<-ended)>>10)
	}
	if err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s", strings.Join(words, " "), err, out.String())
	}
	return out.String(), nil
}

// peakOf looks again and again at the most memory that a process held, KiB, until it is gone. What the system tells of an
// ended one includes what this process held when it began.
func peakOf(pid int) (most int) {
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		_, text, found := bytes.Cut(text, []byte("VmHWM:"))
		if err != nil || !found {
			return most
		}
		n := 0
		if _, err := fmt.Sscan(string(text), &n); err == nil {
			most = max(most, n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
