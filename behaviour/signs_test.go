package behaviour

import (
	"fmt"
	"slices"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
)

func refused(s Signal, code uint32) Signal {
	s.Kind, s.Code, s.Flags = Refused, code, 0
	return s
}

// gone is the end of a flow that was never answered.
func gone(s Signal, at int64) Signal {
	s.Kind, s.Time, s.Packets, s.Flags = Ended, begin+at, [2]uint64{2, 0}, 0
	return s
}

func join(lists ...[]Signal) []Signal {
	var all []Signal
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// arp is a message of a hardware address about an address, to another.
func arp(at int64, op uint16, from byte, sender, target int, to [6]byte) Signal {
	s := Signal{Kind: ARPSeen, Time: begin + at, EthSrc: [6]byte{2, 0, 0, 0, 0, from}, EthDst: to}
	s.ARP = decode.ARP{Valid: true, Op: op, SenderMAC: s.EthSrc, SenderIP: [4]byte{10, 0, byte(sender >> 8), byte(sender)}, TargetIP: [4]byte{10, 0, byte(target >> 8), byte(target)}}
	return s
}

// nd is a neighbour's or router's message over IPv6, of a hardware address about an address.
func nd(at int64, kind uint32, flags, mac byte, sender, target int) Signal {
	s := flow(NeighbourSeen, at, decode.Addr{0: 0x20, 1: 1, 14: byte(sender >> 8), 15: byte(sender)}, decode.Addr{0: 0xff, 15: 1}, 0, decode.ProtoICMPv6)
	s.IPVersion, s.TTL, s.Code, s.Flags, s.EthSrc = 6, 255, kind, flags, [6]byte{2, 0, 0, 0, 0, mac}
	s.Head = decode.Addr{0: 0x20, 1: 1, 14: byte(target >> 8), 15: byte(target)}
	if sender == 0 {
		s.Client = decode.Addr{}
	}
	return s
}

var oneHost = [6]byte{2, 0, 0, 0, 0, 99}

func dns(at int64, client decode.Addr, kind contract.FactKind, name string, code, size uint32, text string) Signal {
	s := said(at, client, v4(9, 9), 53, "dns", contract.Fact{Kind: kind, Name: name, Code: code, Size: size, Text: text})
	s.Proto = decode.ProtoUDP
	return s
}

func dhcp(at int64, dir contract.Direction, name, text string, xid uint32) Signal {
	s := said(at, v4(0, 0), v4(0, 1), 67, "dhcp", contract.Fact{Kind: contract.DHCPOffer, Dir: dir, Name: name, Text: text, Size: xid, Code: 2})
	s.Proto, s.Proven = decode.ProtoUDP, false
	return s
}

func kerberos(at int64, kind contract.FactKind, code uint32, name, text string, proven uint32) Signal {
	return said(at, v4(1, 5), v4(1, 1), 88, "krb5", contract.Fact{Kind: kind, Code: code, Name: name, Text: text, Size: proven})
}

func udp(at int64, client, server decode.Addr, from, to int) Signal {
	return as(flow(FlowStart, at, client, server, to, decode.ProtoUDP), func(s *Signal) { s.ClientPort = uint16(from) })
}

// consonants spells i without a vowel, as programs that draw letters do.
func consonants(i int) string {
	b := []byte("qxzvkwbtpd")
	for k := range 5 {
		b[k+2], i = "bcdfghjkmnpqrstvwxz"[i%19], i/19
	}
	return string(b)
}

func long(i int) string { return fmt.Sprintf("k3x9f%06dq7w2z8m4r6t1y5u0p", i) }

// knock is a connection to a host's port, opened and closed without a word.
func knock(at int64, client decode.Addr, port int) Signal {
	return as(flow(Hangup, at, client, v4(0, 7), port, decode.ProtoTCP), func(s *Signal) { s.Proven = true })
}

func signs() []sign { return append(append(scanSigns(), loginSigns()...), otherSigns()...) }

func scanSigns() []sign {
	me := out(1)
	pair := func(i int, s Signal, code uint32) []Signal { return []Signal{s, refused(s, code)} }
	many := func(n int, one func(i int) []Signal) []Signal {
		var l []Signal
		for i := range n {
			l = append(l, one(i)...)
		}
		return l
	}
	return []sign{
		{"ports of one host, refused", "port-scan", "scan", "T1046", scanFailedMin, func(n int) []Signal {
			return many(n, func(i int) []Signal { return pair(i, syn(0, me, v4(0, 7), 1+i), 0) })
		}, false},
		{"ports of one host, one in five minutes", "port-scan", "scan", "T1046", scanFailedMin, func(n int) []Signal {
			return many(n, func(i int) []Signal { return pair(i, syn(int64(i)*5*minute, me, v4(0, 7), 1+i), 0) })
		}, true},
		{"ports of one host over IPv6", "port-scan", "scan", "T1046", scanFailedMin, func(n int) []Signal {
			return many(n, func(i int) []Signal {
				return pair(i, as(syn(0, v6(1), v6(2), 1+i), func(s *Signal) { s.IPVersion = 6 }), 2)
			})
		}, false},
		{"UDP ports of one host", "port-scan", "scan", "T1046", scanFailedMin, func(n int) []Signal {
			return many(n, func(i int) []Signal { return pair(i, udp(0, me, v4(0, 7), 50000, 1+i), 4) })
		}, false},
		{"one port of many hosts, silence", "port-scan", "scan", "T1018", scanSilentMin, func(n int) []Signal {
			l := each(n, func(i int) Signal { return syn(0, me, v4(0, i), 445) })
			return join(l, each(n, func(i int) Signal { return gone(l[i], second) }))
		}, true},
		{"one UDP port of many hosts, silence", "port-scan", "scan", "T1018", scanSilentMin, func(n int) []Signal {
			l := each(n, func(i int) Signal { return udp(0, me, v4(0, i), 50000, 161) })
			return join(l, each(n, func(i int) Signal { return gone(l[i], 30*second) }))
		}, true},
		{"a few ports of many hosts, stamps without order", "port-scan", "scan", "T1018", scanFailedMin, func(n int) []Signal {
			l := each(n, func(i int) Signal { return syn(0, me, v4(0, i), []int{80, 88, 8080}[i%3]) })
			return join(l, each(n, func(i int) Signal {
				return as(gone(l[i], 0), func(s *Signal) { s.Packets = [2]uint64{1, 0} })
			}))
		}, true},
		{"bare acknowledgements", "port-scan", "scan", "T1046", scanAckMin, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return as(syn(0, me, v4(0, 7), 1+i%40000), func(s *Signal) { s.Flags = decode.ACK })
			})
		}, false},
		{"FIN, PSH and URG", "port-scan", "scan", "T1046", scanFailedMin, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return as(syn(0, me, v4(0, 7), 1+i%40000), func(s *Signal) { s.Flags = decode.FIN | decode.PSH | decode.URG })
			})
		}, false},
		{"ports opened and left without a word", "port-scan", "scan", "T1046", scanSilentDoors, func(n int) []Signal {
			return each(n, func(i int) Signal { return knock(0, me, 1+i) })
		}, false},
		{"a search, then ports opened and left", "port-scan", "scan", "T1046", scanFailedMin, func(n int) []Signal {
			return join(many(n, func(i int) []Signal { return pair(i, syn(0, me, v4(0, 7), 1+i), 0) }), []Signal{knock(1, me, 7000), knock(1, me, 7001)})
		}, true},
		{"neighbours asked for", "sweep", "scan", "T1018", sweepHostsMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return arp(0, 1, 1, 1, 2+i, broadcastMAC) })
		}, false},
		{"echoes asked of many", "sweep", "scan", "T1018", sweepEchoMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return flow(Echo, 0, me, v4(i>>16, i), 0, decode.ProtoICMP) })
		}, false},
		{"IP protocols", "sweep", "scan", "T1046", sweepProtocols, func(n int) []Signal {
			return each(n, func(i int) Signal { return flow(FlowStart, 0, me, v4(0, 7), 0, uint8(100+i%100)) })
		}, false},
		{"packets that no stack sends", "sweep", "scan", "T1595", 2, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return as(syn(0, me, v4(0, 7), 80), func(s *Signal) { s.Flags = []uint8{0, decode.SYN | decode.FIN, decode.FIN}[i%3] })
			})
		}, false},
	}
}

