package report

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/leaves"
)

func outside(err error) (string, bool) {
	var o *claim.OutsideError
	if errors.As(err, &o) {
		return o.What, true
	}
	return "", false
}

// Limits of a walk.
const (
	batchLeaves = 2048
	namesMax    = 500_000 // origins or targets told apart; what comes later is counted together
	eventsMax   = 40      // named
)

// walk reads the leaves between the claim's two totals leaves once, and their private parts beside.
type walk struct {
	dir      string
	opt      Options
	from, to int64 // leaves with from < index < to are counted
	counts   [leaves.Cells]uint64
	gone     [leaves.Cells]uint64 // withdrawn by corrections
	steps    []Step
	stepName string
	ends     []time.Time
	last     Figures // at the totals leaf before
	step     int

	severity   [5]Figures
	ports      map[string]*Figures
	events     []Event
	moreEvents uint64
	authorised uint64

	batches chan []one
	free    chan []one
	wg      sync.WaitGroup
	mu      sync.Mutex
	names   [2]map[string]*Figures // origins, targets
	beyond  [2]Figures             // past namesMax
	opened  int64
	erased  int64
	lost    Figures
	err     error
}

// one is an attack's leaf whose private part is to be opened.
type one struct {
	leaf   int64
	public evidence.AttackLeaf
}

func newWalk(dir string, c *claim.Claim, opt Options) *walk {
	w := &walk{dir: dir, opt: opt, from: -1, to: c.Leaves.To.Index, ports: map[string]*Figures{}, names: [2]map[string]*Figures{{}, {}}}
	if c.Leaves.From != nil {
		w.from = c.Leaves.From.Index
		if t, err := evidence.ReadTotalsLeaf(c.Leaves.From.Leaf); err == nil {
			w.last = figuresOf(&t.Counters)
		}
	}
	w.grid(opt.Window)
	return w
}

// grid lays the plot's steps: hours for up to two days, days for up to a quarter, weeks beyond.
func (w *walk) grid(win claim.Window) {
	from, to := win.From.Go(), win.To.Go()
	step, layout := 24*time.Hour, "2 Jan"
	w.stepName = "day"
	switch length := to.Sub(from); {
	case length <= 48*time.Hour:
		step, layout, w.stepName = time.Hour, "2 Jan 15:04", "hour"
	case length > 93*24*time.Hour:
		step, layout, w.stepName = 7*24*time.Hour, "2 Jan 2006", "week"
	}
	for at := from; at.Before(to) && len(w.steps) < 1000; at = at.Add(step) {
		w.steps = append(w.steps, Step{From: at, Name: at.Format(layout)})
		end := at.Add(step)
		if end.After(to) {
			end = to
		}
		w.ends = append(w.ends, end)
	}
}

// run walks, with as many openers beside as there are processors.
func (w *walk) run() error {
	workers := max(runtime.GOMAXPROCS(0), 1)
	w.batches, w.free = make(chan []one, workers), make(chan []one, 2*workers)
	private := w.opt.Origins != "none" || w.opt.Targets == "group" || w.opt.Targets == "address"
	for range workers {
		if private {
			w.wg.Add(1)
			go w.opener()
		}
	}
	var batch []one
	var bad, err error
	first := w.from + 1
	if first <= w.to {
		err = evidence.Walk(w.dir, first, func(i int64, b []byte) bool {
			var a *one
			if a, bad = w.leaf(i, b); bad != nil {
				return false
			}
			if a == nil || !private {
				return i < w.to
			}
			if batch = append(batch, *a); len(batch) >= batchLeaves {
				w.batches <- batch
				select {
				case batch = <-w.free:
					batch = batch[:0]
				default:
					batch = make([]one, 0, batchLeaves)
				}
			}
			return i < w.to
		})
	}
	if len(batch) > 0 {
		w.batches <- batch
	}
	close(w.batches)
	w.wg.Wait()
	return errors.Join(bad, err, w.err)
}

