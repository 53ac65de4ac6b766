package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress draws one line on a terminal for work over two seconds; nothing in a pipe.
type progress struct {
	w     io.Writer
	on    bool
	start time.Time
	last  time.Time
	drawn bool
}

const (
	progressAfter = 2 * time.Second
	progressEvery = 250 * time.Millisecond
)

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, start: time.Now()}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.on = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// due says whether it is time to draw.
func (p *progress) due() bool {
	now := time.Now()
	if !p.on || now.Sub(p.start) < progressAfter || now.Sub(p.last) < progressEvery {
		return false
	}
	p.last = now
	p.drawn = true
	return true
}

// show draws bytes done of all, the rate and the time left.
func (p *progress) show(packets uint64, done, all int64) {
	if !p.due() || all == 0 {
		return
	}
	spent := time.Since(p.start)
	left := time.Duration(float64(spent) * float64(all-done) / float64(max(done, 1)))
	fmt.Fprintf(p.w, "\r\x1b[K%3d %%  %d packets, %.0f packets/s, %s left", done*100/all, packets, float64(packets)/spent.Seconds(), left.Round(time.Second))
}

// files draws captures done of all.
func (p *progress) files(done, all int) {
	if !p.due() {
		return
	}
	left := time.Duration(float64(time.Since(p.start)) * float64(all-done) / float64(done))
	fmt.Fprintf(p.w, "\r\x1b[K%d of %d captures, %s left", done, all, left.Round(time.Second))
}

// things draws so many of all.
func (p *progress) things(what string, done, all int) {
	if !p.due() || done == 0 {
		return
	}
	spent := time.Since(p.start)
	left := time.Duration(float64(spent) * float64(all-done) / float64(done))
	fmt.Fprintf(p.w, "\r\x1b[K%d of %d %s, %.0f a second, %s left", done, all, what, float64(done)/spent.Seconds(), left.Round(time.Second))
}

func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
