package config

import (
	"path/filepath"
)

// Operation is how a running shield is spoken to.
type Operation struct {
	ControlSocket string // path; "": dejpha.socket in the state folder; "off": none
}

// ownControl is section control.
type ownControl struct {
	Socket string `yaml:"socket"`
}

// operation takes over and checks what was said.
func (o *own) operation(c *Config) error {
	c.ControlSocket = o.Control.Socket
	if c.ControlSocket == "false" || c.ControlSocket == "no" { // YAML's and the command line's other words for off
		c.ControlSocket = "off"
	}
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
