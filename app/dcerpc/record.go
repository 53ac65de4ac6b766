package dcerpc

import (
	"strconv"

	"github.com/dejpha/dejpha/jsonline"
)

// AppendRecord appends the call as Suricata's dcerpc record has it.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"dcerpc":{`...)
	if t.ReqSet && !t.reqLost {
		dst = jsonline.KeyString(dst, "request", TypeName(t.ReqType))
		switch {
		case t.ReqType == TypeRequest:
			dst = append(jsonline.AppendKey(dst, "req"), '{')
			dst = jsonline.KeyUint(dst, "opnum", uint64(t.Opnum))
			dst = appendSizes(dst, t.ReqFrags, t.ReqBytes)
			dst = append(dst, '}')
			if !t.udp {
				dst = t.p.AppendIfaces(dst, func(f *Iface) bool { return f.Ctx == t.Ctx }, false)
			}
		case t.ReqType == TypeBind || t.ReqType == TypeAlter:
			dst = t.p.AppendIfaces(dst, func(f *Iface) bool { return f.CallID == t.CallID }, false)
		}
	} else {
		dst = jsonline.KeyString(dst, "request", "REQUEST_LOST")
	}
	if t.ResSet && !t.resLost {
		dst = jsonline.KeyString(dst, "response", TypeName(t.ResType))
		if t.ResType == TypeResponse {
			n := t.ResBytes
			if !t.udp {
				n += uint64(t.ResFrags) * responseHead // Suricata counts it as stub, TCP only
			}
			dst = append(jsonline.AppendKey(dst, "res"), '{')
			dst = append(appendSizes(dst, t.ResFrags, n), '}')
		}
	} else {
		dst = jsonline.KeyString(dst, "response", "UNREPLIED")
	}
	if t.udp {
		dst = append(jsonline.AppendKey(dst, "activityuuid"), '"')
		dst = append(AppendUUID(dst, &t.activity), '"')
		dst = jsonline.KeyUint(dst, "seqnum", uint64(t.sequence))
		dst = jsonline.KeyString(dst, "rpc_version", "4.0")
	} else {
		dst = jsonline.KeyUint(dst, "call_id", uint64(t.CallID))
		dst = append(jsonline.AppendKey(dst, "rpc_version"), `"5.`...)
		dst = append(strconv.AppendUint(dst, uint64(t.Minor), 10), '"')
	}
	return append(dst, '}')
}

// responseHead is what stands between the common header and the stub of a response.
const responseHead = 8

func appendSizes(dst []byte, frags int, size uint64) []byte {
	dst = jsonline.KeyUint(dst, "frag_cnt", uint64(frags))
	return jsonline.KeyUint(dst, "stub_data_size", size)
}

// AppendIfaces appends `"interfaces":[...]` with the interfaces that is picks; nothing if it picks none.
func (s *Session) AppendIfaces(dst []byte, is func(*Iface) bool, reason bool) []byte {
	open := false
	for i := range s.Ifaces {
		f := &s.Ifaces[i]
		if !is(f) {
			continue
		}
		if !open {
			dst = append(jsonline.AppendKey(dst, "interfaces"), '[')
			open = true
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		dst = jsonline.KeyString(dst, "uuid", f.Name)
		dst = append(jsonline.AppendKey(dst, "version"), '"')
		dst = strconv.AppendUint(dst, uint64(f.Ver), 10)
		dst = append(dst, '.')
		dst = append(strconv.AppendUint(dst, uint64(f.VerMin), 10), '"')
		if f.Acked {
			dst = jsonline.KeyUint(dst, "ack_result", uint64(f.Result))
			if reason {
				dst = jsonline.KeyUint(dst, "ack_reason", uint64(f.Reason))
			}
		}
		dst = append(dst, '}')
	}
	if open {
		dst = append(dst, ']')
	}
	return dst
}
