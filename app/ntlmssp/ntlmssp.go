// Package ntlmssp reads NTLMSSP messages (MS-NLMP 2.2), wherever a protocol carries them.
//
// Security blobs come in from smb, dcerpc, ldap and others; who wants to log in comes out. A leaf: it
// imports nothing of ours, keeps no state and never holds on to the blob.
package ntlmssp

import "bytes"

// Message types of MS-NLMP 2.2.1.
const (
	Negotiate    = 1
	Challenge    = 2
	Authenticate = 3
)

// searchMax bounds how far into a blob the signature is looked for: a security blob in which the
// token starts later than this is padding by a hostile sender.
const searchMax = 4096

// fieldMax bounds one name: UserName, Domain and Workstation are at most 256 characters in Windows.
const fieldMax = 1024

var signature = []byte("NTLMSSP\x00")

// Message is one NTLMSSP message. The names are UTF-8, in memory of their own.
type Message struct {
	Type               uint32
	Domain, User, Host []byte
	HasVersion         bool
	Major, Minor       uint8
	Build              uint16
	Revision           uint8
	// Anonymous says that an Authenticate message names nobody and proves nothing (MS-NLMP 3.2.5.1.2).
	Anonymous bool
	// Bad says that a field of the message points outside of it.
	Bad bool
}

// Find returns the part of a security blob that starts with an NTLMSSP message, nil if there is none.
func Find(blob []byte) []byte {
	head := blob
	if len(head) > searchMax {
		head = head[:searchMax]
	}
	i := bytes.Index(head, signature)
	if i < 0 {
		return nil
	}
	return blob[i:]
}

// Parse reads the message at the start of b into m, whose buffers it reuses. It returns false if b
// is no NTLMSSP message.
func Parse(b []byte, m *Message) bool {
	m.Reset()
	if len(b) < 12 || !bytes.Equal(b[:8], signature) {
		return false
	}
	m.Type = le32(b[8:])
	if m.Type < Negotiate || m.Type > Authenticate {
		return false
	}
	if m.Type != Authenticate {
		return true
	}
	if len(b) < 64 {
		m.Bad = true
		return true
	}
	flags := le32(b[60:])
	unicode := flags&1 != 0
	lm, nt := le16(b[12:]), le16(b[20:])
	m.Domain = m.field(m.Domain[:0], b, 28, unicode)
	m.User = m.field(m.User[:0], b, 36, unicode)
	m.Host = m.field(m.Host[:0], b, 44, unicode)
	const negotiateVersion = 1 << 25
	if flags&negotiateVersion != 0 && len(b) >= 72 {
		m.HasVersion = true
		m.Major, m.Minor, m.Build, m.Revision = b[64], b[65], le16(b[66:]), b[71]
	}
	m.Anonymous = len(m.User) == 0 && nt == 0 && lm <= 1
	return true
}

// Reset empties the message, keeping its buffers.
func (m *Message) Reset() {
	*m = Message{Domain: m.Domain[:0], User: m.User[:0], Host: m.Host[:0]}
}

func (m *Message) field(dst, b []byte, at int, unicode bool) []byte {
	n, off := int(le16(b[at:])), int(le32(b[at+4:]))
	if n == 0 {
		return dst
	}
	if n > fieldMax || off > len(b) || n > len(b)-off {
		m.Bad = true
		return dst
	}
	if !unicode {
		return append(dst, b[off:off+n]...)
	}
	return AppendUTF16(dst, b[off:off+n])
}

// AppendUTF16 appends little-endian UTF-16 as UTF-8; a lone surrogate becomes U+FFFD, an odd last byte is left out.
func AppendUTF16(dst, src []byte) []byte {
	for i := 0; i+1 < len(src); i += 2 {
		r := rune(le16(src[i:]))
		if r < 0x80 {
			dst = append(dst, byte(r))
			continue
		}
		if r >= 0xd800 && r < 0xe000 {
			low := rune(0)
			if r < 0xdc00 && i+3 < len(src) {
				low = rune(le16(src[i+2:]))
			}
			if low >= 0xdc00 && low < 0xe000 {
				r = 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
				i += 2
			} else {
				r = 0xfffd
			}
		}
		dst = append(dst, string(r)...)
	}
	return dst
}

func le16(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
