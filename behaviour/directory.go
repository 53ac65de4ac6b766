package behaviour

import (
	"fmt"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
)

// Bounds of the directory detector. Each of these searches has an honest use; three kinds of them from one host within
// ten minutes are a map being drawn (BloodHound, PowerView and their kin ask all of them).
const (
	directoryKindsMin = 3
	directoryWindow   = 10 * minute
	ldapSearch        = 3 // operation, RFC 4511 section 4.5.1
)

// hunts are searches by what they look for: a filter, or an attribute that few clients read.
var hunts = []struct{ kind, mark string }{
	{"accounts with service names", "(serviceprincipalname=*)"},
	{"accounts that need no proof", ":=4194304"}, // DONT_REQ_PREAUTH, MS-ADTS section 2.2.16
	{"accounts trusted for delegation", ":=524288"},
	{"accounts trusted for delegation", "msds-allowedtodelegateto"},
	{"accounts trusted for delegation", "msds-allowedtoactonbehalfofotheridentity"},
	{"protected accounts", "(admincount=1)"},
	{"trusts", "(objectclass=trusteddomain)"},
	{"local administrators' passwords", "ms-mcs-admpwd"},
	{"local administrators' passwords", "mslaps-password"},
	{"managed accounts' passwords", "msds-managedpassword"},
	{"rights on objects", "ntsecuritydescriptor"},
	{"all accounts", "(samaccounttype=805306368)"},
	{"all computers", "(samaccounttype=805306369)"},
	{"all groups", "(samaccounttype=268435456)"},
	{"policies", "(objectclass=grouppolicycontainer)"},
	{"administrators", "(cn=domain admins)"},
	{"administrators", "(samaccountname=domain admins)"},
}

// directory finds searches of a directory that gather what an attack needs.
type directory struct {
	pairs *table[guessKey, sweepState[string]]
}

func newDirectory(c Config) Detector {
	return &directory{newTable[guessKey, sweepState[string]](c.HostsMax)}
}

// Name implements Detector.
func (*directory) Name() string { return "directory-search" }

// Wants implements Detector.
func (*directory) Wants() Kind { return Said }

// Dropped implements Detector.
func (d *directory) Dropped() uint64 { return d.pairs.Dropped }

// Observe implements Detector.
func (d *directory) Observe(s *Signal, report func(Finding)) {
	f := &s.Fact
	if f.Kind != contract.LDAPRequest || f.Dir != contract.ToServer || f.Code != ldapSearch {
		return
	}
	text := strings.ToLower(f.Text)
	for i := range hunts {
		if !strings.Contains(text, hunts[i].mark) {
			continue
		}
		st, _ := d.pairs.get(guessKey{client: s.Client, server: s.Server})
		if n, yes := st.note(hunts[i].kind, s.Time, directoryWindow, directoryKindsMin); yes {
			report(finding("directory-search", "enumeration", []string{"T1087.002", "T1069.002", "T1087"}, 2,
				fmt.Sprintf("%d kinds of searches for what an attack needs within ten minutes, the last for %s", n, hunts[i].kind), s))
		}
	}
}
