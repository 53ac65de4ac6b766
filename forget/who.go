package forget

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// Who is whom a text may name: an IP address, a network, or a MAC address.
type Who struct {
	net netip.Prefix
	mac net.HardwareAddr
}

// ParseWho reads an address or a network.
func ParseWho(text string) (*Who, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return &Who{net: netip.PrefixFrom(a, a.BitLen())}, nil
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return &Who{net: p.Masked()}, nil
	}
	if m, err := net.ParseMAC(text); err == nil {
		return &Who{mac: m}, nil
	}
	return nil, fmt.Errorf("%.80s is no IP address, network or MAC address", text)
}

// named says whether a text names them: the address itself in any writing, with a port too; a network that is no wider
// than they are or, for IPv6, than a /64, by which origins are told.
func (w *Who) named(text []byte) bool {
	if w == nil {
		return false
	}
	for len(text) > 0 {
		n := bytes.IndexFunc(text, func(r rune) bool { return !part(r) })
		if n < 0 {
			n = len(text)
		}
		if n >= 2 && w.is(string(bytes.Trim(text[:n], "./-"))) {
			return true
		}
		text = text[min(n+1, len(text)):]
	}
	return false
}

// part says whether a letter may stand in an address.
func part(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F' || r == ':' || r == '.' || r == '/' || r == '-'
}

func (w *Who) is(s string) bool {
	if w.mac != nil {
		m, err := net.ParseMAC(s)
		return err == nil && bytes.Equal(m, w.mac)
	}
	for _, s := range []string{s, string(bytes.TrimRight([]byte(s), ":"))} {
		if a, err := netip.ParseAddr(s); err == nil && w.net.Contains(a.Unmap()) {
			return true
		}
	}
	if a, err := netip.ParseAddrPort(s); err == nil && w.net.Contains(a.Addr().Unmap()) {
		return true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return false
	}
	narrow := min(w.net.Bits(), 64)
	if p.Addr().Is4() {
		narrow = w.net.Bits()
	}
	return p.Overlaps(w.net) && p.Bits() >= narrow
}

// inAccounts says whether the snapshot of open accounts names them.
func (w *Who) inAccounts(path string) bool {
	b, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	var s struct {
		Accounts []byte `json:"accounts"`
	}
	return json.Unmarshal(b, &s) == nil && w.named(s.Accounts)
}

// inFiles lists the small files of a folder that name them: records are not among those, for they were looked through.
func (w *Who) inFiles(dir string) (out []string, err error) {
	list, err := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, name := range list {
		if strings.HasPrefix(filepath.Base(name), "eve") {
			continue
		}
		if b, err := os.ReadFile(name); err == nil && w.named(b) {
			out = append(out, name)
		}
	}
	return out, err
}

// eachLine hands over the whole lines of a file with their places, without their ends.
func eachLine(path string, do func(at int64, line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	for at := int64(0); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		if err := do(at, line[:len(line)-1]); err != nil {
			return err
		}
		at += int64(len(line))
	}
}
