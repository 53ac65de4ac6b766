package behaviour

import (
	"fmt"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
)

// misses are everyday traffic that comes closest to an attack: nothing may be said about it.
func misses() map[string][]Signal {
	all := map[string][]Signal{}
	for _, part := range []map[string][]Signal{connectionMisses(), nameMisses(), accountMisses(), linkMisses()} {
		for k, v := range part {
			all[k] = v
		}
	}
	return all
}

// opened is a connection that is accepted, closed its end too.
func opened(at int64, client, server decode.Addr, port int, closed bool) []Signal {
	l := []Signal{syn(at, client, server, port), flow(Established, at+second/100, client, server, port, decode.ProtoTCP)}
	if closed {
		l = append(l, flow(Hangup, at+second/50, client, server, port, decode.ProtoTCP))
	}
	return l
}

func connectionMisses() map[string][]Signal {
	all := map[string][]Signal{}
	add := func(name string, n int, one func(i int) []Signal) {
		for i := range n {
			all[name] = append(all[name], one(i)...)
		}
	}
	add("a browser opens many connections", 200, func(i int) []Signal { return opened(int64(i)*second/50, v4(0, 5), out(i), 443, false) })
	add("a gateway of many clients, one host in ten is dead", 600, func(i int) []Signal {
		if i%10 == 0 {
			s := syn(int64(i)*second/10, v4(0, 1), out(i), 443)
			return []Signal{s}
		}
		return opened(int64(i)*second/10, v4(0, 1), out(i), 443, false)
	})
	add("monitoring looks whether doors open", 600, func(i int) []Signal { return opened(int64(i)*second/2, v4(0, 5), v4(0, 100+i%30), 22, true) })
	add("a balancer looks whether the web server lives", 600, func(i int) []Signal { return opened(int64(i)*second/2, v4(0, 5), v4(0, 7), 80, true) })
	add("a busy web server finishes its handshakes", 2000, func(i int) []Signal { return opened(int64(i)*second/1000, out(i), v4(0, 7), 443, true) })
	add("peers of a file exchange, most of them gone", 120, func(i int) []Signal {
		s := udp(int64(i)*second, v4(0, 5), out(i), 6881, 10000+i*37)
		if i%5 == 0 {
			return []Signal{s, as(s, func(s *Signal) { s.Kind = Established })}
		}
		return []Signal{s}
	})
	add("time servers that ask and answer on one port", 100, func(i int) []Signal { return []Signal{udp(int64(i)*second/100, out(i%25), v4(0, 7), 123, 123)} })
	add("a host that answers what many send from one port", 300, func(i int) []Signal {
		s := udp(int64(i)*second/300, out(i), v4(0, 7), 3478, 20000+i)
		return []Signal{s, as(s, func(s *Signal) { s.Kind = Established })}
	})
	add("players of a game, each with a port of his own", 300, func(i int) []Signal { return []Signal{udp(int64(i)*second/300, out(i), v4(0, 7), 40000+i, 27015)} })
	add("a traceroute", 90, func(i int) []Signal {
		return []Signal{as(udp(int64(i)*second/10, v4(0, 5), out(1), 50000, 33434+i), func(s *Signal) { s.TTL = uint8(1 + i/3) })}
	})
	add("a backup", 8, func(i int) []Signal {
		return []Signal{as(flow(Milestone, int64(i)*minute, v4(0, 5), v4(0, 6), 445, decode.ProtoTCP), func(s *Signal) { s.Packets = [2]uint64{1 << (10 + i), 1 << (9 + i)} })}
	})
	add("a ping that repeats one size", 200, func(i int) []Signal {
		ask := as(flow(Echo, int64(i)*second, v4(0, 5), out(1), 0, decode.ProtoICMP), func(s *Signal) { s.Size = 1400 })
		return []Signal{ask, as(ask, func(s *Signal) { s.Dir = 1 })}
	})
	add("pings of a few hosts", 300, func(i int) []Signal {
		return []Signal{flow(Echo, int64(i)*second, v4(0, 5), v4(0, 100+i%15), 0, decode.ProtoICMP)}
	})
	add("a person reads one page again", 40, func(i int) []Signal {
		at := int64(i)*minute + int64(i*i%7)*8*second
		return []Signal{said(at, v4(0, 5), out(1), 80, "http", contract.Fact{Kind: contract.HTTPRequest, Name: "news.example", Text: "/"})}
	})
	add("keep-alives that repeat a byte", 20, func(i int) []Signal {
		return []Signal{as(flow(Overlap, int64(i)*minute, v4(0, 5), out(i), 80, decode.ProtoTCP), func(s *Signal) { s.Size = 1 })}
	})
	return all
}

