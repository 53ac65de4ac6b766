package console

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/console/index"
	"github.com/dejpha/dejpha/evidence"
)

// Bounds of one answer.
const (
	listMax    = 500
	needsMax   = 5
	stepsMax   = 1000
	originsMax = 1000
	minutesMax = 180
	relatedMax = 20
	timeMax    = 8_640_000_000_000_000 // ms; a browser's clock knows no later time
)

// row is an attack in a list.
type row struct {
	ID           uint64   `json:"id"`
	State        string   `json:"state"`
	Class        string   `json:"class"`
	Techniques   []string `json:"techniques"`
	Severity     uint8    `json:"severity"`
	Risk         string   `json:"risk"`
	Side         string   `json:"side"`
	Outcome      string   `json:"outcome"`
	Result       string   `json:"result"`
	Authorised   bool     `json:"authorised"`
	Overflow     bool     `json:"overflow"`
	Origin       string   `json:"origin"`
	OriginKind   string   `json:"origin_kind"`
	Country      string   `json:"country"`
	ASN          string   `json:"asn"`
	Target       string   `json:"target"`
	TargetIPs    uint64   `json:"target_ips"`
	Ports        []uint16 `json:"ports"`
	Subject      string   `json:"subject"`
	First        int64    `json:"first_ms"`
	Last         int64    `json:"last_ms"`
	Closed       int64    `json:"closed_ms"`
	Observations uint64   `json:"observations"`
	Flows        uint64   `json:"flows"`
	Packets      uint64   `json:"packets"`
	Bytes        uint64   `json:"bytes"`
	Alerts       int      `json:"alerts"`
	Incident     uint64   `json:"incident"`
	Leaf         int64    `json:"leaf"`
	Story        string   `json:"story"`
}

func (c *Console) row(r *attack.Record) row {
	c.judged(r)
	return row{
		ID: r.ID, State: r.State, Class: r.Class, Techniques: list(r.Techniques), Severity: r.Severity, Risk: r.Risk, Side: r.Side,
		Outcome: r.Outcome, Result: r.Result, Authorised: r.Authorised, Overflow: r.Overflow, Origin: index.OriginName(r), OriginKind: index.OriginKind(r),
		Country: c.index.Country(r), Target: r.Target.Group, TargetIPs: r.Target.Count, Ports: list(r.Target.Ports), Subject: r.Subject,
		First: r.FirstSeen / 1e6, Last: r.LastSeen / 1e6, Closed: r.ClosedAt / 1e6, Observations: r.Observations, Flows: r.Flows,
		Packets: r.Packets, Bytes: r.Bytes, Alerts: len(r.Alerts), Incident: r.Incident, Leaf: r.Evidence.Leaf, Story: r.Story,
	}
}

func (c *Console) rows(records []attack.Record) []row {
	out := make([]row, 0, len(records))
	for i := range records {
		out = append(out, c.row(&records[i]))
	}
	return out
}

// list is never null in JSON.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// filter reads a list's filter from a URL.
func filter(q url.Values) *index.Filter {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(q.Get(name), 10, 64)
		return max(-timeMax, min(n, timeMax))
	}
	return &index.Filter{
		Class: q["class"], Outcome: q["outcome"], Risk: q["risk"], Result: q["result"], Severity: q["severity"], Side: q["side"], State: q["state"],
		Country: q["country"], Origin: q.Get("origin"), Target: q.Get("target"), Text: q.Get("q"), Incident: q.Get("incident"),
		Authorised: q.Get("authorised"), From: number("from"), To: number("to"),
	}
}

// bounded reads a number of a URL into [least, most].
func bounded(q url.Values, name string, otherwise, least, most int) int {
	n, err := strconv.Atoi(q.Get(name))
	if err != nil {
		n = otherwise
	}
	return max(least, min(n, most))
}

// broken answers for an index that cannot be read.
func broken(w http.ResponseWriter, err error) bool {
	if err != nil {
		fail(w, http.StatusInternalServerError, "the index cannot be read: "+err.Error())
	}
	return err != nil
}

