package notify

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Reloading says that a reload begins; READY=1 ends it.
func (m *Manager) Reloading() {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return
	}
	m.Tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", t.Nano()/1000))
}
