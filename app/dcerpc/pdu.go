package dcerpc

// Header is the common header of a connection-oriented PDU (C706 12.6.1).
type Header struct {
	Version, Minor uint8
	Type, Flags    uint8
	BigEndian      bool
	FragLen        int
	AuthLen        int
	CallID         uint32
}

// PDU types of C706 12.6.4.
const (
	TypeRequest      = 0
	TypePing         = 1
	TypeResponse     = 2
	TypeFault        = 3
	TypeBind         = 11
	TypeBindAck      = 12
	TypeBindNak      = 13
	TypeAlter        = 14
	TypeAlterAck     = 15
	TypeAuth3        = 16
	TypeShutdown     = 17
	TypeCoCancel     = 18
	TypeOrphaned     = 19
	typeUnknown      = 20
	HeaderLen        = 16
	flagFirst        = 1
	flagLast         = 2
	uuidLen          = 16
	bindItemsMax     = 64 // contexts read of one bind; Windows offers at most a handful, C706 has a one-byte count
	transferPerItem  = 20
	securityTrailer  = 8
	authLevelPrivacy = 6
)

var typeNames = [...]string{
	"REQUEST", "PING", "RESPONSE", "FAULT", "WORKING", "NOCALL", "REJECT", "ACK", "CL_CANCEL", "FACK",
	"CANCEL_ACK", "BIND", "BINDACK", "BINDNAK", "ALTER_CONTEXT", "ALTER_CONTEXT_RESP", "AUTH3", "SHUTDOWN",
	"CO_CANCEL", "ORPHANED",
}

// TypeName is eve's name of a PDU type.
func TypeName(t uint8) string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "UNKNOWN"
}

// ParseHeader reads the 16 bytes of a connection-oriented header; false if b does not start with one.
func ParseHeader(b []byte) (h Header, ok bool) {
	if len(b) < HeaderLen || b[0] != 5 || b[1] > 1 || b[2] >= typeUnknown {
		return h, false
	}
	h = Header{Version: b[0], Minor: b[1], Type: b[2], Flags: b[3], BigEndian: b[4]&0x10 == 0}
	h.FragLen = int(h.u16(b[8:]))
	h.AuthLen = int(h.u16(b[10:]))
	h.CallID = h.u32(b[12:])
	return h, h.FragLen >= HeaderLen
}

func (h *Header) u16(b []byte) uint16 {
	if h.BigEndian {
		return uint16(b[0])<<8 | uint16(b[1])
	}
	return uint16(b[0]) | uint16(b[1])<<8
}

func (h *Header) u32(b []byte) uint32 {
	if h.BigEndian {
		return uint32(h.u16(b))<<16 | uint32(h.u16(b[2:]))
	}
	return uint32(h.u16(b)) | uint32(h.u16(b[2:]))<<16
}

// uuid reads a UUID and brings it into the order in which people write it.
func (h *Header) uuid(b []byte) (u [uuidLen]byte) {
	copy(u[:], b)
	if !h.BigEndian {
		u[0], u[1], u[2], u[3] = u[3], u[2], u[1], u[0]
		u[4], u[5] = u[5], u[4]
		u[6], u[7] = u[7], u[6]
	}
	return u
}

const hexDigits = "0123456789abcdef"

// AppendUUID appends a UUID (in written order) in lower case.
func AppendUUID(dst []byte, u *[16]byte) []byte {
	for i, c := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}

// parseUUID reads a UUID as people write it, with or without dashes.
func parseUUID(s string) (u [uuidLen]byte, ok bool) {
	n := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '-':
			continue
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return u, false
		}
		if n >= 2*uuidLen {
			return u, false
		}
		u[n/2] = u[n/2]<<4 | c
		n++
	}
	return u, n == 2*uuidLen
}
