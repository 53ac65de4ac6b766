// Package control is the socket by which a person or a tool speaks to a running shield.
//
// In: a path and a table of commands. Out: their answers, over Suricata's unix-socket protocol, so that suricatasc and
// what was built on it go on working: {"version":"0.2"}, then {"command":NAME,"arguments":{...}} again and again, each
// answered by {"return":"OK"|"NOK","message":...}. Called by shield, which makes the commands, and by cmd, which asks.
// It knows no command itself but command-list, and never touches the engine: Asks carries that to the merge point.
//
// Who may speak: the socket has mode 0600, and the kernel's word on who is at the other end must be the shield's own
// user or root. Everything else that could be made to grow is bounded: clients, bytes of a message, time.
package control

import (
	"encoding/json"
	"errors"
	"time"
)

// Bounds. A client past one of them is told so and let go; the shield goes on.
const (
	clientsMax   = 16               // at a time
	messageMax   = 64 << 10         // bytes of one message to the shield
	answerMax    = 64 << 20         // bytes of one answer that a client takes
	greetingTime = 5 * time.Second  // from the connection to its version
	idleTime     = 10 * time.Minute // between an answer and the next command
	writeTime    = 10 * time.Second // for an answer to be taken
)

// Command does one thing and returns what the answer's message shall be, anything that marshals to JSON. An error is
// answered as NOK with its text. It may be called at any time, from several goroutines.
type Command func(arguments json.RawMessage) (any, error)

// Errors of a client.
var (
	ErrNotRunning = errors.New("no shield answers")
	ErrRefused    = errors.New("the shield refuses")
)

// request is one message of a client; the first carries the version.
type request struct {
	Version   string          `json:"version"`
	Command   string          `json:"command"`
	Arguments json.RawMessage `json:"arguments"`
}

// answer is one message to a client.
type answer struct {
	Return  string `json:"return"`
	Message any    `json:"message,omitempty"`
}

// versions of the protocol that are spoken. They differ in the newline behind a message, which is sent always and asked
// for never.
func spoken(version string) bool { return version == "0.1" || version == "0.2" }

// bounded lets a limited number of bytes through until it is refilled.
type bounded struct {
	from interface{ Read(p []byte) (int, error) }
	left int
}

var errTooLong = errors.New("message too long")

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