func nameMisses() map[string][]Signal {
	all := map[string][]Signal{}
	add := func(name string, n int, one func(i int) []Signal) {
		for i := range n {
			all[name] = append(all[name], one(i)...)
		}
	}
	ask, tell := contract.DNSQuery, contract.DNSAnswer
	add("a resolver", 500, func(i int) []Signal {
		name := fmt.Sprintf("www.site%d.example", i)
		return []Signal{dns(int64(i)*second/100, v4(0, 5), ask, name, 1, 0, ""), dns(int64(i)*second/100, v4(0, 5), tell, name, 0, 4, fmt.Sprint("192.0.2.", i%250))}
	})
	add("a question repeated, the addresses in turn", 10, func(i int) []Signal {
		name := fmt.Sprintf("cdn%d.example", i)
		return []Signal{dns(0, v4(0, i), ask, name, 1, 0, ""), dns(1, v4(0, i), ask, name, 1, 0, ""), dns(2, v4(0, i), tell, name, 0, 4, "192.0.2.1"), dns(3, v4(0, i), tell, name, 0, 4, "192.0.2.2")}
	})
	add("answers seen without their questions", 200, func(i int) []Signal {
		return []Signal{dns(int64(i)*second, v4(0, 5), tell, "example.com", 0, 4, fmt.Sprint("192.0.2.", i))}
	})
	add("a content network's long names", 30, func(i int) []Signal {
		return []Signal{dns(int64(i)*second, v4(0, 5), ask, long(i)+".cdn.example", 1, 0, "")}
	})
	add("long names looked up again and again", 400, func(i int) []Signal {
		return []Signal{dns(int64(i)*second, v4(0, 5), ask, long(i%8)+".example.com", dnsTXT, 0, "")}
	})
	add("policies and keys of a sender of mail", 6, func(i int) []Signal {
		name := fmt.Sprintf("_part%d.mail.example", i)
		return []Signal{dns(int64(i)*second, v4(0, 5), ask, name, dnsTXT, 0, ""), dns(int64(i)*second, v4(0, 5), tell, name, 0, 400, "v=spf1")}
	})
	add("names of words that do not exist", 60, func(i int) []Signal {
		return []Signal{dns(int64(i)*second, v4(0, 5), tell, []string{"interesting", "blueberries", "photographers", "elephantine"}[i%4]+fmt.Sprint(i)+".com", nxdomain, 0, "")}
	})
	add("a search list tried for one name", 60, func(i int) []Signal {
		return []Signal{dns(int64(i)*second, v4(0, 5), tell, consonants(i%4)+".com", nxdomain, 0, "")}
	})
	add("a host answers for its own name", 50, func(i int) []Signal {
		return []Signal{as(dns(int64(i)*second, v4(0, i), tell, "printer", 0, 4, "10.0.0.66"), func(s *Signal) { s.ServerPort, s.Server = portLLMNR, v4(0, 66) })}
	})
	return all
}

