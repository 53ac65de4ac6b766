// Package place says in which country an address is registered.
//
// In: an address. Out: two letters or nothing. It reads the user's MaxMind DB (MMDB) file if there is one, else the
// table that is built in (IP2Location LITE, CC BY-SA 4.0, by a module). It says where a network is registered,
// never where a person sits. Called by console only.
package place

import (
	"fmt"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
	"github.com/phuslu/iploc"
)

// Places is an open database.
type Places struct {
	db   *maxminddb.Reader // nil: the built-in table
	name string
}

// Open reads the user's file, or takes the built-in table when file is "".
func Open(file string) (*Places, error) {
	if file == "" {
		return &Places{nil, "This product includes IP2Location LITE data available from https://lite.ip2location.com (CC BY-SA 4.0, " + iploc.Version + ")"}, nil
	}
	db, err := maxminddb.Open(file)
	if err != nil {
		return nil, fmt.Errorf("country database %s: %w", file, err)
	}
	return &Places{db, db.Metadata.DatabaseType + ", " + file}, nil
}

// Name of the database, with what its licence asks to be said.
func (p *Places) Name() string { return p.name }

// Country of an address in text, "" if unknown. Of a file both common layouts are read: country.iso_code and country_code.
func (p *Places) Country(addr string) string {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return ""
	}
	a = a.Unmap().WithZone("")
	if p.db == nil {
		code := iploc.IPCountry(a)
		if len(code) != 2 || code == "ZZ" {
			return ""
		}
		return code
	}
	var code string
	found := p.db.Lookup(a)
	for _, path := range [][]any{{"country", "iso_code"}, {"country_code"}, {"registered_country", "iso_code"}} {
		if found.DecodePath(&code, path...) == nil && len(code) == 2 {
			return code
		}
	}
	return ""
}

// Close gives the file back.
func (p *Places) Close() {
	if p.db != nil {
		_ = p.db.Close()
	}
}