func (c *Console) status(w http.ResponseWriter, r *http.Request) {
	first, last, err := c.index.Span(r.Context(), &index.Filter{})
	if broken(w, err) {
		return
	}
	leaf, err := c.index.LastLeaf()
	if broken(w, err) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fault := ""
	if c.err != nil {
		fault = c.err.Error()
	}
	answer(w, map[string]any{
		"kind": c.opt.Status.Kind, "source": c.opt.Status.Source, "origin": c.opt.Status.Origin, "key": evidence.Fingerprint(c.opt.Status.Verifier),
		"version": c.opt.Status.Version, "started_ms": c.started.UnixMilli(), "now_ms": c.opt.Now().UnixMilli(), "stopped": c.stopped,
		"log_size": leaf + 1, "country_db": c.places.Name(), "behind": c.behind.Load() || c.building.Load(), "time_first_ms": first, "time_last_ms": last, "fault": fault,
	})
}

type named struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
}

func (c *Console) classes(w http.ResponseWriter, _ *http.Request) {
	type class struct {
		named
		Severity   uint8    `json:"severity"`
		Techniques []string `json:"techniques"`
		Gap        int      `json:"gap_s"`
	}
	var all []class
	for _, k := range attack.Table() {
		all = append(all, class{named{k.Name, classDefinition(&k)}, k.Severity, k.Techniques, int(k.Gap.Seconds())})
	}
	answer(w, map[string]any{
		"definition": "One attack is one origin trying one class of attack on one target group, until it is quiet for the class's gap. Alerts, packets and flows are carried beside the count and are never called attacks.",
		"table":      attack.TableVersion,
		"outcomes": []named{
			{attack.Foiled, "Everything that could have had the effect was stopped by this shield before it reached the target, and live verdict records show it."},
			{attack.Contained, "Some of it reached the target, then the shield cut it off."},
			{attack.Observed, "The shield did not act."}},
		"risks": []named{
			{attack.Real, "Something could have been harmed."},
			{attack.Decoy, "The target is a decoy by configuration."},
			{attack.NoRisk, "Every target refused the packets that the shield let through."}},
		"results": []named{
			{attack.Succeeded, "The target's own answers show that it succeeded."},
			{attack.Failed, "The target's own answers show that it failed."},
			{attack.Unknown, "The target's answers do not tell."}},
		"classes": all,
	})
}

// classDefinition says in a person's words what one attack of a class is.
func classDefinition(k *attack.Class) string {
	s := "One origin that " + k.Act + " one target group"
	if k.Name == "dga" { // its subject is the host itself
		s = "One protected host that looked up generated names"
	}
	s += ", until it was quiet for " + length(k.Gap) + "."
	if t := k.Threshold; t.Observations > 1 {
		s += " Weak signs of it (severity 3 and 4) become an attack from " + strconv.Itoa(t.Observations) + " within " + length(t.Window) + " on."
	}
	return s
}

// length is a duration in a person's words; the table's are whole minutes.
func length(d time.Duration) string {
	n, unit := int(d.Minutes()), "minute"
	if n%60 == 0 && n > 0 {
		n, unit = n/60, "hour"
	}
	if n != 1 {
		unit += "s"
	}
	return strconv.Itoa(n) + " " + unit
}

// figures of one class, or of all.
type figures struct {
	Name       string `json:"name,omitempty"`
	Foiled     int64  `json:"foiled"`
	Contained  int64  `json:"contained"`
	Observed   int64  `json:"observed"`
	Decoy      int64  `json:"decoy"`
	None       int64  `json:"none"`
	Authorised int64  `json:"authorised"`
	Open       int64  `json:"open"`
}

func (f *figures) add(c *index.Count) {
	switch {
	case c.State == index.Withdrawn: // the log says so, and so do claims
	case c.Authorised:
		f.Authorised += c.N
	case c.State == "opened":
		f.Open += c.N
	case c.Risk == attack.Decoy:
		f.Decoy += c.N
	case c.Risk == attack.NoRisk:
		f.None += c.N
	case c.Outcome == attack.Foiled:
		f.Foiled += c.N
	case c.Outcome == attack.Contained:
		f.Contained += c.N
	default:
		f.Observed += c.N
	}
}