func loginSigns() []sign {
	login := func(kind contract.FactKind, app, name string, flowID int) Signal {
		s := said(0, out(1), v4(0, 7), 22, app, contract.Fact{Kind: kind, Name: name, Dir: contract.ToClient})
		s.FlowID = uint64(flowID + 1)
		return s
	}
	return []sign{
		{"passwords refused", "password-guessing", "brute-force", "T1110.001", guessFailedMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return login(contract.LoginFailed, "ftp", "root", i) })
		}, false},
		{"names refused", "password-guessing", "brute-force", "T1110.003", guessUsersMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return login(contract.LoginFailed, "smb", fmt.Sprint("user", i), i) })
		}, false},
		{"connections without a session", "password-guessing", "brute-force", "T1110.001", guessBlindMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return login(contract.LoginAttempt, "rdp", "", i) })
		}, false},
		{"several connections refused at once", "password-guessing", "brute-force", "T1110.001", guessFastMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return login(contract.LoginFailed, "ssh", "", i) })
		}, false},
		{"names refused by Kerberos", "password-guessing", "brute-force", "T1110.003", guessUsersMin, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return kerberos(0, contract.KerberosError, kdcUnknownPrincipal, fmt.Sprint("user", i), "", 0)
			})
		}, false},
		{"names asked of Kerberos and never proven", "password-guessing", "brute-force", "T1110.003", guessProbedMin, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return kerberos(0, contract.KerberosError, kdcPreauthRequired, fmt.Sprint("user", i), "", 0)
			})
		}, false},
		{"Netlogon handshakes", "netlogon", "exploit", "T1210", netlogonTries, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return said(0, v4(0, 5), v4(0, 1), 49669, "dcerpc", contract.Fact{Kind: contract.RPCCall, Name: netlogonUUID, Code: 26})
			})
		}, false},
		{"tickets asked for under RC4 alone", "ticket-roasting", "credential-access", "T1558.003", roastAskedMin, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return kerberos(0, contract.KerberosRequest, kerberosTGS, fmt.Sprint("sql/", i), etypeRC4, 1)
			})
		}, false},
		{"tickets granted under RC4", "ticket-roasting", "credential-access", "T1558.003", roastGrantedMin, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return kerberos(0, contract.KerberosRequest, kerberosTGSReply, fmt.Sprint("sql/", i), etypeRC4, 1)
			})
		}, false},
		{"keys handed out without a proof", "ticket-roasting", "credential-access", "T1558.004", roastUnproven, func(n int) []Signal {
			return join(each(n, func(i int) Signal {
				return kerberos(0, contract.KerberosRequest, kerberosAS, fmt.Sprint("user", i%200), etypeRC4, 0)
			}),
				each(n, func(i int) Signal {
					return kerberos(0, contract.KerberosRequest, kerberosASReply, fmt.Sprint("user", i%200), etypeRC4, 0)
				}))
		}, true},
		{"a directory searched for what an attack needs", "directory-search", "enumeration", "T1087.002", directoryKindsMin, func(n int) []Signal {
			kinds := []string{"(servicePrincipalName=*)", "(adminCount=1)", "(objectClass=trustedDomain)", "(samAccountType=805306369)", "(userAccountControl:1.2.840.113556.1.4.803:=4194304)"}
			return each(n, func(i int) Signal {
				return said(0, v4(0, 5), v4(0, 1), 389, "ldap", contract.Fact{Kind: contract.LDAPRequest, Code: ldapSearch, Text: kinds[i%len(kinds)]})
			})
		}, false},
		{"a program on an administrators' share", "admin-share", "lateral-movement", "T1021.002", 1, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return said(0, v4(0, 5), v4(0, 6), 445, "smb", contract.Fact{Kind: contract.SMBFile, Code: fileWritten, Size: 1, Name: `Temp\a.exe`, Text: `\\HOST\C$`})
			})
		}, false},
	}
}

