package eve

import (
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/jsonline"
)

// FlowEnd is a flow's end with what only stream knows.
type FlowEnd struct {
	Flow      *flow.Flow
	At        int64 // ns, the clock when it ended
	TCPState  string
	Gaps      [2]bool
	AppFailed bool
}

var stateNames = [...]string{flow.New: "new", flow.Established: "established", flow.Closed: "closed", flow.Bypassed: "bypassed"}

var reasonNames = [...]string{flow.Alive: "unknown", flow.Timeout: "timeout", flow.Forced: "forced", flow.Shutdown: "shutdown", flow.Replaced: "tcp_reuse"}

// AppendFlow appends one flow line with its newline.
func AppendFlow(dst []byte, o *Options, e *FlowEnd) []byte {
	f := e.Flow
	dst = beginFlow(dst, o, f, e.At, 0, flow.ToServer, "flow")
	if (f.Proto == decode.ProtoICMP || f.Proto == decode.ProtoICMPv6) && f.Packets[flow.ToClient] > 0 {
		dst = jsonline.KeyUint(dst, "response_icmp_type", uint64(f.ReplyType))
		dst = jsonline.KeyUint(dst, "response_icmp_code", uint64(f.ReplyCode))
	}
	if f.AppProto == 0 && e.AppFailed {
		dst = append(dst, `,"app_proto":"failed"`...)
	} else {
		dst = appProto(dst, o, f)
	}
	if f.Parent != 0 {
		dst = jsonline.KeyUint(dst, "parent_id", f.Parent)
	}
	dst = append(dst, `,"flow":{`...)
	dst = flowCounts(dst, f)
	dst = jsonline.KeyTime(dst, "start", f.First)
	dst = jsonline.KeyTime(dst, "end", f.Last)
	dst = jsonline.KeyInt(dst, "age", f.Last/1e9-f.First/1e9)
	dst = append(dst, `,"state":"`...)
	dst = append(dst, stateNames[f.State]...)
	dst = append(dst, `","reason":"`...)
	dst = append(dst, reasonNames[f.Reason]...)
	dst = append(dst, `","alerted":`...)
	dst = jsonline.AppendBool(dst, f.Alerted)
	switch f.Action {
	case flow.ActionDrop, flow.ActionReject:
		dst = append(dst, `,"action":"drop"`...)
	case flow.ActionPass:
		dst = append(dst, `,"action":"pass"`...)
	}
	if f.Swapped {
		dst = append(dst, `,"swapped":true`...)
	}
	dst = append(dst, '}')
	if f.Proto == decode.ProtoTCP {
		dst = tcpSummary(dst, e)
	}
	return append(dst, "}\n"...)
}

func tcpSummary(dst []byte, e *FlowEnd) []byte {
	f := e.Flow
	dst = append(dst, `,"tcp":{"tcp_flags":"`...)
	dst = hexByte(dst, f.TCPFlags[0]|f.TCPFlags[1])
	dst = append(dst, `","tcp_flags_ts":"`...)
	dst = hexByte(dst, f.TCPFlags[0])
	dst = append(dst, `","tcp_flags_tc":"`...)
	dst = hexByte(dst, f.TCPFlags[1])
	dst = append(dst, '"')
	dst = AppendTCPFlags(dst, f.TCPFlags[0]|f.TCPFlags[1])
	if e.TCPState != "" {
		dst = append(dst, `,"state":"`...)
		dst = append(append(dst, e.TCPState...), '"')
	}
	if e.Gaps[0] {
		dst = append(dst, `,"ts_gap":true`...)
	}
	if e.Gaps[1] {
		dst = append(dst, `,"tc_gap":true`...)
	}
	return append(dst, '}')
}

// AppendTCPFlags appends `,"syn":true` and so on for each flag that is set.
func AppendTCPFlags(dst []byte, flags uint8) []byte {
	for i, name := range [...]string{"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"} {
		if flags&(1<<i) != 0 {
			dst = append(dst, `,"`...)
			dst = append(dst, name...)
			dst = append(dst, `":true`...)
		}
	}
	return dst
}

func hexByte(dst []byte, b byte) []byte {
	const hex = "0123456789abcdef"
	return append(dst, hex[b>>4], hex[b&15])
}

func flowCounts(dst []byte, f *flow.Flow) []byte {
	dst = jsonline.KeyUint(dst, "pkts_toserver", f.Packets[flow.ToServer])
	dst = jsonline.KeyUint(dst, "pkts_toclient", f.Packets[flow.ToClient])
	dst = jsonline.KeyUint(dst, "bytes_toserver", f.Bytes[flow.ToServer])
	return jsonline.KeyUint(dst, "bytes_toclient", f.Bytes[flow.ToClient])
}
