package stated

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a number, a word or a sign of a text.
type token struct {
	text   string
	number bool
	at     int // where it begins
	end    int
}

const tokensMax = 2000 // of one text; what follows is not read

// tokens cuts a text up. Numbers keep their commas and points.
func tokens(s string) []token {
	var out []token
	for i := 0; i < len(s) && len(out) < tokensMax; {
		r, size := utf8.DecodeRuneInString(s[i:])
		start := i
		switch {
		case r >= '0' && r <= '9':
			for i < len(s) && (s[i] >= '0' && s[i] <= '9' || (s[i] == ',' || s[i] == '.') && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9') {
				i++
			}
			out = append(out, token{s[start:i], true, start, i})
			continue
		case unicode.IsLetter(r):
			for i < len(s) {
				r, size := utf8.DecodeRuneInString(s[i:])
				if !unicode.IsLetter(r) && r != '\'' && r != '’' {
					break
				}
				i += size
			}
			out = append(out, token{s[start:i], false, start, i})
			continue
		case strings.ContainsRune("%/+×-–,;.&()", r):
			out = append(out, token{s[i : i+size], false, i, i + size})
		}
		i += size
	}
	return out
}

// parseNumber reads "33,000,000", "36.43"; the last stated digit's power of ten with it. Trailing zeros of whole
// numbers are taken for rounding.
func parseNumber(s string) (v float64, decimal int, ok bool) {
	plain := strings.ReplaceAll(s, ",", "")
	if parts := strings.Split(s, ","); len(parts) > 1 {
		for _, p := range parts[1:] {
			if digits, _, _ := strings.Cut(p, "."); len(digits) != 3 {
				return 0, 0, false
			}
		}
	}
	v, err := strconv.ParseFloat(plain, 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, 0, false
	}
	whole, fraction, isFraction := strings.Cut(plain, ".")
	if isFraction {
		return v, -len(fraction), true
	}
	trimmed := strings.TrimRight(whole, "0")
	if trimmed == "" {
		return v, 0, true
	}
	return v, len(whole) - len(trimmed), true
}

// reader walks the tokens of one text.
type reader struct {
	text string
	t    []token
}

func (r *reader) word(i int) string {
	if i < 0 || i >= len(r.t) {
		return ""
	}
	return strings.ToLower(r.t[i].text)
}

// found is a quantity with its place in the text.
type found struct {
	Quantity
	from, to int // tokens
	before   string
}

// quantities finds every number with a unit in a text, in order.
func quantities(text string) []found {
	r := &reader{text, tokens(text)}
	var out []found
	for i := 0; i < len(r.t); {
		q, next, ok := r.quantity(i)
		if !ok {
			i++
			continue
		}
		q.from, q.to = i, next
		q.Text = strings.TrimSpace(text[r.t[i].at:r.t[next-1].end])
		q.Hedge, q.before = r.hedge(i)
		if q.Hedge == "" {
			q.Hedge = r.hedgeAfter(next)
		}
		if q.Dim == Time || q.Dim == Percent || q.Dim == Times {
			q.decimal = min(q.decimal, 0) // "10 minutes", "30 times": nobody rounds these to tens
		}
		q.again()
		out = append(out, q)
		i = next
	}
	return out
}

// hedge is the word before a number that says how it is meant, and the preposition before that.
func (r *reader) hedge(i int) (hedge, before string) {
	w := r.word(i - 1)
	if h, ok := hedges[w]; ok {
		return h, r.word(i - 2)
	}
	switch two := r.word(i-2) + " " + w; {
	case two == "more than", two == "greater than", two == "higher than", two == "at least", two == "no fewer", two == "upwards of":
		return "over", r.word(i - 3)
	case two == "less than", two == "fewer than", two == "at most", two == "up to":
		return "under", r.word(i - 3)
	}
	return "", w
}

func (r *reader) hedgeAfter(i int) string {
	if two := r.word(i) + " " + r.word(i+1); two == "and more" || two == "or more" {
		return "over"
	}
	if r.word(i) == "+" {
		return "over"
	}
	return ""
}

