//go:build !linux || (!amd64 && !arm64)

package confine

// Cap is a privilege; there are none here.
type Cap uint

// Privileges that a running shield may still need.
const (
	NetRaw Cap = iota
	NetAdmin
	BPF
	PerfMon
	IPCLock
	DACOverride
)

// Apply does nothing but say so: confinement is made for Linux on amd64 and arm64.
func Apply(Options) (*Report, error) {
	return &Report{Missing: []string{"confinement is not made for this system"}}, nil
}
