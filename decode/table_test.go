package decode

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// The frames of these tests are put together from the inside out; each maker takes what it carries.

func udp4(cargo []byte, dst uint16) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x30, 0x39}, dst)
	b = append(binary.BigEndian.AppendUint16(b, uint16(8+len(cargo))), 0, 0)
	return ip4(ProtoUDP, append(b, cargo...))
}

func ip4(proto byte, cargo []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, proto, 0, 0, 192, 0, 2, 7, 198, 51, 100, 2}
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(cargo)))
	return append(b, cargo...)
}

func ip6(next byte, cargo []byte) []byte {
	b := make([]byte, 40)
	b[0], b[6], b[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(cargo)))
	b[8], b[9], b[23], b[24], b[25], b[39] = 0x20, 1, 1, 0x20, 1, 2
	return append(b, cargo...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func ether(kind uint16, cargo []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, kind), cargo...)
}

// layers tells all levels of a frame: "192.0.2.7:12345>198.51.100.2:53 udp" and so on, joined by the tunnels' names.
func layers(d *Decoder, link uint16, frame []byte) string {
	var p [depthMax + 2]Packet
	var s strings.Builder
	d.Decode(&p[0], link, frame)
	for i := 0; ; i++ {
		q := &p[i]
		for v := range q.VLANs {
			fmt.Fprintf(&s, "vlan %d ", q.VLAN[v])
		}
		switch {
		case q.Undecodable != ReasonNone:
			s.WriteString("undecodable: " + q.Undecodable.String())
		case q.ARP.Valid:
			fmt.Fprintf(&s, "arp %d", q.ARP.Op)
		case q.IPVersion != 0:
			fmt.Fprintf(&s, "v%d %d %d>%d %q", q.IPVersion, q.Proto, q.SrcPort, q.DstPort, q.Payload[:min(len(q.Payload), 2)])
		default:
			s.WriteString("no IP")
		}
		if q.Inner == nil {
			return s.String()
		}
		fmt.Fprintf(&s, " [%v %d] ", q.Tunnel, q.TunnelID)
		d.DecodeInner(&p[i+1], q)
	}
}

var (
	hello  = udp4([]byte("hi"), 53)
	hello6 = ip6(ProtoUDP, udp4([]byte("hi"), 53)[20:])
)

const (
	sees  = `v4 17 12345>53 "hi"`
	sees6 = `v6 17 12345>53 "hi"`
)

