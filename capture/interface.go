package capture

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// UnknownInterfaceError says that an interface does not exist, and which do.
type UnknownInterfaceError struct {
	Name  string
	Known []string
}

// Error implements error.
func (e *UnknownInterfaceError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("no interface %q; this machine shows none", e.Name)
	}
	return fmt.Sprintf("no interface %q; there are %s", e.Name, strings.Join(e.Known, ", "))
}

// UnknownInterface is an *UnknownInterfaceError that lists this machine's interfaces, for a person who mistyped one.
func UnknownInterface(name string) error {
	all, _ := net.Interfaces() // without it none are listed
	e := &UnknownInterfaceError{Name: name}
	for _, i := range all {
		e.Known = append(e.Known, i.Name)
	}
	slices.Sort(e.Known)
	return e
}
