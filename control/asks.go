package control

import (
	"errors"
	"sync"
	"time"
)

// Asks carries functions to one goroutine that owns what they touch: the merge point, between two stretches.
type Asks struct {
	in    chan *ask
	ended chan struct{}
	once  sync.Once
}

type ask struct {
	f    func()
	done chan struct{}
	err  error
}

// Errors of Ask.
var (
	ErrEnded = errors.New("the shield has ended its run")
	ErrBusy  = errors.New("the shield is busy; try again")
	ErrFault = errors.New("a fault in the shield: what was asked was given up; please report it")
)

const (
	asksAtOnce = 16               // answered in one visit, so that packets get their turn
	askTime    = 20 * time.Second // to be taken up
)

// NewAsks makes a queue that nobody answers yet.
func NewAsks() *Asks { return &Asks{in: make(chan *ask), ended: make(chan struct{})} }

// Ask has f run and returns when it has; from any goroutine but the one that answers. ErrEnded or ErrBusy: it did not
// run and never will. ErrFault: it broke.
func (a *Asks) Ask(f func()) error {
	q := &ask{f: f, done: make(chan struct{})}
	late := time.NewTimer(askTime)
	defer late.Stop()
	select {
	case a.in <- q:
		<-q.done
		return q.err
	case <-a.ended:
		return ErrEnded
	case <-late.C:
		return ErrBusy
	}
}

// Answer runs what waits and returns at once if nothing does; a nil queue has nothing. Called by the owner.
func (a *Asks) Answer() {
	if a == nil {
		return
	}
	for range asksAtOnce {
		select {
		case q := <-a.in:
			q.run()
		default:
			return
		}
	}
}

func (q *ask) run() {
	defer close(q.done)
	defer func() {
		if recover() != nil {
			q.err = ErrFault
		}
	}()
	q.f()
}

// Ended is closed once nothing will be answered any more.
func (a *Asks) Ended() <-chan struct{} { return a.ended }

// End says that nothing will be answered any more.
func (a *Asks) End() {
	if a != nil {
		a.once.Do(func() { close(a.ended) })
	}
}
