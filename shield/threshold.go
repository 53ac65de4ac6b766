package shield

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/detect"
	"github.com/dejpha/dejpha/hoststate"
	"github.com/dejpha/dejpha/rule"
)

// thresholdTableMax bounds the counters kept; the least recently used is forgotten first.
const thresholdTableMax = 1 << 18

// ruleThresholds are what holds a rule's records back: its own threshold, and those of the threshold file.
type ruleThresholds struct {
	own  map[*rule.Rule]hoststate.Threshold
	file []fileThreshold
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

// load takes the rules' own thresholds and reads the file's.
func (t *ruleThresholds) load(file string, set *detect.Set) error {
	t.own = map[*rule.Rule]hoststate.Threshold{}
	for i := range set.Len() {
		r := set.Rule(i)
		if h := r.Threshold; h != nil {
			t.own[r] = hoststate.Threshold{Kind: kinds[h.Type], Track: tracks[h.Track], Count: h.Count, Seconds: h.Seconds, Multiplier: h.Multiplier, Timeout: h.Timeout}
		}
	}
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

func netList(v string) (in, not []netip.Prefix, err error) {
	for _, item := range strings.Split(strings.Trim(v, "[]"), ",") {
		item = strings.TrimSpace(item)
		negated := strings.HasPrefix(item, "!")
		list, err := prefixes([]string{strings.TrimPrefix(item, "!")}, nil)
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
func (f *fileThreshold) applies(x *match) bool {
	if f.gid != 0 && f.gid != x.rule.GID || f.sid != 0 && f.sid != x.rule.SID {
		return false
	}
	if f.Kind != hoststate.Suppress || len(f.nets)+len(f.not) == 0 {
		return true
	}
	hit := func(a netip.Addr) bool {
		return (len(f.nets) == 0 || contains(f.nets, a)) && !contains(f.not, a)
	}
	switch f.Track {
	case hoststate.BySrc:
		return hit(x.src.Netip())
	case hoststate.ByDst:
		return hit(x.dst.Netip())
	}
	return hit(x.src.Netip()) || hit(x.dst.Netip())
}

// pass says whether a match's record is written.
func (t *ruleThresholds) pass(s *hoststate.Thresholds, x *match) bool {
	key := hoststate.Key{SID: x.rule.SID, GID: x.rule.GID, Src: x.src, Dst: x.dst, Flow: x.flowID}
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
		if !loud(s.Check(key, f.Threshold, x.time)) {
			return false
		}
	}
	own, ok := t.own[x.rule]
	if !ok || overridden && own.Kind != hoststate.DetectionFilter {
		return true
	}
	key.Order = 0
	return loud(s.Check(key, own, x.time))
}

func loud(v hoststate.Verdict) bool { return v == hoststate.Alert || v == hoststate.NewAction }
