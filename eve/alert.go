package eve

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/detect"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/jsonline"
	"github.com/dejpha/dejpha/rule"
)

// Alert is one match of a rule, with what its record shows.
type Alert struct {
	Where
	Rule      *rule.Rule
	Action    string // "allowed" or "blocked"
	Verdict   string // eve's verdict.action: "alert", "pass", "drop"; "" = not written
	Reject    string // verdict.reject: "tcp-reset", "icmp-prohib"
	TxID      uint64
	HasTx     bool
	TxGuessed bool
	Tx        contract.Tx // the transaction, nil if none
	TxDir     contract.Direction
	Stream    bool   // matched in the reassembled stream
	Payload   []byte // what the match was made on
	Captured  []byte // the fields of alert.context, without braces; empty: none
	Frame     detect.Frame
	FlowBits  []string
}

// AppendAlert appends one alert line with its newline.
func AppendAlert(dst []byte, o *Options, a *Alert) []byte {
	xff, found := a.forwarded(o)
	if found && o.XFF.Overwrite {
		own := *a.Packet
		if a.Dir == flow.ToClient {
			own.Dst = xff
		} else {
			own.Src = xff
		}
		a.Packet = &own
	}
	dst = begin(dst, o, a.Where, "alert")
	if a.HasTx {
		dst = jsonline.KeyUint(dst, "tx_id", a.TxID)
		if a.TxGuessed {
			dst = append(dst, `,"tx_guessed":true`...)
		}
	}
	dst = flowBits(dst, a.FlowBits)
	dst = appendRule(dst, o, a)
	if found && !o.XFF.Overwrite {
		dst = append(dst, `,"xff":"`...)
		dst = append(AppendAddr(dst, xff), '"')
	}
	dst = append(dst, '}')
	dst = tunnel(dst, a.Packet)
	if a.Tx != nil && !o.Bare {
		dst = record(dst, a.Tx)
		dst = files(dst, a.Tx)
	}
	dst = appProto(dst, o, a.Flow)
	if a.Flow != nil {
		dst = append(dst, `,"direction":"`...)
		dst = append(dst, directionName(a.Dir)...)
		dst = append(dst, '"')
	}
	if a.Flow != nil && !o.Bare {
		dst = append(dst, `,"flow":{`...)
		dst = flowCounts(dst, a.Flow)
		dst = jsonline.KeyTime(dst, "start", a.Flow.First)
		dst = endpointsShort(dst, a.Flow)
		dst = append(dst, '}')
	}
	if a.Frame.Name != "" {
		dst = a.frame(dst, o)
	}
	dst = a.bytes(dst, o)
	if o.Verdict && a.Verdict != "" {
		dst = append(dst, `,"verdict":{"action":"`...)
		dst = append(append(dst, a.Verdict...), '"')
		if a.Reject != "" {
			dst = append(dst, `,"reject-target":"both","reject":["`...)
			dst = append(append(dst, a.Reject...), `"]`...)
		}
		dst = append(dst, '}')
	}
	return append(dst, "}\n"...)
}

// frame appends the frame that was matched on.
func (a *Alert) frame(dst []byte, o *Options) []byte {
	f := &a.Frame
	dst = append(jsonline.AppendKey(dst, "frame"), '{')
	dst = jsonline.KeyString(dst, "type", f.Name)
	direction := "toserver"
	if a.TxDir == contract.ToClient {
		direction = "toclient"
	}
	dst = jsonline.KeyString(dst, "direction", direction)
	dst = jsonline.KeyUint(dst, "length", f.Length)
	dst = jsonline.KeyBool(dst, "complete", f.Complete)
	if a.HasTx {
		dst = jsonline.KeyUint(dst, "tx_id", a.TxID)
	}
	data := f.Data
	if o.PayloadBytesMax > 0 && len(data) > o.PayloadBytesMax {
		data = data[:o.PayloadBytesMax]
	}
	if o.Payload {
		dst = jsonline.AppendBase64(jsonline.AppendKey(dst, "payload"), data)
	}
	if o.PayloadPrintable {
		dst = jsonline.AppendPrintable(jsonline.AppendKey(dst, "payload_printable"), data)
	}
	return append(dst, '}')
}

// bytes appends payload and packet as the options ask.
func (a *Alert) bytes(dst []byte, o *Options) []byte {
	payload := a.Payload
	if o.PayloadBytesMax > 0 && len(payload) > o.PayloadBytesMax {
		payload = payload[:o.PayloadBytesMax]
	}
	if o.Payload {
		dst = jsonline.AppendBase64(jsonline.AppendKey(dst, "payload"), payload)
	}
	if o.PayloadPrintable {
		dst = jsonline.AppendPrintable(jsonline.AppendKey(dst, "payload_printable"), payload)
	}
	if o.Payload || o.PayloadPrintable {
		if a.Stream {
			dst = append(dst, `,"stream":1`...)
		} else {
			dst = append(dst, `,"stream":0`...)
		}
	}
	if o.Packet {
		dst = appendPacket(dst, a.Packet)
	}
	return dst
}

