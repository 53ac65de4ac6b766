package eve

import (
	"bytes"
	"net/netip"

	"github.com/dejpha/dejpha/decode"
)

// XFF is how alerts take the client's address from a header that proxies add.
type XFF struct {
	On        bool
	Overwrite bool   // in the place of the packet's address; else beside it
	Reverse   bool   // the last entry is believed, which our own proxy wrote; else the first, which the client could forge
	Header    string // its name
}

// headerTx is a transaction that knows its request's headers by name.
type headerTx interface {
	RequestHeader(name string) ([]byte, bool)
}

// forwarded returns the address that a proxy says it speaks for.
func (a *Alert) forwarded(o *Options) (decode.Addr, bool) {
	if !o.XFF.On {
		return decode.Addr{}, false
	}
	tx, ok := a.Tx.(headerTx)
	if !ok {
		return decode.Addr{}, false
	}
	list, ok := tx.RequestHeader(o.XFF.Header)
	if !ok {
		return decode.Addr{}, false
	}
	return forwardedIn(list, o.XFF.Reverse)
}

// forwardedIn picks the first or last entry of a list of proxies; ports and brackets are taken off.
func forwardedIn(list []byte, last bool) (decode.Addr, bool) {
	if i := bytes.IndexByte(list, ','); i >= 0 && !last {
		list = list[:i]
	}
	if i := bytes.LastIndexByte(list, ','); i >= 0 {
		list = list[i+1:]
	}
	text := string(bytes.Trim(list, " \t\""))
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return decode.AddrFrom(ap.Addr()), true
	}
	addr, err := netip.ParseAddr(string(bytes.Trim([]byte(text), "[]")))
	if err != nil {
		return decode.Addr{}, false
	}
	return decode.AddrFrom(addr), true
}
