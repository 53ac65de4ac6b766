package cases

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// interfaces of Microsoft's open specifications by the names people use: UUID and version.
var interfaces = map[string]struct {
	uuid    string
	version uint32
}{
	"svcctl":        {"367abb81-9844-35f1-ad32-98f038001003", 2},
	"tsch":          {"86d35949-83c9-4044-b424-db363231fd0c", 1},
	"atsvc":         {"1ff70682-0a51-30e8-076d-740be8cee98b", 1},
	"winreg":        {"338cd001-2244-31f1-aaaa-900038001003", 1},
	"wbemservices":  {"9556dc99-828c-11cf-a37e-00aa003240c7", 0},
	"spoolss":       {"12345678-1234-abcd-ef00-0123456789ab", 1},
	"efs-lsarpc":    {"c681d488-d850-11d0-8c52-00c04fd90f7e", 1},
	"efsrpc":        {"df1941c5-fe89-4e79-bf10-463657acf44d", 1},
	"netdfs":        {"4fc742e0-4a10-11cf-8273-00aa004ae673", 3},
	"fsrvp":         {"a8e0653c-2744-4389-a61d-7373df8b2292", 1},
	"srvsvc":        {"4b324fc8-1670-01d3-1278-5a47bf6ee188", 3},
	"drsuapi":       {"e3514235-4b06-11d1-ab04-00c04fc2dcd2", 4},
	"asyncprint":    {"76f03f96-cdfd-44fc-a22c-64950a001209", 1},
	"samr":          {"12345778-1234-abcd-ef00-0123456789ac", 1},
	"wkssvc":        {"6bffd098-a112-3610-9833-46c3f87e345a", 1},
	"epmapper":      {"e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3},
	"netlogon":      {"12345678-1234-abcd-ef00-01234567cffb", 1},
	"lsarpc":        {"12345778-1234-abcd-ef00-0123456789ab", 0},
	"remoteactive":  {"000001a0-0000-0000-c000-000000000046", 0},
	"oxidresolver":  {"99fcfec4-5260-101b-bbcb-00aa0021347a", 0},
	"eventlog":      {"82273fdc-e32a-18c3-3f78-827929dc23ea", 0},
	"dnsserver":     {"50abc2a4-574d-40b3-9d66-ee4fd5fba076", 5},
	"witness":       {"ccd8c074-d0e5-4a40-92b4-d074faa6ba28", 1},
	"wbemlevel1":    {"f309ad18-d86a-11d0-a075-00c04fb68820", 0},
	"dssetup":       {"3919286a-b10c-11d0-9ba8-00c04fd92ef5", 0},
	"initshutdown":  {"894de0c0-0d55-11d3-a322-00c04fa321a1", 1},
	"idispatch":     {"00020400-0000-0000-c000-000000000046", 0},
	"taskscheduler": {"378e52b0-c0a9-11cf-822d-00aa0051e40f", 1},
}

// association makes the PDUs of one DCERPC association (C706 12.6).
type association struct {
	callID uint32
	bound  string
}

func newAssociation() *association { return &association{callID: 1} }

// call reads "svcctl 12 STUB": a bind to the interface unless it stands, the request, and an answer of zeros. The
// stub is hexadecimal as elsewhere.
func (a *association) call(text string) ([]send, error) {
	f := strings.SplitN(text, " ", 3)
	if len(f) < 2 {
		return nil, fmt.Errorf("a call is an interface, an operation number and its stub: %q", text)
	}
	iface, known := interfaces[f[0]]
	opnum, err := strconv.ParseUint(f[1], 10, 16)
	if !known || err != nil {
		return nil, fmt.Errorf("no such interface or operation: %q", text)
	}
	stub := []byte{0, 0, 0, 0}
	if len(f) == 3 {
		if stub, err = tokens(f[2]); err != nil {
			return nil, err
		}
	}
	var all []send
	if a.bound != f[0] {
		a.bound = f[0]
		all = append(all, send{true, a.bind(iface.uuid, iface.version)}, send{false, a.bindAck()})
	}
	all = append(all, send{true, a.request(uint16(opnum), stub)}, send{false, a.response()})
	return all, nil
}

const ndr20 = "8a885d04-1ceb-11c9-9fe8-08002b104860"

func (a *association) bind(uuid string, version uint32) []byte {
	b := binary.LittleEndian.AppendUint16(nil, 4280)
	b = binary.LittleEndian.AppendUint16(b, 4280)
	b = append(b, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0)
	b = binary.LittleEndian.AppendUint32(appendUUID(b, uuid), version)
	b = binary.LittleEndian.AppendUint32(appendUUID(b, ndr20), 2)
	return a.pdu(11, b)
}

func (a *association) bindAck() []byte {
	b := []byte{0xb8, 0x10, 0xb8, 0x10, 1, 0, 0, 0, 4, 0, '1', '3', '5', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	b = binary.LittleEndian.AppendUint32(appendUUID(b, ndr20), 2)
	p := a.pdu(12, b)
	a.callID++
	return p
}

func (a *association) request(opnum uint16, stub []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(stub)))
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, opnum)
	return a.pdu(0, append(b, stub...))
}

