package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func serve(t *testing.T, commands map[string]Command) (*Server, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	s, err := Serve(path, commands)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, path
}

func echo(a json.RawMessage) (any, error) { return a, nil }

func TestClientAndServerUnderstandEachOther(t *testing.T) {
	s, path := serve(t, map[string]Command{"echo": echo, "fail": func(json.RawMessage) (any, error) { return nil, errors.New("no such thing") },
		"break": func(json.RawMessage) (any, error) { var m map[string]int; m["x"] = 1; return nil, nil }})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal("mode of the socket:", info.Mode(), err)
	}
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got map[string]int
	if err := c.Ask("echo", map[string]int{"a": 7}, &got); err != nil || got["a"] != 7 {
		t.Fatal(got, err)
	}
	if err := c.Ask("fail", nil, nil); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "no such thing") {
		t.Fatal(err)
	}
	if err := c.Ask("break", nil, nil); !errors.Is(err, ErrRefused) {
		t.Fatal(err)
	}
	if err := c.Ask("ehco", nil, nil); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), `"ehco"`) {
		t.Fatal(err)
	}
	var list struct{ Commands []string }
	if err := c.Ask("command-list", nil, &list); err != nil || strings.Join(list.Commands, " ") != "break command-list echo fail help" {
		t.Fatal(list, err)
	}
	if n := s.Counts(); n != (Counts{Asked: 4, Refused: 1, Faults: 1}) {
		t.Fatalf("%+v", n)
	}
}

// The field's client sends its version without a newline and waits.
func TestVersionWithoutNewline(t *testing.T) {
	_, path := serve(t, map[string]Command{"echo": echo})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	exchange := func(text, want string) {
		t.Helper()
		_, _ = c.Write([]byte(text))
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 200)
		n, err := c.Read(b)
		if err != nil || string(b[:n]) != want+"\n" {
			t.Fatalf("%q, %v; want %q", b[:n], err, want)
		}
	}
	exchange(`{"version": "0.2"}`, `{"return":"OK"}`)
	exchange(`{"command": "echo", "arguments": {"x": [1]}}`+"\n", `{"return":"OK","message":{"x":[1]}}`)
	_, _ = c.Write([]byte(`{"command": "echo"`)) // in two pieces
	exchange(`, "arguments": 3}`, `{"return":"OK","message":3}`)
}

func TestHostileClientsAreLetGo(t *testing.T) {
	s, path := serve(t, map[string]Command{"echo": echo})
	for name, text := range map[string]string{
		"no JSON":     "hello\n",
		"no version":  `{"command":"echo"}` + "\n",
		"old version": `{"version":"9"}` + "\n",
		"wrong kind":  `{"version":"0.2"}{"command":7}`,
		"endless":     `{"version":"0.2"}{"command":"` + strings.Repeat("a", 3*messageMax),
		"deep":        `{"version":"0.2"}{"arguments":` + strings.Repeat("[", messageMax-100),
		"spaces":      `{"version":"0.2"}` + strings.Repeat(" ", 2*messageMax),
	} {
		before := s.Counts().Refused
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = c.Write([]byte(text)) }()
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		var all []byte
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			all = append(all, b[:n]...)
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Fatalf("%s: kept", name)
			}
			if err != nil {
				break
			}
		}
		_ = c.Close()
		if !strings.Contains(string(all), `"NOK"`) && name != "endless" && name != "deep" && name != "spaces" { // those may lose the answer to the reset
			t.Errorf("%s: not told why: %q", name, all)
		}
		if s.Counts().Refused != before+1 {
			t.Errorf("%s: not counted", name)
		}
	}
	c, err := Dial(path)
	if err != nil {
		t.Fatal("afterwards:", err)
	}
	_ = c.Close()
}

func TestClientsAreBounded(t *testing.T) {
	s, path := serve(t, nil)
	var all []*Client
	for range clientsMax {
		c, err := Dial(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if _, err := Dial(path); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "clients") {
		t.Fatal(err)
	}
	if s.Counts().TurnedAway != 1 {
		t.Fatal("not counted")
	}
	_ = all[0].Close()
	for range 200 { // the place comes free when the server has noticed
		c, err := Dial(path)
		if err == nil {
			all[0] = c
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, c := range all {
		if err := c.Ask("command-list", nil, nil); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
}

func TestPlaceOfTheSocket(t *testing.T) {
	s, path := serve(t, nil)
	if _, err := Serve(path, nil); err == nil || !strings.Contains(err.Error(), "running already") {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("left behind:", err)
	}
	if _, err := Dial(path); !errors.Is(err, ErrNotRunning) {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close() // as a killed process leaves it
	s, err = Serve(path, nil)
	if err != nil {
		t.Fatal("after a crash:", err)
	}
	_ = s.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Serve(path, nil); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Fatal(err)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 20), strings.Repeat("path", 20))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "dejpha.socket")
	s, err := Serve(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestCommandInHandIsAnsweredAtTheEnd(t *testing.T) {
	began, finish := make(chan bool), make(chan bool)
	s, path := serve(t, map[string]Command{"slow": func(json.RawMessage) (any, error) { close(began); <-finish; return "late", nil }})
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		var text string
		err := c.Ask("slow", nil, &text)
		if err == nil && text != "late" {
			err = fmt.Errorf("%q", text)
		}
		got <- err
	}()
	<-began
	ended := make(chan bool)
	go func() { _ = s.Close(); close(ended) }()
	close(finish)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	<-ended
	if err := c.Ask("slow", nil, nil); !errors.Is(err, ErrNotRunning) {
		t.Fatal(err)
	}
}

func TestAsks(t *testing.T) {
	a := NewAsks()
	stop, ended := make(chan bool), make(chan bool)
	n := 0 // owned by the goroutine that answers
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				a.End()
				return
			default:
				a.Answer()
				time.Sleep(time.Millisecond)
			}
		}
	}()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := a.Ask(func() { n++ }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := a.Ask(func() { var m map[int]int; m[0] = 1 }); !errors.Is(err, ErrFault) {
		t.Error(err)
	}
	close(stop)
	<-ended
	if n != 50 {
		t.Error(n)
	}
	if err := a.Ask(func() { n++ }); !errors.Is(err, ErrEnded) || n != 50 {
		t.Error(err, n)
	}
	(*Asks)(nil).Answer()
	(*Asks)(nil).End()
}

// FuzzServer: whatever a client sends, the server answers in whole lines of JSON, in bounded time, and then serves others.
func FuzzServer(f *testing.F) {
	f.Add([]byte(`{"version":"0.2"}` + "\n" + `{"command":"echo","arguments":{"a":[1,2,"x"]}}` + "\n"))
	f.Add([]byte(`{"version":"0.1"}{"command":"echo"}{"command":"command-list"}`))
	f.Add([]byte(`{"version":"0.2"}{"command":"echo","arguments":"` + strings.Repeat("x", 600) + `"}`))
	f.Add([]byte("{\"version\":\"0.2\"}\xff\x00"))
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	s, err := Serve(path, map[string]Command{"echo": echo})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close(); os.RemoveAll(dir) })
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() {
			_, _ = c.Write(text)
			_ = c.(*net.UnixConn).CloseWrite()
		}()
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		d := json.NewDecoder(c)
		for {
			var a struct{ Return string }
			err := d.Decode(&a)
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Fatal("no end")
			}
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				t.Fatal(err)
			}
			if err != nil {
				break
			}
			if a.Return != "OK" && a.Return != "NOK" {
				t.Fatalf("%+v", a)
			}
		}
		if n := s.Counts().Faults; n > 0 {
			t.Fatal("a command broke")
		}
	})
}