func accountMisses() map[string][]Signal {
	all := map[string][]Signal{}
	add := func(name string, n int, one func(i int) []Signal) {
		for i := range n {
			all[name] = append(all[name], one(i)...)
		}
	}
	login := func(at int64, kind contract.FactKind, app, name string, flowID uint64) Signal {
		s := said(at, v4(0, 5), v4(0, 7), 22, app, contract.Fact{Kind: kind, Name: name})
		s.FlowID = flowID
		return s
	}
	add("uploads, each answered when it is whole", 100, func(i int) []Signal {
		at := int64(i) * second / 2
		web := func(f contract.Fact) Signal { return said(at, v4(0, 5), v4(0, 7), 80, "http", f) }
		return []Signal{as(web(contract.Fact{}), func(s *Signal) { s.Kind = Established }), web(contract.Fact{Kind: contract.HTTPRequest, Size: 1}), web(contract.Fact{Kind: contract.HTTPResponse, Code: 200})}
	})
	add("a browser that opens connections ahead and needs none", 100, func(i int) []Signal {
		return []Signal{as(flow(Hangup, int64(i)*second/10, v4(0, 5), out(i), []int{80, 443}[i%2], decode.ProtoTCP), func(s *Signal) { s.Proven = true })}
	})
	add("files fetched over FTP", 100, func(i int) []Signal {
		return []Signal{as(flow(Hangup, int64(i)*second/10, v4(0, 5), v4(0, 7), 40000+i, decode.ProtoTCP), func(s *Signal) { s.Proven, s.Size = true, 9 })}
	})
	add("services used in a hurry", 100, func(i int) []Signal {
		return []Signal{as(flow(Hangup, int64(i)*second/10, v4(0, 5), v4(0, 7), 20+i, decode.ProtoTCP), func(s *Signal) { s.Proven, s.HasData = true, true })}
	})
	add("a person mistypes thrice, then is in", 4, func(i int) []Signal {
		if i == 3 {
			return []Signal{login(int64(i)*20*second, contract.LoginSucceeded, "ftp", "anna", 1)}
		}
		return []Signal{login(int64(i)*20*second, contract.LoginFailed, "ftp", "anna", 1)}
	})
	add("a wrong password kept by a program, once in two minutes", 60, func(i int) []Signal {
		return []Signal{login(int64(i)*2*minute, contract.LoginFailed, "imap", "anna", uint64(i+1))}
	})
	add("keys offered one after the other in one connection", 6, func(i int) []Signal { return []Signal{login(int64(i)*second/10, contract.LoginFailed, "ssh", "", 1)} })
	add("a job that logs in each second, its first key refused each time", 60, func(i int) []Signal {
		at, flow := int64(i)*second, uint64(i+1)
		return []Signal{login(at, contract.LoginFailed, "ssh", "", flow), login(at+second/10, contract.LoginSucceeded, "ssh", "", flow)}
	})
	add("a terminal server in the morning", 60, func(i int) []Signal {
		name := fmt.Sprint("user", i)
		return []Signal{kerberos(int64(i)*second, contract.KerberosError, kdcPreauthRequired, name, "", 0), kerberos(int64(i)*second+1, contract.KerberosRequest, kerberosAS, name, "18,17,23", 1)}
	})
	add("an old client's tickets for two services", 40, func(i int) []Signal {
		return []Signal{kerberos(int64(i)*second, contract.KerberosRequest, kerberosTGS, fmt.Sprint("http/", i%2), etypeRC4, 1)}
	})
	add("a network of old servers", 40, func(i int) []Signal {
		return []Signal{kerberos(int64(i)*second, contract.KerberosRequest, kerberosTGSReply, fmt.Sprint("cifs/", i%6), etypeRC4, 1)}
	})
	add("accounts of a centre that asks for no proof", 40, func(i int) []Signal {
		name := fmt.Sprint("user", i)
		return []Signal{kerberos(int64(i)*second, contract.KerberosRequest, kerberosAS, name, "18,17,16,23", 0), kerberos(int64(i)*second, contract.KerberosRequest, kerberosASReply, name, "18", 0)}
	})
	add("an administrator's console lists users and computers", 40, func(i int) []Signal {
		return []Signal{said(int64(i)*second, v4(0, 5), v4(0, 1), 389, "ldap", contract.Fact{Kind: contract.LDAPRequest, Code: ldapSearch, Text: []string{"(samAccountType=805306368) cn", "(samAccountType=805306369) cn"}[i%2]})}
	})
	add("documents to a drive's share, programs to a public one", 20, func(i int) []Signal {
		file := func(size uint32, share string) Signal {
			return said(int64(i)*second, v4(0, 5), v4(0, 6), 445, "smb", contract.Fact{Kind: contract.SMBFile, Code: fileWritten, Size: size, Name: "a", Text: share})
		}
		return []Signal{file(0, `\\HOST\C$`), file(1, `\\HOST\Public`), file(1, `\\HOST\IPC$`)}
	})
	add("a member's secure channel", 5, func(i int) []Signal {
		return []Signal{said(int64(i)*second, v4(0, 5), v4(0, 1), 49669, "dcerpc", contract.Fact{Kind: contract.RPCCall, Name: netlogonUUID, Code: 26})}
	})
	return all
}