// quantity reads the number that begins at token i and its unit.
func (r *reader) quantity(i int) (q found, next int, ok bool) {
	w := r.word(i)
	switch {
	case r.t[i].number:
		if q.Value, q.decimal, ok = parseNumber(r.t[i].text); !ok {
			return q, 0, false
		}
		next = i + 1
	case multiples[w] > 0:
		q.Value, q.Dim = multiples[w], Times
		return q, i + 1, true
	case numberWords[w] > 0:
		q.Value, next = numberWords[w], i+1
	default:
		return q, 0, false
	}
	for next < len(r.t) {
		p, isScale := scales[r.word(next)]
		if r.word(next) == "m" && (r.word(next+1) == "/" || r.word(next+1) == "") {
			isScale = isScale && r.word(next+1) == ""
		}
		if !isScale {
			break
		}
		q.Value, q.decimal = q.Value*math.Pow10(p), q.decimal+p
		next++
	}
	n, ok := r.unit(&q, next)
	if !ok {
		return q, 0, false
	}
	return q, n, true
}

// unit reads what a number counts.
func (r *reader) unit(q *found, i int) (next int, ok bool) {
	w := r.word(i)
	switch {
	case w == "%", w == "percent":
		q.Dim = Percent
		return i + 1, true
	case w == "per" && r.word(i+1) == "cent":
		q.Dim = Percent
		return i + 2, true
	case w == "times", w == "fold", w == "×", w == "x", w == "-" && r.word(i+1) == "fold":
		q.Dim = Times
		if w == "-" {
			i++
		}
		q.words = r.word(i + 1)
		return i + 1, true
	case i < len(r.t):
		if bits, prefix, bytes, binary, rate, ok := dataUnit(r.t[i].text); ok {
			q.Dim, q.Prefix, q.Bytes, q.Binary = Data, prefix, bytes, binary
			q.Value *= bits
			if rate {
				q.Per = 1
				return i + 1, true
			}
			return r.per(q, i+1), true
		}
		if p, rest, isPackets := packetUnit(r.t[i].text); isPackets {
			q.Dim, q.Kinds, q.Value, q.decimal = Things, []string{"packets"}, q.Value*math.Pow10(p), q.decimal+p
			if rest == "pps" {
				q.Per = 1
				return i + 1, true
			}
		}
	}
	if s, isTime := seconds[singular(w)]; isTime && r.plainTime(i) {
		return r.time(q, i, s)
	}
	n, kinds := r.things(i)
	per := r.per(q, n)
	if len(kinds) == 0 && q.Per == 0 {
		return 0, false
	}
	q.Dim, q.Kinds = Things, kinds
	return per, true
}

// plainTime says that a word of time is a unit here: "4 min", not "one day" as a rate's "a day".
func (r *reader) plainTime(i int) bool {
	w := r.word(i)
	return !strings.HasSuffix(w, "ly") || w == ""
}

// packetUnit reads "pps", "Mpps", "kpps".
func packetUnit(w string) (power int, rest string, ok bool) {
	switch strings.ToLower(w) {
	case "pps":
		return 0, "pps", true
	case "kpps":
		return 3, "pps", true
	case "mpps":
		return 6, "pps", true
	case "gpps":
		return 9, "pps", true
	}
	return 0, "", false
}

// time reads "4 min 37 s": units that fall. Lo bears the smallest unit that was named.
func (r *reader) time(q *found, i int, unit float64) (int, bool) {
	q.Dim, q.Value = Time, q.Value*unit
	smallest := unit
	i++
	for i+1 < len(r.t) {
		at := i
		if w := r.word(at); w == "and" || w == "," {
			at++
		}
		if at+1 >= len(r.t) || !r.t[at].number {
			break
		}
		v, d, ok := parseNumber(r.t[at].text)
		s, isTime := seconds[singular(r.word(at+1))]
		if !ok || !isTime || s >= smallest {
			break
		}
		q.Value, q.decimal, smallest, i = q.Value+v*s, min(d, 0), s, at+2
	}
	q.smallest = smallest
	return i, true
}

