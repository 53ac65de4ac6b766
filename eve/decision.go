package eve

import (
	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/jsonline"
)

// AppendDecision appends one decision line with its newline: what was done, or would have been, to whom and why.
func AppendDecision(dst []byte, d *attack.Decision) []byte {
	dst = append(dst, '{')
	dst = jsonline.KeyTime(dst, "timestamp", d.Time)
	dst = append(dst, `,"event_type":"decision","decision":{`...)
	dst = jsonline.KeyString(dst, "action", d.Action)
	dst = jsonline.KeyString(dst, "origin", d.Origin)
	if d.Prefix.IsValid() {
		dst = jsonline.KeyString(dst, "prefix", d.Prefix.String())
	}
	if d.Limit != nil {
		dst = limit(dst, d.Limit)
	}
	if d.Rate != 0 {
		dst = jsonline.KeyUint(dst, "rate", uint64(d.Rate))
	}
	if d.Attack != 0 {
		dst = jsonline.KeyUint(dst, "attack", d.Attack)
		dst = jsonline.KeyString(dst, "class", d.Class)
	}
	if d.Until != 0 {
		dst = jsonline.KeyTime(dst, "until", d.Until)
	}
	dst = jsonline.KeyUint(dst, "points", uint64(d.Points))
	dst = jsonline.KeyString(dst, "policy", d.Policy)
	if d.Undo != "" {
		dst = jsonline.KeyString(dst, "undo", d.Undo)
	}
	if d.By != "" {
		dst = jsonline.KeyString(dst, "by", d.By)
	}
	return append(dst, "}}\n"...)
}

func limit(dst []byte, l *attack.Limit) []byte {
	dst = append(jsonline.AppendKey(dst, "limit"), '{')
	dst = jsonline.KeyString(dst, "target", l.Target.String())
	dst = jsonline.KeyString(dst, "kind", string(l.Kind))
	if l.Port != 0 {
		dst = jsonline.KeyUint(dst, "port", uint64(l.Port))
	}
	dst = jsonline.KeyUint(dst, "rate", uint64(l.Rate))
	dst = jsonline.KeyUint(dst, "burst", uint64(l.Burst))
	return append(dst, '}')
}
