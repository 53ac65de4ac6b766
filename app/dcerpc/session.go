package dcerpc

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/ntlmssp"
)

// ifacesMax bounds the presentation contexts remembered of a conversation (a hostile client may send
// any number of alter_context PDUs); C706 leaves it open, Windows refuses more than a few dozen.
const ifacesMax = 256

// Iface is one presentation context that the client offered.
type Iface struct {
	UUID        [16]byte // in written order
	Name        string   // UUID as text, lower case
	Ver, VerMin uint16
	Ctx         uint16
	CallID      uint32
	Acked       bool
	Result      uint16
	Reason      uint16
	First       bool // offered in a first fragment
}

// Session is what a DCERPC association remembers between PDUs. The zero value is ready; smb keeps one a pipe.
type Session struct {
	Ifaces  []Iface
	Privacy bool   // requests are encrypted (packet privacy)
	bindAt  int    // first of Ifaces that the last bind or alter_context offered
	login   bool   // somebody authenticated and no answer has shown the result yet
	user    string // who
	domain  string
	scratch [36]byte
	ntlm    ntlmssp.Message
}

// Reset empties the session, keeping its memory.
func (s *Session) Reset() {
	s.Ifaces = s.Ifaces[:0]
	s.Privacy, s.login, s.user, s.domain = false, false, "", ""
	s.bindAt = 0
}

// Call is one request with its response, over as many fragments as it takes.
type Call struct {
	ReqSet, ResSet     bool
	ReqType, ResType   uint8
	ReqWhole, ResWhole bool // the last fragment was seen
	Minor              uint8
	CallID             uint32
	Ctx                uint16
	Opnum              uint16
	HasOpnum           bool
	ReqFrags, ResFrags int
	ReqStub, ResStub   []byte
	ReqBytes, ResBytes uint64 // of stub seen, more than kept when the limit was met
	ReqBig, ResBig     bool
	FaultStatus        uint32
	Encrypted          bool
	ZeroCredential     bool // a Netlogon handshake with an all-zero challenge or credential (CVE-2020-1472)
	Malformed          bool
}

// Reset empties the call, keeping its buffers.
func (c *Call) Reset() {
	*c = Call{ReqStub: c.ReqStub[:0], ResStub: c.ResStub[:0]}
}

// FromClient reads one whole client PDU into c. stubMax bounds the bytes of stub kept. An authentication
// trailer stays part of the stub, as rules written for other engines expect.
func (s *Session) FromClient(h Header, pdu []byte, c *Call, stubMax int) {
	c.ReqSet, c.ReqType, c.CallID, c.ReqBig, c.Minor = true, h.Type, h.CallID, h.BigEndian, h.Minor
	c.ReqFrags++
	body := pdu[HeaderLen:min(h.FragLen, len(pdu))]
	switch h.Type {
	case TypeBind, TypeAlter:
		s.bind(h, body, c)
		s.auth(h, pdu)
	case TypeRequest:
		s.request(h, body, c, stubMax)
	case TypeAuth3:
		s.auth(h, pdu)
	}
	if h.Flags&flagLast != 0 || h.Type != TypeRequest {
		c.ReqWhole = true
		if h.Type == TypeRequest {
			s.inspect(c)
		}
	}
}

// FromServer reads one whole server PDU into c.
func (s *Session) FromServer(h Header, pdu []byte, c *Call, stubMax int) {
	c.ResSet, c.ResType, c.CallID, c.ResBig = true, h.Type, h.CallID, h.BigEndian
	c.Minor = h.Minor
	c.ResFrags++
	body := pdu[HeaderLen:min(h.FragLen, len(pdu))]
	switch h.Type {
	case TypeBindAck, TypeAlterAck:
		s.bindAck(h, body, c)
	case TypeResponse:
		if len(body) < 8 {
			c.Malformed = true
			break
		}
		c.ResBytes += uint64(len(body) - 8)
		c.ResStub = appendBounded(c.ResStub, body[8:], stubMax)
	case TypeFault:
		if len(body) >= 12 {
			c.FaultStatus = h.u32(body[8:])
		}
	}
	if h.Flags&flagLast != 0 || h.Type != TypeResponse {
		c.ResWhole = true
	}
}

func appendBounded(dst, src []byte, limit int) []byte {
	if room := limit - len(dst); room < len(src) {
		src = src[:max(room, 0)]
	}
	return append(dst, src...)
}

func (s *Session) bind(h Header, b []byte, c *Call) {
	if len(b) < 12 {
		c.Malformed = true
		return
	}
	n := int(b[8])
	b = b[12:]
	s.bindAt = len(s.Ifaces)
	for i := 0; i < n && i < bindItemsMax; i++ {
		if len(b) < 4+transferPerItem {
			c.Malformed = true
			return
		}
		skip := 4 + transferPerItem + int(b[2])*transferPerItem
		f := Iface{Ctx: h.u16(b), UUID: h.uuid(b[4:]), Ver: h.u16(b[20:]), VerMin: h.u16(b[22:]), CallID: h.CallID, First: h.Flags&flagFirst != 0}
		s.offer(f)
		if skip > len(b) {
			c.Malformed = true
			return
		}
		b = b[skip:]
	}
}

