package decode

// EventSet is a set of decode events, by index into EventNames.
type EventSet [3]uint64

// Add puts event i into the set.
func (s *EventSet) Add(i Event) { s[i>>6] |= 1 << (i & 63) }

// Has says whether event i is in the set.
func (s *EventSet) Has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }

// Event is an oddity that decode or defrag noticed; an index into EventNames.
type Event int

// Events, in the order of EventNames.
const (
	EthernetTooSmall Event = iota
	VLANTooSmall
	VLANUnknown
	VLANTooMany
	TooManyLayers
	SLLTooSmall
	NullTooSmall
	NullUnsupported
	PPPTooSmall
	PPPUnsupported
	PPPWrongType
	PPPIPv4TooSmall
	PPPIPv6TooSmall
	PPPoETooSmall
	PPPoEWrongCode
	PPPoEMalformedTags
	CHDLCTooSmall
	MPLSHeaderTooSmall
	MPLSTooSmall
	MPLSRouterAlert
	MPLSReserved
	MPLSImplicitNull
	MPLSUnknown
	RawInvalidVersion
	IPv4TooSmall
	IPv4HeaderTooSmall
	IPv4LengthBelowHeader
	IPv4Truncated
	IPv4OptInvalid
	IPv4OptInvalidLength
	IPv4OptMalformed
	IPv4OptPadRequired
	IPv4OptEOLRequired
	IPv4OptDuplicate
	IPv4OptUnknown
	IPv4WrongVersion
	IPv4ICMPv6
	IPv4FragTooLarge
	IPv4FragOverlap
	IPv6TooSmall
	IPv6Truncated
	IPv6TruncatedExt
	IPv6DupFH
	IPv6UselessFH
	IPv6DupRH
	IPv6DupHH
	IPv6DupDH
	IPv6DupAH
	IPv6DupEH
	IPv6InvalidOptLen
	IPv6WrongVersion
	IPv6AHReserved
	IPv6HopUnknownOpt
	IPv6HopOnlyPadding
	IPv6DstUnknownOpt
	IPv6DstOnlyPadding
	IPv6RH0
	IPv6ZeroPadN
	IPv6FHReserved
	IPv6DataAfterNone
	IPv6UnknownNext
	IPv6ICMPv4
	IPv6FragTooLarge
	IPv6FragOverlap
	IPv6FragInvalidLength
	IPv4InIPv6TooSmall
	IPv4InIPv6WrongVersion
	IPv6InIPv6TooSmall
	IPv6InIPv6WrongVersion
	TCPTooSmall
	TCPHeaderTooSmall
	TCPInvalidOptLen
	TCPOptInvalidLen
	TCPOptDuplicate
	UDPTooSmall
	UDPHeaderTooSmall
	UDPLenInvalid
	ICMPTooSmall
	ICMPUnknownType
	ICMPUnknownCode
	ICMPEmbeddedTruncated
	ICMPEmbeddedUnknown
	ICMPv6TooSmall
	ICMPv6UnknownType
	ICMPv6UnknownCode
	ICMPv6EmbeddedTruncated
	ICMPv6EmbeddedUnknown
	ICMPv6MLDHopLimit
	ICMPv6Unassigned
	ICMPv6Experimental
	SCTPTooSmall
	GRETooSmall
	GREWrongVersion
	GRE0Recursion
	GRE0Flags
	GRE0HeaderTooBig
	GRE1Checksum
	GRE1Route
	GRE1SSR
	GRE1Recursion
	GRE1Flags
	GRE1NoKey
	GRE1WrongProtocol
	GRE1Malformed
	GRE1HeaderTooBig
	ERSPANTooSmall
	ERSPANVersion
	ERSPANTooManyVLAN
	VXLANUnknownPayload
	GeneveUnknownPayload
	VNTagTooSmall
	VNTagUnknown
	PBBTooSmall
	ARPTooSmall
	events
)

