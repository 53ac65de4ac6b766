// Package smb reads SMB 1 to 3 (MS-CIFS, MS-SMB, MS-SMB2) in its NetBIOS session framing.
//
// Stream bytes come in by contract.Parser; commands, logins, shares, files and the DCERPC calls in named
// pipes come out as transactions and facts. Called by app's driver. It does not decrypt or decompress, keeps
// of a file only a window, and after lost bytes goes on at the next message.
package smb

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/dcerpc"
)

// Keyword indices. The first four are dcerpc.Keywords.
const (
	kwIface = iota
	kwOpnum
	kwStubRequest
	kwStubReply
	kwNamedPipe
	kwShare
	kwUser
	kwDomain
	kwVersion
	kwFilename
	kwCommand
	kwSubcommand
	kwStatus
)

// Event indices: Suricata's first, in its order, then our own.
const (
	evInternalError = iota
	evMalformedData
	evRecordOverflow
	evMalformedNTLMRequest
	evMalformedNTLMResponse
	evDuplicateNegotiate
	evMalformedDialects
	evFileOverlap
	evRequestToClient
	evResponseToServer
	evMaxReadTooLarge
	evMaxWriteTooLarge
	evReadRequestTooLarge
	evReadResponseTooLarge
	evReadQueueSize
	evReadQueueCount
	evWriteRequestTooLarge
	evWriteQueueSize
	evWriteQueueCount
	evUnusualNTLMOrder
	evTooMany
	evTrans2SessionSetup
	evTrans2SessionSetupAnswered
	evNTTransUnknown
	evNTTransRename
	evSecondaryAlone
	evSessionSetupGroom
	evPeekWithoutFile
	evCompressionOverflow
	evNetBIOSName
	evZeroCredential
	evRPCMalformed
)

var events = []string{
	"internal_error", "malformed_data", "record_overflow", "malformed_ntlmssp_request", "malformed_ntlmssp_response",
	"duplicate_negotiate", "negotiate_malformed_dialects", "file_overlap", "request_to_client", "response_to_server",
	"negotiate_max_read_size_too_large", "negotiate_max_write_size_too_large", "read_request_too_large",
	"read_response_too_large", "read_queue_size_exceeded", "read_queue_cnt_exceeded", "write_request_too_large",
	"write_queue_size_exceeded", "write_queue_cnt_exceeded", "unusual_ntlmssp_order", "too_many_transactions",
	"trans2_session_setup", "trans2_session_setup_answered", "nt_trans_unknown_function", "nt_trans_rename",
	"secondary_without_primary", "session_setup_groom", "peek_pipe_without_file", "compression_header_overflow",
	"netbios_name_malformed", "netlogon_zero_credential", "dcerpc_malformed",
}

const (
	defaultMaxTx  = 512
	defaultWindow = 100 << 10 // of a file, as Suricata's content-inspect-window is of that order
	filesMax      = 1024      // open files remembered; Windows allows 16,384 a session, few clients hold hundreds
	treesMax      = 256
	readsMax      = 128      // read requests waiting; credits allow at most a few hundred
	wholeMax      = 72 << 10 // a message other than a file transfer that is longer is read only so far: SMB2 transact of 64 KiB and its headers fit
	nameMax       = 4096     // a path; MS-FSCC 2.1.5 ends at 32,760 characters, Windows' own clients at 260
	stubMax       = 128 << 10
	keepCap       = 16 << 10
	freeMax       = 16       // released transactions kept for reuse; each may hold a few buffers
	pipePartMax   = 64 << 10 // a PDU cut over several writes or reads: frag_length is 16 bits
)

