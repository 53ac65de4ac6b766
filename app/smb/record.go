package smb

import (
	"strconv"

	"github.com/dejpha/dejpha/app/dcerpc"
	"github.com/dejpha/dejpha/jsonline"
)

// AppendRecord appends the transaction as Suricata's smb record has it.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"smb":{`...)
	dst = jsonline.KeyUint(dst, "id", t.ID+1)
	dst = append(jsonline.AppendKey(dst, "dialect"), '"')
	switch {
	case t.p.dialect != 0:
		dst = appendDialect(dst, t.p.dialect)
	case len(t.p.words) > 0:
		dst = jsonline.AppendEscaped(dst, t.p.words)
	default:
		dst = append(dst, "unknown"...)
	}
	dst = append(dst, '"')
	if t.v1 {
		if n := commandName1(t.cmd); n != "" {
			dst = append(append(jsonline.AppendKey(dst, "command"), `"SMB1_COMMAND_`...), n...)
			dst = append(dst, '"')
		}
	} else if int(t.cmd) < len(commands2) {
		dst = append(append(jsonline.AppendKey(dst, "command"), `"SMB2_COMMAND_`...), commands2[t.cmd]...)
		dst = append(dst, '"')
	}
	dst = t.appendStatus(dst)
	dst = jsonline.KeyUint(dst, "session_id", t.ssn)
	dst = jsonline.KeyUint(dst, "tree_id", uint64(t.tree))
	switch t.kind {
	case kindSession:
		dst = t.appendSession(dst)
	case kindCreate:
		dst = t.appendCreate(dst)
	case kindNegotiate:
		dst = t.appendNegotiate(dst)
	case kindTree:
		dst = t.appendTree(dst)
	case kindFile:
		dst = jsonline.KeyString(dst, "filename", t.name)
		dst = jsonline.KeyString(dst, "share", t.share)
		dst = t.appendFUID(dst)
	case kindRename:
		dst = t.appendRename(dst)
	case kindRPC:
		dst = t.appendRPC(dst)
	case kindIoctl:
		dst = append(jsonline.AppendKey(dst, "function"), '"')
		dst = append(appendControl(dst, t.sub), '"')
	case kindSetInfo:
		dst = t.appendSetInfo(dst)
	}
	return append(dst, '}')
}

func (t *tx) appendStatus(dst []byte) []byte {
	if !t.hasStatus {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, "status"), '"')
	if !t.dos {
		dst = append(appendStatus(dst, t.status), '"')
		dst = append(jsonline.AppendKey(dst, "status_code"), `"0x`...)
		return append(strconv.AppendUint(dst, uint64(t.status), 16), '"')
	}
	class, code := uint16(t.status&0xff), uint16(t.status>>16)
	switch n := dosName(class, code); {
	case t.status == 0:
		dst = append(dst, "STATUS_SUCCESS"...)
	case n != "":
		dst = append(dst, n...)
	default:
		dst = append(dst, "UNKNOWN_"...)
		dst = appendHex(dst, uint64(class), 2)
		dst = append(dst, '_')
		dst = appendHex(dst, uint64(code), 4)
	}
	dst = append(dst, '"')
	dst = append(jsonline.AppendKey(dst, "status_code"), `"0x`...)
	if t.status == 0 {
		return append(dst, '0', '"')
	}
	return append(appendHex(dst, uint64(code), 4), '"')
}

func appendHex(dst []byte, v uint64, width int) []byte {
	const digits = "0123456789abcdef"
	for i := width - 1; i >= 0; i-- {
		dst = append(dst, digits[v>>(4*i)&15])
	}
	return dst
}

func (t *tx) appendSession(dst []byte) []byte {
	if t.ntlm {
		dst = append(jsonline.AppendKey(dst, "ntlmssp"), '{')
		dst = jsonline.KeyString(dst, "domain", t.domain)
		dst = jsonline.KeyString(dst, "user", t.user)
		dst = jsonline.KeyString(dst, "host", t.host)
		if v := t.ntlmVersion; t.hasVersion {
			dst = append(jsonline.AppendKey(dst, "version"), '"')
			for i, s := range [...]string{"", ".", " build ", " rev "} {
				dst = strconv.AppendUint(append(dst, s...), uint64(v[i]), 10)
			}
			dst = append(dst, '"')
		}
		dst = append(dst, '}')
	}
	if t.kerberos {
		dst = append(jsonline.AppendKey(dst, "kerberos"), '{')
		dst = jsonline.KeyString(dst, "realm", t.realm)
		dst = appendStrings(dst, "snames", t.snames)
		dst = append(dst, '}')
	}
	for i, name := range [...]string{"request", "response"} {
		if t.hasHost[i] {
			dst = append(jsonline.AppendKey(dst, name), '{')
			dst = jsonline.KeyString(dst, "native_os", t.os[i])
			dst = jsonline.KeyString(dst, "native_lm", t.lm[i])
			dst = append(dst, '}')
		}
	}
	return dst
}

