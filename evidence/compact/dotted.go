package compact

// Dotted reads an IPv4 address as the system writes one: four numbers up to 255 with dots between them, without zeros
// before them. Of another text ok is false, also of one that net/netip would read.
func Dotted(s string) (a [4]byte, ok bool) {
	if len(s) < len("0.0.0.0") || len(s) > len("255.255.255.255") {
		return a, false
	}
	n, at, digits := 0, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			if digits > 0 && n == 0 {
				return a, false
			}
			n = n*10 + int(c-'0')
			if digits++; n > 255 {
				return a, false
			}
		case c == '.' && digits > 0 && at < 3:
			a[at] = byte(n)
			n, digits, at = 0, 0, at+1
		default:
			return a, false
		}
	}
	a[at] = byte(n)
	return a, at == 3 && digits > 0
}
