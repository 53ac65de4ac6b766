package behaviour

import (
	"fmt"
	"math"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
)

// Bounds of the tunnel detector. Names are looked up again and again; a tunnel never asks the same twice,
// and fills its labels (63 bytes at most, RFC 1035 section 2.3.4).
const (
	tunnelNamesMin   = 12  // distinct long names below one domain
	tunnelNameBytes  = 24  // of the part below the registered domain
	tunnelEntropyMin = 2.7 // bits a character of that part
	tunnelWindow     = 5 * minute
	tunnelEchoMin    = 10
	tunnelEchoBytes  = 100
	tunnelRemembered = 512
	tunnelBulkMin    = 8   // names below one domain that were answered with so much text each
	tunnelBulkBytes  = 180 // more than a policy or a key of mail mostly has
)

// DNS types whose answers carry free data (RFC 1035 section 3.2.2).
const (
	dnsCNAME = 5
	dnsNULL  = 10
	dnsMX    = 15
	dnsTXT   = 16
	dnsSRV   = 33
	dnsPRIV  = 65399
)

// tunnel finds other traffic inside DNS names and inside echo packets.
type tunnel struct {
	domains *table[domainKey, domainState]
	echoes  *table[[2]decode.Addr, echoState]
}

type domainKey struct {
	client decode.Addr
	domain string
}

type domainState struct {
	names    seen[string]
	carrying int // of types that carry data
	told     int
	texts    seen[string] // names whose text was asked for
	bulk     sweepState[string]
}

type echoState struct {
	sizes  seen[uint32]
	n      int
	total  uint64
	differ int
	last   uint32
	told   bool
}

func newTunnel(c Config) Detector {
	return &tunnel{newTable[domainKey, domainState](c.HostsMax), newTable[[2]decode.Addr, echoState](c.HostsMax)}
}

// Name implements Detector.
func (*tunnel) Name() string { return "tunnel" }

// Wants implements Detector.
func (*tunnel) Wants() Kind { return Said | Echo }

// Dropped implements Detector.
func (d *tunnel) Dropped() uint64 { return d.domains.Dropped + d.echoes.Dropped }

// Observe implements Detector.
func (d *tunnel) Observe(s *Signal, report func(Finding)) {
	if s.Kind == Echo {
		d.echo(s, report)
		return
	}
	if s.Fact.Kind != contract.DNSQuery && s.Fact.Kind != contract.DNSAnswer || s.ServerPort == 5353 || s.ServerPort == 137 {
		return
	}
	domain, below := RegisteredDomain(s.Fact.Name)
	if s.Fact.Kind == contract.DNSAnswer {
		d.answered(s, domain, report)
		return
	}
	if s.Fact.Code == dnsTXT || s.Fact.Code == dnsNULL {
		st, _ := d.domains.get(domainKey{s.Client, domain})
		st.texts.limit, st.texts.life = tunnelRemembered, tunnelWindow
		st.texts.add(s.Fact.Name, s.Time)
	}
	if len(below) < tunnelNameBytes || reverse(domain) {
		return
	}
	if entropy(below) < tunnelEntropyMin {
		return
	}
	st, _ := d.domains.get(domainKey{s.Client, domain})
	st.names.limit, st.names.life = tunnelRemembered, tunnelWindow
	if !st.names.add(below, s.Time) {
		return
	}
	carries := s.Fact.Code == dnsNULL || s.Fact.Code == dnsTXT || s.Fact.Code == dnsPRIV || s.Fact.Code == dnsMX || s.Fact.Code == dnsCNAME || s.Fact.Code == dnsSRV
	if carries {
		st.carrying++
	}
	least := tunnelNamesMin
	if st.carrying*4 < st.names.len() {
		least *= 3 // content networks and look-up lists use long names too, of addresses
	}
	if st.names.len() < least {
		return
	}
	n := st.names.since(s.Time - tunnelWindow)
	if n < least || st.told != 0 && n < 2*st.told {
		return
	}
	st.told = n
	f := finding("dns-tunnel", "tunnel", []string{"T1071.004", "T1572", "T1071"}, 2, fmt.Sprintf("%d long names below %s asked for within five minutes, each only once", n, domain), s)
	f.HasOrigin, f.OriginDomain, f.Subject, f.HasSubject = false, domain, s.Client, true
	f.Target = s.Client
	report(f)
}

