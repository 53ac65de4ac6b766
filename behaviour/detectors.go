package behaviour

// New returns every detector, in the order in which they are asked. A new detector is one file and one line here.
func New(c Config) []Detector {
	if c.HostsMax == 0 {
		c.HostsMax = 16384
	}
	return []Detector{
		newScan(c),
		newSweep(c),
		newGuess(c),
		newNetlogon(c),
		newRoast(c),
		newDirectory(c),
		newShare(c),
		newFlood(c),
		newSpoof(c),
		newNeighbour(c),
		newResolve(c),
		newTunnel(c),
		newDGA(c),
		newBeacon(c),
	}
}
