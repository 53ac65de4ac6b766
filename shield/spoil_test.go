package shield

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/captest"
	"github.com/dejpha/dejpha/capture/file"
)

const (
	spoilBytes   = 150 << 10        // of a capture that are played
	spoilTime    = 60 * time.Second // for one variant; most take a few milliseconds
	spoilWarm    = 5000             // variants before the heap is measured for the first time
	spoilGrowth  = 16 << 20         // bytes that the heap may have grown by the end
	spoilJSON    = 16               // every so many variants the records are checked to be JSON
	spoilDefault = 400
)

// No capture, cut and spoilt at random, makes the shield crash, hang, grow or lose count. DEJPHA_SPOIL is the number of
// variants (`make spoil`): from 20,000 on every capture is taken, else a few. A failure names its
// capture and seed: DEJPHA_SPOIL=1 DEJPHA_SPOIL_FILE=... DEJPHA_SPOIL_SEED=... repeats it alone.
func TestSpoiltCapturesAreSurvived(t *testing.T) {
	variants, every, seed := spoilDefault, 40, int64(20261124)
	if testing.Short() {
		variants = spoilDefault / 4
	}
	if n, err := strconv.Atoi(os.Getenv("DEJPHA_SPOIL")); err == nil {
		variants = n
	}
	if variants >= 20000 {
		every = 1
	}
	names := captest.Files(every)
	if name := os.Getenv("DEJPHA_SPOIL_FILE"); name != "" {
		names = []string{name}
	}
	if n, err := strconv.ParseInt(os.Getenv("DEJPHA_SPOIL_SEED"), 10, 64); err == nil {
		seed = n
	}
	s := newSpoiler(t, names)
	began := time.Now()
	heap, peak := uint64(0), uint64(0)
	for v := range variants {
		s.play(s.texts[v%len(s.texts)], seed+int64(v), v%spoilJSON == 0)
		if t.Failed() && v > 100 {
			t.Fatalf("given up after %d variants", v)
		}
		if v == spoilWarm || v > 0 && v%spoilWarm == 0 {
			now := liveHeap()
			if peak = max(peak, now); heap == 0 {
				heap = now
			}
			t.Logf("%d variants, %d frames, %v: %d KiB live", v, s.frames, time.Since(began).Round(time.Second), now>>10)
		}
	}
	if heap == 0 {
		return
	}
	end := liveHeap()
	t.Logf("%d variants of %d captures, %d frames (%d undecodable) in %v; live heap after %d variants %d KiB, at the end %d KiB, highest measured %d KiB; slowest variant %v (%s)",
		variants, len(s.texts), s.frames, s.undecodable, time.Since(began).Round(time.Second), spoilWarm, heap>>10, end>>10, max(peak, end)>>10, s.slowest.Round(time.Millisecond), s.slow)
	if end > heap+spoilGrowth {
		t.Errorf("the live heap grew from %d to %d bytes", heap, end)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// spoiltCapture is a capture to be spoilt, its first part.
type spoiltCapture struct {
	name string
	text []byte
}

// spoiler plays spoilt captures through the whole way under several settings.
type spoiler struct {
	t                   *testing.T
	texts               []spoiltCapture
	setups              []*Setup
	frames, undecodable uint64
	slowest             time.Duration
	slow                string
}

func newSpoiler(t *testing.T, names []string) *spoiler {
	s := &spoiler{t: t}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s.texts = append(s.texts, spoiltCapture{name, bytes.Clone(text[:min(len(text), spoilBytes)])})
	}
	for _, o := range []SetupOptions{
		{Detectors: true, Workers: 1},
		{Detectors: true, Workers: 1, Checksums: "none", Sets: []string{"stream.midstream=yes"}}, // spoilt packets are not put aside
		{Detectors: true, SimulateIPS: true, Checksums: "none"},
	} {
		setup, err := NewSetup(o)
		if err != nil {
			t.Fatal(err)
		}
		s.setups = append(s.setups, setup)
	}
	return s
}

// play spoils a capture as the seed says and plays it.
func (s *spoiler) play(c spoiltCapture, seed int64, check bool) {
	r := rand.New(rand.NewSource(seed))
	name := fmt.Sprintf("DEJPHA_SPOIL=1 DEJPHA_SPOIL_FILE=%s DEJPHA_SPOIL_SEED=%d", c.name, seed)
	var src capture.Source
	var err error
	if r.Intn(2) == 0 {
		spoilt := bytes.Clone(c.text[:min(24, len(c.text))+r.Intn(max(1, len(c.text)-23))])
		for range 1 + r.Intn(20) {
			spoilt[r.Intn(len(spoilt))] ^= 1 << r.Intn(8)
		}
		src, err = file.New(name, bytes.NewReader(spoilt))
	} else {
		src, err = file.New(name, bytes.NewReader(c.text))
		src = &spoiltFrames{Source: src, r: r}
	}
	if err != nil {
		return // said to be no capture: well said
	}
	began := time.Now()
	hang := time.AfterFunc(spoilTime, func() {
		stacks := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "%s: no end after %v\n%s\n", name, spoilTime, stacks[:runtime.Stack(stacks, true)])
		os.Exit(2)
	})
	s.run(s.setups[r.Intn(len(s.setups))], src, name, check)
	hang.Stop()
	if took := time.Since(began); took > s.slowest {
		s.slowest, s.slow = took, name
	}
}