func linkMisses() map[string][]Signal {
	all := map[string][]Signal{}
	add := func(name string, n int, one func(i int) []Signal) {
		for i := range n {
			all[name] = append(all[name], one(i)...)
		}
	}
	add("a standby takes over and says so to all", 3, func(i int) []Signal {
		return []Signal{arp(int64(i)*second, 2, byte(min(i, 1)), 1, 1, broadcastMAC)}
	})
	add("a standby router takes over an address of IPv6", 3, func(i int) []Signal {
		return []Signal{nd(int64(i)*second, icmp6NeighbourAdvert, 0x20, byte(min(i, 1)), 1, 1)}
	})
	add("two routers of one network, all day", 600, func(i int) []Signal {
		return []Signal{nd(int64(i)*10*second, icmp6RouterAdvert, 0, byte(i%2), 1+i%2, 0)}
	})
	add("a class of machines takes fresh addresses, one is in use", 100, func(i int) []Signal {
		all := []Signal{nd(int64(i)*second/10, icmp6NeighbourAsk, 0, byte(i), 0, 1+i)}
		if i == 50 {
			all = append(all, nd(int64(i)*second/10+1, icmp6NeighbourAdvert, 0x20, 200, 1+i, 1+i))
		}
		return all
	})
	add("a virtual router's address comes back to its owner", 2, func(i int) []Signal {
		return []Signal{as(arp(int64(i)*second, 2, byte(i), 1, 50, oneHost), func(s *Signal) {
			if i == 0 {
				s.ARP.SenderMAC = [6]byte{0, 0, 0x5e, 0, 1, 2}
			}
		})}
	})
	add("a router asked for its neighbours", 30, func(i int) []Signal { return []Signal{arp(int64(i)*second, 1, 1, 1, 2+i, broadcastMAC)} })
	add("a router answers for those behind it when asked", 30, func(i int) []Signal {
		return []Signal{arp(int64(i)*second, 1, 50, 50, 100+i, broadcastMAC), arp(int64(i)*second, 2, 1, 100+i, 50, oneHost)}
	})
	add("two DHCP servers that stand in for each other", 40, func(i int) []Signal {
		return []Signal{dhcp(int64(i)*second, contract.ToClient, fmt.Sprint("10.0.0.", 2+i%2), "10.0.0.1|10.0.0.1", uint32(i/2))}
	})
	add("DHCP servers of two networks", 40, func(i int) []Signal {
		return []Signal{dhcp(int64(i)*second, contract.ToClient, fmt.Sprint("10.", i%2, ".0.2"), fmt.Sprint("10.", i%2, ".0.1|"), uint32(i))}
	})
	add("a school's bell rings", 150, func(i int) []Signal {
		return []Signal{dhcp(int64(i)*second/50, contract.ToServer, fmt.Sprint(i), "", uint32(i))}
	})
	add("a relay's many clients", 400, func(i int) []Signal {
		return []Signal{dhcp(int64(i)*second/200, contract.ToServer, fmt.Sprint(i), "10.3.0.1", uint32(i))}
	})
	return all
}
