package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Server answers on one socket until it is closed.
type Server struct {
	path     string
	listener *net.UnixListener
	commands map[string]Command
	uid      int
	mu       sync.Mutex
	conns    map[net.Conn]bool
	closed   bool
	done     sync.WaitGroup
	counts   struct{ asked, refused, turnedAway, faults atomic.Uint64 }
}

// Counts of a server since it was opened.
type Counts struct {
	Asked      uint64 // commands that were carried out
	Refused    uint64 // messages that were not understood, and commands that do not exist
	TurnedAway uint64 // connections: too many, or of a user that may not speak
	Faults     uint64 // commands that broke: a fault of ours
}

// Serve opens the socket at path, mode 0600, and answers commands. A socket that a dead process left is replaced; one
// that is answered, and anything that is no socket, is an error.
func Serve(path string, commands map[string]Command) (*Server, error) {
	if err := vacant(path); err != nil {
		return nil, err
	}
	// It is made under another name and moved once its mode is right, so that nobody finds it before.
	raw := fmt.Sprintf("%s.%d", path, os.Getpid())
	_ = os.Remove(raw)
	name, release, err := short(raw)
	if err != nil {
		return nil, fmt.Errorf("cannot open the control socket: %w", err)
	}
	defer release()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot open the control socket %s: %w", path, reason(err))
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(raw, 0o600)
	if err == nil {
		err = os.Rename(raw, path)
	}
	if err != nil {
		_ = l.Close()
		_ = os.Remove(raw)
		return nil, fmt.Errorf("cannot open the control socket %s: %w", path, reason(err))
	}
	s := &Server{path: path, listener: l, commands: map[string]Command{}, uid: os.Geteuid(), conns: map[net.Conn]bool{}}
	maps.Copy(s.commands, commands)
	s.commands["command-list"], s.commands["help"] = s.list, s.list
	s.done.Add(1)
	go s.accept()
	return s, nil
}

// vacant says whether the place is free or holds the socket of a process that is gone, which it removes.
func vacant(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot open the control socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("cannot open the control socket: %s is there and is no socket; remove it, or set control.socket", path)
	}
	if c, err := dial(path); err == nil {
		_ = c.Close()
		return fmt.Errorf("a shield is running already: it answers at %s; stop it first, or give this one another state folder", path)
	}
	return os.Remove(path)
}

// reason is what the system says, without the path that the caller names.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	return err
}

func (s *Server) list(json.RawMessage) (any, error) {
	names := slices.Sorted(maps.Keys(s.commands))
	return map[string]any{"count": len(names), "commands": names}, nil
}

// Path is where the socket stands.
func (s *Server) Path() string { return filepath.Clean(s.path) }

// Counts of the server so far; at any time.
func (s *Server) Counts() Counts {
	c := &s.counts
	return Counts{c.asked.Load(), c.refused.Load(), c.turnedAway.Load(), c.faults.Load()}
}

// Close lets go of everybody and removes the socket. Commands that are being carried out end first.
func (s *Server) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	for c := range s.conns {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // a command in hand is answered still
	}
	s.mu.Unlock()
	if already {
		return nil
	}
	err := s.listener.Close()
	_ = os.Remove(s.path)
	s.done.Wait()
	return err
}

func (s *Server) accept() {
	defer s.done.Done()
	for {
		c, err := s.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // out of descriptors: those in use come back
			continue
		}
		if why := s.admit(c); why != "" {
			s.counts.turnedAway.Add(1)
			_ = say(c, answer{"NOK", why})
			_ = c.Close()
		}
	}
}

// admit begins to answer a client; why not, else.
func (s *Server) admit(c *net.UnixConn) (why string) {
	if uid, err := peer(c); err != nil || uid != 0 && uid != s.uid {
		return "this socket answers its owner and root only"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "the shield is ending"
	}
	if len(s.conns) >= clientsMax {
		return fmt.Sprintf("%d clients are connected, which is all there may be; try again later", clientsMax)
	}
	s.conns[c] = true
	s.done.Add(1)
	go s.talk(c)
	return ""
}

// talk answers one client until it leaves.
func (s *Server) talk(c *net.UnixConn) {
	defer s.done.Done()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		_ = c.Close()
	}()
	in := &bounded{from: c}
	d := json.NewDecoder(in)
	greeted := false
	for {
		wait := idleTime
		if !greeted {
			wait = greetingTime
		}
		if !s.await(c, wait) {
			return
		}
		var r request
		in.left = messageMax
		if err := d.Decode(&r); err != nil {
			if why := complaint(err); why != "" {
				s.counts.refused.Add(1)
				_ = say(c, answer{"NOK", why})
			}
			return
		}
		if !greeted {
			if !spoken(r.Version) {
				s.counts.refused.Add(1)
				_ = say(c, answer{"NOK", `expected {"version": "0.2"} first`})
				return
			}
			greeted = true
			if say(c, answer{Return: "OK"}) != nil {
				return
			}
			continue
		}
		if say(c, s.answer(&r)) != nil {
			return
		}
	}
}

// await sets how long a client may take for its next message; false: the server is closing.
func (s *Server) await(c net.Conn, wait time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && c.SetReadDeadline(time.Now().Add(wait)) == nil
}

// complaint says what was wrong with a message, "" if the client only left or fell silent.
func complaint(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, errTooLong):
		return fmt.Sprintf("a message has at most %d bytes", messageMax)
	case errors.As(err, &syntax):
		return "not JSON: " + syntax.Error()
	case errors.As(err, &kind):
		return fmt.Sprintf("%q is a %s; expected %s", kind.Field, kind.Value, kind.Type)
	}
	return ""
}

// answer carries out one command. One that breaks is counted and answered: it must not end the shield.
func (s *Server) answer(r *request) (a answer) {
	command, ok := s.commands[r.Command]
	if !ok {
		s.counts.refused.Add(1)
		return answer{"NOK", fmt.Sprintf("unknown command %.60q; command-list names them", r.Command)}
	}
	defer func() {
		if recover() != nil {
			s.counts.faults.Add(1)
			a = answer{"NOK", "a fault in the shield: the command was given up; please report it"}
		}
	}()
	s.counts.asked.Add(1)
	message, err := command(r.Arguments)
	if err != nil {
		return answer{"NOK", err.Error()}
	}
	if message == nil {
		message = "done"
	}
	return answer{"OK", message}
}

// say sends one message.
func say(c net.Conn, a answer) error {
	text, err := json.Marshal(a)
	if err != nil {
		text, _ = json.Marshal(answer{"NOK", "the answer could not be written as JSON; please report it"})
	}
	if err := c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err = c.Write(append(text, '\n'))
	return err
}