func (s *spoiler) run(setup *Setup, src capture.Source, name string, check bool) {
	t := s.t
	defer func() {
		if p := recover(); p != nil {
			stack := make([]byte, 16<<10)
			t.Fatalf("%s: %v\n%s", name, p, stack[:runtime.Stack(stack, false)])
		}
	}()
	var out io.Writer = io.Discard
	var records bytes.Buffer
	if check {
		out = &records
	}
	sum := &Summary{}
	e, err := newEngine(&setup.settings, out, sum, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = e.play(src, nil, nil) // damage is an answer, too
	if err := e.close(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if !sum.Ledger.Balanced() || sum.Ledger.Received != e.number {
		t.Errorf("%s: the ledger does not balance: %d frames, %+v", name, e.number, sum.Ledger)
	}
	if e.figures(sum); sum.Counters.Broken > 0 {
		t.Errorf("%s: the trip of %d packets was given up", name, sum.Counters.Broken)
	}
	for _, w := range e.workers {
		for id := range app.Protocols() {
			if id := app.FirstProtocol + uint16(id); w.apps.Counters(id).Panics > 0 {
				t.Errorf("%s: the parser of %s panicked", name, w.apps.Name(id))
			}
		}
	}
	for i, line := range bytes.Split(bytes.TrimSuffix(records.Bytes(), []byte("\n")), []byte("\n")) {
		if check && !json.Valid(line) {
			t.Errorf("%s: record %d is no JSON: %s", name, i, line)
		}
	}
	s.frames += sum.Ledger.Received
	s.undecodable += sum.Ledger.Undecodable
}

// spoiltFrames spoils frames one by one, so that those after a spoilt one are read all the same: bytes are changed, ends
// cut off, frames lost, shown twice or out of order.
type spoiltFrames struct {
	capture.Source
	r    *rand.Rand
	held capture.Frame
	has  bool
	buf  []byte
}

// Next implements capture.Source.
func (s *spoiltFrames) Next(f *capture.Frame) error {
	if s.has && s.r.Intn(3) > 0 {
		*f, s.has = s.held, false
		return nil
	}
	if err := s.Source.Next(f); err != nil {
		return err
	}
	switch s.r.Intn(16) {
	case 0:
		return s.Next(f)
	case 1:
		if !s.has {
			s.held, s.has = *f, true
			s.held.Data = bytes.Clone(f.Data)
		}
	case 2:
		if !s.has {
			s.held, s.has = *f, true
			s.held.Data = bytes.Clone(f.Data)
			return s.Next(f)
		}
	case 3, 4, 5, 6:
		s.buf = append(s.buf[:0], f.Data...)
		for range 1 + s.r.Intn(4) {
			if len(s.buf) > 0 {
				s.buf[s.r.Intn(len(s.buf))] = byte(s.r.Intn(256))
			}
		}
		if s.r.Intn(4) == 0 {
			s.buf = s.buf[:s.r.Intn(len(s.buf)+1)]
		}
		f.Data = s.buf
	}
	return nil
}
