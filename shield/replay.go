package shield

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/defrag"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/hoststate"
	"github.com/dejpha/dejpha/rule"
	"github.com/dejpha/dejpha/shield/clerk"
	"github.com/dejpha/dejpha/shield/kept"
	"github.com/dejpha/dejpha/shield/reach"
	"github.com/dejpha/dejpha/shield/recent"
	"github.com/dejpha/dejpha/shield/records"
	"github.com/dejpha/dejpha/shield/rehearsal"
	"github.com/dejpha/dejpha/shield/ruleset"
	"github.com/dejpha/dejpha/shield/unsummed"
	"github.com/dejpha/dejpha/stream"
)

// Errors by which cmd picks the exit code.
var (
	ErrInput    = errors.New("cannot read capture")
	ErrDamaged  = capture.ErrDamaged
	ErrOtherRun = clerk.ErrOtherRun
)

// ReplayOptions of one replay.
type ReplayOptions struct {
	Stop     <-chan struct{}
	Progress func(packets uint64, done, all int64)
}

// Replay plays captures one after the other as one recording into folder out.
func (s *Setup) Replay(captures []string, out string, o ReplayOptions) (sum *Summary, err error) {
	if err := readable(captures); err != nil {
		return nil, err
	}
	name := ""
	if len(captures) == 1 {
		name = captures[0]
	}
	return s.recording(name, out, func(e *engine, sum *Summary) (damaged error, err error) {
		for _, name := range captures {
			if err := playFile(e, name, o, sum); errors.Is(err, capture.ErrDamaged) {
				damaged = err
			} else if err != nil {
				return nil, err
			}
		}
		return damaged, nil
	})
}

// ReplaySource plays a source to its end as one recording into folder out.
func (s *Setup) ReplaySource(src capture.Source, out string, o ReplayOptions) (*Summary, error) {
	return s.recording("", out, func(e *engine, _ *Summary) (error, error) {
		return nil, e.play(src, o.Stop, func(packets uint64) {
			if o.Progress != nil {
				o.Progress(packets, 0, 0)
			}
		})
	})
}

// recording makes a log, a record file and an engine in folder out, lets play fill them, and closes them. name is the
// capture's, if there is one alone. What play calls damaged is told once everything before it is safe.
func (s *Setup) recording(name, out string, play func(*engine, *Summary) (damaged error, err error)) (sum *Summary, err error) {
	began := time.Now()
	if err := clerk.Fresh(out); err != nil {
		return nil, err
	}
	w, err := records.Open(filepath.Join(out, s.settings.config.EveFile), true)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	defer s.heap.Watch()()
	sum = &Summary{}
	sealed := Summary{} // the clerk's, until it has ended
	set := s.settings
	set.replay, set.terse = true, set.config.AttacksOnly
	if set.config.PcapFilename {
		set.pcapName = name
	}
	seal, err := clerk.Open(clerk.Options{Dir: out, Kind: evidence.Recording, Rules: s.inForce(), Out: w, Shadow: filepath.Join(out, rehearsalFile), Told: &sealed})
	if err != nil {
		return nil, err
	}
	e, err := newEngine(&set, seal, sum, seal)
	if err != nil {
		return nil, err
	}
	seal.Begin()
	e.merge.dir = out
	damaged, err := play(e, sum)
	if err != nil {
		_ = e.close()
		return nil, err
	}
	err = e.close()
	if werr := w.Close(); err == nil {
		err = werr
	}
	sum.Add(&sealed)
	e.figures(sum)
	sum.Elapsed, sum.PeakBytes = time.Since(began), peakMemory()
	if err == nil {
		err = damaged
	}
	return sum, err
}

// readable looks at the beginning of each capture, so that a slip on the command line leaves no log behind. Pipes
// are left alone: they can be opened once.
func readable(captures []string) error {
	for _, name := range captures {
		if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
			continue
		}
		r, err := file.Open(name)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInput, err)
		}
		_ = r.Close()
	}
	return nil
}

// playFile plays one capture.
func playFile(e *engine, name string, o ReplayOptions, sum *Summary) error {
	r, err := file.Open(name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInput, err)
	}
	defer r.Close()
	sum.Captures++
	var src capture.Source = r
	if sumsSayNothing(name, e.set) {
		src = unsummed.Source{Source: r}
	}
	err = e.play(src, o.Stop, func(packets uint64) {
		if o.Progress != nil {
			done, all := r.Position()
			o.Progress(packets, done, all)
		}
	})
	if r.Truncated() {
		sum.CutCaptures++
	}
	return err
}

// sumsSayNothing says so of a recording, unless sums are asked for.
func sumsSayNothing(name string, set *settings) bool {
	return set.checksums && !set.strict && unsummed.Is(name)
}

// IsCapture says whether a file begins like a capture.
func IsCapture(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [4]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return false
	}
	switch binary.LittleEndian.Uint32(head[:]) {
	case 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34, 0xd4c3b2a1, 0x4d3cb2a1, 0x34cdb2a1, 0x0a0d0d0a:
		return true
	}
	return false
}

func randomSeed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails (crypto/rand)
	return binary.LittleEndian.Uint64(b[:])
}

// peakMemory is the most the process held so far, bytes.
func peakMemory() uint64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return uint64(u.Maxrss) << 10
}

