package ask

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dejpha/dejpha/cosign"
	"github.com/dejpha/dejpha/evidence"
)

// Asker has the heads of a log that is being written cosigned, at most once in a while.
type Asker struct {
	dir    string
	panel  Panel
	say    func(string)
	client *http.Client
	newest atomic.Pointer[[]byte]
	other  atomic.Pointer[OtherHistoryError]
	state  struct {
		sync.Mutex
		list []State
	}
	last    int64 // size of the head that a quorum signed last
	stop    chan struct{}
	stopped sync.WaitGroup
}

// State is how it stands with one witness.
type State struct {
	Name     string
	Size     int64  // leaves of the head it signed last, in whatever run; 0: none
	Behind   int64  // leaves of the log that came after that head
	At       int64  // when it signed last by its own clock, s since 1970; 0: not in this run
	Cosigned uint64 // heads
	Failed   uint64 // times it was asked in vain
	Error    string // of the last time; "": it signed
}

// answerTime is how long a witness may take.
const answerTime = 15 * time.Second

// New makes an asker for the log of a folder; say gets what a person should know, one line each. nil where no witness is
// asked over HTTP: its methods may be called all the same.
func New(dir string, p Panel, say func(string)) *Asker {
	a := &Asker{dir: dir, panel: p, say: say, stop: make(chan struct{})}
	for _, x := range p.Parties {
		if x.URL != "" {
			a.state.list = append(a.state.list, State{Name: x.Name, Size: Known(dir, x.Name)})
		}
	}
	if len(a.state.list) == 0 {
		return nil
	}
	a.client = &http.Client{Timeout: answerTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: 16 << 10, MaxIdleConnsPerHost: 1, IdleConnTimeout: 2 * time.Minute, ForceAttemptHTTP2: true}}
	return a
}

// Start asks every so often in a goroutine of its own until End.
func (a *Asker) Start(every time.Duration) {
	if a == nil {
		return
	}
	a.stopped.Add(1)
	go func() {
		defer a.stopped.Done()
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			a.Round(2 * answerTime)
			select {
			case <-t.C:
			case <-a.stop:
				return
			}
		}
	}()
}

// End ends the asking. A question that is on its way is given up.
func (a *Asker) End() {
	if a == nil {
		return
	}
	close(a.stop)
	a.stopped.Wait()
}

// Newest is the newest cosigned head since the last call, nil if there is none.
func (a *Asker) Newest() []byte {
	if a == nil {
		return nil
	}
	if p := a.newest.Swap(nil); p != nil {
		return *p
	}
	return nil
}

// Other is not nil once a witness has shown to know another history of the log.
func (a *Asker) Other() error {
	if a == nil {
		return nil
	}
	if e := a.other.Load(); e != nil {
		return e
	}
	return nil
}

// States are the witnesses' states by now, a copy.
func (a *Asker) States() []State {
	if a == nil {
		return nil
	}
	own, _ := evidence.ReadHead(a.dir) // without one nothing is sealed yet
	a.state.Lock()
	defer a.state.Unlock()
	list := slices.Clone(a.state.list)
	for i := range list {
		list[i].Behind = max(0, own.Size-list[i].Size)
	}
	return list
}