func TestLinkTypes(t *testing.T) {
	data := join([]byte{0x08, 0, 0, 0}, make([]byte, 20), []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, hello)
	qos := join([]byte{0x88, 0, 0, 0}, make([]byte, 22), []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, hello)
	control := join([]byte{0x88, 0x80, 0, 0}, make([]byte, 26), []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, hello)
	bridged := join([]byte{0x08, 3, 0, 0}, make([]byte, 26), []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, hello)
	secret := append([]byte{0x08, 0x40}, data[2:]...)
	beacon := append([]byte{0x80, 0}, data[2:]...)
	null := append([]byte{0x48, 0}, data[2:24]...)
	for name, c := range map[string]struct {
		link  uint16
		frame []byte
		want  string
	}{
		"ethernet":               {LinkEthernet, ether(0x800, hello), sees},
		"raw 4":                  {LinkRaw, hello, sees},
		"raw 6":                  {LinkRaw, hello6, sees6},
		"raw bsd":                {LinkRawBSD, hello, sees},
		"raw openbsd":            {LinkRawOpen, hello6, sees6},
		"ipv4":                   {LinkIPv4, hello, sees},
		"ipv6":                   {LinkIPv6, hello6, sees6},
		"null little":            {LinkNull, join([]byte{2, 0, 0, 0}, hello), sees},
		"null big":               {LinkNull, join([]byte{0, 0, 0, 2}, hello), sees},
		"null freebsd 6":         {LinkNull, join([]byte{28, 0, 0, 0}, hello6), sees6},
		"null macos 6":           {LinkNull, join([]byte{30, 0, 0, 0}, hello6), sees6},
		"null netbsd 6":          {LinkNull, join([]byte{24, 0, 0, 0}, hello6), sees6},
		"null linux 6":           {LinkNull, join([]byte{10, 0, 0, 0}, hello6), sees6},
		"null appletalk":         {LinkNull, join([]byte{16, 0, 0, 0}, hello), "undecodable: unknown link type"},
		"loop":                   {LinkLoop, join([]byte{0, 0, 0, 2}, hello), sees},
		"loop 6":                 {LinkLoop, join([]byte{0, 0, 0, 24}, hello6), sees6},
		"cooked":                 {LinkSLL, join(make([]byte, 14), []byte{8, 0}, hello), sees},
		"cooked vlan":            {LinkSLL, join(make([]byte, 14), []byte{0x81, 0, 0, 5, 8, 0}, hello), "vlan 5 " + sees},
		"cooked short":           {LinkSLL, make([]byte, 15), "undecodable: short frame"},
		"cooked 2":               {LinkSLL2, join([]byte{0x86, 0xdd}, make([]byte, 18), hello6), sees6},
		"ppp":                    {LinkPPP, join([]byte{0xff, 3, 0, 0x21}, hello), sees},
		"ppp compressed":         {LinkPPP, join([]byte{0x21}, hello), sees},
		"ppp 6":                  {LinkPPP, join([]byte{0, 0x57}, hello6), sees6},
		"ppp hdlc":               {LinkPPPHDLC, join([]byte{0xff, 3, 0, 0x57}, hello6), sees6},
		"ppp hdlc cisco":         {LinkPPPHDLC, join([]byte{0x0f, 0, 8, 0}, hello), sees},
		"ppp lcp":                {LinkPPP, []byte{0xc0, 0x21, 1, 1, 0, 4}, "no IP"},
		"pppoe":                  {LinkPPPoE, join([]byte{0x11, 0, 0, 1, 0, 0}, []byte{0, 0x21}, hello), sees},
		"cisco hdlc":             {LinkCHDLC, join([]byte{0x0f, 0, 8, 0}, hello), sees},
		"frame relay":            {LinkFrameRelay, join([]byte{0x18, 0x41, 3, 0xcc}, hello), sees},
		"frame relay snap":       {LinkFrameRelay, join([]byte{0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0}, hello), sees},
		"fddi":                   {LinkFDDI, join(make([]byte, 13), []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, hello), sees},
		"nflog":                  {LinkNFLog, join([]byte{2, 0, 0, 0, 5, 0, 1, 0, 9, 0, 0, 0}, binary.LittleEndian.AppendUint16(nil, uint16(4+len(hello))), []byte{9, 0}, hello), sees},
		"802.11":                 {Link80211, data, sees},
		"802.11 qos":             {Link80211, qos, sees},
		"802.11 qos, ht control": {Link80211, control, sees},
		"802.11 four addresses":  {Link80211, bridged, sees},
		"802.11 encrypted":       {Link80211, secret, "undecodable: wireless management or encrypted"},
		"802.11 beacon":          {Link80211, beacon, "undecodable: wireless management or encrypted"},
		"802.11 null":            {Link80211, null, "undecodable: wireless management or encrypted"},
		"802.15.4":               {LinkWPAN, join([]byte{0x41, 0x88, 7, 1, 2, 3, 4, 5, 6, 0x41}, hello6), sees6},
		"802.15.4 long":          {LinkWPAN, join([]byte{0x01, 0xcc, 7}, make([]byte, 20), []byte{0x41}, hello6), sees6},
		"802.15.4 compressed":    {LinkWPAN, join([]byte{0x41, 0x88, 7, 1, 2, 3, 4, 5, 6, 0x78}, hello6), "undecodable: wireless management or encrypted"},
		"802.15.4 encrypted":     {LinkWPAN, join([]byte{0x49, 0x88, 7, 1, 2, 3, 4, 5, 6, 0x41}, hello6), "undecodable: wireless management or encrypted"},
		"802.15.4 beacon":        {LinkWPAN, []byte{3, 8, 6, 0xff, 0xff, 0xff, 0xff, 7}, "undecodable: wireless management or encrypted"},
		"802.15.4 short":         {LinkWPAN, []byte{3, 8}, "undecodable: short frame"},
		"radiotap":               {LinkRadiotap, join([]byte{0, 0, 8, 0, 0, 0, 0, 0}, data), sees},
		"radiotap padded":        {LinkRadiotap, join([]byte{0, 0, 9, 0, 2, 0, 0, 0, 0x20}, qos[:26], []byte{0, 0}, qos[26:]), sees},
		"ppi":                    {LinkPPI, join([]byte{0, 0, 8, 0, 105, 0, 0, 0}, data), sees},
		"ppi ethernet":           {LinkPPI, join([]byte{0, 0, 8, 0, 1, 0, 0, 0}, ether(0x800, hello)), sees},
		"prism":                  {LinkPrism, join([]byte{0x44, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0}, data), sees},
		"avs":                    {LinkAVS, join([]byte{0x80, 0x21, 0x10, 1, 0, 0, 0, 12, 0, 0, 0, 0}, data), sees},
		"avs under prism":        {LinkPrism, join([]byte{0x80, 0x21, 0x10, 1, 0, 0, 0, 12, 0, 0, 0, 0}, data), sees},
		"ethernet llc snap":      {LinkEthernet, ether(uint16(8+len(hello)), join([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, hello)), sees},
		"ethernet spanning tree": {LinkEthernet, ether(38, make([]byte, 38)), "undecodable: unknown ethertype"},
		"unknown":                {147, hello, "undecodable: unknown link type"},
	} {
		var d Decoder
		if got := layers(&d, c.link, c.frame); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestTagsAndLabels(t *testing.T) {
	tag := func(kind uint16, id byte, next uint16, cargo []byte) []byte {
		return ether(kind, append(binary.BigEndian.AppendUint16([]byte{0x20, id}, next), cargo...))
	}
	arp := join([]byte{0, 1, 8, 0, 6, 4, 0, 2}, make([]byte, 20))
	for name, c := range map[string]struct {
		frame []byte
		want  string
	}{
		"vlan":            {tag(0x8100, 5, 0x800, hello), "vlan 5 " + sees},
		"qinq":            {tag(0x88a8, 5, 0x8100, join([]byte{0, 6, 8, 0}, hello)), "vlan 5 vlan 6 " + sees},
		"qinq 9100":       {tag(0x9100, 5, 0x8100, join([]byte{0, 6, 0x86, 0xdd}, hello6)), "vlan 5 vlan 6 " + sees6},
		"three tags":      {tag(0x8100, 5, 0x8100, join([]byte{0, 6, 0x81, 0, 0, 7, 8, 0}, hello)), "vlan 5 vlan 6 vlan 7 " + sees},
		"four tags":       {tag(0x8100, 5, 0x8100, join([]byte{0, 6, 0x81, 0, 0, 7, 0x81, 0, 0, 8, 8, 0}, hello)), "vlan 5 vlan 6 vlan 7 undecodable: unknown ethertype"},
		"vlan cut":        {tag(0x8100, 5, 0x8100, []byte{0, 6}), "vlan 5 undecodable: short frame"},
		"arp":             {ether(0x806, arp), "arp 2"},
		"mpls":            {ether(0x8847, join([]byte{0, 1, 0x01, 64}, hello)), sees},
		"mpls stack":      {ether(0x8847, join([]byte{0, 1, 0, 64, 0, 2, 0x01, 64}, hello6)), sees6},
		"mpls null label": {ether(0x8848, join([]byte{0, 0, 0x01, 64}, hello)), sees},
		"mpls null 6":     {ether(0x8847, join([]byte{0, 0, 0x21, 64}, hello6)), sees6},
		"mpls wire":       {ether(0x8847, join([]byte{0, 1, 0x01, 64, 0, 0, 0, 0}, ether(0x800, hello))), sees},
		"mpls cut":        {ether(0x8847, []byte{0, 1, 0, 64}), "undecodable: short frame"},
		"mpls endless":    {ether(0x8847, bytes.Repeat([]byte{0, 1, 0, 64}, 40)), "undecodable: unknown ethertype"},
		"pppoe session":   {ether(0x8864, join([]byte{0x11, 0, 0, 1, 0, 0, 0, 0x21}, hello)), sees},
		"pppoe discovery": {ether(0x8863, []byte{0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0}), "no IP"},
		"vntag":           {ether(0x8926, join([]byte{0, 0, 0, 0, 8, 0}, hello)), sees},
		"mac in mac":      {ether(0x88e7, join(make([]byte, 16), []byte{8, 0}, hello)), sees},
		"padding":         {ether(0x800, join(hello, make([]byte, 18))), sees},
		"total length 0":  {ether(0x800, join(hello[:2], []byte{0, 0}, hello[4:])), sees},
		"options":         {ether(0x800, join([]byte{0x46, 0, 0, 34}, hello[4:20], []byte{1, 1, 1, 0}, hello[20:])), sees},
		"cut":             {ether(0x800, hello[:25]), "undecodable: bad IP header"},
		"header too long": {ether(0x800, join([]byte{0x4f}, hello[1:])), "undecodable: bad IP header"},
		"version":         {ether(0x800, join([]byte{0x55}, hello[1:])), "undecodable: bad IP header"},
		"6 cut":           {ether(0x86dd, hello6[:45]), "undecodable: bad IP header"},
	} {
		var d Decoder
		if got := layers(&d, LinkEthernet, c.frame); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// ext is an IPv6 extension header of eight bytes, or of length bytes of padding.
func ext(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }

func TestExtensionHeaders(t *testing.T) {
	cargo := hello6[40:]
	fragment := func(next, offset, more byte) []byte { return []byte{next, 0, 0, offset | more, 0, 0, 0, 9} }
	for name, c := range map[string]struct {
		next   byte
		cargo  []byte
		want   string
		header int // bytes before the upper layer
	}{
		"hop by hop":      {0, join(ext(ProtoUDP), cargo), sees6, 48},
		"destination":     {60, join(ext(ProtoUDP), cargo), sees6, 48},
		"routing":         {43, join([]byte{ProtoUDP, 2, 2, 1}, make([]byte, 20), cargo), sees6, 64},
		"routing 0":       {43, join([]byte{ProtoUDP, 2, 0, 1}, make([]byte, 20), cargo), sees6, 64},
		"authentication":  {51, join([]byte{ProtoUDP, 4, 0, 0}, make([]byte, 20), cargo), sees6, 64},
		"mobility":        {135, join(ext(ProtoUDP), cargo), sees6, 48},
		"host identity":   {139, join(ext(ProtoUDP), cargo), sees6, 48},
		"shim6":           {140, join(ext(ProtoUDP), cargo), sees6, 48},
		"atomic fragment": {44, join(fragment(ProtoUDP, 0, 0), cargo), sees6, 48},
		"first fragment":  {44, join(fragment(ProtoUDP, 0, 1), cargo[:8]), `v6 17 0>0 "09"`, 48},
		"later fragment":  {44, join(fragment(ProtoUDP, 8, 0), cargo), `v6 17 0>0 "09"`, 48},
		"esp":             {50, cargo, `v6 50 0>0 "09"`, 40},
		"no next":         {59, nil, `v6 59 0>0 ""`, 40},
		"too many":        {60, join(bytes.Repeat(ext(60), 40), cargo), `v6 60 0>0 "<\x00"`, 0},
		"cut":             {60, []byte{17, 9, 1, 4, 0, 0, 0, 0}, `v6 60 0>0 "\x11\t"`, 40},
	} {
		var d Decoder
		frame := ip6(c.next, c.cargo)
		if got := layers(&d, LinkIPv6, frame); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		var p Packet
		d.Decode(&p, LinkIPv6, frame)
		if c.header != 0 && p.IPHeader != c.header {
			t.Errorf("%s: %d bytes of headers, want %d", name, p.IPHeader, c.header)
		}
	}
}

func TestTunnels(t *testing.T) {
	inner, inner6 := ether(0x800, hello), ether(0x86dd, hello6)
	gre := func(flags, kind uint16, rest ...[]byte) []byte {
		return ip4(47, join(append([][]byte{binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, flags), kind)}, rest...)...))
	}
	outer := func(proto byte, s string) string { return fmt.Sprintf(`v4 %d 0>0 %q `, proto, s) }
	four := []byte{0, 0, 0, 9}
	for name, c := range map[string]struct {
		frame []byte
		want  string
	}{
		"ip in ip":        {ip4(4, hello), outer(4, "E\x00") + "[ipv4 tunnel 0] " + sees},
		"6in4":            {ip4(41, hello6), outer(41, "`\x00") + "[ipv6 tunnel 0] " + sees6},
		"4in6":            {ip6(4, hello), `v6 4 0>0 "E\x00" [ipv4 tunnel 0] ` + sees},
		"6in6":            {ip6(41, hello6), "v6 41 0>0 \"`\\x00\" [ipv6 tunnel 0] " + sees6},
		"gre":             {gre(0, 0x800, hello), outer(47, "\x00\x00") + "[gre tunnel 0] " + sees},
		"gre 6":           {gre(0, 0x86dd, hello6), outer(47, "\x00\x00") + "[gre tunnel 0] " + sees6},
		"gre key, sum":    {gre(0xa000, 0x800, four[:4], four, hello), outer(47, "\xa0\x00") + "[gre tunnel 9] " + sees},
		"gre bridging":    {gre(0x1000, 0x6558, four, inner), outer(47, "\x10\x00") + "[gre tunnel 0] " + sees},
		"gre mpls":        {gre(0, 0x8847, []byte{0, 1, 0x01, 64}, hello), outer(47, "\x00\x00") + "[gre tunnel 0] " + sees},
		"pptp":            {gre(0x2001, 0x880b, []byte{0, 4, 0, 1}, []byte{0xff, 3, 0, 0x21}, hello), outer(47, " \x01") + "[gre tunnel 0] " + sees},
		"pptp ack alone":  {gre(0x2081, 0x880b, []byte{0, 0, 0, 1}, four), outer(47, " \x81")[:len(outer(47, " \x81"))-1]},
		"erspan 1":        {gre(0, 0x88be, inner), outer(47, "\x00\x00") + "[erspan tunnel 0] " + sees},
		"erspan 2":        {gre(0x1000, 0x88be, four, []byte{0x10, 5, 0, 7, 0, 0, 0, 0}, inner), outer(47, "\x10\x00") + "[erspan tunnel 7] " + sees},
		"erspan 3":        {gre(0x1000, 0x22eb, four, []byte{0x20, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0}, inner6), outer(47, "\x10\x00") + "[erspan tunnel 7] " + sees6},
		"erspan 3 longer": {gre(0x1000, 0x22eb, four, []byte{0x20, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 8), inner), outer(47, "\x10\x00") + "[erspan tunnel 7] " + sees},
		"vxlan":           {udp4(join([]byte{8, 0, 0, 0, 0, 0, 5, 0}, inner), 4789), `v4 17 12345>4789 "\b\x00" [vxlan tunnel 5] ` + sees},
		"vxlan no vni":    {udp4(join([]byte{0, 0, 0, 0, 0, 0, 5, 0}, inner), 4789), `v4 17 12345>4789 "\x00\x00"`},
		"geneve":          {udp4(join([]byte{0, 0, 0x65, 0x58, 0, 0, 5, 0}, inner), 6081), `v4 17 12345>6081 "\x00\x00" [geneve tunnel 5] ` + sees},
		"geneve options":  {udp4(join([]byte{1, 0, 8, 0, 0, 0, 5, 0, 1, 2, 3, 4}, hello), 6081), `v4 17 12345>6081 "\x01\x00" [geneve tunnel 5] ` + sees},
		"geneve cut":      {udp4([]byte{63, 0, 8, 0, 0, 0, 5, 0, 1}, 6081), `v4 17 12345>6081 "?\x00"`},
		"teredo":          {udp4(hello6, 3544), "v4 17 12345>3544 \"`\\x00\" [teredo tunnel 0] " + sees6},
		"teredo origin":   {udp4(join([]byte{0, 0, 1, 2, 3, 4, 5, 6}, hello6), 3544), `v4 17 12345>3544 "\x00\x00" [teredo tunnel 0] ` + sees6},
		"teredo auth":     {udp4(join([]byte{0, 1, 0, 0}, make([]byte, 9), hello6), 3544), `v4 17 12345>3544 "\x00\x01" [teredo tunnel 0] ` + sees6},
		"gre in vlan gre": {gre(0, 0x6558, ether(0x8100, join([]byte{0, 5, 8, 0}, gre(0, 0x800, hello)))), outer(47, "\x00\x00") + `[gre tunnel 0] vlan 5 v4 47 0>0 "\x00\x00" [gre tunnel 0] vlan 5 ` + sees},
		"sctp":            {ip4(ProtoSCTP, []byte{0x30, 0x39, 0, 53, 0, 0, 0, 1, 0, 0, 0, 0, 'h', 'i'}), `v4 132 12345>53 "hi"`},
		"sctp cut":        {ip4(ProtoSCTP, []byte{0x30, 0x39, 0, 53}), `v4 132 0>0 ""`},
		"udplite":         {ip4(136, udp4([]byte("hi"), 53)[20:]), `v4 136 12345>53 "hi"`},
	} {
		var d Decoder
		if got := layers(&d, LinkRaw, c.frame); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
	deep := hello
	for range 20 {
		deep = ip4(4, deep)
	}
	var d Decoder
	if n := strings.Count(layers(&d, LinkRaw, deep), "tunnel"); n > depthMax+1 {
		t.Errorf("%d levels were followed", n)
	}
	d = Decoder{NoVXLAN: true, NoGeneve: true, NoTeredo: true}
	for _, f := range [][]byte{udp4(join([]byte{8, 0, 0, 0, 0, 0, 5, 0}, inner), 4789), udp4(join([]byte{0, 0, 8, 0, 0, 0, 5, 0}, hello), 6081), udp4(hello6, 3544)} {
		if got := layers(&d, LinkRaw, f); strings.Contains(got, "tunnel") {
			t.Errorf("switched off, and yet: %s", got)
		}
	}
}

// TestEveryChecksum: each kind is found right and, with any one byte changed, wrong.
func TestEveryChecksum(t *testing.T) {
	sum := func(b []byte, at int, version uint8, proto byte) {
		var p Packet
		d := Decoder{}
		d.Decode(&p, LinkRaw, b)
		pseudo := p.pseudo(proto)
		if version == 4 && proto == ProtoICMP {
			pseudo = 0
		}
		binary.BigEndian.PutUint16(p.L4[at:], checksum(p.L4, pseudo))
	}
	tcp := []byte{0x30, 0x39, 0, 53, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0, 'o', 'd', 'd'}
	udp := append([]byte{0x30, 0x39, 0, 53, 0, 11, 0, 0}, "odd"...)
	ping := append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, "odd"...)
	ping6 := append([]byte{128, 0, 0, 0, 0, 1, 0, 1}, "odd"...)
	for name, c := range map[string]struct {
		frame   []byte
		at      int
		version uint8
		proto   byte
	}{
		"tcp 4": {ip4(ProtoTCP, tcp), 16, 4, ProtoTCP}, "tcp 6": {ip6(ProtoTCP, tcp), 16, 6, ProtoTCP},
		"udp 4": {ip4(ProtoUDP, udp), 6, 4, ProtoUDP}, "udp 6": {ip6(ProtoUDP, udp), 6, 6, ProtoUDP},
		"icmp": {ip4(ProtoICMP, ping), 2, 4, ProtoICMP}, "icmp 6": {ip6(ProtoICMPv6, ping6), 2, 6, ProtoICMPv6},
		"tcp behind options": {ip6(60, join(ext(ProtoTCP), tcp)), 16, 6, ProtoTCP},
	} {
		b := bytes.Clone(c.frame)
		if c.version == 4 {
			binary.BigEndian.PutUint16(b[10:], checksum(b[:20], 0))
		}
		sum(b, c.at, c.version, c.proto)
		d := Decoder{Checksums: true}
		var p Packet
		d.Decode(&p, LinkRaw, b)
		if p.BadIPChecksum || p.BadL4Checksum {
			t.Errorf("%s: right sums are called wrong: IP %v, above %v", name, p.BadIPChecksum, p.BadL4Checksum)
		}
		b[len(b)-1]++
		if d.Decode(&p, LinkRaw, b); !p.BadL4Checksum {
			t.Errorf("%s: a changed byte goes unnoticed", name)
		}
		if d.Checksums = false; c.version == 4 {
			b[8]++
			d.Checksums = true
			if d.Decode(&p, LinkRaw, b); !p.BadIPChecksum {
				t.Errorf("%s: a changed header goes unnoticed", name)
			}
		}
	}
	var p Packet
	d := Decoder{Checksums: true}
	d.Decode(&p, LinkRaw, ip4(ProtoUDP, udp))
	if p.BadL4Checksum {
		t.Error("a UDP datagram without a checksum has none that is wrong")
	}
}

// TestICMPErrorsQuoteTheirPacket: the packet inside tells which flow the error is about.
func TestICMPErrorsQuoteTheirPacket(t *testing.T) {
	for name, frame := range map[string][]byte{
		"4": ip4(ProtoICMP, join([]byte{3, 3, 0, 0, 0, 0, 0, 0}, hello)),
		"6": ip6(ProtoICMPv6, join([]byte{1, 4, 0, 0, 0, 0, 0, 0}, hello6)),
	} {
		var p Packet
		var d Decoder
		d.Decode(&p, LinkRaw, frame)
		e := &p.Embedded
		if !e.Valid || e.Proto != ProtoUDP || e.SrcPort != 12345 || e.DstPort != 53 {
			t.Errorf("IPv%s: %+v", name, e)
		}
	}
}

// TestChecksumsAreMadeForTheFinalDestination: a datagram that is whole when sent straight on is whole on its way there.
func TestChecksumsAreMadeForTheFinalDestination(t *testing.T) {
	udp := append([]byte{0x30, 0x39, 0, 53, 0, 11, 0, 0}, "odd"...)
	straight := ip6(ProtoUDP, udp)
	d := Decoder{Checksums: true}
	var p Packet
	d.Decode(&p, LinkRaw, straight)
	binary.BigEndian.PutUint16(udp[6:], checksum(p.L4, p.pseudo(ProtoUDP)))
	src, dst := straight[8:24], straight[24:40]
	other := bytes.Repeat([]byte{0x20}, 16)
	routed := func(kind, left byte, list ...[]byte) []byte {
		return append([]byte{ProtoUDP, byte(2 * len(list)), kind, left, 0, 0, 0, 0}, join(list...)...)
	}
	home := join([]byte{ProtoUDP, 2, 1, 2, 0, 0, homeAddress, 16}, src)
	for name, c := range map[string]struct {
		next     byte
		header   []byte
		src, dst []byte
		right    bool
	}{
		"not yet there":           {next: nextRouting, header: routed(0, 2, other, dst), dst: other, right: true},
		"at the end":              {next: nextRouting, header: routed(0, 0, other, other), dst: dst, right: true},
		"said for the next hop":   {next: nextRouting, header: routed(0, 2, dst, other), dst: dst},
		"a mobile node's":         {next: nextRouting, header: routed(2, 1, dst), dst: other, right: true},
		"segments, in reverse":    {next: nextRouting, header: routed(4, 1, dst, other), dst: other, right: true},
		"from a mobile node":      {next: nextDest, header: home, src: other, right: true},
		"a header without a list": {next: nextRouting, header: routed(0, 1), dst: dst, right: true},
	} {
		frame := ip6(c.next, join(c.header, udp))
		if c.src != nil {
			copy(frame[8:], c.src)
		}
		if c.dst != nil {
			copy(frame[24:], c.dst)
		}
		if d.Decode(&p, LinkRaw, frame); p.BadL4Checksum == c.right || !p.HasL4 {
			t.Errorf("%s: wrong %v", name, p.BadL4Checksum)
		}
	}
}