func (s *Session) offer(f Iface) {
	if len(s.Ifaces) >= ifacesMax {
		return
	}
	for i := range s.Ifaces {
		if s.Ifaces[i].UUID == f.UUID {
			f.Name = s.Ifaces[i].Name
		}
	}
	if f.Name == "" {
		f.Name = knownName(AppendUUID(s.scratch[:0], &f.UUID))
	}
	s.Ifaces = append(s.Ifaces, f)
}

func (s *Session) bindAck(h Header, b []byte, c *Call) {
	if len(b) < 10 {
		c.Malformed = true
		return
	}
	at := (10 + int(h.u16(b[8:])) + 3) &^ 3
	if at+4 > len(b) {
		c.Malformed = true
		return
	}
	n := int(b[at])
	b = b[at+4:]
	for i := 0; i < n && s.bindAt+i < len(s.Ifaces); i++ {
		if len(b) < 4+transferPerItem {
			c.Malformed = true
			return
		}
		f := &s.Ifaces[s.bindAt+i]
		f.Acked, f.Result, f.Reason = true, h.u16(b), h.u16(b[2:])
		b = b[4+transferPerItem:]
	}
}

func (s *Session) request(h Header, b []byte, c *Call, stubMax int) {
	if len(b) < 8 {
		c.Malformed = true
		return
	}
	if c.ReqFrags == 1 || h.Flags&flagFirst != 0 {
		c.Ctx, c.Opnum, c.HasOpnum = h.u16(b[4:]), h.u16(b[6:]), true
	}
	const at = 8 // an object UUID, as DCOM has it, counts as stub, as in Suricata
	c.Encrypted = c.Encrypted || s.Privacy && h.AuthLen > 0
	c.ReqBytes += uint64(len(b) - at)
	c.ReqStub = appendBounded(c.ReqStub, b[at:], stubMax)
}

// auth reads the authentication trailer: who logs in, and whether requests will be encrypted.
func (s *Session) auth(h Header, pdu []byte) {
	end := min(h.FragLen, len(pdu))
	if h.AuthLen == 0 || h.AuthLen+securityTrailer > end-HeaderLen {
		return
	}
	t := pdu[end-h.AuthLen-securityTrailer : end]
	if h.Type != TypeAuth3 {
		s.Privacy = t[1] == authLevelPrivacy
	}
	tok := ntlmssp.Find(t[securityTrailer:])
	if tok == nil || !ntlmssp.Parse(tok, &s.ntlm) || s.ntlm.Type != ntlmssp.Authenticate {
		return
	}
	s.login, s.user, s.domain = true, string(s.ntlm.User), string(s.ntlm.Domain)
	if s.ntlm.Anonymous {
		s.domain = "anonymous"
	}
}

// IfaceOf returns the interface of a context, the accepted one if several were offered under its number; nil if
// none was offered where we could see it.
func (s *Session) IfaceOf(ctx uint16) *Iface {
	var offered *Iface
	for i := len(s.Ifaces) - 1; i >= 0; i-- {
		f := &s.Ifaces[i]
		if f.Ctx != ctx {
			continue
		}
		if f.Acked && f.Result == 0 {
			return f
		}
		if offered == nil {
			offered = f
		}
	}
	return offered
}

// AppendFacts appends what a whole request said, for the own detectors. place is the pipe or "tcp", "udp".
func (s *Session) AppendFacts(facts []contract.Fact, c *Call, place string) []contract.Fact {
	switch c.ReqType {
	case TypeBind, TypeAlter:
		for i := s.bindAt; i < len(s.Ifaces); i++ {
			f := &s.Ifaces[i]
			again := i > s.bindAt && s.Ifaces[i-1].UUID == f.UUID // offered once per transfer syntax
			if f.CallID == c.CallID && !again {
				facts = append(facts, contract.Fact{Kind: contract.RPCBind, Name: f.Name, Text: place, Code: uint32(f.Ver)})
			}
		}
	case TypeRequest:
		name := ""
		if f := s.IfaceOf(c.Ctx); f != nil {
			name = f.Name
		}
		facts = append(facts, contract.Fact{Kind: contract.RPCCall, Name: name, Code: uint32(c.Opnum), Size: uint32(min(c.ReqBytes, 1<<31)), Text: place})
		if c.ZeroCredential {
			facts = append(facts, contract.Fact{Kind: contract.NetlogonZeroCredential, Name: name, Code: uint32(c.Opnum), Text: place})
		}
	}
	return facts
}

// AppendLogin appends how an authentication ended, once the first answer behind it shows that.
func (s *Session) AppendLogin(facts []contract.Fact, c *Call) []contract.Fact {
	f := contract.Fact{Kind: contract.LoginSucceeded, Dir: contract.ToClient, Name: s.user, Text: s.domain}
	switch {
	case !s.login:
		return facts
	case c.ResType == TypeFault && c.FaultStatus == accessDenied || c.ResType == TypeBindNak:
		f.Kind, f.Code = contract.LoginFailed, c.FaultStatus
	case c.ResType != TypeResponse && c.ResType != TypeFault:
		return facts
	}
	s.login = false
	return append(facts, f)
}

// accessDenied is the fault by which a server refuses who asks (MS-RPCE 2.2.2.11: ERROR_ACCESS_DENIED).
const accessDenied = 5
