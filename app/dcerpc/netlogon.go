package dcerpc

// Netlogon's secure channel handshake (MS-NRPC 3.5.4.4): an all-zero client challenge or credential is what
// CVE-2020-1472 needs, because AES-CFB8 with a zero vector maps zeros to zeros for one key in 256. No honest
// client draws eight zero bytes.
const (
	netlogon            = "12345678-1234-abcd-ef00-01234567cffb"
	opReqChallenge      = 4
	opAuthenticate      = 5
	opAuthenticate2     = 15
	opAuthenticate3     = 26
	opPasswordSet2      = 30
	credentialLen       = 8
	netlogonStringChars = 1024 // names in the handshake are host names; longer ones are not walked
)

// inspect looks into the stubs whose content the own detectors need.
func (s *Session) inspect(c *Call) {
	f := s.IfaceOf(c.Ctx)
	if f == nil || f.Name != netlogon || c.Encrypted {
		return
	}
	w := ndr{b: c.ReqStub, big: c.ReqBig}
	switch c.Opnum {
	case opReqChallenge:
		w.pointer()
		w.text()
	case opAuthenticate, opAuthenticate2, opAuthenticate3:
		w.pointer()
		w.text()
		w.skip(2, 2)
		w.text()
	default:
		return
	}
	c.ZeroCredential = w.zeros(credentialLen)
}

// ndr walks little or big endian NDR20 data (C706 14), never past its end.
type ndr struct {
	b   []byte
	at  int
	big bool
	bad bool
}

// skip aligns to align and passes n bytes.
func (w *ndr) skip(align, n int) {
	w.at = (w.at+align-1)&^(align-1) + n
	if w.at > len(w.b) {
		w.bad = true
	}
}

func (w *ndr) u32() uint32 {
	w.skip(4, 4)
	if w.bad {
		return 0
	}
	h := Header{BigEndian: w.big}
	return h.u32(w.b[w.at-4:])
}

// text passes a conformant varying string of 16-bit characters.
func (w *ndr) text() {
	w.u32()
	w.u32()
	n := w.u32()
	if w.bad || n > netlogonStringChars {
		w.bad = true
		return
	}
	w.skip(1, int(n)*2)
}

// pointer passes a unique pointer to a string, which may be null.
func (w *ndr) pointer() {
	if w.u32() != 0 {
		w.text()
	}
}

func (w *ndr) zeros(n int) bool {
	if w.bad || w.at+n > len(w.b) {
		return false
	}
	for _, c := range w.b[w.at : w.at+n] {
		if c != 0 {
			return false
		}
	}
	return true
}
