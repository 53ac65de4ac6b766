package app_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/app/contract"
)

const corpora = "../../shared/corpora/attack"

// TestCorpusFacts plays recorded attacks through the protocols and wants the facts by which detectors know them.
// A segment is put in order only against the one before: this is no TCP.
func TestCorpusFacts(t *testing.T) {
	if _, err := os.Stat(corpora); err != nil {
		t.Skip("no corpora beside the tree")
	}
	const (
		drsuapi  = "e3514235-4b06-11d1-ab04-00c04fc2dcd2"
		svcctl   = "367abb81-9844-35f1-ad32-98f038001003"
		spoolss  = "12345678-1234-abcd-ef00-0123456789ab"
		samr     = "12345778-1234-abcd-ef00-0123456789ac"
		efs      = "c681d488-d850-11d0-8c52-00c04fd90f7e"
		winreg   = "338cd001-2244-31f1-aaaa-900038001003"
		epm      = "e1af8308-5d1f-11c9-91a4-08002b14a0fa"
		wbem     = "9556dc99-828c-11cf-a37e-00aa003240c7"
		logon    = "12345678-1234-abcd-ef00-01234567cffb"
		dispatch = "00020400-0000-0000-c000-000000000046"
	)
	call := func(iface string, opnum int) string { return fmt.Sprintf("%d/%s/%d", contract.RPCCall, iface, opnum) }
	odd := func(name string, code int) string { return fmt.Sprintf("%d/%s/%d", contract.SMBAnomaly, name, code) }
	file := func(name string, code int) string { return fmt.Sprintf("%d/%s/%d", contract.SMBFile, name, code) }
	for _, c := range []struct {
		file  string
		wants []string
	}{
		{"23d89befb363.pcap", []string{odd("trans2_session_setup", 65), odd("trans2_session_setup_answered", 16)}},
		{"56c48b644c55.pcap", []string{odd("nt_trans_unknown_function", 0), odd("session_setup_groom", 1<<31), odd("secondary_without_primary", 0x33)}},
		{"6b4cbe4dea03.pcap", []string{odd("nt_trans_rename", 5)}},
		{"e97738f6034b.pcapng", []string{odd("compression_header_overflow", 16)}},
		{"e6ea8f8aaf1b.pcap", []string{odd("netbios_name_malformed", 0)}},
		{"338a83f12052.pcap", []string{call(drsuapi, 3)}},
		{"8c40b4de9fd7.pcap", []string{call(drsuapi, 17), call(drsuapi, 5)}},
		{"cac9937ac9b4.pcapng", []string{call(spoolss, 65)}},
		{"ea408ee54042.pcapng", []string{call(efs, 0), call(efs, 4)}},
		{"3ba436b43477.pcap", []string{call(samr, 13)}},
		{"52756f0264a7.pcapng", []string{call(winreg, 9)}},
		{"6fd35023f899.pcapng", []string{call(epm, 2)}},
		{"77f24fdbea8c.pcapng", []string{call(samr, 17)}},
		{"26760a408823.pcap", []string{call(spoolss, 89)}},
		{"2b28eb118906.pcapng", []string{fmt.Sprintf("%d/%s/26", contract.NetlogonZeroCredential, logon), call(logon, 30)}},
		{"834b60bb224a.pcap", []string{fmt.Sprintf("%d/%s/4", contract.NetlogonZeroCredential, logon)}},
		{"6c4d3a3d4ab0.pcapng", []string{call(logon, 15)}},
		{"1412dd914be3.pcap", []string{file(`ProgramData\GruntHTTP.exe`, 2)}},
		{"771897616455.pcapng", []string{file("PSEXESVC.exe", 2), call(svcctl, 45), call(svcctl, 19)}},
		{"234de9cb1d8d.pcap", []string{call(dispatch, 6)}},
		{"7626d813c751.pcapng", []string{call(wbem, 24)}},
		{"a30cde3a9a6a.pcap", []string{call(wbem, 14)}},
		{"95ab0b9dd41e.pcap", []string{call(svcctl, 14)}},
		{"b300b2c01789.pcap", []string{call(svcctl, 24)}},
		{"fed11e7636fc.pcap", []string{call(svcctl, 24), call(svcctl, 31)}},
		{"f30458cef193.pcapng", []string{fmt.Sprintf("%d/admin/6", contract.KerberosError), fmt.Sprintf("%d/backdoor/10", contract.KerberosRequest)}},
	} {
		t.Run(c.file, func(t *testing.T) {
			facts := map[string]bool{}
			replay(t, filepath.Join(corpora, c.file), facts)
			for _, want := range c.wants {
				if !facts[want] {
					t.Errorf("no fact %s among %d", want, len(facts))
				}
			}
		})
	}
}

