package http1

import "bytes"

// normaliseURI undoes percent-encoding once in path and query (twice if told), folds slashes and dot segments of the
// path as the stock server personality does, and keeps the query's plus signs.
func normaliseURI(dst, raw []byte, c *config) []byte {
	raw = afterAuthority(raw)
	path, query := raw, []byte(nil)
	hasQuery := false
	if i := bytes.IndexByte(raw, '?'); i >= 0 {
		path, query, hasQuery = raw[:i], raw[i+1:], true
	}
	start := len(dst)
	dst = decodePath(dst, path)
	if c.doublePth {
		again := append([]byte(nil), dst[start:]...)
		dst = decodePath(dst[:start], again)
	}
	dst = dst[:start+len(dotSegments(dst[start:]))]
	if !hasQuery {
		return dst
	}
	dst = append(dst, '?')
	at := len(dst)
	dst = unescape(dst, query, c.plusSpace)
	if c.doubleQry {
		again := append([]byte(nil), dst[at:]...)
		dst = unescape(dst[:at], again, c.plusSpace)
	}
	return dst
}

// afterAuthority takes scheme and authority off an absolute URI.
func afterAuthority(raw []byte) []byte {
	i := bytes.Index(raw, []byte("://"))
	if i <= 0 || i > 8 || raw[0] == '/' {
		return raw
	}
	rest := raw[i+3:]
	if j := bytes.IndexAny(rest, "/?"); j >= 0 {
		return rest[j:]
	}
	return []byte("/")
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// unescape undoes %xx; what is no escape stays.
func unescape(dst, s []byte, plus bool) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) {
			if h, l := unhex(s[i+1]), unhex(s[i+2]); h >= 0 && l >= 0 {
				dst = append(dst, byte(h<<4|l))
				i += 2
				continue
			}
		}
		if plus && c == '+' {
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}

// decodePath undoes escapes, turns backslashes round and folds runs of slashes.
func decodePath(dst, s []byte) []byte {
	start := len(dst)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) {
			if h, l := unhex(s[i+1]), unhex(s[i+2]); h >= 0 && l >= 0 {
				c = byte(h<<4 | l)
				i += 2
			}
		}
		if c == '\\' {
			c = '/'
		}
		if c == '/' && len(dst) > start && dst[len(dst)-1] == '/' {
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// dotSegments removes "." and ".." segments in place (RFC 3986 section 5.2.4).
func dotSegments(p []byte) []byte {
	out := p[:0]
	for len(p) > 0 {
		end := bytes.IndexByte(p[1:], '/') + 1
		if end == 0 {
			end = len(p)
		}
		segment := p[:end]
		p = p[end:]
		switch {
		case string(segment) == "/." || string(segment) == ".":
			if len(p) == 0 {
				out = append(out, '/')
			}
		case string(segment) == "/.." || string(segment) == "..":
			if i := bytes.LastIndexByte(out, '/'); i >= 0 {
				out = out[:i]
			}
			if len(p) == 0 {
				out = append(out, '/')
			}
		default:
			out = append(out, segment...)
		}
	}
	return out
}

// hostOf splits host and port, and lowers the host.
func hostOf(dst, raw []byte) []byte {
	h := raw
	if i := bytes.LastIndexByte(raw, ':'); i >= 0 && bytes.IndexByte(raw[i:], ']') < 0 {
		h = raw[:i]
	}
	for _, c := range h {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