func newWorker(set *settings, index int) *worker {
	c := set.config
	w := &worker{set: set, ring: recent.NewRing(int(min(set.memory/32, recent.RingBytes))), ending: phaseRecord}
	w.decoder = decode.Decoder{Checksums: set.checksums, NoTeredo: c.NoTeredo, NoVXLAN: c.NoVXLAN, NoGeneve: c.NoGeneve}
	w.defrag = defrag.New(defrag.Config{MemoryBytes: set.memory / 16, IgnoreVLAN: c.IgnoreVLAN, Policy: set.piecesOf})
	fc := flow.Config{MemoryBytes: set.memory / 4, Seed: set.seed, IgnoreVLAN: c.IgnoreVLAN, OnEnd: w.flowEnded}
	timeouts(&fc, c.FlowTimeouts)
	w.flows = flow.NewTable(fc)
	w.streams = stream.New(stream.Config{Midstream: c.Midstream, AsyncOneSide: c.AsyncOneSide, Inline: set.inline, Depth: c.StreamDepth,
		MemoryBytes: set.memory / 6, Policy: set.policyOf, Linger: c.Payload || c.PayloadPrintable, BadChecksums: !set.checksums || !c.StreamChecksums && !set.strict, StrictChecksums: set.strict})
	apps := ruleset.AppConfig(c)
	apps.Frames = set.set != nil && set.set.Frames()
	w.apps = app.New(apps)
	if set.set != nil {
		w.detect, w.sums = set.set.NewWorker(nil), set.set.Checksums()
	}
	w.eve = eve.Options{Ethernet: c.Ethernet, Bare: c.Bare, PayloadBytesMax: int(c.PayloadMax), XFF: eve.XFF(c.XFF), Payload: c.Payload, PayloadPrintable: c.PayloadPrintable, Packet: c.Packet, CommunityID: c.CommunityID, CommunityIDSeed: c.CommunityIDSeed,
		References: c.References, Verdict: c.Verdict, PcapCount: set.recording, PcapFilename: set.pcapName, Interfaces: set.interfaces, AppName: w.apps.Name}
	return w
}

func timeouts(fc *flow.Config, m map[string]map[string]int64) {
	for name, to := range map[string]*flow.Timeouts{"tcp": &fc.TCP, "udp": &fc.UDP, "icmp": &fc.ICMP, "default": &fc.Other} {
		t := m[name]
		to.New, to.Established, to.Closed, to.Bypassed = t["new"], t["established"], t["closed"], t["bypassed"]
	}
}

func newMerger(set *settings, out io.Writer, sum *Summary, seal *clerk.Clerk) *merger {
	m := &merger{set: set, out: out, sum: sum, clerk: seal, thresholds: hoststate.NewThresholds(thresholdTableMax), kinds: map[*rule.Rule]kindOfRule{}, open: map[attack.Key]uint64{}, asks: control.NewAsks(), shadow: rehearsal.New(), kept: kept.Store{Sample: uint64(set.config.PacketsSample)}}
	m.accounts = attack.New(accountsConfig(set))
	m.report = m.found
	if set.stops {
		m.reach = reach.New()
	}
	if seal != nil && set.detectors {
		m.recent = recent.NewSignals()
	}
	if set.detectors {
		for _, d := range behaviour.New(behaviour.Config{Protected: func(a decode.Addr) bool { return contains(set.protected, a.Netip()) }}) {
			m.wanting = append(m.wanting, wanting{d.Wants(), d})
		}
	}
	return m
}

// figures adds the workers' counters to the summary.
func (e *engine) figures(sum *Summary) {
	for _, w := range e.workers {
		sum.Counters.Bytes += w.counts.Bytes
		sum.Counters.Flows += w.counts.Flows
		sum.Counters.Records += w.counts.Records
		sum.Counters.Broken += w.counts.Broken
		sum.Counters.Stopped += w.counts.Stopped
		sum.Counters.Barred += w.counts.Barred
		sum.Counters.Told += w.counts.Told
		sum.Counters.Unsent += w.counts.Unsent
		for i, n := range w.counts.Undecodable {
			if n > 0 {
				if sum.Reasons == nil {
					sum.Reasons = map[string]uint64{}
				}
				sum.Reasons[decode.Reason(i).String()] += n
			}
		}
		w.limits(&sum.Limits)
	}
	sum.Clock = e.clock
	if c := e.merge.clerk; c != nil {
		met(&sum.Limits, "waits for the disk", c.Waits())
	}
	if !e.set.enforce {
		sum.Rehearsal = e.merge.shadow.Price(0).Line()
	}
}

// limits adds how often each bound on what traffic can make the worker hold was met.
func (w *worker) limits(to *map[string]uint64) {
	s, d := &w.streams.Counters, &w.defrag.Counters
	for name, n := range map[string]uint64{
		"flows evicted": w.flows.Counters.Evicted, "idle flows ended early": w.flows.Counters.Relieved,
		"streams past their depth": s.DepthReached, "stream buffers refused": s.MemoryFull, "late segments refused": s.LaterDropped,
		"fragments refused": d.Refused, "datagrams given up": d.Evicted, "transactions and parsers stopped": w.apps.Limits(),
	} {
		met(to, name, n)
	}
}

func met(to *map[string]uint64, name string, n uint64) {
	if n > 0 && *to == nil {
		*to = map[string]uint64{}
	}
	if n > 0 {
		(*to)[name] += n
	}
}
