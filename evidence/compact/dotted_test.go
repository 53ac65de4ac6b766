package compact

import (
	"net/netip"
	"testing"
)

// What Dotted reads, the system reads as the same address and writes as it was; what it does not read is no IPv4 address
// that the system would write.
func FuzzDotted(f *testing.F) {
	for _, s := range append(odd, "0.0.0.0", "255.255.255.255", "256.1.1.1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.04", "1.2.3.4 ", "-1.2.3.4", "1.2.3.1000", "00.0.0.0", "100.20.3.0") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := Dotted(s)
		want, err := netip.ParseAddr(s)
		if is := err == nil && want.Is4() && want.String() == s; is != ok || ok && want.As4() != a {
			t.Errorf("%q: %v %v, the system reads %v (%v)", s, a, ok, want, err)
		}
	})
}
