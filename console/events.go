package console

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	watchersMax   = 32
	eventInterval = time.Second
	eventAlive    = 20 * time.Second
)

// events tells open pages that something changed; what it is they ask for themselves.
type events struct {
	mu       sync.Mutex
	watchers map[chan struct{}]bool
	closed   bool
}

func (e *events) tell() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for w := range e.watchers {
		select {
		case w <- struct{}{}:
		default: // it has not looked yet; one notice is enough
		}
	}
}

func (e *events) join() chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.watchers) >= watchersMax {
		return nil
	}
	if e.watchers == nil {
		e.watchers = map[chan struct{}]bool{}
	}
	w := make(chan struct{}, 1)
	e.watchers[w] = true
	return w
}

func (e *events) leave(w chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watchers[w] {
		delete(e.watchers, w)
	}
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for w := range e.watchers {
		close(w)
		delete(e.watchers, w)
	}
}

// stream answers GET /api/events: at most one notice a second, a comment when nothing happens.
func (c *Console) stream(w http.ResponseWriter, r *http.Request) {
	ch := c.events.join()
	if ch == nil {
		fail(w, http.StatusServiceUnavailable, "too many open pages")
		return
	}
	defer c.events.leave(ch)
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(s string) bool {
		_ = out.SetWriteDeadline(time.Now().Add(eventAlive))
		if _, err := fmt.Fprint(w, s); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	alive := time.NewTicker(eventAlive)
	defer alive.Stop()
	for ok := send(": open\n\n"); ok; {
		select {
		case <-r.Context().Done():
			return
		case _, more := <-ch:
			if !more {
				return
			}
			if ok = c.login.in(r) && send("event: change\ndata: {}\n\n"); ok {
				time.Sleep(eventInterval)
			}
		case <-alive.C:
			ok = send(": alive\n\n")
		}
	}
}