// leaf takes one leaf in; an attack's is handed back to be opened.
func (w *walk) leaf(i int64, b []byte) (*one, error) {
	switch b[0] {
	case leaves.TypeAttack:
		l, err := evidence.ReadAttackLeaf(b)
		if err != nil {
			return nil, &evidence.CorruptError{What: fmt.Sprintf("leaf %d cannot be read", i)}
		}
		n := l.Cell()
		w.counts[n]++
		c := cellAt(n)
		w.severity[min(l.Severity, 4)].add(c, 1)
		w.port(&l, c)
		return &one{i, l}, nil
	case leaves.TypeTotals:
		t, err := evidence.ReadTotalsLeaf(b)
		if err != nil {
			return nil, &evidence.CorruptError{What: fmt.Sprintf("leaf %d cannot be read", i)}
		}
		w.totals(t)
		if t.Flags&leaves.FlagUnclean != 0 {
			w.event(i, t.Time, "restart", "started again after anything but a clean stop")
		} else if t.Flags&leaves.FlagStart != 0 && i > 0 {
			w.event(i, t.Time, "restart", "started again after a clean stop")
		}
	case leaves.TypeCorrection:
		return nil, w.correction(i, b)
	case leaves.TypeEvent:
		e, err := evidence.ReadEventLeaf(b)
		if err != nil {
			return nil, &evidence.CorruptError{What: fmt.Sprintf("leaf %d cannot be read", i)}
		}
		w.told(i, &e)
	}
	return nil, nil
}

// correction counts what a correction withdraws, and where it puts it.
func (w *walk) correction(i int64, b []byte) error {
	x, err := evidence.ReadCorrectionLeaf(b)
	if err != nil || x.Attack >= uint64(i) {
		return &evidence.CorruptError{What: fmt.Sprintf("leaf %d cannot be read", i)}
	}
	old, err := evidence.ReadLeaf(w.dir, int64(x.Attack))
	if err != nil {
		return err
	}
	l, err := evidence.ReadAttackLeaf(old)
	if err != nil {
		return &evidence.CorruptError{What: fmt.Sprintf("leaf %d corrects what is no attack", i)}
	}
	w.gone[l.Cell()]++
	if int(x.Cell) < leaves.Cells {
		w.counts[x.Cell]++
	}
	return nil
}

// totals puts what was counted since the totals leaf before into the step that this one's time lies in: a count is of
// the window that the totals leaf after it closes in.
func (w *walk) totals(t *evidence.TotalsLeaf) {
	at := time.UnixMicro(int64(min(t.Time, 1<<61))).UTC()
	for w.step+1 < len(w.ends) && at.After(w.ends[w.step]) {
		w.step++
	}
	now := figuresOf(&t.Counters)
	if len(w.steps) > 0 {
		f := &w.steps[w.step].Figures
		f.plus(&now)
		f.Foiled, f.Contained, f.Observed = f.Foiled-w.last.Foiled, f.Contained-w.last.Contained, f.Observed-w.last.Observed
		f.Decoy, f.NoRisk = f.Decoy-w.last.Decoy, f.NoRisk-w.last.NoRisk
	}
	w.last = now
}

// compare holds the leaves that were walked against the totals that are claimed.
func (w *walk) compare(d *evidence.Counters) error {
	for n := range leaves.Cells {
		if w.counts[n] != d[2*n] {
			return &evidence.CorruptError{What: fmt.Sprintf("its leaves count %d attacks of cell %d where its totals say %d", w.counts[n], n, d[2*n])}
		}
	}
	return nil
}

var protocols = map[uint8]string{1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}

func (w *walk) port(l *evidence.AttackLeaf, c cell) {
	if w.opt.Targets == "none" {
		return
	}
	name := protocols[l.Proto]
	if name == "" {
		name = "protocol " + strconv.Itoa(int(l.Proto))
	}
	if l.Port > 0 {
		name += "/" + strconv.Itoa(int(l.Port))
	}
	f := w.ports[name]
	if f == nil {
		f = &Figures{}
		w.ports[name] = f
	}
	f.add(c, 1)
}

