package compact

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/attack"
)

// Values of a private part, by their places in it.
type Values struct {
	Origin, Target, Alerts, Detectors, Rest []byte
}

// Append writes the values of a record as JSON, byte for byte as encoding/json does, into the buffers of v.
func (v *Values) Append(r *attack.Record) {
	v.Origin = origin(v.Origin[:0], &r.Origin)
	v.Target = target(v.Target[:0], &r.Target)
	v.Alerts = alerts(v.Alerts[:0], r.Alerts)
	v.Detectors = list(v.Detectors[:0], r.Detectors)
	v.Rest = rest(v.Rest[:0], r)
}

// special are the bytes that encoding/json may write in another way.
var special = func() (is [256]bool) {
	for c := range is {
		is[c] = c < ' ' || c >= 0x7f || strings.IndexByte(`"\<>&`, byte(c)) >= 0
	}
	return is
}()

// text appends a string in quotes. What encoding/json would escape is left to it.
func text(dst []byte, s string) []byte {
	for i := range len(s) {
		if special[s[i]] {
			b, _ := json.Marshal(s) // a string: never an error
			return append(dst, b...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// field appends ,"key":"value" unless the value is empty.
func field(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return text(append(append(dst, key...), ':'), value)
}

func list(dst []byte, items []string) []byte {
	if len(items) == 0 {
		return append(dst, "null"...)
	}
	dst = append(dst, '[')
	for i, s := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = text(dst, s)
	}
	return append(dst, ']')
}

func number(dst []byte, key string, v uint64) []byte { return appendUint(append(dst, key...), v) }

func origin(dst []byte, o *attack.Origin) []byte {
	start := len(dst)
	dst = field(dst, `,"ip"`, o.IP)
	dst = field(dst, `,"prefix"`, o.Prefix)
	dst = field(dst, `,"mac"`, o.MAC)
	if o.VLAN != 0 {
		dst = number(dst, `,"vlan":`, uint64(o.VLAN))
	}
	dst = field(dst, `,"domain"`, o.Domain)
	dst = strconv.AppendBool(append(dst, `,"proven":`...), o.Proven)
	if len(o.Sources) > 0 {
		dst = append(dst, `,"sources":[`...)
		for i, s := range o.Sources {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = text(append(dst, `{"ip":`...), s.IP)
			dst = append(number(dst, `,"count":`, s.Count), '}')
		}
		dst = append(dst, ']')
	}
	dst = number(dst, `,"source_count":`, o.Count)
	dst = field(dst, `,"country"`, o.Country)
	if o.ASN != 0 {
		dst = number(dst, `,"asn":`, uint64(o.ASN))
	}
	dst[start] = '{'
	return append(dst, '}')
}

func target(dst []byte, t *attack.Target) []byte {
	dst = text(append(dst, `{"group":`...), t.Group)
	if len(t.IPs) > 0 {
		dst = list(append(dst, `,"ips":`...), t.IPs)
	}
	for i, p := range t.Ports {
		key := ","
		if i == 0 {
			key = `,"ports":[`
		}
		dst = number(dst, key, uint64(p))
	}
	if len(t.Ports) > 0 {
		dst = append(dst, ']')
	}
	dst = number(dst, `,"count":`, t.Count)
	if t.Proto != 0 {
		dst = number(dst, `,"proto":`, uint64(t.Proto))
	}
	return append(dst, '}')
}

func alerts(dst []byte, all []attack.AlertCount) []byte {
	if len(all) == 0 {
		return append(dst, "null"...)
	}
	dst = append(dst, '[')
	for i := range all {
		a := &all[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = number(dst, `{"sid":`, uint64(a.SID))
		dst = number(dst, `,"gid":`, uint64(a.GID))
		dst = number(dst, `,"rev":`, uint64(a.Rev))
		dst = text(append(dst, `,"msg":`...), a.Msg)
		dst = append(number(dst, `,"count":`, a.Count), '}')
	}
	return append(dst, ']')
}

// rest is the record without what the other values hold, and without its story.
func rest(dst []byte, r *attack.Record) []byte {
	dst = number(dst, `{"id":`, r.ID)
	dst = text(append(dst, `,"state":`...), r.State)
	dst = text(append(dst, `,"class":`...), r.Class)
	if len(r.Techniques) > 0 {
		dst = list(append(dst, `,"technique":`...), r.Techniques)
	}
	dst = number(dst, `,"severity":`, uint64(r.Severity))
	dst = text(append(dst, `,"risk":`...), r.Risk)
	dst = text(append(dst, `,"side":`...), r.Side)
	dst = append(dst, `,"origin":{"proven":false,"source_count":0},"target":{"group":"","count":0}`...)
	dst = text(append(dst, `,"outcome":`...), r.Outcome)
	dst = text(append(dst, `,"result":`...), r.Result)
	dst = strconv.AppendBool(append(dst, `,"authorised":`...), r.Authorised)
	if r.Overflow {
		dst = append(dst, `,"overflow":true`...)
	}
	if r.EndOfInput {
		dst = append(dst, `,"end_of_input":true`...)
	}
	dst = strconv.AppendInt(append(dst, `,"first_seen":`...), r.FirstSeen, 10)
	dst = strconv.AppendInt(append(dst, `,"last_seen":`...), r.LastSeen, 10)
	if r.ClosedAt != 0 {
		dst = strconv.AppendInt(append(dst, `,"closed_at":`...), r.ClosedAt, 10)
	}
	dst = strconv.AppendInt(append(dst, `,"opened_at":`...), r.OpenedAt, 10)
	dst = number(dst, `,"observations":`, r.Observations)
	dst = number(dst, `,"flows":`, r.Flows)
	dst = number(dst, `,"packets":`, r.Packets)
	dst = number(dst, `,"bytes":`, r.Bytes)
	if r.PacketsStopped != 0 {
		dst = number(dst, `,"packets_stopped":`, r.PacketsStopped)
	}
	if r.BytesStopped != 0 {
		dst = number(dst, `,"bytes_stopped":`, r.BytesStopped)
	}
	dst = number(append(dst, `,"evidence":{"leaf":0}`...), `,"incident":`, r.Incident)
	for i, id := range r.Merged {
		key := ","
		if i == 0 {
			key = `,"merged":[`
		}
		dst = number(dst, key, id)
	}
	if len(r.Merged) > 0 {
		dst = append(dst, ']')
	}
	return append(dst, '}')
}
