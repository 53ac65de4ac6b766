package stated

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Dim is what a quantity measures.
type Dim uint8

// Dims.
const (
	None    Dim = iota
	Things      // attacks, packets, addresses: in ones
	Data        // in bits
	Time        // in seconds
	Percent     // in percent
	Times       // how many times as much
)

// Quantity is a stated number with its unit and the interval that its rounding leaves open.
type Quantity struct {
	Dim      Dim
	Value    float64
	Lo, Hi   float64
	Text     string   // as it was stated
	Kinds    []string // of Things: what is counted; several are mixed
	Per      float64  // seconds, of a rate; 0: no rate
	Bytes    bool     // of Data: stated in bytes
	Prefix   int      // of Data: power of 1,000 that was stated
	Binary   bool     // of Data: KiB, MiB
	Hedge    string   // about, over, under, exactly, or ""
	decimal  int      // power of ten of the last stated digit
	smallest float64  // of Time: the smallest unit that was named, seconds
	words    string   // that follow the number, for changes ("higher")
}

// aboutShare is the least that "about" leaves open to both sides.
const aboutShare = 0.05

// again sets Lo and Hi to what the stated digits leave open: half a unit of the last significant digit to both sides, with "about"
// at least a twentieth; "over" reaches up to the next value of that digit, "under" down to it; "exactly" leaves nothing
// open.
func (q *Quantity) again() {
	unit := math.Pow10(q.decimal)
	switch q.Dim {
	case Data:
		unit *= unitBits(q.Prefix, q.Bytes, q.Binary)
	case Time:
		unit *= q.smallest
	}
	if q.Per > 0 {
		unit /= q.Per
	}
	switch q.Hedge {
	case "exactly":
		q.Lo, q.Hi = q.Value, q.Value
	case "about":
		off := max(unit/2, q.Value*aboutShare)
		q.Lo, q.Hi = q.Value-off, q.Value+off
	case "over":
		q.Lo, q.Hi = q.Value, q.Value+unit
	case "under":
		q.Lo, q.Hi = q.Value-unit, q.Value
	default:
		q.Lo, q.Hi = q.Value-unit/2, q.Value+unit/2
	}
	q.Lo = max(q.Lo, 0)
}

// meets says whether two intervals have a value in common.
func (q *Quantity) meets(lo, hi float64) bool { return q.Lo <= hi && lo <= q.Hi }

func (q *Quantity) agrees(o *Quantity) bool { return q.meets(o.Lo, o.Hi) }

// hedges are words that say how a number is meant.
var hedges = map[string]string{
	"about": "about", "around": "about", "approximately": "about", "roughly": "about", "some": "about", "circa": "about", "ca": "about", "nearly": "under",
	"almost": "under", "over": "over", "above": "over", "exceeding": "over", "exceeded": "over", "beyond": "over", "exactly": "exactly", "precisely": "exactly",
	"under": "under", "below": "under",
}

// scales are words and letters that multiply a number, as powers of ten.
var scales = map[string]int{
	"hundred": 2, "thousand": 3, "k": 3, "million": 6, "millions": 6, "mio": 6, "mn": 6, "m": 6, "billion": 9, "billions": 9, "bn": 9, "trillion": 12, "trillions": 12,
}