// per reads "/s", "per second", "a day", "daily" and turns the quantity into a rate.
func (r *reader) per(q *found, i int) int {
	w := r.word(i)
	name, next := "", i
	switch {
	case w == "/", w == "per", w == "each", w == "every", w == "a", w == "an":
		name, next = r.word(i+1), i+2
	case w == "daily", w == "hourly", w == "weekly", w == "monthly", w == "yearly", w == "annually":
		name, next = w, i+1
	}
	s, ok := seconds[singular(name)]
	if !ok {
		return i
	}
	q.Per = s
	q.Value /= s
	return next
}

// stops end a phrase that names things.
var stops = []string{
	"on", "in", "of", "that", "which", "from", "to", "against", "by", "at", "with", "for", "during", "since", "were", "was", "have", "has", "had", "are", "is",
	"who", "into", "per", "a", "an", "each", "every", "daily", "hourly", "weekly", "monthly", "yearly", "/", "(", ")", ".", ";", "-", "–", "lasting", "averaging",
}

const phraseMax = 8 // words of what a number counts

// things reads the kinds that follow a number: "suspicious events", "attacks and probes".
func (r *reader) things(i int) (next int, kinds []string) {
	next = i
	kind, at := "", i
	flush := func() {
		if kind != "" && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
		kind = ""
	}
	for n := 0; at < len(r.t) && n < phraseMax; n++ {
		w := r.word(at)
		if r.t[at].number || slices.Contains(stops, w) && (w != "of" || kind != "" || at > i) {
			break
		}
		if w == "and" || w == "or" || w == "," || w == "&" || w == "+" {
			flush()
		} else if k, known := nouns[singular(w)]; known {
			// In a compound the last noun counts ("attack attempts"), but malware stays malware ("malware attacks").
			if kind != "malware" {
				kind = k
			}
			next = at + 1
		}
		at++
	}
	flush()
	return next, kinds
}

// Unit is what a figure says that it counts.
type Unit struct {
	Text     string
	Kinds    []string
	NoRisk   string  // the word that says that nothing was at risk: honeypot, decoy
	Per      float64 // the unit is a rate: seconds
	Quantity bool    // it is a unit of data, time, percent or times, and not of things
}

// riskless are words for what is put up to be attacked.
var riskless = []string{"honeypot", "honeypots", "honeynet", "decoy", "decoys", "sinkhole", "darknet", "telescope", "sandbox"}

func noRisk(text string) string {
	for _, t := range tokens(text) {
		if w := strings.ToLower(t.text); slices.Contains(riskless, w) {
			return w
		}
	}
	return ""
}

// parseUnit reads the unit field: all phrases of it, those behind a preposition only for what was at risk.
func parseUnit(text string) Unit {
	u := Unit{Text: text, NoRisk: noRisk(text)}
	if text == "" {
		return u
	}
	r := &reader{text, tokens(text)}
	_, u.Kinds = r.things(0)
	if f := quantities("1 " + text); len(f) > 0 {
		u.Per = f[0].Per
		u.Quantity = f[0].Dim != Things
	}
	if len(u.Kinds) == 0 && !u.Quantity {
		u.Kinds = []string{strings.ToLower(strings.TrimSpace(text))}
	}
	slices.Sort(u.Kinds)
	return u
}

// change reads a percentage or multiple as a factor: "+200 %" and "by 200 %" are three times as much. A multiple that
// says "higher" or "more" may be meant as that many times as much or as that much on top: its interval takes both in.
func change(f found) (Quantity, bool) {
	q := f.Quantity
	switch f.Dim {
	case Times:
		if w := q.words; w == "higher" || w == "more" || w == "greater" || w == "larger" || w == "faster" || w == "stronger" {
			q.Hi++
		}
		return q, true
	case Percent:
		q.Dim = Times
		q.Value, q.Lo, q.Hi = 1+q.Value/100, 1+q.Lo/100, 1+q.Hi/100
		return q, true
	}
	return q, false
}