// replay collects kind/name/code of all facts of a capture.
func replay(t *testing.T, name string, facts map[string]bool) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	flows := map[string]*talk{}
	for _, frame := range frames(raw) {
		src, dst, udp, seq, data, ok := segment(frame)
		if !ok || len(data) == 0 {
			continue
		}
		key, dir := src+dst, contract.ToServer
		if flows[key] == nil && flows[dst+src] != nil {
			key, dir = dst+src, contract.ToClient
		}
		f := flows[key]
		if f == nil {
			f = &talk{}
			flows[key] = f
		}
		f.feed(dir, udp, seq, data, facts)
	}
}

// talk is one flow.
type talk struct {
	parser  contract.Parser
	flipped bool
	pending [2][]byte
	next    [2]uint32
	begun   [2]bool
	tried   int
}

func (f *talk) feed(dir contract.Direction, udp bool, seq uint32, data []byte, facts map[string]bool) {
	gap := 0
	if f.begun[dir] && !udp {
		if d := int32(seq - f.next[dir]); d > 0 {
			gap = int(d)
		} else if int(-d) >= len(data) {
			return
		} else {
			data, seq = data[-d:], f.next[dir]
		}
	}
	f.begun[dir], f.next[dir] = true, seq+uint32(len(data))
	if f.flipped {
		dir = 1 - dir
	}
	if f.parser == nil && !f.identify(&dir, udp, data) {
		return
	}
	if gap > 0 || udp {
		f.pending[dir] = nil
	}
	f.pending[dir] = append(f.pending[dir], data...)
	r := f.parser.Feed(contract.Input{Dir: dir, Data: f.pending[dir], Gap: gap, UDP: udp})
	f.pending[dir] = f.pending[dir][r.Consumed:]
	for _, tx := range f.parser.Txs() {
		s := tx.State()
		for _, x := range s.Facts {
			facts[fmt.Sprintf("%d/%s/%d", x.Kind, x.Name, x.Code)] = true
		}
		s.Facts = s.Facts[:0]
	}
	if n := len(f.parser.Txs()); n > 200 {
		f.parser.Release(n - 100)
	}
	if r.Stop != contract.StopNone || r.Upgrade != "" {
		f.parser, f.tried = nil, 9
	}
}

// identify probes the protocols that these captures are about.
func (f *talk) identify(dir *contract.Direction, udp bool, data []byte) bool {
	if f.tried++; f.tried > 4 {
		return false
	}
	for _, p := range app.Protocols() {
		if !strings.Contains("smb dcerpc krb5 ldap", p.Name) || udp && p.Transport&contract.UDP == 0 {
			continue
		}
		switch p.ProbeOf(udp)(data, *dir, 0) {
		case contract.YesReversed:
			f.flipped, *dir = true, 1-*dir
		case contract.Yes:
		default:
			continue
		}
		f.parser = p.New(p.Limits)
		return true
	}
	return false
}

// frames cuts a pcap or pcapng file into link-layer frames, with the link type in front as one byte.
func frames(b []byte) (all [][]byte) {
	le := binary.LittleEndian
	if le.Uint32(b) != 0x0a0d0d0a {
		link := b[20]
		for b = b[24:]; len(b) >= 16; {
			n := int(le.Uint32(b[8:]))
			if n > len(b)-16 {
				break
			}
			all = append(all, append([]byte{link}, b[16:16+n]...))
			b = b[16+n:]
		}
		return all
	}
	var links []byte
	for len(b) >= 12 {
		n := int(le.Uint32(b[4:]))
		if n < 12 || n > len(b) {
			break
		}
		switch le.Uint32(b) {
		case 1:
			links = append(links, b[8])
		case 6:
			if i := int(le.Uint32(b[8:])); i < len(links) {
				all = append(all, append([]byte{links[i]}, b[28:28+min(int(le.Uint32(b[20:])), n-32)]...))
			}
		}
		b = b[n:]
	}
	return all
}

// segment finds the ends and the payload of a TCP or UDP packet.
func segment(b []byte) (src, dst string, udp bool, seq uint32, data []byte, ok bool) {
	const loopback = 0
	link, b := b[0], b[1:]
	if link == loopback && len(b) > 4 {
		b = b[4:]
	} else if len(b) > 14 && b[12] == 8 {
		b = b[14:]
	} else if len(b) > 18 && b[12] == 0x81 {
		b = b[18:]
	}
	if len(b) < 40 || b[0]>>4 != 4 {
		return
	}
	head, size := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if size >= head && size < len(b) {
		b = b[:size]
	}
	l4 := b[head:]
	if len(l4) < 8 {
		return
	}
	src, dst = string(b[12:16])+string(l4[:2]), string(b[16:20])+string(l4[2:4])
	switch {
	case b[9] == 17:
		return src, dst, true, 0, l4[8:], true
	case b[9] == 6 && len(l4) >= 20 && int(l4[12]>>4)*4 <= len(l4):
		return src, dst, false, binary.BigEndian.Uint32(l4[4:]), l4[int(l4[12]>>4)*4:], true
	}
	return
}
