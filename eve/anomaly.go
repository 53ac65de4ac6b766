package eve

import (
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/jsonline"
)

// Anomaly is an oddity that decode, stream or a protocol noticed.
type Anomaly struct {
	Type  string // "decode", "stream", "applayer"
	Event string
	Layer string // "proto_parser", "proto_detect"; applayer only
	TxID  uint64
	HasTx bool
}

// AppendPacketAnomaly appends one anomaly line about a packet, with its newline.
func AppendPacketAnomaly(dst []byte, o *Options, w Where, a *Anomaly) []byte {
	return a.end(begin(dst, o, w, "anomaly"), o, w.Flow)
}

// AppendFlowAnomaly appends one anomaly line about a flow's conversation, with its newline.
func AppendFlowAnomaly(dst []byte, o *Options, f *flow.Flow, at int64, number uint64, dir flow.Direction, a *Anomaly) []byte {
	dst = beginFlow(dst, o, f, at, number, dir, "anomaly")
	return a.end(append(dst, `,"pkt_src":"wire/pcap"`...), o, f)
}

func (a *Anomaly) end(dst []byte, o *Options, f *flow.Flow) []byte {
	if a.HasTx {
		dst = jsonline.KeyUint(dst, "tx_id", a.TxID)
	}
	dst = append(dst, `,"anomaly":{`...)
	if a.Type == "applayer" && f != nil {
		dst = anomalyProto(dst, o, f)
	}
	dst = append(dst, `"type":"`...)
	dst = append(dst, a.Type...)
	dst = append(dst, `","event":`...)
	dst = jsonline.AppendString(dst, a.Event)
	if a.Layer != "" {
		dst = append(dst, `,"layer":"`...)
		dst = append(append(dst, a.Layer...), '"')
	}
	return append(dst, "}}\n"...)
}

func anomalyProto(dst []byte, o *Options, f *flow.Flow) []byte {
	dst = append(dst, `"app_proto":"`...)
	dst = append(dst, o.AppName(f.AppProto)...)
	return append(dst, `",`...)
}