var numberWords = map[string]float64{
	"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
	"fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}

// multiples are words that say a multiple by themselves.
var multiples = map[string]float64{"twice": 2, "double": 2, "doubled": 2, "tripled": 3, "threefold": 3, "twofold": 2, "tenfold": 10, "quadrupled": 4}

var seconds = map[string]float64{
	"ms": 1e-3, "millisecond": 1e-3, "s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600,
	"day": 86400, "d": 86400, "daily": 86400, "hourly": 3600, "week": 7 * 86400, "weekly": 7 * 86400, "month": 365.25 / 12 * 86400, "monthly": 365.25 / 12 * 86400,
	"year": 365.25 * 86400, "yearly": 365.25 * 86400, "annually": 365.25 * 86400,
}

// nouns are the things that figures count, by their words in the singular, and the kind they are.
var nouns = map[string]string{
	"attack": "attacks", "cyberattack": "attacks", "ddos": "attacks", "flood": "attacks", "intrusion": "attacks", "assault": "attacks", "hack": "attacks",
	"attempt": "attempts", "try": "attempts", "probe": "attempts", "scan": "attempts", "event": "suspicious events", "anomaly": "suspicious events",
	"incident": "incidents", "alert": "alerts", "alarm": "alerts", "warning": "alerts", "alarms": "alerts", "detection": "alerts", "packet": "packets", "pps": "packets",
	"malware": "malware", "virus": "malware", "infection": "malware", "trojan": "malware", "worm": "malware", "request": "requests", "connection": "connections",
	"session": "connections", "flow": "connections", "hit": "requests", "query": "requests", "source": "sources", "address": "sources", "addresse": "sources", "ip": "sources",
	"bot": "sources", "device": "sources", "host": "sources", "mail": "messages", "email": "messages", "message": "messages", "vulnerability": "vulnerabilities",
	"threat": "threats", "campaign": "campaigns", "victim": "victims", "record": "records", "account": "accounts", "log": "log lines", "line": "log lines",
}

// singular is a word without the end of its plural.
func singular(w string) string {
	w = strings.ToLower(w)
	switch {
	case strings.HasSuffix(w, "ies") && len(w) > 4:
		return w[:len(w)-3] + "y"
	case w == "viruses" || w == "addresses":
		return w[:len(w)-2]
	case strings.HasSuffix(w, "ss") || w == "ddos" || w == "pps" || w == "s" || w == "ms" || w == "virus":
		return w
	}
	return strings.TrimSuffix(w, "s")
}

// dataUnit reads "Gbit", "GB", "GiB", "gigabytes", "Mbps", "kb/s" without its "/s"; rate is set for "bps" forms.
func dataUnit(w string) (bits float64, prefix int, bytes, binary, rate, ok bool) {
	long := strings.ToLower(w)
	for i, name := range []string{"", "kilo", "mega", "giga", "tera", "peta", "exa"} {
		for _, end := range []string{"bit", "bits", "byte", "bytes"} {
			if long == name+end {
				return unitBits(i, end[1] == 'y', false), i, end[1] == 'y', false, false, true
			}
		}
	}
	rest := w
	for i, letters := range []string{"", "kK", "M", "G", "T", "P", "E"} {
		if i == 0 {
			continue
		}
		if rest != "" && strings.ContainsRune(letters, rune(rest[0])) {
			prefix, rest = i, rest[1:]
			break
		}
	}
	if prefix > 0 && strings.HasPrefix(rest, "i") && rest != "i" {
		binary, rest = true, rest[1:]
	}
	switch rest {
	case "b", "bit", "bits":
	case "B", "byte", "bytes", "Byte", "Bytes":
		bytes = true
	case "bps", "bit/s":
		rate = true
	case "Bps":
		bytes, rate = true, true
	default:
		return 0, 0, false, false, false, false
	}
	if prefix == 0 && len(rest) < 3 {
		return 0, 0, false, false, false, false // a lone "b" is no unit
	}
	return unitBits(prefix, bytes, binary), prefix, bytes, binary, rate, true
}

func unitBits(prefix int, bytes, binary bool) float64 {
	base := 1000.0
	if binary {
		base = 1024
	}
	v := math.Pow(base, float64(prefix))
	if bytes {
		v *= 8
	}
	return v
}

// group writes a number with commas; fractions only below 1,000.
func group(v float64) string {
	if v >= 1e18 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	if v < 1000 && v != math.Trunc(v) {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// four writes a number with four significant digits at most, and commas.
func four(v float64) string {
	if v >= 1000 || v == math.Trunc(v) {
		return group(v)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// dataText writes bits as a person does, in bytes or bits, by powers of 1,000.
func dataText(bits float64, bytes bool) string {
	v, unit := bits, "bit"
	if bytes {
		v, unit = bits/8, "B"
	}
	i := 0
	for v >= 1000 && i < 6 {
		v, i = v/1000, i+1
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + " " + []string{"", "k", "M", "G", "T", "P", "E"}[i] + unit
}

// timeText writes seconds as a person does.
func timeText(s float64) string {
	switch {
	case s < 600:
		return four(s) + " s"
	case s < 2*3600:
		return four(s/60) + " min"
	case s < 2*86400:
		return four(s/3600) + " h"
	}
	return four(math.Round(s/86400)) + " days"
}

// perText names the time of a rate.
func perText(s float64) string {
	for _, n := range []string{"second", "minute", "hour", "day", "week", "month", "year"} {
		if math.Abs(seconds[n]-s) < s/1000 {
			return n
		}
	}
	return timeText(s)
}

// show writes a value in the unit of q.
func (q *Quantity) show(v float64) string {
	rate := ""
	if q.Per > 0 {
		v *= q.Per
		rate = " a " + perText(q.Per)
	}
	switch q.Dim {
	case Data:
		return dataText(v, q.Bytes) + strings.Replace(rate, " a second", "/s", 1)
	case Time:
		return timeText(v)
	case Percent:
		return four(v) + " %"
	case Times:
		return four(v) + " times"
	}
	return group(v) + rate
}

// span writes the interval.
func (q *Quantity) span() string {
	if q.Lo == q.Hi {
		return "exactly " + q.show(q.Lo)
	}
	return q.show(q.Lo) + " to " + q.show(q.Hi)
}

// stated writes the number as it was said, with its value where the words are not the digits.
func (q *Quantity) stated() string {
	if q.Text != "" {
		return q.Text
	}
	if q.Hedge != "" {
		return q.Hedge + " " + q.show(q.Value)
	}
	return q.show(q.Value)
}

func sameKinds(a, b []string) bool { return slices.Equal(a, b) }

// within says whether all kinds of a are among those of b, and b has more.
func within(a, b []string) bool {
	for _, k := range a {
		if !slices.Contains(b, k) {
			return false
		}
	}
	return len(b) > len(a)
}

func kindsText(kinds []string) string {
	if len(kinds) == 0 {
		return "things without a unit"
	}
	return strings.Join(kinds, " and ")
}

func percentOf(factor float64) string { return fmt.Sprintf("+%s %%", four((factor-1)*100)) }