// Protocol is smb's line of app's table.
//
//	keyword              kind    meaning
//	dcerpc.*             as in dcerpc, on calls in named pipes
//	smb.named_pipe       buffer  tree connected to, if it is IPC
//	smb.share            buffer  tree connected to, otherwise
//	smb.ntlmssp_user     buffer  user of an NTLM authentication
//	smb.ntlmssp_domain   buffer  its domain
//	smb.version          number  1 or 2 (3 is 2)
//	file.data and others on files: by the transaction's Files
//	smb.filename         buffer  (own) path of a create or a file transfer
//	smb.command          number  (own) command code of the version
//	smb.subcommand       number  (own) Trans, Trans2 or NT Trans function; IOCTL control code
//	smb.status           number  (own) NT status of the answer
//
// Own events beyond Suricata's: trans2_session_setup (a function no client uses but MS17-010 tools), its
// answer with a changed multiplex id (trans2_session_setup_answered: a DoublePulsar implant speaks; the
// fact's Code is the change), nt_trans_unknown_function, nt_trans_rename, secondary_without_primary,
// session_setup_groom (a pool allocation trick), peek_pipe_without_file (MS17-010 check; fact on the answer with
// Code its status), compression_header_overflow (CVE-2020-0796), netbios_name_malformed (CVE-2018-7445),
// netlogon_zero_credential (CVE-2020-1472), dcerpc_malformed.
func Protocol() contract.Protocol {
	k := append(dcerpc.Keywords(),
		contract.Keyword{Name: "smb.named_pipe", Aliases: []string{"smb_named_pipe"}, Kind: contract.KindBuffer, Dirs: contract.OnRequest},
		contract.Keyword{Name: "smb.share", Aliases: []string{"smb_share"}, Kind: contract.KindBuffer, Dirs: contract.OnRequest},
		contract.Keyword{Name: "smb.ntlmssp_user", Kind: contract.KindBuffer, Dirs: contract.OnRequest},
		contract.Keyword{Name: "smb.ntlmssp_domain", Kind: contract.KindBuffer, Dirs: contract.OnRequest},
		contract.Keyword{Name: "smb.version", Kind: contract.KindNumber, Dirs: contract.OnBoth},
		contract.Keyword{Name: "smb.filename", Kind: contract.KindBuffer, Dirs: contract.OnBoth},
		contract.Keyword{Name: "smb.command", Kind: contract.KindNumber, Dirs: contract.OnBoth},
		contract.Keyword{Name: "smb.subcommand", Kind: contract.KindNumber, Dirs: contract.OnBoth},
		contract.Keyword{Name: "smb.status", Kind: contract.KindNumber, Dirs: contract.OnReply},
	)
	return contract.Protocol{
		Name: "smb", EventType: "smb", Transport: contract.TCP, ServerPorts: []uint16{445, 139},
		Probe: probe, New: newParser, Keywords: k, Events: events,
		Steps:   [2][]string{{"request_started", "request_complete"}, {"response_started", "response_complete"}},
		Compile: func(kw int, text string) (any, error) { return dcerpc.Compile(kw == kwIface, text) },
		Limits:  contract.Limits{MaxTx: defaultMaxTx, BodyBytes: [2]int{defaultWindow, defaultWindow}, BufferBytes: stubMax},
	}
}

// probe knows a NetBIOS session message that holds an SMB header, and a well-formed session request.
func probe(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if len(b) == 0 {
		return contract.Maybe
	}
	if b[0] == nbRequest && dir == contract.ToServer {
		const namesLen = 68 // two encoded names without scope
		if len(b) >= 5 && b[1] == 0 && b[2] == 0 && b[3] >= namesLen && (b[4] == 0x20 || nbHead+int(b[3]) <= len(b) && b[4] != 0) {
			return contract.Yes
		}
		if len(b) < 4 || b[1] == 0 && b[2] == 0 {
			return contract.Maybe
		}
		return contract.No
	}
	if (b[0] == nbPositive || b[0] == nbKeepAlive) && len(b) >= 4 && b[1]|b[2]|b[3] == 0 {
		return contract.Maybe
	}
	if b[0] != nbMessage {
		return contract.No
	}
	if len(b) < 8 {
		return contract.Maybe
	}
	if !isSMB(b[4:]) {
		return contract.No
	}
	if response, known := isResponse(b[4:]); known && response == (dir == contract.ToServer) {
		return contract.YesReversed
	}
	return contract.Yes
}

// isSMB says whether b starts with one of the four protocol ids.
func isSMB(b []byte) bool {
	return len(b) >= 4 && b[0] >= idCompressed && b[1] == 'S' && b[2] == 'M' && b[3] == 'B'
}

// First byte of a message's protocol id.
const (
	idCompressed = 0xfc
	idEncrypted  = 0xfd
	idSMB2       = 0xfe
	idSMB1       = 0xff
)

// isResponse reads the direction a message claims for itself.
func isResponse(b []byte) (response, known bool) {
	switch {
	case b[0] == idSMB1 && len(b) > 9:
		return b[9]&0x80 != 0, true
	case b[0] == idSMB2 && len(b) > 16:
		return b[16]&1 != 0, true
	}
	return false, false
}

func le16(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func le64(b []byte) uint64 { return uint64(le32(b)) | uint64(le32(b[4:]))<<32 }