func flowBits(dst []byte, names []string) []byte {
	if len(names) == 0 {
		return dst
	}
	dst = append(dst, `,"metadata":{"flowbits":[`...)
	for i, n := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonline.AppendString(dst, n)
	}
	return append(dst, `]}`...)
}

// appendRule appends the "alert" object without its closing brace.
func appendRule(dst []byte, o *Options, a *Alert) []byte {
	r := a.Rule
	dst = append(dst, `,"alert":{"action":"`...)
	dst = append(dst, a.Action...)
	dst = append(dst, `","gid":`...)
	dst = jsonline.AppendUint(dst, uint64(r.GID))
	dst = jsonline.KeyUint(dst, "signature_id", uint64(r.SID))
	dst = jsonline.KeyUint(dst, "rev", uint64(r.Rev))
	dst = jsonline.KeyString(dst, "signature", r.Msg)
	dst = jsonline.KeyString(dst, "category", r.ClassDescription)
	dst = jsonline.KeyInt(dst, "severity", int64(r.Priority))
	p := a.Packet
	switch r.Target {
	case rule.TargetSrc:
		dst = end(dst, "source", p.Dst, p.DstPort, p.Proto)
		dst = end(dst, "target", p.Src, p.SrcPort, p.Proto)
	case rule.TargetDst:
		dst = end(dst, "source", p.Src, p.SrcPort, p.Proto)
		dst = end(dst, "target", p.Dst, p.DstPort, p.Proto)
	}
	if !o.Bare {
		dst = ruleMetadata(dst, r.Metadata)
	}
	if o.References {
		dst = ruleReferences(dst, r.References)
	}
	if len(a.Captured) > 0 {
		dst = append(append(append(dst, `,"context":{`...), a.Captured...), '}')
	}
	return dst
}

// end appends one end of what a rule tells attacker and victim of.
func end(dst []byte, key string, a decode.Addr, port uint16, proto uint8) []byte {
	dst = append(jsonline.AppendKey(dst, key), `{"ip":"`...)
	dst = append(AppendAddr(dst, a), '"')
	if hasPorts(proto) {
		dst = jsonline.KeyUint(dst, "port", uint64(port))
	}
	return append(dst, '}')
}

// tunnel appends the outermost packet that carried p, if one did.
func tunnel(dst []byte, p *decode.Packet) []byte {
	if p.Depth == 0 || p.Outer == nil {
		return dst
	}
	root := p.Outer
	for root.Outer != nil {
		root = root.Outer
	}
	dst = append(dst, `,"tunnel":{"src_ip":"`...)
	dst = AppendAddr(dst, root.Src)
	dst = append(dst, `","src_port":`...)
	dst = jsonline.AppendUint(dst, uint64(root.SrcPort))
	dst = append(dst, `,"dest_ip":"`...)
	dst = AppendAddr(dst, root.Dst)
	dst = append(dst, `","dest_port":`...)
	dst = jsonline.AppendUint(dst, uint64(root.DstPort))
	dst = append(dst, `,"proto":"`...)
	dst = append(AppendProto(dst, root.Proto), '"')
	dst = jsonline.KeyUint(dst, "depth", uint64(p.Depth))
	dst = jsonline.KeyUint(dst, "pcap_cnt", root.Number)
	dst = append(dst, `,"pkt_src":"`...)
	return append(append(dst, PacketSource(root)...), `"}`...)
}

// ruleMetadata groups the pairs by key, in the order in which the keys were first written.
func ruleMetadata(dst []byte, pairs []rule.KeyValue) []byte {
	if len(pairs) == 0 {
		return dst
	}
	dst = append(dst, `,"metadata":{`...)
	first := true
	for i, kv := range pairs {
		if seenKey(pairs[:i], kv.Key) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = jsonline.AppendString(dst, kv.Key)
		dst = append(dst, ":["...)
		for j := i; j < len(pairs); j++ {
			if pairs[j].Key != kv.Key {
				continue
			}
			if j > i {
				dst = append(dst, ',')
			}
			dst = jsonline.AppendString(dst, pairs[j].Value)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func seenKey(pairs []rule.KeyValue, key string) bool {
	for _, kv := range pairs {
		if kv.Key == key {
			return true
		}
	}
	return false
}

func ruleReferences(dst []byte, refs []rule.Reference) []byte {
	if len(refs) == 0 {
		return dst
	}
	dst = append(dst, `,"references":[`...)
	for i, r := range refs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonline.AppendString(dst, r.URL+r.ID)
	}
	return append(dst, ']')
}

func directionName(d flow.Direction) string {
	if d == flow.ToClient {
		return "to_client"
	}
	return "to_server"
}

func endpointsShort(dst []byte, f *flow.Flow) []byte {
	dst = append(dst, `,"src_ip":"`...)
	dst = AppendAddr(dst, f.Client)
	dst = append(dst, `","dest_ip":"`...)
	dst = AppendAddr(dst, f.Server)
	dst = append(dst, '"')
	if f.ClientPort != 0 || f.ServerPort != 0 {
		dst = jsonline.KeyUint(dst, "src_port", uint64(f.ClientPort))
		dst = jsonline.KeyUint(dst, "dest_port", uint64(f.ServerPort))
	}
	return dst
}
