// Command livebench finds the highest rate at which a shield, or its peer, loses no packet of what it is sent.
//
// In: an interface to send on, kinds of traffic, the eve.json of the program under test. Out: one line of figures a kind.
// Called by scripts/bench-live.sh in a network namespace of its own; it is no part of the program. The number of
// packets of each step is fixed before, and what the program's own statistics say of them must be that number.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	patience   = 30 * time.Second // for the statistics to show all of a step
	startMost  = 5 * time.Minute  // for rules to load
	ticksASec  = 100              // USER_HZ
	fewPackets = 64
)

type bench struct {
	out     *sender
	next    func(b [][]byte) // the next frames, into buffers of the sender
	eve     string
	pid     string
	seconds float64
	at      int64 // in eve, how far it was read
	last    counts
}

// counts are what the program says of the wire so far.
type counts struct{ packets, drops uint64 }

func main() {
	name := flag.String("i", "", "interface to send on")
	traffic := flag.String("traffic", "udp", "udp, flows, or the name of a capture; several, with commas between, one after the other")
	eve := flag.String("eve", "", "eve.json with statistics each second")
	pid := flag.String("pid", "", "process whose time is measured")
	most := flag.Float64("most", 600e3, "highest rate tried, packets/s")
	seconds := flag.Float64("seconds", 1, "length of a step")
	steps := flag.Int("steps", 6, "steps of the search")
	steady := flag.Float64("steady", 0, "no bench: so many packets/s until SIGTERM")
	flag.Parse()
	if err := run(*name, *traffic, &bench{eve: *eve, pid: *pid, seconds: *seconds}, *most, *steady, *steps); err != nil {
		fmt.Fprintln(os.Stderr, "livebench:", err)
		os.Exit(1)
	}
}

// run searches for each kind of traffic in turn and prints the rate without loss, the flood's packets for each second of
// processor time, and how much was sent by then.
func run(name, traffic string, b *bench, most, steady float64, steps int) (err error) {
	kinds := strings.Split(traffic, ",")
	if b.next, err = kindOf(kinds[0]); err != nil {
		return err
	}
	if b.out, err = open(name); err != nil {
		return err
	}
	if steady > 0 {
		return b.steady(steady)
	}
	before, err := b.ready()
	if err != nil {
		return err
	}
	for i, kind := range kinds {
		if i > 0 {
			if b.next, err = kindOf(kind); err != nil {
				return err
			}
		}
		low, cpu, err := b.search(most, steps)
		if err != nil {
			return err
		}
		fmt.Printf("%.0f %.0f %d\n", low, cpu, b.out.sent-before)
	}
	return nil
}

// search halves the range between a rate without loss and one with it.
func (b *bench) search(most float64, steps int) (low, cpu float64, err error) {
	flood, cpu, lost, err := b.step(most)
	if err != nil {
		return 0, 0, err
	}
	high := most
	if lost == 0 {
		low = flood
	}
	for range steps {
		if low >= high*0.97 || lost == 0 && low >= flood {
			break
		}
		rate := (low + high) / 2
		real, _, lost, err := b.step(rate)
		if err != nil {
			return 0, 0, err
		}
		if lost == 0 {
			low = max(low, real)
		} else {
			high = rate
		}
	}
	return low, cpu, nil
}

// ready waits until the program sees packets, then until it has counted all that was sent to try. missed is how many
// were sent before it listened.
func (b *bench) ready() (missed uint64, err error) {
	for end := time.Now().Add(startMost); time.Now().Before(end); {
		if err := b.send(fewPackets, 10e3); err != nil {
			return 0, err
		}
		time.Sleep(1200 * time.Millisecond)
		if b.told().packets == 0 {
			continue
		}
		for last, steady := b.told(), 0; steady < 3; last = b.told() { // the peer looks at the kernel's counters now and then
			time.Sleep(2 * time.Second)
			if steady++; b.told() != last {
				steady = 0
			}
		}
		return b.out.sent - b.last.packets, nil
	}
	return 0, errors.New("the program under test sees nothing")
}

// step sends for some time at a rate: the rate that was reached, packets for each second of the program's processor
// time, and how many packets it lost.
func (b *bench) step(rate float64) (real, perCPU float64, lost uint64, err error) {
	before := b.told()
	cpu, n, began := b.cpu(), uint64(rate*b.seconds), time.Now()
	if err := b.send(n, rate); err != nil {
		return 0, 0, 0, err
	}
	real = float64(n) / time.Since(began).Seconds()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		after := b.told()
		if after.packets-before.packets >= n {
			if after.packets-before.packets > n {
				return 0, 0, 0, fmt.Errorf("%d sent, the program counts %d", n, after.packets-before.packets)
			}
			lost = after.drops - before.drops
			return real, float64(n-lost) / max(b.cpu()-cpu, 1e-3), lost, nil
		}
	}
	after := b.told()
	return 0, 0, 0, fmt.Errorf("%d sent, the program counts %d", n, after.packets-before.packets)
}

// send puts n frames on the wire at a rate.
func (b *bench) send(n uint64, rate float64) error {
	began := time.Now()
	for done := uint64(0); done < n; {
		due := began.Add(time.Duration(float64(done) / rate * 1e9))
		for wait := time.Until(due); wait > 0; wait = time.Until(due) {
			if wait > time.Millisecond {
				time.Sleep(wait - 500*time.Microsecond)
			}
		}
		batch := b.out.buffers(int(min(n-done, batchMost)))
		b.next(batch)
		if err := b.out.put(batch); err != nil {
			return err
		}
		done += uint64(len(batch))
	}
	return nil
}

// told reads what the program wrote since and yields its last statistics.
func (b *bench) told() counts {
	f, err := os.Open(b.eve)
	if err != nil {
		return b.last
	}
	defer f.Close()
	_, _ = f.Seek(b.at, io.SeekStart)
	text, _ := io.ReadAll(f)
	whole := bytes.LastIndexByte(text, '\n') + 1
	b.at += int64(whole)
	for line := range bytes.SplitSeq(text[:whole], []byte("\n")) {
		var r struct {
			Type  string `json:"event_type"`
			Stats struct {
				Capture struct {
					Packets uint64 `json:"kernel_packets"`
					Drops   uint64 `json:"kernel_drops"`
				}
			}
		}
		if bytes.Contains(line, []byte(`"stats"`)) && json.Unmarshal(line, &r) == nil && r.Type == "stats" {
			b.last = counts{r.Stats.Capture.Packets, r.Stats.Capture.Drops}
		}
	}
	return b.last
}

// cpu is the program's processor time, seconds (proc(5), fields 14 and 15).
func (b *bench) cpu() float64 {
	text, err := os.ReadFile("/proc/" + b.pid + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticksASec
}
