package ruleset

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/hoststate"
	"github.com/dejpha/dejpha/rule"
)

// Thresholds are what holds a rule's records back: its own threshold, and those of the threshold file.
type Thresholds struct{ file []fileThreshold }

// Hit is a rule's match as thresholds see it.
type Hit struct {
	Rule     *rule.Rule
	Time     int64 // ns
	Src, Dst decode.Addr
	Flow     uint64 // its id
}

// fileThreshold is one line of the threshold file.
type fileThreshold struct {
	gid, sid uint32 // 0: any
	hoststate.Threshold
	nets []netip.Prefix // suppress: only these; empty: all
	not  []netip.Prefix
}

var kinds = map[string]hoststate.Kind{"limit": hoststate.Limit, "threshold": hoststate.EachCount, "both": hoststate.Both,
	"detection_filter": hoststate.DetectionFilter, "rate_filter": hoststate.RateFilter, "suppress": hoststate.Suppress, "backoff": hoststate.Backoff}

var tracks = map[string]hoststate.Track{"by_src": hoststate.BySrc, "by_dst": hoststate.ByDst, "by_both": hoststate.ByBoth, "by_rule": hoststate.ByRule, "by_flow": hoststate.ByFlow, "by_either": hoststate.ByBoth}

// load reads the file's lines.
func (t *Thresholds) load(file string) error {
	if file == "" {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read threshold file: %w", err)
	}
	text := strings.ReplaceAll(strings.ReplaceAll(string(b), "\\\r\n", " "), "\\\n", " ")
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f, err := parseThreshold(line)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
		t.file = append(t.file, f)
	}
	return nil
}

func parseThreshold(line string) (f fileThreshold, err error) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "suppress":
		f.Kind = hoststate.Suppress
	case "threshold", "event_filter":
	case "rate_filter":
		f.Kind = hoststate.RateFilter
	default:
		return f, fmt.Errorf("unknown word %q; expected threshold, event_filter, rate_filter or suppress", word)
	}
	for _, part := range splitOutside(rest) {
		k, v, _ := strings.Cut(strings.TrimSpace(part), " ")
		v = strings.TrimSpace(v)
		n, nerr := strconv.ParseUint(v, 10, 32)
		switch k {
		case "gen_id", "gid":
			f.gid = uint32(n)
		case "sig_id", "sid":
			f.sid = uint32(n)
		case "type":
			kind, ok := kinds[v]
			if !ok {
				return f, fmt.Errorf("unknown type %q", v)
			}
			f.Kind, nerr = kind, nil
		case "track":
			track, ok := tracks[v]
			if !ok {
				return f, fmt.Errorf("unknown track %q", v)
			}
			f.Track, nerr = track, nil
		case "count":
			f.Count = uint32(n)
		case "seconds":
			f.Seconds = uint32(n)
		case "timeout":
			f.Timeout = uint32(n)
		case "multiplier":
			f.Multiplier = uint32(n)
		case "new_action":
			nerr = nil
		case "ip":
			f.nets, f.not, nerr = netList(v)
		default:
			return f, fmt.Errorf("unknown word %q", k)
		}
		if nerr != nil {
			return f, fmt.Errorf("%s %q is not a number or list", k, v)
		}
	}
	return f, nil
}

// splitOutside cuts at commas outside brackets.
func splitOutside(s string) (parts []string) {
	depth, start := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				parts, start = append(parts, s[start:i]), i+1
			}
		}
	}
	return append(parts, s[start:])
}

// prefixes reads an address or prefix.
func prefixes(text string) ([]netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not an address or prefix", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	return []netip.Prefix{p.Masked()}, nil
}

func holds(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

func netList(v string) (in, not []netip.Prefix, err error) {
	for _, item := range strings.Split(strings.Trim(v, "[]"), ",") {
		item = strings.TrimSpace(item)
		negated := strings.HasPrefix(item, "!")
		list, err := prefixes(strings.TrimPrefix(item, "!"))
		if err != nil {
			return nil, nil, err
		}
		if negated {
			not = append(not, list...)
		} else {
			in = append(in, list...)
		}
	}
	return in, not, nil
}

// applies says whether a line of the file concerns a match.
func (f *fileThreshold) applies(x *Hit) bool {
	if f.gid != 0 && f.gid != x.Rule.GID || f.sid != 0 && f.sid != x.Rule.SID {
		return false
	}
	if f.Kind != hoststate.Suppress || len(f.nets)+len(f.not) == 0 {
		return true
	}
	hit := func(a netip.Addr) bool {
		return (len(f.nets) == 0 || holds(f.nets, a)) && !holds(f.not, a)
	}
	switch f.Track {
	case hoststate.BySrc:
		return hit(x.Src.Netip())
	case hoststate.ByDst:
		return hit(x.Dst.Netip())
	}
	return hit(x.Src.Netip()) || hit(x.Dst.Netip())
}

// Pass says whether a match's record is written; s has the counts so far.
func (t *Thresholds) Pass(s *hoststate.Thresholds, x *Hit) bool {
	key := hoststate.Key{SID: x.Rule.SID, GID: x.Rule.GID, Src: x.Src, Dst: x.Dst, Flow: x.Flow}
	overridden := false
	for i := range t.file {
		f := &t.file[i]
		if !f.applies(x) {
			continue
		}
		if f.Kind == hoststate.Suppress {
			return false
		}
		overridden = true
		key.Order = uint8(min(i+1, 255))
		if !loud(s.Check(key, f.Threshold, x.Time)) {
			return false
		}
	}
	h := x.Rule.Threshold
	if h == nil {
		return true
	}
	own := hoststate.Threshold{Kind: kinds[h.Type], Track: tracks[h.Track], Count: h.Count, Seconds: h.Seconds, Multiplier: h.Multiplier, Timeout: h.Timeout}
	if overridden && own.Kind != hoststate.DetectionFilter {
		return true
	}
	key.Order = 0
	return loud(s.Check(key, own, x.Time))
}

func loud(v hoststate.Verdict) bool { return v == hoststate.Alert || v == hoststate.NewAction }
