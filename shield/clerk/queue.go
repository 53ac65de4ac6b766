package clerk

import (
	"sync"
	"sync/atomic"

	"github.com/dejpha/dejpha/attack"
)

// Bounds of what waits for a disk. Past them the merge point waits, which is counted.
const (
	waitingMost = 1 << 16
	bytesMost   = 64 << 20
	recordBytes = 1 << 10 // about what a record holds
	sparesMost  = 4       // buffers kept for lines
	sealsSpare  = 64      // lists of a recording's attacks kept, about 90 KB each
)

// job is one thing to do; size is what it holds until it is done, bytes.
type job struct {
	size int
	save bool // one of this kind waits at most
	do   func() error
}

// queue does jobs one after the other in a goroutine of its own.
type queue struct {
	running bool // of the merge point alone
	waits   atomic.Uint64
	flushed atomic.Int64 // flushes done that were asked for
	news    atomic.Bool  // sealed or err have something to tell

	rest func() error

	mu      sync.Mutex
	changed *sync.Cond
	jobs    []job
	bytes   int
	saving  bool
	ending  bool
	sealed  []attack.Record
	err     error // the first
	spares  [][]byte
	seals   [][]seal
}

// open prepares a queue; rest is called whenever there is nothing left to do.
func (d *queue) open(rest func() error) { d.rest, d.changed = rest, sync.NewCond(&d.mu) }

func (d *queue) begin() {
	if !d.running {
		d.running, d.ending = true, false
		go d.run()
	}
}

// halt returns when every job is done and the goroutine has ended.
func (d *queue) halt() {
	if !d.running {
		return
	}
	d.mu.Lock()
	d.ending = true
	d.changed.Broadcast()
	for d.ending {
		d.changed.Wait()
	}
	d.mu.Unlock()
	d.running = false
}

// put waits for room, then has a job done behind the others.
func (d *queue) put(j job) {
	d.mu.Lock()
	if d.crowded(&j) {
		d.waits.Add(1)
		for d.crowded(&j) {
			d.changed.Wait()
		}
	}
	d.saving = d.saving || j.save
	d.jobs = append(d.jobs, j)
	d.bytes += j.size
	d.mu.Unlock()
	d.changed.Broadcast()
}

func (d *queue) crowded(j *job) bool {
	return len(d.jobs) >= waitingMost || d.bytes > 0 && d.bytes+j.size > bytesMost || j.save && d.saving
}

// run does jobs until halt.
func (d *queue) run() {
	d.mu.Lock()
	defer d.mu.Unlock()
	var batch []job
	for {
		for len(d.jobs) == 0 && !d.ending {
			d.changed.Wait()
		}
		if len(d.jobs) == 0 {
			d.ending = false
			d.changed.Broadcast()
			return
		}
		batch, d.jobs = d.jobs, batch[:0]
		for i := range batch {
			d.mu.Unlock()
			err := batch[i].do()
			d.mu.Lock()
			d.bytes -= batch[i].size
			d.saving = d.saving && !batch[i].save
			batch[i] = job{}
			d.note(err)
			d.changed.Broadcast()
		}
		if len(d.jobs) == 0 {
			d.mu.Unlock()
			err := d.rest()
			d.mu.Lock()
			d.note(err)
		}
	}
}

// fail keeps the first error.
func (d *queue) fail(err error) {
	if err == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note(err)
}

func (d *queue) note(err error) {
	if err != nil && d.err == nil {
		d.err = err
		d.news.Store(true)
	}
}

// done adds acknowledged attacks to what is told next.
func (d *queue) done(sealed []attack.Record) {
	if len(sealed) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sealed == nil && !d.running {
		d.sealed = sealed // the log does not touch it before it is taken
	} else {
		d.sealed = append(d.sealed, sealed...)
	}
	d.news.Store(true)
}

// take returns what is to be told.
func (d *queue) take() ([]attack.Record, error) {
	if !d.news.Load() {
		return nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.news.Store(false)
	sealed := d.sealed
	d.sealed = nil
	return sealed, d.err
}

// spare is an empty buffer for lines.
func (d *queue) spare() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.spares)
	if n == 0 {
		return nil
	}
	b := d.spares[n-1]
	d.spares = d.spares[:n-1]
	return b[:0]
}

// spareSeals is an empty list for a recording's attacks.
func (d *queue) spareSeals() []seal {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.seals)
	if n == 0 {
		return make([]seal, 0, sealsMost)
	}
	s := d.seals[n-1]
	d.seals = d.seals[:n-1]
	return s[:0]
}

func (d *queue) giveBack(b []byte, seals []seal) {
	clear(seals)
	d.mu.Lock()
	defer d.mu.Unlock()
	if seals != nil && len(d.seals) < sealsSpare {
		d.seals = append(d.seals, seals)
	}
	if len(d.spares) < sparesMost && cap(b) <= 2*linesMost {
		d.spares = append(d.spares, b)
	}
}