func appendStrings(dst []byte, key string, all [][]byte) []byte {
	dst = append(jsonline.AppendKey(dst, key), '[')
	for _, s := range all {
		dst = jsonline.AppendString(jsonline.AppendComma(dst), s)
	}
	return append(dst, ']')
}

var dispositions = [...]string{"FILE_SUPERSEDE", "FILE_OPEN", "FILE_CREATE", "FILE_OPEN_IF", "FILE_OVERWRITE", "FILE_OVERWRITE_IF"}

func (t *tx) appendName(dst []byte, key string) []byte {
	if len(t.name) == 0 {
		return jsonline.KeyString(dst, "filename", "<share_root>")
	}
	return jsonline.KeyString(dst, key, t.name)
}

func (t *tx) appendAccess(dst []byte) []byte {
	if t.deleteOnClose {
		return jsonline.KeyString(dst, "access", "delete on close")
	}
	return jsonline.KeyString(dst, "access", "normal")
}

func (t *tx) appendCreate(dst []byte) []byte {
	if t.directory {
		dst = t.appendName(dst, "directory")
	} else {
		dst = t.appendName(dst, "filename")
	}
	if t.disposition < uint32(len(dispositions)) {
		dst = jsonline.KeyString(dst, "disposition", dispositions[t.disposition])
	} else {
		dst = jsonline.KeyString(dst, "disposition", "UNKNOWN")
	}
	dst = t.appendAccess(dst)
	for i, name := range [...]string{"created", "accessed", "modified", "changed"} {
		dst = jsonline.KeyUint(dst, name, unixTime(t.times[i]))
	}
	dst = jsonline.KeyUint(dst, "size", t.size)
	return t.appendFUID(dst)
}

// unixTime turns a FILETIME (100 ns since 1601) into seconds since 1970; 0 before that.
func unixTime(ft uint64) uint64 {
	const epoch = 11644473600
	if s := ft / 10000000; s > epoch {
		return s - epoch
	}
	return 0
}

func (t *tx) appendFUID(dst []byte) []byte {
	dst = append(jsonline.AppendKey(dst, "fuid"), '"')
	if t.guid.v1 {
		dst = appendHex(dst, t.guid.low, 4)
	} else if t.guid != (fid{}) {
		var b [16]byte
		for i := range 8 {
			b[i], b[8+i] = byte(t.guid.low>>(8*i)), byte(t.guid.high>>(8*i))
		}
		dst = appendGUID(dst, b[:])
	}
	return append(dst, '"')
}

// appendGUID writes 16 bytes as Suricata does, every group little endian.
func appendGUID(dst, g []byte) []byte {
	if len(g) != 16 {
		return dst
	}
	for i, at := range [...]int{3, 2, 1, 0, 5, 4, 7, 6, 9, 8, 11, 10, 15, 14, 13, 12} {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = appendHex(dst, uint64(g[at]), 2)
	}
	return dst
}

func (t *tx) appendNegotiate(dst []byte) []byte {
	if len(t.dialects) > 0 {
		dst = appendStrings(dst, "client_dialects", t.dialects)
	}
	if len(t.clientGUID) > 0 {
		dst = append(jsonline.AppendKey(dst, "client_guid"), '"')
		dst = append(appendGUID(dst, t.clientGUID), '"')
	}
	dst = append(jsonline.AppendKey(dst, "server_guid"), '"')
	dst = append(appendGUID(dst, t.serverGUID), '"')
	if t.p.maxRead > 0 {
		dst = jsonline.KeyUint(dst, "max_read_size", uint64(t.p.maxRead))
	}
	if t.p.maxWrite > 0 {
		dst = jsonline.KeyUint(dst, "max_write_size", uint64(t.p.maxWrite))
	}
	return dst
}

func (t *tx) appendTree(dst []byte) []byte {
	if t.ipc {
		dst = jsonline.KeyString(dst, "named_pipe", t.share)
	} else {
		dst = jsonline.KeyString(dst, "share", t.share)
	}
	if !t.v1 {
		names := [...]string{"UNKNOWN", "FILE", "PIPE", "PRINT"}
		return jsonline.KeyString(dst, "share_type", names[t.shareType&3])
	}
	dst = append(jsonline.AppendKey(dst, "service"), '{')
	for i, name := range [...]string{"request", "response"} {
		if t.hasService[i] {
			dst = jsonline.KeyString(dst, name, t.service[i])
		}
	}
	return append(dst, '}')
}