func (a *association) response() []byte {
	p := a.pdu(2, []byte{4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	a.callID++
	return p
}

func (a *association) pdu(kind byte, body []byte) []byte {
	b := []byte{5, 0, kind, 3, 0x10, 0, 0, 0}
	b = binary.LittleEndian.AppendUint16(b, uint16(16+len(body)))
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, a.callID)
	return append(b, body...)
}

// appendUUID appends a UUID as little-endian NDR has it: the first three fields turned round.
func appendUUID(dst []byte, s string) []byte {
	u, _ := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	dst = append(dst, u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6])
	return append(dst, u[8:]...)
}

// overPipe carries sends over a named pipe of an SMB 2.1 session: what the client says is written, what the server
// says is read.
func overPipe(pipe string, sends []send) []send {
	s := &smb2{}
	s.exchange(0, append([]byte{36, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0}, append(make([]byte, 24), 0x10, 2)...), negotiated())
	s.exchange(1, withBuffer([]byte{25, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12, 14, []byte("NTLMSSP\x00\x01\x00\x00\x00\x07\x82\x08\xa2\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")),
		[]byte{9, 0, 0, 0, 72, 0, 0, 0, 0})
	s.exchange(3, withBuffer([]byte{9, 0, 0, 0, 0, 0, 0, 0}, 4, 6, wideText(`\\fs.example\IPC$`)), []byte{16, 0, 2, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0xff, 1, 0x1f, 0})
	create := make([]byte, 56)
	create[0], create[3], create[4], create[24], create[32], create[36] = 57, 0, 2, 0x9f, 7, 1
	created := make([]byte, 89)
	created[0], created[4], created[64], created[72] = 89, 1, 7, 9
	s.exchange(5, withBuffer(create, 44, 46, wideText(pipe)), created)
	for _, one := range sends {
		if one.toServer {
			s.write(one.data)
		} else {
			s.read(one.data)
		}
	}
	return s.sends
}

// smb2 makes SMB 2 messages (MS-SMB2 2.2) of one session, one tree and one file.
type smb2 struct {
	id    uint64
	sends []send
}

func (s *smb2) exchange(command byte, request, response []byte) {
	for _, toServer := range []bool{true, false} {
		h := make([]byte, 64, 64+len(request)+len(response))
		copy(h, "\xfeSMB\x40\x00\x01\x00")
		h[12], h[14] = command, 1
		if !toServer {
			h[16] = 1
		}
		binary.LittleEndian.PutUint64(h[24:], s.id)
		if command > 3 || command == 3 && !toServer {
			h[36] = 5 // tree
		}
		if command > 1 || command == 1 && !toServer {
			h[40] = 0x11 // session
		}
		if toServer {
			h = append(h, request...)
		} else {
			h = append(h, response...)
		}
		s.sends = append(s.sends, send{toServer, append([]byte{0, 0, byte(len(h) >> 8), byte(len(h))}, h...)})
	}
	s.id++
}

func (s *smb2) write(data []byte) {
	b := make([]byte, 48)
	b[0], b[2], b[16], b[24] = 49, 112, 7, 9
	binary.LittleEndian.PutUint32(b[4:], uint32(len(data)))
	done := make([]byte, 17)
	done[0] = 17
	binary.LittleEndian.PutUint32(done[4:], uint32(len(data)))
	s.exchange(9, append(b, data...), done)
}

func (s *smb2) read(data []byte) {
	b := make([]byte, 49)
	b[0], b[2], b[16], b[24] = 49, 80, 7, 9
	binary.LittleEndian.PutUint32(b[4:], 4280)
	done := make([]byte, 16)
	done[0], done[2] = 17, 80
	binary.LittleEndian.PutUint32(done[4:], uint32(len(data)))
	s.exchange(8, b, append(done, data...))
}

// withBuffer appends a buffer to a request's fixed part and notes where it stands from the header, and its length.
func withBuffer(fixed []byte, offset, length int, buffer []byte) []byte {
	binary.LittleEndian.PutUint16(fixed[offset:], uint16(64+len(fixed)))
	binary.LittleEndian.PutUint16(fixed[length:], uint16(len(buffer)))
	return append(fixed, buffer...)
}

func negotiated() []byte {
	b := make([]byte, 65)
	b[0], b[2], b[4], b[5] = 65, 1, 0x10, 2
	for _, at := range []int{28, 32, 36} { // the most of a transaction, a read, a write: 1 MiB
		b[at+2] = 0x10
	}
	return b
}