func (w *walk) event(leaf int64, us uint64, kind, text string) {
	if len(w.events) >= eventsMax {
		w.moreEvents++
		return
	}
	w.events = append(w.events, Event{time.UnixMicro(int64(min(us, 1<<61))).UTC(), leaf, kind, text})
}

// told takes in what the log says of its own watching.
func (w *walk) told(i int64, e *evidence.EventLeaf) {
	stamp := func(us uint64) string {
		return time.UnixMicro(int64(min(us, 1<<61))).UTC().Format("2006-01-02 15:04:05")
	}
	pair := func() (string, string) {
		return stamp(binary.BigEndian.Uint64(e.Data)), stamp(binary.BigEndian.Uint64(e.Data[8:]))
	}
	switch e.Code {
	case evidence.CodeAuthorised:
		w.authorised++
	case evidence.CodeGap:
		if len(e.Data) == 16 {
			a, b := pair()
			w.event(i, e.Time, "gap", "no leaf between "+a+" and "+b)
		}
	case evidence.CodeClockJump:
		if len(e.Data) == 16 {
			a, b := pair()
			w.event(i, e.Time, "clock jump", "the clock went from "+a+" to "+b)
		}
	case evidence.CodeUnprotected, evidence.CodeRestart, evidence.CodeCaps, evidence.CodeRetention, evidence.CodeErasure:
		w.event(i, e.Time, e.Code.String(), short(string(e.Data)))
	}
}

func short(s string) string {
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}

// opener opens private parts and counts by what is shown of them.
type opener struct {
	w              *walk
	o              *evidence.Opener
	names          [2]map[string]*Figures
	opened, erased int64
	lost           Figures
}

func (w *walk) opener() {
	defer w.wg.Done()
	x := &opener{w: w, names: [2]map[string]*Figures{{}, {}}}
	var err error
	if x.o, err = evidence.NewOpener(w.dir); err == nil {
		defer x.o.Close()
	}
	for batch := range w.batches { // to its end also after an error: who walks waits for it
		for i := 0; err == nil && i < len(batch); i++ {
			err = x.open(&batch[i])
		}
		select {
		case w.free <- batch:
		default:
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = errors.Join(w.err, err)
	w.opened, w.erased = w.opened+x.opened, w.erased+x.erased
	w.lost.plus(&x.lost)
	for k := range x.names {
		for name, f := range x.names[k] {
			w.count(k, name, f)
		}
	}
}

// count adds to a name, or to what lies beyond the names that are told apart. The caller holds the lock.
func (w *walk) count(k int, name string, f *Figures) {
	at := w.names[k][name]
	if at == nil {
		if len(w.names[k]) >= namesMax {
			w.beyond[k].plus(f)
			return
		}
		at = &Figures{}
		w.names[k][name] = at
	}
	at.plus(f)
}

func (x *opener) open(a *one) error {
	var f Figures
	f.add(cellAt(a.public.Cell()), 1)
	r, err := x.o.Open(a.leaf, &a.public)
	if errors.Is(err, evidence.ErrErased) {
		x.erased++
		x.lost.plus(&f)
		return nil
	}
	if err != nil {
		return err
	}
	x.opened++
	opt := &x.w.opt
	if opt.Origins != "none" {
		x.name(0, x.w.originName(&r.Origin), &f)
	}
	if opt.Targets == "group" || opt.Targets == "address" {
		x.name(1, x.w.targetName(&r.Target), &f)
	}
	return nil
}

func (w *walk) targetName(t *attack.Target) string {
	switch {
	case w.opt.Targets == "address" && len(t.IPs) == 1:
		return t.IPs[0]
	case w.opt.Targets == "address" && len(t.IPs) > 1:
		return t.Group + " (several addresses)"
	case t.Group == "":
		return "no target"
	}
	return t.Group
}

// name counts in a worker's own map; past its share it goes straight to the common one.
func (x *opener) name(k int, name string, f *Figures) {
	at := x.names[k][name]
	if at == nil {
		if len(x.names[k]) >= namesMax/4 {
			x.w.mu.Lock()
			x.w.count(k, name, f)
			x.w.mu.Unlock()
			return
		}
		at = &Figures{}
		x.names[k][name] = at
	}
	at.plus(f)
}

// originName is what may be shown of an origin.
func (w *walk) originName(o *attack.Origin) string {
	addr := o.IP
	if addr == "" {
		addr, _, _ = strings.Cut(o.Prefix, "/")
	}
	switch {
	case !o.Proven && o.MAC == "" && o.Domain == "":
		return "not proven"
	case addr == "":
		if w.opt.Origins == "address" {
			return o.Domain + o.MAC
		}
		return "no address"
	case w.opt.Origins == "address":
		if o.Prefix != "" {
			return o.Prefix
		}
		return o.IP
	case w.opt.Origins == "prefix":
		return widePrefix(addr)
	}
	if a, err := netip.ParseAddr(addr); err == nil && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()) {
		return "private addresses"
	}
	if w.opt.Country != nil {
		if c := w.opt.Country(addr); c != "" {
			return c
		}
	}
	return "country unknown"
}

// widePrefix is the network that an address is shown as: /24, or /48.
func widePrefix(addr string) string {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return "no address"
	}
	bits := 24
	if a = a.Unmap(); a.Is6() {
		bits = 48
	}
	p, _ := a.Prefix(bits)
	return p.String()
}