func (t *tx) appendRename(dst []byte) []byte {
	if !t.v1 {
		dst = append(jsonline.AppendKey(dst, "set_info"), `{"class":"FILE_INFO","info_level":"SMB2_FILE_RENAME_INFO"}`...)
	}
	dst = append(jsonline.AppendKey(dst, "rename"), '{')
	dst = jsonline.KeyString(dst, "from", t.name)
	dst = jsonline.KeyString(dst, "to", t.other)
	dst = append(dst, '}')
	return t.appendFUID(dst)
}

func (t *tx) appendSetInfo(dst []byte) []byte {
	dst = t.appendName(dst, "filename")
	dst = t.appendAccess(dst)
	if t.v1 {
		switch t.sub {
		case trans2SetFileInfo:
			dst = jsonline.KeyString(dst, "subcmd", "SET_FILE_INFO")
		case trans2SetPathInfo:
			dst = jsonline.KeyString(dst, "subcmd", "SET_PATH_INFO")
		}
		if t.infoLevel == levelDisposition {
			dst = jsonline.KeyString(dst, "level_of_interest", "Set Disposition Information")
		}
	}
	return t.appendFUID(dst)
}

func (t *tx) appendRPC(dst []byte) []byte {
	dst = append(jsonline.AppendKey(dst, "dcerpc"), '{')
	c := &t.Call
	if c.ReqSet {
		dst = jsonline.KeyString(dst, "request", dcerpc.TypeName(c.ReqType))
	} else {
		dst = jsonline.KeyString(dst, "request", "REQUEST_LOST")
	}
	if c.ResSet {
		dst = jsonline.KeyString(dst, "response", dcerpc.TypeName(c.ResType))
	} else {
		dst = jsonline.KeyString(dst, "response", "UNREPLIED")
	}
	switch {
	case c.ReqSet && c.ReqType == dcerpc.TypeRequest:
		dst = jsonline.KeyUint(dst, "opnum", uint64(c.Opnum))
		dst = appendSizes(dst, "req", c.ReqFrags, c.ReqBytes)
		if t.session != nil {
			dst = t.session.AppendIfaces(dst, func(f *dcerpc.Iface) bool { return f.Ctx == c.Ctx }, false)
		}
	case c.ReqSet && c.ReqType == dcerpc.TypeBind && t.session != nil:
		dst = t.session.AppendIfaces(dst, func(*dcerpc.Iface) bool { return true }, true)
	}
	if c.ResSet && c.ResType == dcerpc.TypeResponse {
		dst = appendSizes(dst, "res", c.ResFrags, c.ResBytes)
	}
	dst = jsonline.KeyUint(dst, "call_id", uint64(c.CallID))
	return append(dst, '}')
}

func appendSizes(dst []byte, key string, frags int, size uint64) []byte {
	dst = append(jsonline.AppendKey(dst, key), '{')
	dst = jsonline.KeyUint(dst, "frag_cnt", uint64(frags))
	dst = jsonline.KeyUint(dst, "stub_data_size", size)
	return append(dst, '}')
}

// appendControl appends the name of a file system control code (MS-FSCC 2.3), else its number.
func appendControl(dst []byte, code uint32) []byte {
	switch code {
	case 0x00060194:
		return append(dst, "FSCTL_DFS_GET_REFERRALS"...)
	case 0x000601b0:
		return append(dst, "FSCTL_DFS_GET_REFERRALS_EX"...)
	case 0x00090000:
		return append(dst, "FSCTL_REQUEST_OPLOCK_LEVEL_1"...)
	case 0x000900a4:
		return append(dst, "FSCTL_SET_REPARSE_POINT"...)
	case 0x000900a8:
		return append(dst, "FSCTL_GET_REPARSE_POINT"...)
	case 0x00110018:
		return append(dst, "FSCTL_PIPE_WAIT"...)
	case pipeTransceive:
		return append(dst, "FSCTL_PIPE_TRANSCEIVE"...)
	case 0x0011400c:
		return append(dst, "FSCTL_PIPE_PEEK"...)
	case 0x00140078:
		return append(dst, "FSCTL_SRV_REQUEST_RESUME_KEY"...)
	case 0x001401d4:
		return append(dst, "FSCTL_LMR_REQUEST_RESILIENCY"...)
	case 0x001401fc:
		return append(dst, "FSCTL_QUERY_NETWORK_INTERFACE_INFO"...)
	case 0x00140204:
		return append(dst, "FSCTL_VALIDATE_NEGOTIATE_INFO"...)
	case 0x00144064:
		return append(dst, "FSCTL_SRV_ENUMERATE_SNAPSHOTS"...)
	case 0x001440f2:
		return append(dst, "FSCTL_SRV_COPYCHUNK"...)
	case 0x001480f2:
		return append(dst, "FSCTL_SRV_COPYCHUNK_WRITE"...)
	}
	return append(strconv.AppendUint(append(dst, "UNKNOWN ("...), uint64(code), 10), ')')
}