// EventNames are the events as rules spell them after decode-event, and eve after "decoder.".
var EventNames = [events]string{
	"ethernet.pkt_too_small", "vlan.header_too_small", "vlan.unknown_type", "vlan.too_many_layers", "too_many_layers",
	"sll.pkt_too_small", "ltnull.pkt_too_small", "ltnull.unsupported_type", "ppp.pkt_too_small", "ppp.unsup_proto", "ppp.wrong_type",
	"ppp.ip4_pkt_too_small", "ppp.ip6_pkt_too_small", "pppoe.pkt_too_small", "pppoe.wrong_code", "pppoe.malformed_tags",
	"chdlc.pkt_too_small", "mpls.header_too_small", "mpls.pkt_too_small", "mpls.bad_label_router_alert", "mpls.bad_label_reserved",
	"mpls.bad_label_implicit_null", "mpls.unknown_payload_type", "ipraw.invalid_ip_version",
	"ipv4.pkt_too_small", "ipv4.hlen_too_small", "ipv4.iplen_smaller_than_hlen", "ipv4.trunc_pkt", "ipv4.opt_invalid", "ipv4.opt_invalid_len",
	"ipv4.opt_malformed", "ipv4.opt_pad_required", "ipv4.opt_eol_required", "ipv4.opt_duplicate", "ipv4.opt_unknown", "ipv4.wrong_ip_version",
	"ipv4.icmpv6", "ipv4.frag_pkt_too_large", "ipv4.frag_overlap",
	"ipv6.pkt_too_small", "ipv6.trunc_pkt", "ipv6.trunc_exthdr", "ipv6.exthdr_dupl_fh", "ipv6.exthdr_useless_fh", "ipv6.exthdr_dupl_rh",
	"ipv6.exthdr_dupl_hh", "ipv6.exthdr_dupl_dh", "ipv6.exthdr_dupl_ah", "ipv6.exthdr_dupl_eh", "ipv6.exthdr_invalid_optlen",
	"ipv6.wrong_ip_version", "ipv6.exthdr_ah_res_not_null", "ipv6.hopopts_unknown_opt", "ipv6.hopopts_only_padding", "ipv6.dstopts_unknown_opt",
	"ipv6.dstopts_only_padding", "ipv6.rh_type_0", "ipv6.zero_len_padn", "ipv6.fh_non_zero_reserved_field", "ipv6.data_after_none_header",
	"ipv6.unknown_next_header", "ipv6.icmpv4", "ipv6.frag_pkt_too_large", "ipv6.frag_overlap", "ipv6.frag_invalid_length",
	"ipv6.ipv4_in_ipv6_too_small", "ipv6.ipv4_in_ipv6_wrong_version", "ipv6.ipv6_in_ipv6_too_small", "ipv6.ipv6_in_ipv6_wrong_version",
	"tcp.pkt_too_small", "tcp.hlen_too_small", "tcp.invalid_optlen", "tcp.opt_invalid_len", "tcp.opt_duplicate",
	"udp.pkt_too_small", "udp.hlen_too_small", "udp.len_invalid",
	"icmpv4.pkt_too_small", "icmpv4.unknown_type", "icmpv4.unknown_code", "icmpv4.ipv4_trunc_pkt", "icmpv4.ipv4_unknown_ver",
	"icmpv6.pkt_too_small", "icmpv6.unknown_type", "icmpv6.unknown_code", "icmpv6.ipv6_trunc_pkt", "icmpv6.ipv6_unknown_version",
	"icmpv6.mld_message_with_invalid_hl", "icmpv6.unassigned_type", "icmpv6.experimentation_type", "sctp.pkt_too_small",
	"gre.pkt_too_small", "gre.wrong_version", "gre.version0_recur", "gre.version0_flags", "gre.version0_hdr_too_big", "gre.version1_chksum",
	"gre.version1_route", "gre.version1_ssr", "gre.version1_recur", "gre.version1_flags", "gre.version1_no_key", "gre.version1_wrong_protocol",
	"gre.version1_malformed_sre_hdr", "gre.version1_hdr_too_big", "erspan.header_too_small", "erspan.unsupported_version",
	"erspan.too_many_vlan_layers", "vxlan.unknown_payload_type", "geneve.unknown_payload_type", "vntag.header_too_small", "vntag.unknown_type",
	"ieee8021ah.header_too_small", "arp.pkt_too_small",
}

// Reason says why a frame could not be decoded; a column of the ledger.
type Reason uint8

// Reasons.
const (
	ReasonNone       Reason = iota
	UnknownLink             // a link type that is not read here
	ShortFrame              // cut inside its link header
	UnknownEtherType        // no protocol that is read here
	BadIP                   // an IP header that contradicts itself
	UnknownWireless         // 802.11 or 802.15.4 without data in the clear
	reasons
)

var reasonNames = [reasons]string{"", "unknown link type", "short frame", "unknown ethertype", "bad IP header", "wireless management or encrypted"}

// String names the reason.
func (r Reason) String() string {
	if r >= reasons {
		return "unknown"
	}
	return reasonNames[r]
}

// Reasons is how many reasons there are.
const Reasons = int(reasons)

// Tunnel is the kind of tunnel a packet carries or came out of.
type Tunnel uint8

// Tunnels.
const (
	TunnelNone Tunnel = iota
	TunnelIPv4
	TunnelIPv6
	TunnelGRE
	TunnelERSPAN
	TunnelTeredo
	TunnelVXLAN
	TunnelGeneve
	TunnelPPTP
	tunnels
)

var tunnelNames = [tunnels]string{"", "ipv4 tunnel", "ipv6 tunnel", "gre tunnel", "erspan tunnel", "teredo tunnel", "vxlan tunnel", "geneve tunnel", "gre tunnel"}

// String names the tunnel as eve's pkt_src does.
func (t Tunnel) String() string {
	if t >= tunnels {
		return ""
	}
	return tunnelNames[t]
}