func otherSigns() []sign {
	return slices.Concat(floodSigns(), forgerySigns(), neighbourSigns(), channelSigns())
}

func floodSigns() []sign {
	victim := v4(0, 7)
	return []sign{
		{"SYN", "flood", "flood", "T1498.001", floodSYNMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return syn(0, out(i), victim, 80) })
		}, false},
		{"SYN and ACK unasked", "flood", "flood", "T1498.002", floodSYNACKMin, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return as(syn(0, out(i), victim, 40000), func(s *Signal) { s.Flags, s.ClientPort = decode.SYN|decode.ACK, 443 })
			})
		}, false},
		{"answers of a known amplifier", "flood", "flood", "T1498.002", floodAnswerMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return udp(0, out(i), victim, 123, 40000) })
		}, false},
		{"answers of many from one port nobody lists", "flood", "flood", "T1498.002", floodReflectedMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return udp(0, out(i), victim, 7777, 20000+i%1000) })
		}, false},
		{"echoes", "flood", "flood", "T1498.001", floodEchoMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return flow(Echo, 0, out(i), victim, 0, decode.ProtoICMP) })
		}, false},
		{"one DHCP client without end", "flood", "flood", "T1499", floodDHCPMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return dhcp(0, contract.ToServer, "020000000001", "", 7) })
		}, false},
		{"DHCP clients without end", "flood", "flood", "T1499", floodDHCPNames, func(n int) []Signal {
			return each(n, func(i int) Signal { return dhcp(0, contract.ToServer, fmt.Sprint(i), "", uint32(i)) })
		}, false},
		{"connections held open", "flood", "flood", "T1499.001", floodStallMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return flow(Established, 0, out(1), victim, 80, decode.ProtoTCP) })
		}, false},
		{"bodies that never end", "flood", "flood", "T1499.001", floodStallMin, func(n int) []Signal {
			begun := each(n, func(i int) Signal {
				return said(0, out(1), victim, 80, "http", contract.Fact{Kind: contract.HTTPRequest, Size: 1})
			})
			return join([]Signal{flow(Established, 0, out(1), victim, 80, decode.ProtoTCP)}, begun, each(n-1, func(i int) Signal { return flow(Established, 0, out(1), victim, 80, decode.ProtoTCP) }))
		}, false},
	}
}