// tables are those that were counted on the walk.
func (w *walk) tables() []*Table {
	sev := &Table{By: "severity", Caption: "Attacks by severity, 1 (act now) to 4 (note)", Bound: "leaves"}
	for i, f := range w.severity {
		if f != (Figures{}) {
			sev.Rows = append(sev.Rows, Row{strconv.Itoa(i), f})
		}
	}
	out := []*Table{sev}
	if w.opt.Targets != "none" {
		t := w.ranked(w.ports, nil)
		t.By, t.Caption, t.Bound = "port", "Attacks by protocol and first target port", "leaves"
		out = append(out, t)
	}
	if w.opt.Origins != "none" {
		t := w.ranked(w.names[0], &w.beyond[0])
		t.By, t.Caption, t.Bound = "origin", map[string]string{"country": "Attacks by country of origin", "prefix": "Attacks by network of origin", "address": "Attacks by origin"}[w.opt.Origins], "private"
		t.Note = "An address is where packets came from, not who sent them. “Not proven”: the sender's address may be forged; all such traffic of one class on one target group is one attack."
		if w.opt.Origins == "country" {
			t.Note += " A country is where the address is registered."
		}
		t.Unknown = w.lost.weight()
		out = append(out, t)
	}
	if w.opt.Targets == "group" || w.opt.Targets == "address" {
		t := w.ranked(w.names[1], &w.beyond[1])
		t.By, t.Caption, t.Bound = "target", map[string]string{"group": "Attacks by target group", "address": "Attacks by target"}[w.opt.Targets], "private"
		t.Unknown = w.lost.weight()
		out = append(out, t)
	}
	return out
}

// ranked is a table of the names with most attacks; the rest is counted.
func (w *walk) ranked(all map[string]*Figures, beyond *Figures) *Table {
	t := &Table{Rows: []Row{}}
	for name, f := range all {
		t.Rows = append(t.Rows, Row{name, *f})
	}
	sort.Slice(t.Rows, func(i, j int) bool {
		a, b := &t.Rows[i], &t.Rows[j]
		if x, y := a.weight(), b.weight(); x != y {
			return x > y
		}
		return a.Name < b.Name
	})
	rest := Figures{}
	if beyond != nil {
		rest = *beyond
	}
	if len(t.Rows) > w.opt.Top {
		for i := range t.Rows[w.opt.Top:] {
			rest.plus(&t.Rows[w.opt.Top+i].Figures)
		}
		t.More = len(t.Rows) - w.opt.Top
		t.Rows = slices.Clip(t.Rows[:w.opt.Top])
	}
	if rest != (Figures{}) {
		t.Rest = &rest
	}
	return t
}