func (c *Console) summary(w http.ResponseWriter, r *http.Request) {
	f := filter(r.URL.Query())
	counts, err := c.index.Counts(r.Context(), f)
	if broken(w, err) {
		return
	}
	needs, all, err := c.index.Needs(r.Context(), f, needsMax)
	if broken(w, err) {
		return
	}
	out := struct {
		figures
		Classes  []*figures `json:"classes"`
		Needs    []row      `json:"needs"`
		NeedsAll int        `json:"needs_total"`
	}{Classes: []*figures{}, Needs: c.rows(needs), NeedsAll: all}
	byClass := map[string]*figures{}
	for i := range counts {
		k := byClass[counts[i].Class]
		if k == nil {
			k = &figures{Name: counts[i].Class}
			byClass[k.Name] = k
			out.Classes = append(out.Classes, k)
		}
		k.add(&counts[i])
		out.add(&counts[i])
	}
	answer(w, out)
}

func (c *Console) timeline(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := filter(q)
	steps := bounded(q, "buckets", 120, 1, stepsMax)
	from, to, err := c.index.Span(r.Context(), f)
	if broken(w, err) {
		return
	}
	if f.From != 0 {
		from = f.From
	}
	if f.To != 0 {
		to = f.To
	}
	step := max(1000, (to-from)/int64(steps)+1)
	steps = int(min(int64(steps), max(0, to-from)/step+1))
	series, err := c.index.Timeline(r.Context(), f, from, step, steps)
	if broken(w, err) {
		return
	}
	type named struct {
		Name   string  `json:"name"`
		Counts []int64 `json:"counts"`
	}
	all := []named{}
	for _, name := range slices.SortedFunc(maps.Keys(series), func(a, b string) int { return attack.ClassIndex(a) - attack.ClassIndex(b) }) {
		all = append(all, named{name, series[name]})
	}
	answer(w, map[string]any{"from_ms": from, "to_ms": from + int64(steps)*step, "step_ms": step, "series": all})
}

func (c *Console) attacks(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !index.KnownOrder(q.Get("sort")) {
		fail(w, http.StatusBadRequest, "unknown order "+strconv.Quote(q.Get("sort")))
		return
	}
	records, total, err := c.index.List(r.Context(), filter(q), q.Get("sort"), bounded(q, "limit", 50, 1, listMax), bounded(q, "offset", 0, 0, 1<<40))
	if broken(w, err) {
		return
	}
	answer(w, map[string]any{"total": total, "items": c.rows(records)})
}

func (c *Console) origins(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := filter(q)
	items, err := c.index.Origins(r.Context(), f, bounded(q, "limit", 200, 1, originsMax))
	if broken(w, err) {
		return
	}
	byCountry, err := c.index.Countries(r.Context(), f)
	if broken(w, err) {
		return
	}
	type country struct {
		Code    string `json:"code"`
		Attacks int64  `json:"attacks"`
	}
	countries := []country{}
	for _, code := range slices.Sorted(maps.Keys(byCountry)) {
		if code != "" {
			countries = append(countries, country{code, byCountry[code]})
		}
	}
	answer(w, map[string]any{"countries": countries, "unplaced": byCountry[""], "items": items})
}

func (c *Console) ledger(w http.ResponseWriter, r *http.Request) {
	minutes, err := c.index.Minutes(r.Context(), minutesMax)
	if broken(w, err) {
		return
	}
	c.mu.Lock()
	t, open := c.total, c.open
	c.mu.Unlock()
	answer(w, map[string]any{
		"total": map[string]uint64{"received": t.Received, "inspected": t.Inspected, "bypassed": t.Bypassed, "dropped": t.Dropped, "shed": t.Shed, "undecodable": t.Undecodable},
		"open":  open, "balanced": t.Received == t.Inspected+t.Bypassed+t.Dropped+t.Shed+t.Undecodable, "minutes": minutes,
	})
}
