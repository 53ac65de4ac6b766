package behaviour

import (
	"fmt"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
)

// Bounds of the generated-names detector: a program that tries names made from the date meets many that do not exist.
const (
	dgaNamesMin   = 12
	dgaWindow     = 10 * minute
	dgaLabelMin   = 8
	dgaScoreMin   = 1.0
	dgaRemembered = 256
)

const nxdomain = 3 // RFC 1035 section 4.1.1

// dga finds hosts that ask for generated domain names that do not exist.
type dga struct {
	clients *table[decode.Addr, dgaState]
}

type dgaState struct {
	names seen[string]
	told  int
}

func newDGA(c Config) Detector { return &dga{newTable[decode.Addr, dgaState](c.HostsMax)} }

// Name implements Detector.
func (*dga) Name() string { return "generated-names" }

// Wants implements Detector.
func (*dga) Wants() Kind { return Said }

// Dropped implements Detector.
func (d *dga) Dropped() uint64 { return d.clients.Dropped }

// Observe implements Detector.
func (d *dga) Observe(s *Signal, report func(Finding)) {
	if s.Fact.Kind != contract.DNSAnswer || s.Fact.Code != nxdomain {
		return
	}
	domain, _ := RegisteredDomain(s.Fact.Name)
	label, _, found := strings.Cut(domain, ".")
	if !found || reverse(domain) || !looksGenerated(label) {
		return
	}
	st, _ := d.clients.get(s.Client)
	st.names.limit, st.names.life = dgaRemembered, dgaWindow
	if !st.names.add(domain, s.Time) || st.names.len() < dgaNamesMin {
		return
	}
	n := st.names.since(s.Time - dgaWindow)
	if n < dgaNamesMin || st.told != 0 && n < 2*st.told {
		return
	}
	st.told = n
	f := finding("generated-names", "dga", []string{"T1568.002", "T1568"}, 2, fmt.Sprintf("%d domain names that look generated and do not exist, asked for within ten minutes", n), s)
	f.HasOrigin, f.Subject, f.HasSubject, f.Target = false, s.Client, true, s.Client
	report(f)
}

// looksGenerated judges a label by what words of people's languages have and drawn letters lack:
// vowels at a steady rate, few runs of consonants, digits apart from letters.
func looksGenerated(label string) bool {
	if len(label) < dgaLabelMin || strings.HasPrefix(label, "xn--") {
		return false
	}
	var vowels, digits, switches, run, longest int
	for i := range len(label) {
		c := label[i]
		digit := c >= '0' && c <= '9'
		switch {
		case digit:
			digits++
			run = 0
		case strings.IndexByte("aeiouy", c) >= 0:
			vowels++
			run = 0
		default:
			run++
			longest = max(longest, run)
		}
		if i > 0 && digit != (label[i-1] >= '0' && label[i-1] <= '9') {
			switches++
		}
	}
	score := 0.0
	letters := len(label) - digits
	if letters > 0 && float64(vowels)/float64(letters) < 0.25 {
		score++
	}
	if longest >= 4 {
		score++
	}
	if switches >= 3 {
		score++
	}
	if entropy(label) > 3.3 {
		score += 0.5
	}
	return score >= dgaScoreMin
}
