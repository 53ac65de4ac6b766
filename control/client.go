package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"time"
)

// Client asks a running shield. Not for concurrent use.
type Client struct {
	conn    net.Conn
	in      *bounded
	decoder *json.Decoder
	// Patience is how long an answer may take; 0: two minutes, which covers a reload of the largest rule sets.
	Patience time.Duration
}

const (
	patience = 2 * time.Minute
	dialTime = 2 * time.Second
)

// Dial connects to the shield whose socket stands at path. ErrNotRunning if none answers there; an error that is
// fs.ErrPermission if the socket is another user's.
func Dial(path string) (*Client, error) {
	conn, err := dial(path)
	switch {
	case errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM):
		return nil, fmt.Errorf("%s: %w: it answers its owner and root only", path, fs.ErrPermission)
	case err != nil:
		return nil, fmt.Errorf("%w at %s (%w)", ErrNotRunning, path, reason(err))
	}
	c := &Client{conn: conn, in: &bounded{from: conn}}
	c.decoder = json.NewDecoder(c.in)
	if _, err := c.exchange([]byte(`{"version":"0.2"}`+"\n"), greetingTime); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

func dial(path string) (net.Conn, error) {
	name, release, err := short(path)
	if err != nil {
		return nil, err
	}
	defer release()
	return net.DialTimeout("unix", name, dialTime)
}

// Ask has a command carried out and reads the answer's message into answer; both may be nil. An answer of NOK is an
// error that is ErrRefused and has the shield's text.
func (c *Client) Ask(command string, arguments, answer any) error {
	text, err := json.Marshal(struct {
		Command   string `json:"command"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments})
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	wait := c.Patience
	if wait == 0 {
		wait = patience
	}
	message, err := c.exchange(append(text, '\n'), wait)
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(message, answer); err != nil {
		return fmt.Errorf("%s: the answer is not what was expected: %w", command, err)
	}
	return nil
}

func (c *Client) exchange(text []byte, wait time.Duration) (json.RawMessage, error) {
	if err := c.conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, reason(err))
	}
	_, werr := c.conn.Write(text) // one that was turned away may have an answer waiting all the same
	var a struct {
		Return  string          `json:"return"`
		Message json.RawMessage `json:"message"`
	}
	c.in.left = answerMax
	if err := c.decoder.Decode(&a); err != nil {
		if werr != nil {
			err = werr
		}
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, reason(err))
	}
	if a.Return != "OK" {
		var why string
		if json.Unmarshal(a.Message, &why) != nil {
			why = string(a.Message)
		}
		return nil, fmt.Errorf("%w: %s", ErrRefused, why)
	}
	return a.Message, nil
}

// Close ends the conversation.
func (c *Client) Close() error { return c.conn.Close() }
