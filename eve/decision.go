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
	dst = jsonline.KeyUint(dst, "attack", d.Attack)
	dst = jsonline.KeyString(dst, "class", d.Class)
	if d.Until != 0 {
		dst = jsonline.KeyTime(dst, "until", d.Until)
	}
	dst = jsonline.KeyUint(dst, "points", uint64(d.Points))
	dst = jsonline.KeyString(dst, "policy", d.Policy)
	if d.Undo != "" {
		dst = jsonline.KeyString(dst, "undo", d.Undo)
	}
	return append(dst, "}}\n"...)
}