// Round asks every witness about the newest head, all at the same time and for so long, unless a quorum has signed it
// already.
func (a *Asker) Round(within time.Duration) {
	if a == nil || a.Other() != nil {
		return
	}
	own, err := evidence.ReadHead(a.dir)
	if err != nil || own.Size == a.last {
		return // nothing is sealed yet, or nothing new
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	go func() {
		select {
		case <-a.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	var all sync.WaitGroup
	lines := make([][]byte, len(a.panel.Parties))
	for i := range a.panel.Parties {
		if a.panel.Parties[i].URL == "" {
			continue
		}
		all.Add(1)
		go func() {
			defer all.Done()
			s, err := a.ask(ctx, &a.panel.Parties[i], own)
			lines[i] = s.lines()
			a.noted(&a.panel.Parties[i], &s, err)
		}()
	}
	all.Wait()
	a.keep(own, lines)
}

// keep puts the answers together and keeps them.
func (a *Asker) keep(own evidence.Head, lines [][]byte) {
	msg := append(bytes.Clone(own.Note), bytes.Join(lines, nil)...)
	if len(msg) == len(own.Note) {
		return
	}
	k, err := a.panel.Keep(a.dir, msg)
	for n := 0; errors.Is(err, ErrBusy) && n < 20; n++ {
		time.Sleep(50 * time.Millisecond)
		k, err = a.panel.Keep(a.dir, msg)
	}
	switch {
	case err != nil:
		a.say(fmt.Sprintf("witnesses: what they signed cannot be kept: %v", err))
	case k.Quorum:
		a.last = k.Head.Size
		a.newest.Store(&k.Note)
	}
}

// noted takes note of how a question ended, with what was signed, and says what has changed.
func (a *Asker) noted(p *Party, signed *Signed, err error) {
	a.state.Lock()
	defer a.state.Unlock()
	for i := range a.state.list {
		s := &a.state.list[i]
		if s.Name != p.Name {
			continue
		}
		if err == nil {
			if s.Error != "" {
				a.say(fmt.Sprintf("witness %s signs again", p.Name))
			}
			s.Size, s.At, s.Error = signed.Head.Size, signed.At, ""
			s.Cosigned++
			return
		}
		s.Failed++
		if s.Error == "" {
			a.say(fmt.Sprintf("witness %s does not sign: %v; it is asked again", p.Name, err))
		}
		s.Error = err.Error()
	}
	var other *OtherHistoryError
	if errors.As(err, &other) {
		a.other.CompareAndSwap(nil, other)
	}
}

// ask has one witness sign a head and returns what it signed, checked.
func (a *Asker) ask(ctx context.Context, p *Party, own evidence.Head) (s Signed, err error) {
	old := min(Known(a.dir, p.Name), own.Size)
	code, body, err := a.post(ctx, p, own, old)
	if err != nil {
		return s, err
	}
	if code == http.StatusConflict {
		size, err := strconv.ParseInt(strings.TrimSuffix(string(body), "\n"), 10, 64)
		switch {
		case err != nil || size < 0:
			return s, fmt.Errorf("it answered %d without a size", code)
		case size > own.Size:
			if now, err := evidence.ReadHead(a.dir); err == nil && now.Size >= size { // by file, meanwhile
				return s, fmt.Errorf("it has signed %d leaves meanwhile", size)
			}
			return s, &OtherHistoryError{"witness " + p.Name, size, own.Size, "it signed more than there is"}
		case size == old:
			return s, &OtherHistoryError{"witness " + p.Name, size, own.Size, "it signed another head of this size"}
		}
		if code, body, err = a.post(ctx, p, own, size); err != nil {
			return s, err
		}
		if code == http.StatusConflict || code == http.StatusUnprocessableEntity {
			return s, &OtherHistoryError{"witness " + p.Name, size, own.Size, "the leaves here do not continue those that it signed"}
		}
	} else if code == http.StatusUnprocessableEntity {
		return s, &OtherHistoryError{"witness " + p.Name, old, own.Size, "the leaves here do not continue those that it signed"}
	}
	if code != http.StatusOK {
		return s, fmt.Errorf("it answered %d: %.100q", code, body)
	}
	s, _, err = (&Panel{Parties: []Party{*p}}).Check(append(bytes.Clone(own.Note), body...), own.Key)
	if err != nil {
		return s, fmt.Errorf("its answer: %w", err)
	}
	if len(s.By) == 0 {
		return s, errors.New("it answered without a signature by the key that is configured")
	}
	return s, nil
}

// lines are the witnesses' signature lines.
func (s *Signed) lines() []byte {
	_, all, _ := strings.Cut(string(s.Note), "\n\n")
	_, all, _ = strings.Cut(all, "\n") // the log's own comes first
	return []byte(all)
}

// post sends one request.
func (a *Asker) post(ctx context.Context, p *Party, own evidence.Head, old int64) (int, []byte, error) {
	proof, err := evidence.Consistency(a.dir, old, own.Size)
	if err != nil {
		return 0, nil, err
	}
	r := cosign.Request{Old: old, Proof: proof, Checkpoint: own.Note}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/add-checkpoint", bytes.NewReader(r.Append(nil)))
	if err != nil {
		return 0, nil, err
	}
	answer, err := a.client.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, cosign.AnswerMax+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("reading its answer: %w", err)
	case len(body) > cosign.AnswerMax:
		return 0, nil, errors.New("its answer is too long")
	}
	return answer.StatusCode, body, nil
}