func neighbourSigns() []sign {
	return []sign{
		{"routers without number", "neighbours", "flood", "T1499.001", neighbourRoutersMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return nd(int64(i), icmp6RouterAdvert, 0, byte(i), 1+i, 0) })
		}, false},
		{"addresses claimed unasked, without number", "neighbours", "flood", "T1499.001", neighbourClaimsMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return nd(int64(i), icmp6NeighbourAdvert, 0x20, 1, 1+i, 1+i) })
		}, false},
		{"an address claimed by two in turn", "neighbours", "spoofing", "T1557", 3, func(n int) []Signal {
			return each(n, func(i int) Signal { return nd(int64(i)*second, icmp6NeighbourAdvert, 0x20, byte(i%2), 1, 1) })
		}, true},
		{"fresh addresses all in use", "neighbours", "spoofing", "T1557", neighbourTakenMin, func(n int) []Signal {
			var all []Signal
			for i := range n {
				all = append(all, nd(int64(i)*minute, icmp6NeighbourAsk, 0, 1, 0, 1+i), nd(int64(i)*minute+1, icmp6NeighbourAdvert, 0x20, 9, 1+i, 1+i))
			}
			return all
		}, true},
	}
}

func forgerySigns() []sign {
	return []sign{
		{"an address claimed for another hardware address", "spoofing", "spoofing", "T1557.002", 2, func(n int) []Signal {
			return each(n, func(i int) Signal { return arp(int64(i)*second, 2, byte(1+i%2), 1, 50, oneHost) })
		}, true},
		{"several addresses claimed again and again", "spoofing", "spoofing", "T1557.002", spoofClaimsMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return arp(0, 2, 1, 1+i%2, 50, oneHost) })
		}, false},
		{"an address asked for by who claims it", "spoofing", "spoofing", "T1557.002", 2, func(n int) []Signal {
			return join([]Signal{arp(0, 2, 1, 1, 50, oneHost)}, each(n-1, func(i int) Signal { return arp(10*second, 1, 1, 5, 1, broadcastMAC) }))
		}, true},
		{"data injected", "spoofing", "spoofing", "T1557", spoofOverlapMin, func(n int) []Signal {
			return []Signal{as(flow(Overlap, 0, v4(0, 5), out(1), 80, decode.ProtoTCP), func(s *Signal) { s.Size = uint32(n) })}
		}, false},
		{"a second DHCP server", "spoofing", "spoofing", "T1557.003", 2, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return dhcp(0, contract.ToClient, fmt.Sprint("10.0.0.", i), fmt.Sprint("10.0.0.", i, "|"), 7)
			})
		}, false},
		{"a second answer that differs", "forged-answers", "spoofing", "T1557", 2, func(n int) []Signal {
			return join([]Signal{dns(0, v4(0, 5), contract.DNSQuery, "example.com", 1, 0, "")},
				each(n, func(i int) Signal {
					return dns(1, v4(0, 5), contract.DNSAnswer, "example.com", 0, 4, fmt.Sprint("192.0.2.", i))
				}))
		}, true},
		{"numbers of questions guessed", "forged-answers", "spoofing", "T1557", 2 + resolveExtraMin, func(n int) []Signal {
			return join([]Signal{dns(0, v4(0, 5), contract.DNSQuery, "example.com", 1, 0, "")},
				each(n, func(i int) Signal { return dns(1, v4(0, 5), contract.DNSAnswer, "example.com", 0, 4, "192.0.2.1") }))
		}, true},
		{"one host answers for every name", "forged-answers", "spoofing", "T1557.001", resolveNamesMin, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return as(dns(0, v4(0, i%99), contract.DNSAnswer, fmt.Sprint("printer", i), 0, 4, "10.0.0.66"), func(s *Signal) { s.ServerPort, s.Server = portLLMNR, v4(0, 66) })
			})
		}, false},
	}
}

