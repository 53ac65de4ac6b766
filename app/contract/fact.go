package contract

// Fact is one thing that was said in a conversation and that own detectors care about: what it means is theirs to judge.
type Fact struct {
	Kind FactKind
	Dir  Direction
	Code uint32 // status, rcode, error, opnum, type: see the kind
	Size uint32 // bytes, where the kind says so
	Name string // user, query name, host, interface, path: see the kind
	Text string // second string
}

// FactKind is what was said.
type FactKind uint8

// Kinds of facts.
const (
	FactNone               FactKind = iota
	LoginFailed                     // Name user if known, Code the protocol's status; one per failed attempt
	LoginSucceeded                  // Name user
	LoginAttempt                    // an attempt whose result is not visible (SSH: one per connection that ends before a session)
	DNSQuery                        // Name query name lower case, Code type, Size length of the name, Dir
	DNSAnswer                       // Name query name, Code rcode, Size bytes of answer data, Text first address or data
	HTTPRequest                     // at the end of the headers: Name host, Text URI (first 256 bytes), Code 0, Size 1 if a body follows
	HTTPResponse                    // Code status, Size body bytes, Name host, Text URI
	HTTPAgent                       // Name user agent
	TLSHello                        // Name SNI, Text JA3 hash
	TLSServerHello                  // Text JA3S
	TLSCertificate                  // Name subject CN, Text issuer CN, Code 1 if self-signed
	Heartbleed                      // Size bytes claimed; Code 1 answered
	RPCBind                         // Name interface UUID, Text pipe or port
	RPCCall                         // Name interface UUID lower case, Code opnum, Size stub bytes, Text pipe
	SMBTree                         // Name share
	SMBFile                         // Name path, Text share, Code 0 open, 1 create, 2 write, 3 read, 4 delete; Size 1 if what is written or read begins as an executable
	SMBCommand                      // Code command, Text "1" or "2" (version), Size function of a transaction
	KerberosRequest                 // Code message type (10 AS-REQ, 11 AS-REP, 12 TGS-REQ, 13 TGS-REP), Name client (AS) or service (TGS), Text comma-joined etypes; Size 1 if the client proved itself (preauthentication)
	KerberosError                   // Code error code, Name client principal
	LDAPRequest                     // Code operation, Name base or DN, Text filter and attributes as text, up to 512 bytes; Size result count for a reply (Dir to client)
	MailSent                        // Name from, Text to, Code recipients
	SSHVersion                      // Name software, Dir
	DHCPOffer                       // a reply: Name server id, Text routers|resolvers offered; a request: Name hardware address, Text relay; Code message type, Size transaction id
	SNMPReply                       // Size
	NTPMonlist                      // Size
	ProtocolError                   // Code event index, Name event
	FTPCommand                      // Name command, Text argument
	Command                         // any other protocol's command word: Name, Text
	NetlogonZeroCredential          // Name interface, Code opnum, Text pipe: an all-zero challenge or credential in the clear
	SMBAnomaly                      // Name one of smb's own event names (trans2_session_setup, ...), Code and Size as smb's event table says
)
