package dhcp

import (
	"encoding/hex"
	"net/netip"

	"github.com/dejpha/dejpha/jsonline"
)

var types = [...]string{1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak", 7: "release", 8: "inform",
	9: "force_renew", 10: "lease_query", 11: "lease_unassigned", 12: "lease_unknown", 13: "lease_active"}

// params are the names of options that a client asks for, as Suricata writes them.
var params = map[byte]string{optMask: "subnet_mask", optRouter: "router", optDNS: "dns_server", 15: "domain", 35: "arp_timeout", 42: "ntp_server",
	66: "tftp_server_name", 67: "tftp_server_name", 150: "tftp_server_address"}

// AppendRecord appends the fields of eve's dhcp record, the extended form.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"dhcp":{`...)
	kind := "request"
	if t.reply {
		kind = "reply"
	}
	dst = jsonline.KeyString(dst, "type", kind)
	dst = jsonline.KeyUint(dst, "id", uint64(t.xid))
	dst = keyHex(dst, "client_mac", t.hardware)
	dst = keyAddress(dst, "assigned_ip", t.yours[:])
	dst = keyAddress(dst, "client_ip", t.client[:])
	if t.reply {
		dst = keyAddress(dst, "relay_ip", t.relay[:])
		dst = keyAddress(dst, "next_server_ip", t.next[:])
	}
	if int(t.kind) < len(types) && types[t.kind] != "" {
		dst = jsonline.KeyString(dst, "dhcp_type", types[t.kind])
	}
	dst = keyHex(dst, "client_id", t.cid)
	for kw, key := range [...]string{"lease_time", "rebinding_time", "renewal_time"} {
		if t.has[kw] {
			dst = jsonline.KeyUint(dst, key, uint64(t.times[kw]))
		}
	}
	if len(t.hostname) > 0 {
		dst = jsonline.KeyString(dst, "hostname", t.hostname)
	}
	dst = keyAddress(dst, "requested_ip", t.requested)
	dst = keyAddress(dst, "subnet_mask", t.mask)
	if len(t.vendor) > 0 {
		dst = jsonline.KeyString(dst, "vendor_class_identifier", t.vendor)
	}
	dst = keyAddresses(dst, "routers", t.routers)
	dst = keyAddresses(dst, "dns_servers", t.resolvers)
	dst = t.appendParams(dst)
	return append(dst, '}')
}

func (t *tx) appendParams(dst []byte) []byte {
	first := true
	for _, code := range t.params {
		name, known := params[code]
		if !known {
			continue
		}
		if first {
			dst = append(jsonline.AppendKey(dst, "params"), '[')
		} else {
			dst = append(dst, ',')
		}
		dst, first = jsonline.AppendString(dst, name), false
	}
	if first {
		return dst
	}
	return append(dst, ']')
}

func keyAddress(dst []byte, key string, b []byte) []byte {
	if len(b) != 4 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, key), '"')
	return append(netip.AddrFrom4([4]byte(b)).AppendTo(dst), '"')
}

func keyAddresses(dst []byte, key string, b []byte) []byte {
	if len(b) < 4 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, key), '[')
	for i := 0; i+4 <= len(b); i += 4 {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(netip.AddrFrom4([4]byte(b[i:])).AppendTo(append(dst, '"')), '"')
	}
	return append(dst, ']')
}

// keyHex appends bytes as aa:bb:cc.
func keyHex(dst []byte, key string, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, key), '"')
	for i := range b {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = hex.AppendEncode(dst, b[i:i+1])
	}
	return append(dst, '"')
}
