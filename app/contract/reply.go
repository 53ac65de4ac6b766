package contract

import "bytes"

// Reply is the first reply in b of a server that speaks FTP's way (RFC 959 section 4.2: a line whose code is followed by
// a dash goes on); whole says that all of it is there, or as many bytes as are waited for, most. text lies in b.
func Reply(b []byte, most int) (text []byte, whole bool) {
	b = b[:min(len(b), most)]
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return b, len(b) == most
		}
		line := b[at : at+i]
		if at += i + 1; len(line) < 4 || line[3] != '-' {
			return b[:at], true
		}
	}
}
