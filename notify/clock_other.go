//go:build !linux

package notify

// Reloading says that a reload begins; READY=1 ends it.
func (m *Manager) Reloading() { m.Tell("RELOADING=1") }
