// Package der walks the definite-length BER and DER that Kerberos, LDAP and security blobs are made of.
//
// Bytes come in from the protocols, elements go out as slices of them. A leaf: it imports nothing, keeps no
// state and allocates nothing. It reads one-byte tags only, which is all these protocols use.
package der

// Next splits the first element off b. A length that points past b is cut to it, so that the front of a
// truncated message can be read; ok is false when there is no element.
func Next(b []byte) (tag byte, body, rest []byte, ok bool) {
	head, size, ok := Header(b)
	if !ok {
		return 0, nil, nil, false
	}
	end := len(b)
	if size < end-head {
		end = head + size
	}
	return b[0], b[head:end:end], b[end:], true
}

// Header reads tag and length of the element at the start of b: the length of both, and that of the body, which
// may go beyond b. ok is false if b is too short to tell, or for the indefinite form and lengths of 2^31 and more.
func Header(b []byte) (head, size int, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	n := int(b[1])
	if n < 0x80 {
		return 2, n, true
	}
	k := n & 0x7f
	if k == 0 || k > 4 || len(b) < 2+k {
		return 0, 0, false
	}
	for _, c := range b[2 : 2+k] {
		size = size<<8 | int(c)
	}
	return 2 + k, size, size < 1<<31
}

// Inside goes down through first elements of the given tags and returns the last one's body; nil if they are not there.
func Inside(b []byte, tags ...byte) []byte {
	for _, want := range tags {
		tag, body, _, ok := Next(b)
		if !ok || tag != want {
			return nil
		}
		b = body
	}
	return b
}

// Int reads the body of an INTEGER or ENUMERATED; longer ones than eight bytes are cut to their low end.
func Int(body []byte) int64 {
	if len(body) == 0 {
		return 0
	}
	v := int64(int8(body[0]))
	for _, c := range body[1:] {
		v = v<<8 | int64(c)
	}
	return v
}
