package eve

import "testing"

func TestForwardedAddress(t *testing.T) {
	for _, c := range []struct {
		list string
		last bool
		want string
	}{
		{"10.2.2.2, 10.3.3.3", false, "10.2.2.2"},
		{"10.2.2.2, 10.3.3.3", true, "10.3.3.3"},
		{"10.2.2.2:8080", true, "10.2.2.2"},
		{`"[2001:db8::1]:443"`, true, "2001:0db8:0000:0000:0000:0000:0000:0001"},
		{"[2001:db8::1]", false, "2001:0db8:0000:0000:0000:0000:0000:0001"},
		{"unknown", true, ""},
		{"", false, ""},
		{",,,", true, ""},
	} {
		a, ok := forwardedIn([]byte(c.list), c.last)
		got := ""
		if ok {
			got = string(AppendAddr(nil, a))
		}
		if got != c.want {
			t.Errorf("%q, last %v: got %q, want %q", c.list, c.last, got, c.want)
		}
	}
}