func channelSigns() []sign {
	return []sign{
		{"long names that ask for text", "tunnel", "tunnel", "T1071.004", tunnelNamesMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return dns(0, v4(0, 5), contract.DNSQuery, long(i)+".example.com", dnsTXT, 0, "") })
		}, false},
		{"long names that ask for addresses", "tunnel", "tunnel", "T1071.004", 3 * tunnelNamesMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return dns(0, v4(0, 5), contract.DNSQuery, long(i)+".example.com", 1, 0, "") })
		}, false},
		{"much text handed out", "tunnel", "tunnel", "T1071.004", tunnelBulkMin, func(n int) []Signal {
			return join(each(n, func(i int) Signal {
				return dns(0, v4(0, 5), contract.DNSQuery, fmt.Sprintf("l.%d.example.com", i), dnsTXT, 0, "")
			}),
				each(n, func(i int) Signal {
					return dns(0, v4(0, 5), contract.DNSAnswer, fmt.Sprintf("l.%d.example.com", i), 0, tunnelBulkBytes, "x")
				}))
		}, true},
		{"echoes of many sizes", "tunnel", "tunnel", "T1095", tunnelEchoMin, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return as(flow(Echo, 0, v4(0, 5), out(1), 0, decode.ProtoICMP), func(s *Signal) { s.Size = uint32(100 + i%1000) })
			})
		}, false},
		{"generated names", "generated-names", "dga", "T1568.002", dgaNamesMin, func(n int) []Signal {
			return each(n, func(i int) Signal { return dns(0, v4(0, 5), contract.DNSAnswer, consonants(i)+".com", nxdomain, 0, "") })
		}, false},
		{"calls home", "beacon", "c2", "T1071.001", beaconCalls + 1, func(n int) []Signal {
			return each(n, func(i int) Signal {
				return said(int64(i)*minute, v4(0, 5), out(1), 80, "http", contract.Fact{Kind: contract.HTTPRequest, Name: "example.com", Text: fmt.Sprint("/news.php?id=", i)})
			})
		}, true},
	}
}

// strangers are signals of hosts that are met once.
func strangers(i int) []Signal {
	me, at := decode.Addr{0: 0x20, 10: byte(i >> 24), 12: byte(i >> 16), 13: byte(i >> 8), 14: byte(i)}, int64(i)
	about := func(app string, f contract.Fact) Signal {
		s := said(at, me, v4(0, 7), 80, app, f)
		s.FlowID = uint64(i + 1)
		return s
	}
	name := fmt.Sprint("n", i)
	return []Signal{
		syn(at, me, v4(0, 7), 80), syn(at, v4(0, 7), me, 80), flow(Established, at, me, v4(0, 7), 80, decode.ProtoTCP), flow(Echo, at, me, v4(0, 7), 0, decode.ProtoICMP),
		{Kind: ARPSeen, Time: begin + at, ARP: decode.ARP{Valid: true, Op: 2, SenderMAC: [6]byte(me[10:]), SenderIP: [4]byte(me[11:]), TargetIP: [4]byte{10, 0, 0, 1}}},
		as(nd(at, icmp6NeighbourAdvert, 0x20, 1, 1, 1), func(s *Signal) { s.Head = me }),
		as(flow(Overlap, at, me, v4(0, 7), 80, decode.ProtoTCP), func(s *Signal) { s.Size, s.FlowID = 100, uint64(i) }),
		about("ftp", contract.Fact{Kind: contract.LoginFailed, Name: name}), about("krb5", contract.Fact{Kind: contract.KerberosRequest, Code: kerberosTGS, Name: name, Text: etypeRC4}),
		about("dcerpc", contract.Fact{Kind: contract.RPCCall, Name: netlogonUUID, Code: 4}), about("ldap", contract.Fact{Kind: contract.LDAPRequest, Code: ldapSearch, Text: "(adminCount=1)"}),
		about("smb", contract.Fact{Kind: contract.SMBFile, Code: fileWritten, Size: 1, Name: name, Text: "ADMIN$"}), about("http", contract.Fact{Kind: contract.HTTPRequest, Name: name, Text: "/"}),
		dns(at, me, contract.DNSQuery, long(i)+".example.com", dnsTXT, 0, ""), dns(at, me, contract.DNSAnswer, consonants(i)+".com", nxdomain, 0, ""),
		dhcp(at, contract.ToServer, name, "", uint32(i)), dhcp(at, contract.ToClient, name, name, uint32(i)),
	}
}
