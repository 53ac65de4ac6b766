package config

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
)

// Operation is how a running shield is spoken to, watched and confined.
type Operation struct {
	ControlSocket string // path; "": dejpha.socket in the state folder; "off": none
	Confine       string // on, off or require; "": on
	User          string // name or number of the user to become; "": stay
	MetricsListen string // address and port of /metrics; "": none
}

// ownControl is section control.
type ownControl struct {
	Socket string `yaml:"socket"`
}

type ownMetrics struct {
	Listen string `yaml:"listen"`
}

// operation takes over and checks what was said.
func (o *own) operation(c *Config) error {
	c.ControlSocket = o.Control.Socket
	if c.ControlSocket == "false" || c.ControlSocket == "no" { // YAML's and the command line's other words for off
		c.ControlSocket = "off"
	}
	switch o.Confine {
	case "", "on", "true", "yes":
		c.Confine = "on"
	case "off", "false", "no":
		c.Confine = "off"
	case "require":
		c.Confine = "require"
	default:
		return wrong{"confine", fmt.Sprintf("%q is not on, off or require", o.Confine)}
	}
	c.User = o.User
	if o.Metrics.Listen == "" {
		return nil
	}
	address := o.Metrics.Listen
	if _, err := strconv.ParseUint(address, 10, 16); err == nil {
		address = net.JoinHostPort("127.0.0.1", address) // nobody else is told unless that is said
	}
	host, port, err := net.SplitHostPort(address)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || host == "" {
		return wrong{"metrics.listen", fmt.Sprintf("%q is not an address and port; write 127.0.0.1:9470", o.Metrics.Listen)}
	}
	c.MetricsListen = address
	return nil
}

// Socket is the path of the control socket of a shield whose state lies in folder state, "" for none.
func (c *Config) Socket(state string) string {
	switch c.ControlSocket {
	case "off":
		return ""
	case "":
		return filepath.Join(state, "dejpha.socket")
	}
	return c.ControlSocket
}

// unixCommand takes over where a suricata.yaml puts the socket.
func (c *Config) unixCommand(t tree) {
	if v, ok := t.get("unix-command.enabled"); ok {
		if on, known := truth(v); known && !on {
			c.ControlSocket = "off"
			return
		}
	}
	var name string
	t.text("unix-command.filename", &name)
	if filepath.IsAbs(name) { // others lie in that program's own folder, which is not ours
		c.ControlSocket = name
	}
}