// answered counts the names below one domain that were answered with much text: orders and programs handed out.
func (d *tunnel) answered(s *Signal, domain string, report func(Finding)) {
	st := d.domains.find(domainKey{s.Client, domain})
	if st == nil || s.Fact.Code != 0 || s.Fact.Size < tunnelBulkBytes {
		return
	}
	if _, asked := st.texts.times[s.Fact.Name]; !asked {
		return
	}
	if n, yes := st.bulk.note(s.Fact.Name, s.Time, tunnelWindow, tunnelBulkMin); yes {
		f := finding("dns-tunnel", "tunnel", []string{"T1071.004", "T1572", "T1071"}, 2, fmt.Sprintf("%d names below %s answered with much text each within five minutes", n, domain), s)
		f.HasOrigin, f.OriginDomain, f.Subject, f.HasSubject = false, domain, s.Client, true
		f.Target = s.Client
		report(f)
	}
}

// echo judges echo payloads: ping repeats one size and is answered with what it sent.
func (d *tunnel) echo(s *Signal, report func(Finding)) {
	st, _ := d.echoes.get([2]decode.Addr{s.Client, s.Server})
	st.sizes.limit = tunnelRemembered
	st.sizes.add(s.Size, s.Time)
	st.n++
	st.total += uint64(s.Size)
	if s.Dir == 1 && s.Size != st.last {
		st.differ++
	}
	if s.Dir == 0 {
		st.last = s.Size
	}
	if st.told || st.n < tunnelEchoMin || st.total/uint64(st.n) < tunnelEchoBytes/2 || st.differ < tunnelEchoMin/2 && st.sizes.len() < tunnelEchoMin {
		return
	}
	st.told = true
	f := finding("icmp-tunnel", "tunnel", []string{"T1095", "T1572"}, 2, fmt.Sprintf("%d echo packets of %d sizes, %d answered with something else than was sent", st.n, st.sizes.len(), st.differ), s)
	f.Origin, f.Subject, f.HasSubject, f.Target = s.Server, s.Client, true, s.Client
	report(f)
}

func reverse(domain string) bool {
	return strings.HasSuffix(domain, ".arpa") || strings.HasSuffix(domain, ".local") || domain == "arpa"
}

// secondLevel are labels that registries use below a country's code, so that the registered name is one label longer.
const secondLevel = " co com net org gov edu ac gob or ne go "

// RegisteredDomain splits a lower-case name into the part somebody registered and the labels below it.
func RegisteredDomain(name string) (domain, below string) {
	name = strings.TrimSuffix(name, ".")
	last := strings.LastIndexByte(name, '.')
	if last <= 0 {
		return name, ""
	}
	cut := strings.LastIndexByte(name[:last], '.')
	if cut < 0 {
		return name, ""
	}
	if len(name)-last == 3 && strings.Contains(secondLevel, " "+name[cut+1:last]+" ") {
		up := strings.LastIndexByte(name[:cut], '.')
		if up < 0 {
			return name, ""
		}
		cut = up
	}
	return name[cut+1:], name[:cut]
}

// Registrable is the registered domain of a name in any case, "" where nobody can have registered it: a top level has
// letters only (RFC 3696 section 2).
func Registrable(name string) string {
	domain, _ := RegisteredDomain(strings.ToLower(name))
	top := domain[strings.LastIndexByte(domain, '.')+1:]
	if len(top) == len(domain) || strings.Trim(top, "abcdefghijklmnopqrstuvwxyz") != "" && !strings.HasPrefix(top, "xn--") {
		return ""
	}
	return domain
}

// entropy is Shannon's, in bits a character.
func entropy(s string) float64 {
	var counts [256]int
	for i := range len(s) {
		counts[s[i]]++
	}
	var h float64
	for _, c := range counts {
		if c > 0 {
			p := float64(c) / float64(len(s))
			h -= p * math.Log2(p)
		}
	}
	return h
}
