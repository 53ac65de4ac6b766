package eve

import (
	"strconv"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/jsonline"
)

// AppendAttack appends one attack line with its newline: when it is opened, when it is closed, and for each
// piece past a span.
func AppendAttack(dst []byte, r *attack.Record) []byte {
	at := r.OpenedAt
	if r.State != "opened" {
		at = r.ClosedAt
	}
	dst = append(dst, '{')
	dst = jsonline.KeyTime(dst, "timestamp", at)
	dst = append(dst, `,"event_type":"attack","attack":{`...)
	dst = jsonline.KeyUint(dst, "id", r.ID)
	dst = jsonline.KeyString(dst, "state", r.State)
	dst = jsonline.KeyString(dst, "class", r.Class)
	dst = list(dst, "technique", r.Techniques)
	dst = jsonline.KeyUint(dst, "severity", uint64(r.Severity))
	dst = jsonline.KeyString(dst, "risk", r.Risk)
	dst = jsonline.KeyString(dst, "side", r.Side)
	dst = origin(dst, &r.Origin)
	dst = target(dst, &r.Target)
	if r.Subject != "" {
		dst = jsonline.KeyString(dst, "subject", r.Subject)
	}
	dst = jsonline.KeyString(dst, "outcome", r.Outcome)
	dst = jsonline.KeyString(dst, "result", r.Result)
	dst = jsonline.KeyBool(dst, "authorised", r.Authorised)
	if r.Overflow {
		dst = jsonline.KeyBool(dst, "overflow", true)
	}
	if r.EndOfInput {
		dst = jsonline.KeyBool(dst, "end_of_input", true)
	}
	dst = jsonline.KeyTime(dst, "first_seen", r.FirstSeen)
	dst = jsonline.KeyTime(dst, "last_seen", r.LastSeen)
	if r.ClosedAt != 0 {
		dst = jsonline.KeyTime(dst, "closed_at", r.ClosedAt)
	}
	dst = jsonline.KeyUint(dst, "observations", r.Observations)
	dst = alerts(dst, r.Alerts)
	dst = list(dst, "detectors", r.Detectors)
	dst = jsonline.KeyUint(dst, "flows", r.Flows)
	dst = jsonline.KeyUint(dst, "packets", r.Packets)
	dst = jsonline.KeyUint(dst, "bytes", r.Bytes)
	if r.PacketsStopped > 0 {
		dst = jsonline.KeyUint(dst, "packets_stopped", r.PacketsStopped)
		dst = jsonline.KeyUint(dst, "bytes_stopped", r.BytesStopped)
	}
	if r.State == "closed" && r.Evidence.Leaf >= 0 {
		dst = append(jsonline.AppendKey(dst, "evidence"), '{')
		dst = jsonline.KeyInt(dst, "leaf", r.Evidence.Leaf)
		if r.Evidence.Packets != "" {
			dst = jsonline.KeyString(dst, "packets", r.Evidence.Packets)
		}
		dst = append(dst, '}')
	}
	if r.Incident != 0 {
		dst = jsonline.KeyUint(dst, "incident", r.Incident)
	}
	if len(r.Merged) > 0 {
		dst = append(jsonline.AppendKey(dst, "merged"), '[')
		for _, id := range r.Merged {
			dst = jsonline.AppendUint(jsonline.AppendComma(dst), id)
		}
		dst = append(dst, ']')
	}
	dst = jsonline.KeyString(dst, "story", r.Story)
	return append(dst, "}}\n"...)
}

func list(dst []byte, key string, items []string) []byte {
	if len(items) == 0 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, key), '[')
	for i, s := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonline.AppendString(dst, s)
	}
	return append(dst, ']')
}

func origin(dst []byte, o *attack.Origin) []byte {
	dst = append(jsonline.AppendKey(dst, "origin"), '{')
	for _, f := range [...]struct{ key, value string }{{"ip", o.IP}, {"prefix", o.Prefix}, {"mac", o.MAC}, {"domain", o.Domain}} {
		if f.value != "" {
			dst = jsonline.KeyString(dst, f.key, f.value)
		}
	}
	if o.VLAN != 0 {
		dst = jsonline.KeyUint(dst, "vlan", uint64(o.VLAN))
	}
	dst = jsonline.KeyBool(dst, "proven", o.Proven)
	if len(o.Sources) > 0 {
		dst = append(jsonline.AppendKey(dst, "sources"), '[')
		for i, s := range o.Sources {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '{')
			dst = jsonline.KeyString(dst, "ip", s.IP)
			dst = jsonline.KeyUint(dst, "count", s.Count)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	dst = jsonline.KeyUint(dst, "source_count", o.Count)
	if o.Country != "" {
		dst = jsonline.KeyString(dst, "country", o.Country)
	}
	if o.ASN != 0 {
		dst = jsonline.KeyUint(dst, "asn", uint64(o.ASN))
	}
	return append(dst, '}')
}

func target(dst []byte, t *attack.Target) []byte {
	dst = append(jsonline.AppendKey(dst, "target"), '{')
	dst = jsonline.KeyString(dst, "group", t.Group)
	dst = list(dst, "ips", t.IPs)
	if len(t.Ports) > 0 {
		dst = append(jsonline.AppendKey(dst, "ports"), '[')
		for i, p := range t.Ports {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendUint(dst, uint64(p), 10)
		}
		dst = append(dst, ']')
	}
	dst = jsonline.KeyUint(dst, "count", t.Count)
	return append(dst, '}')
}

func alerts(dst []byte, list []attack.AlertCount) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, "alerts"), '[')
	for i, a := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		dst = jsonline.KeyUint(dst, "sid", uint64(a.SID))
		dst = jsonline.KeyUint(dst, "rev", uint64(a.Rev))
		dst = jsonline.KeyString(dst, "msg", a.Msg)
		dst = jsonline.KeyUint(dst, "count", a.Count)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
