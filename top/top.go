// Package top draws a running shield's figures for a terminal.
//
// In: the figures of two moments. Out: lines of text that fit the terminal. Called by cmd, which asks for the figures
// and clears the screen. It shows text of traffic (names in attacks) only as printable characters.
package top

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/dejpha/dejpha/figures"
)

// Lines draws the figures in at most height lines of at most width columns; before is what they were a little earlier,
// nil for nothing to compare with. height 0: as many as it takes.
func Lines(before, now *figures.Figures, width, height int) []string {
	d := drawing{before: before, now: now}
	d.head()
	d.ledger()
	d.faces()
	d.workers()
	d.attacks()
	d.blocks()
	d.witnesses()
	d.memory()
	if height > 0 && len(d.lines) > height {
		d.lines = d.lines[:height]
	}
	for i, l := range d.lines {
		d.lines[i] = fit(l, width)
	}
	return d.lines
}

type drawing struct {
	before, now *figures.Figures
	lines       []string
}

func (d *drawing) add(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// seconds between the two moments; 0 without a first.
func (d *drawing) seconds() float64 {
	if d.before == nil {
		return 0
	}
	return d.now.Uptime - d.before.Uptime
}

// rate is a count's growth a second; "" where there is nothing to compare with.
func (d *drawing) rate(of func(*figures.Figures) uint64, unit string) string {
	s := d.seconds()
	if s <= 0 {
		return ""
	}
	a, b := of(d.before), of(d.now)
	if b < a { // it was started again
		return ""
	}
	return fmt.Sprintf("%s %s", Short(float64(b-a)/s), unit)
}

func (d *drawing) head() {
	f := d.now
	what := strings.Join(f.Interfaces, " ")
	if f.Kind != "live" {
		what = "a demonstration"
	}
	d.add("dejpha %s   %s   up %s   %s UTC", f.Version, what, (time.Duration(f.Uptime) * time.Second).String(), time.Unix(0, f.At).UTC().Format("15:04:05"))
	d.add("%d rules, %d refused", f.Rules, f.Refused)
	d.add("")
}

func (d *drawing) ledger() {
	received := func(f *figures.Figures) uint64 { return f.Ledger.Received }
	d.add("packets      %14d   %12s   %s", d.now.Ledger.Received, d.rate(received, "/s"), d.rate(func(f *figures.Figures) uint64 { return 8 * f.Sum().Bytes }, "bit/s"))
	for _, x := range []struct {
		name string
		of   func(*figures.Figures) uint64
	}{
		{"inspected", func(f *figures.Figures) uint64 { return f.Ledger.Inspected }},
		{"bypassed", func(f *figures.Figures) uint64 { return f.Ledger.Bypassed }},
		{"lost by kernel", func(f *figures.Figures) uint64 { return f.Ledger.KernelDrops }},
		{"shed", func(f *figures.Figures) uint64 { return f.Ledger.Shed }},
		{"undecodable", func(f *figures.Figures) uint64 { return f.Ledger.Undecodable }},
	} {
		n := x.of(d.now)
		d.add("  %-14s %10d   %12s   %6.2f %%   %s", x.name, n, d.rate(x.of, "/s"), 100*float64(n)/max(1, float64(d.now.Ledger.Received)), counts(d.why(x.name)))
	}
	s := d.now.Sum()
	d.add("flows        %14d   %12s   %d live, %d evicted; %d TCP connections live, %d holes", s.Flows, d.rate(func(f *figures.Figures) uint64 { return f.Sum().Flows }, "/s"), s.LiveFlows, s.Evicted, s.LiveStreams, s.Gaps)
	if s.Broken > 0 {
		d.add("FAULT        the trip of %d packets was given up: please report it", s.Broken)
	}
}

// why are the reasons of a fate, over all interfaces.
func (d *drawing) why(fate string) map[string]uint64 {
	all := map[string]uint64{}
	for i := range d.now.Faces {
		by := d.now.Faces[i].BypassedBy
		switch fate {
		case "bypassed":
		case "shed":
			by = d.now.Faces[i].ShedBy
		default:
			continue
		}
		for why, n := range by {
			all[why] += n
		}
	}
	return all
}

// faces shows several interfaces apart.
func (d *drawing) faces() {
	if len(d.now.Faces) < 2 {
		return
	}
	for i := range d.now.Faces {
		f := &d.now.Faces[i]
		state := ""
		if !f.Up {
			state = "   DOWN"
		}
		d.add("  %-14s %10d   %12s   %d lost, %d bypassed%s", f.Name, f.Ledger.Received, d.rate(func(f *figures.Figures) uint64 {
			if i < len(f.Faces) {
				return f.Faces[i].Ledger.Received
			}
			return 0
		}, "/s"), f.Ledger.KernelDrops+f.Ledger.Shed, f.Ledger.Bypassed, state)
	}
}

// blocks shows what is in force, what it stops and the last of them.
func (d *drawing) blocks() {
	b := &d.now.Blocks
	switch b.Mode {
	case "":
		return
	case "off":
		d.add("blocks       off")
		return
	case "rehearsal":
		d.add("blocks       none: the shield rehearses (dejpha rehearse has the price)")
		return
	}
	d.add("blocks       %14d   in force, %d limits; by %s", b.InForce, b.Limits, b.Way)
	d.add("  stopped      %12d   %12s   and %d by limits   %s", d.now.Stopped(), d.rate((*figures.Figures).Stopped, "/s"), b.Limited,
		d.rate(func(f *figures.Figures) uint64 { return f.Blocks.Limited }, "/s"))
	if b.Fallen > 0 {
		d.add("  fallen       %12d   decisions: too many waited", b.Fallen)
	}
	if l := b.Last; l != nil {
		why := l.By
		if l.Attack > 0 {
			why += fmt.Sprintf(" (attack %d)", l.Attack)
		}
		d.add("  last         %s  %s  %s", time.Unix(0, l.Since).UTC().Format("15:04:05"), l.Prefix, printable(why))
	}
}

// witnesses shows how much of the log nobody else has signed yet.
func (d *drawing) witnesses() {
	for i := range d.now.Witnesses {
		x := &d.now.Witnesses[i]
		last := "not asked with success yet"
		if x.At > 0 {
			last = "signed last at " + time.Unix(x.At, 0).UTC().Format("2006-01-02 15:04:05") + " UTC"
		}
		d.add("witness      %14d   leaves behind; %s   %s", x.Behind, last, printable(x.Name))
		if x.Error != "" {
			d.add("  fails        %12d   times: %s", x.Failed, printable(x.Error))
		}
	}
}

func (d *drawing) workers() {
	if len(d.now.Workers) < 2 {
		return
	}
	for i, w := range d.now.Workers {
		d.add("  worker %-6d %11d   %12s   %d live flows", i, w.Packets, d.rate(func(f *figures.Figures) uint64 {
			if i < len(f.Workers) {
				return f.Workers[i].Packets
			}
			return 0
		}, "/s"), w.LiveFlows)
	}
}

func (d *drawing) attacks() {
	f := d.now
	d.add("")
	d.add("attacks      %14d   sealed; %d open   %s", f.Attacks, f.Open, counts(f.ByOutcome))
	d.add("alerts       %14d   %12s", f.Alerts, d.rate(func(f *figures.Figures) uint64 { return f.Alerts }, "/s"))
	if len(f.ByClass) > 0 {
		d.add("  by class     %s", counts(f.ByClass))
	}
	if len(f.Decisions) > 0 {
		d.add("  decisions    %s", counts(f.Decisions))
	}
	for _, r := range f.Recent {
		d.add("  %s", printable(r))
	}
}

func (d *drawing) memory() {
	d.add("")
	var parts []string
	for _, p := range d.now.Memory {
		parts = append(parts, fmt.Sprintf("%s %s", p.Name, Short(float64(p.Bytes))+"B"))
	}
	d.add("memory       %s", strings.Join(parts, ", "))
}

// counts lists the largest first.
func counts(m map[string]uint64) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	for i, k := range keys {
		keys[i] = fmt.Sprintf("%s %d", k, m[k])
	}
	return strings.Join(keys, ", ")
}

// Short writes a number with three or four digits and its thousands' letter.
func Short(n float64) string {
	unit := ""
	for _, u := range []string{"k", "M", "G", "T"} {
		if n < 1000 {
			break
		}
		n, unit = n/1000, u
	}
	switch {
	case unit == "":
		return fmt.Sprintf("%.0f ", n)
	case n < 10:
		return fmt.Sprintf("%.2f %s", n, unit)
	}
	return fmt.Sprintf("%.1f %s", n, unit)
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func fit(line string, width int) string {
	line = strings.TrimRight(line, " ")
	if r := []rune(line); width > 0 && len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return line
}
