package stream

// Policy is how a target's stack chooses between bytes that overlap (Novak and Sturges, "Target-Based TCP Stream
// Reassembly", 2007; names as in Suricata's host-os-policy).
type Policy uint8

// Policies. BSD is the default; Windows is like it.
const (
	BSD Policy = iota
	First
	Last
	Linux
	OldLinux
	Solaris
	HPUX10
	HPUX11
	IRIX
	MacOS
	Windows
	Vista
	Windows2k3
)

// ParsePolicy returns the policy of a name in Suricata's spelling.
func ParsePolicy(name string) (Policy, bool) {
	for i, n := range [...]string{"bsd", "first", "last", "linux", "old-linux", "solaris", "hpux10", "hpux11", "irix", "macos", "windows", "vista", "windows2k3"} {
		if n == name {
			return Policy(i), true
		}
	}
	switch name {
	case "bsd-right": // a choice between fragments; such stacks treat segments as BSD does
		return BSD, true
	case "old-solaris":
		return Solaris, true
	}
	return BSD, false
}

// favoursNew says whether a newer segment's bytes win over an older one's where both have them.
func (p Policy) favoursNew(oldFrom, oldTo, newFrom, newTo uint32) bool {
	begins := after(oldFrom, newFrom)
	switch p {
	case First, Vista:
		return false
	case Last:
		return true
	case Linux:
		return begins || newFrom == oldFrom && after(newTo, oldTo)
	case OldLinux:
		return begins || newFrom == oldFrom && !after(oldTo, newTo)
	case Solaris:
		return after(newTo, oldTo) || newTo == oldTo && !after(newFrom, oldFrom)
	case HPUX11:
		return begins && after(newTo, oldTo)
	}
	return begins
}
