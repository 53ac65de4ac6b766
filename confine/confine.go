// Package confine takes from the process what it does not need any more once everything is open, so that a fault in a
// parser that an attacker finds opens to him the shield's own records at most.
//
// In: the folders that are still used and the privileges that are still needed. Out: a process that can use nothing
// else, and a report of what this kernel could do. Called by cmd, once, before the first frame. What is taken cannot be
// had back; it holds for all threads and for whatever they start.
//
// Four things, each on its own, so that a kernel without one still has the others: other privileges are dropped
// (capabilities, and the user if one is named), no program started can gain any (no_new_privs), other files and TCP
// connections are out of reach (Landlock), and system calls that a shield never makes are refused (seccomp).
package confine

import (
	"errors"
	"strings"
)

// Options of a confinement.
type Options struct {
	Write []string // folders, or files, that are read and written with all below them
	Read  []string // that are read
	Keep  []Cap    // privileges that are still needed
	User  string   // name or number of the user to become; "": stay
	Own   []string // folders that this user shall own, with all below them
	Off   bool     // become the user and drop privileges only
	BPF   bool     // maps and programs are still worked with
	Dial  []uint16 // TCP ports that are still connected to, at any address
}

// Report says what was done.
type Report struct {
	Landlock int      // version of the kernel's interface; 0: files are not confined
	Files    []string // what of Read and Write is there
	Refused  int      // system calls that are refused; 0: none are
	Caps     []string // privileges that are left
	User     string   // that it became; "": it stayed
	Missing  []string // what this kernel could not do, a sentence each
	Unable   bool     // nothing was done: the program was built with cgo
}

// Line puts the report into one line for a person.
func (r *Report) Line() string {
	var parts []string
	if r.User != "" {
		parts = append(parts, "user "+r.User)
	}
	caps := "no privileges"
	if len(r.Caps) > 0 {
		caps = "privileges " + strings.Join(r.Caps, " ")
	}
	parts = append(parts, caps)
	if r.Landlock > 0 {
		parts = append(parts, "own files only (Landlock)")
	}
	if r.Refused > 0 {
		parts = append(parts, "system calls filtered (seccomp)")
	}
	return "confined: " + strings.Join(parts, ", ")
}

// ErrUser says that the named user cannot be become.
var ErrUser = errors.New("cannot become the user")
