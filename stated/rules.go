package stated

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// alone are the rules that need one figure only, in the order in which their findings are told.
var alone = []func(*Judged){
	(*Judged).unread, (*Judged).window, (*Judged).system, (*Judged).ahead, (*Judged).unit, (*Judged).risk, (*Judged).sentence,
	(*Judged).daily, (*Judged).product, (*Judged).sum, (*Judged).factor, (*Judged).direction, (*Judged).perSource, (*Judged).length,
}

func (j *Judged) unread() {
	f := j.Figure
	if len(f.Unread) > 0 {
		j.add("not-read", Remark, fmt.Sprintf("Not read, for the format has no such keys: %s.", strings.Join(f.Unread, ", ")))
	}
	if len(f.FromSentence) > 0 {
		j.add("read-from-sentence", Remark, fmt.Sprintf("Read from the sentence, for the fields do not say it: %s.", strings.Join(f.FromSentence, ", ")))
	}
}

// window: a count without a window cannot be checked by anybody.
func (j *Judged) window() {
	f := j.Figure
	for _, w := range f.Windows {
		if w.Read != "" {
			j.add("window-read", Remark, fmt.Sprintf("%q is read as %s: %s.", w.Text, w.Read, w.String()))
		}
	}
	if len(f.Windows) > 0 || f.Event != "" {
		return
	}
	if f.Count != nil {
		j.add("no-window", Lacks, fmt.Sprintf("No window: nobody said from when to when %s were counted, so nothing can be compared with it and nobody can recount it.", f.Count.stated()))
		return
	}
	if f.any() {
		j.add("no-window", Lacks, "No window and no event: nobody said when.")
	}
}

// system: what a system is credited with cannot lie before it existed.
func (j *Judged) system() {
	f := j.Figure
	if f.Since == nil {
		return
	}
	name := first(f.System, "the system")
	for _, w := range f.Windows {
		if !w.placed() {
			continue
		}
		if !w.To.After(f.Since.From.Add(w.Slack)) {
			ended := "before"
			if days := math.Round(f.Since.From.Sub(w.To).Hours() / 24); days >= 1 {
				ended = group(days) + " days before"
			}
			j.add("before-system", Against, fmt.Sprintf("The window (%s) was over %s %s existed (%s): none of its %s days lies in its time, so it cannot have counted or stopped any of this.",
				w.String(), ended, name, date(f.Since.From), group(math.Round(w.Days))))
			return
		}
		if before := f.Since.From.Sub(w.From); before > w.Slack+day {
			j.add("before-system-partly", Lacks, fmt.Sprintf("%s existed from %s on; %s of the window's %s days lie before that, and nobody said what counted then.",
				capital(name), date(f.Since.From), group(math.Round(before.Hours()/24)), group(math.Round(w.Days))))
		}
	}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// ahead: nobody can know a count before its window is over.
func (j *Judged) ahead() {
	f := j.Figure
	if f.SaidOn.IsZero() {
		return
	}
	for _, w := range f.Windows {
		if !w.placed() {
			continue
		}
		if !w.From.Before(f.SaidOn.Add(day + w.Slack)) {
			j.add("before-window", Against, fmt.Sprintf("It was said on %s, before its window (%s) began.", date(f.SaidOn), w.String()))
		} else if left := w.To.Sub(f.SaidOn.Add(day)); left > w.Slack+day {
			j.add("window-not-over", Lacks, fmt.Sprintf("It was said on %s, when %s of the window's %s days were still to come: it can be a count up to that day at most.",
				date(f.SaidOn), group(math.Round(left.Hours()/24)), group(math.Round(w.Days))))
		}
	}
}

// unit: one figure must count one kind of thing.
func (j *Judged) unit() {
	f := j.Figure
	if f.Count == nil {
		return
	}
	kinds := f.Count.Kinds
	switch {
	case len(kinds) == 0:
		j.add("no-unit", Lacks, fmt.Sprintf("No unit: nobody said what %s counts.", f.Count.stated()))
	case len(kinds) > 1:
		j.add("mixed-units", Lacks, fmt.Sprintf("Units are mixed: %s counts %s in one figure, and nobody said how many of each.", group(f.Count.Value), kindsText(kinds)))
	case kinds[0] != "attacks":
		j.add("unit", Remark, fmt.Sprintf("It counts %s; that is no count of attacks: one attack can be many of these, and many of these no attack.", kinds[0]))
	case f.Claim == "": // a claim file has its definition
		j.add("definition", Remark, "Nobody said what one attack is; by another definition the same traffic gives another number.")
	}
}

// risk: what falls into a honeypot was not foiled.
func (j *Judged) risk() {
	if w := j.Figure.Unit.NoRisk; w != "" {
		j.add("no-risk", Remark, fmt.Sprintf("Nothing was at risk: what reaches a %s was put up to be attacked, so it does not show that anything was protected.", strings.TrimSuffix(w, "s")))
	}
}

// sentence: fields and sentence must say the same.
func (j *Judged) sentence() {
	f := j.Figure
	if f.Count == nil || slices.Contains(f.FromSentence, "count") {
		return
	}
	var all []found
	for _, q := range quantities(f.Sentence) {
		if q.Dim == Things && q.Per == 0 && !slices.Contains(q.Kinds, "sources") {
			all = append(all, q)
		}
	}
	for _, q := range all {
		if q.Value != f.Count.Value || len(q.Kinds) == 0 || len(f.Count.Kinds) == 0 || f.Unit.Text == "" {
			continue
		}
		if kinds := slices.Sorted(slices.Values(q.Kinds)); !sameKinds(kinds, f.Count.Kinds) && !within(kinds, f.Count.Kinds) {
			j.add("mixed-units", Against, fmt.Sprintf("The sentence says %q, the unit says %q: the same %s cannot count %s and %s.", q.Text, f.Unit.Text, group(q.Value), kindsText(kinds), kindsText(f.Count.Kinds)))
		}
	}
	if len(all) == 1 && !all[0].agrees(f.Count) && len(f.Parts) == 0 && sameKinds(slices.Sorted(slices.Values(all[0].Kinds)), f.Count.Kinds) {
		j.add("sentence", Against, fmt.Sprintf("The sentence says %s, the count says %s.", group(all[0].Value), group(f.Count.Value)))
	}
}

// daily: a count in a window and a rate of the same things must fit.
func (j *Judged) daily() {
	f := j.Figure
	if f.Count == nil || f.Rate == nil || f.Rate.Dim != Things || len(f.Rate.Kinds) > 0 && len(f.Count.Kinds) > 0 && !sameKinds(f.Rate.Kinds, f.Count.Kinds) || len(f.Windows) == 0 {
		return
	}
	text, ok := rateText(f.Count, f.Rate, &f.Windows[0])
	w := Against
	if ok {
		w = Holds
	}
	j.add("rate-times-window", w, text)
}

// rateText compares count and rate over a window, and tells the arithmetic.
func rateText(count, rate *Quantity, w *Window) (string, bool) {
	secs := w.Days * 86400
	slack := w.Slack.Seconds()
	lo, hi := rate.Lo*max(secs-slack, 0), rate.Hi*(secs+slack)
	text := fmt.Sprintf("%s a %s x %s days = %s; stated: %s. The other way round: %s in %s days is %s a %s. ",
		group(rate.Value*rate.Per), perText(rate.Per), four(w.Days), group(rate.Value*secs), count.stated(),
		group(count.Value), four(w.Days), group(count.Value/secs*rate.Per), perText(rate.Per))
	if count.meets(lo, hi) {
		return text + fmt.Sprintf("That holds within the rounding of what was stated (the rate allows %s to %s).", group(lo), group(hi)), true
	}
	return text + fmt.Sprintf("That does not hold: the rate allows %s to %s, the count %s.", group(lo), group(hi), count.span()), false
}

// product: count x duration x mean rate must give the total.
func (j *Judged) product() {
	f := j.Figure
	mean := f.Mean
	if mean == nil {
		mean = f.Rate
	}
	if mean == nil || mean.Per == 0 || f.Duration == nil || f.Total == nil || mean.Dim != f.Total.Dim {
		return
	}
	n := Quantity{Value: 1, Lo: 1, Hi: 1}
	factors := ""
	if f.Count != nil && f.Count.Dim == Things {
		n = *f.Count
		factors = group(n.Value) + " x "
	}
	value := n.Value * f.Duration.Value * mean.Value
	lo, hi := n.Lo*f.Duration.Lo*mean.Lo, n.Hi*f.Duration.Hi*mean.Hi
	text := fmt.Sprintf("%s%s s x %s = %s; stated: %s. ", factors, group(f.Duration.Value), mean.stated(), f.Total.show(value), f.Total.stated())
	if f.Total.meets(lo, hi) {
		j.add("product", Holds, text+"That holds within the rounding of what was stated.")
		return
	}
	if value >= f.Total.Value {
		text += fmt.Sprintf("That does not hold: it is %s times the stated total. ", ratio(&Quantity{Value: value}, f.Total))
	} else {
		text += fmt.Sprintf("That does not hold: the stated total is %s times as much. ", ratio(&Quantity{Value: value}, f.Total))
	}
	j.add("product", Against, text+readings(f, mean, value, lo, hi))
}

// readings tries bits for bytes and powers of 1,024 for 1,000, for a slip of units is the usual cause.
func readings(f *Figure, mean *Quantity, value, lo, hi float64) string {
	if mean.Dim != Data {
		return ""
	}
	type reading struct {
		words  string
		factor float64
	}
	var list []reading
	if mean.Bytes {
		list = append(list, reading{"the rate read as bits", 1.0 / 8})
	} else {
		list = append(list, reading{"the rate read as bytes", 8})
	}
	if f.Total.Bytes {
		list = append(list, reading{"the total read as bits", 8})
	} else {
		list = append(list, reading{"the total read as bytes", 1.0 / 8})
	}
	list = append(list, reading{"the rate by powers of 1,024", math.Pow(1.024, float64(mean.Prefix))}, reading{"the total by powers of 1,024", math.Pow(1.024, -float64(f.Total.Prefix))})
	var tried []string
	for _, r := range list {
		if f.Total.meets(lo*r.factor, hi*r.factor) {
			return fmt.Sprintf("With %s it gives %s and would hold: then the unit was stated wrongly.", r.words, f.Total.show(value*r.factor))
		}
		tried = append(tried, fmt.Sprintf("%s %s", r.words, f.Total.show(value*r.factor)))
	}
	return "No other reading of the units mends it: " + strings.Join(tried, "; ") + "."
}

// sum: parts must add up to the whole.
func (j *Judged) sum() {
	f := j.Figure
	if len(f.Parts) == 0 {
		return
	}
	var lo, hi, value float64
	var words []string
	for _, p := range f.Parts {
		lo, hi, value = lo+p.Lo, hi+p.Hi, value+p.Value
		words = append(words, fmt.Sprintf("%s (%s)", group(p.Value), p.Name))
	}
	if f.Count == nil {
		j.add("sum", Lacks, fmt.Sprintf("Parts are stated (%s), but no whole to compare their sum, %s, with.", strings.Join(words, ", "), group(value)))
		return
	}
	text := fmt.Sprintf("%s = %s; stated: %s. ", strings.Join(words, " + "), group(value), f.Count.stated())
	if len(f.Parts) == 1 {
		p := f.Parts[0]
		if p.Lo > f.Count.Hi {
			j.add("sum", Against, fmt.Sprintf("%s %s are more than the whole, %s.", group(p.Value), p.Name, f.Count.stated()))
			return
		}
		j.add("sum", Remark, fmt.Sprintf("One figure adds up what must be told apart: %s of %s are %s, so %s are not.", group(p.Value), group(f.Count.Value), p.Name, group(f.Count.Value-p.Value)))
		return
	}
	if f.Count.meets(lo, hi) {
		j.add("sum", Holds, text+"That holds within the rounding of what was stated.")
	} else {
		j.add("sum", Against, text+fmt.Sprintf("That does not hold: the parts allow %s to %s, the whole %s.", group(lo), group(hi), f.Count.span()))
	}
}

// factor: "three times" and "+200 %" are the same; "+300 %" is not.
func (j *Judged) factor() {
	list := j.Figure.Factors
	for i := 1; i < len(list); i++ {
		text := fmt.Sprintf("%q is %s times as much (%s), %q is %s times as much (%s)", list[0].stated(), four(list[0].Value), percentOf(list[0].Value), list[i].stated(), four(list[i].Value), percentOf(list[i].Value))
		if list[0].agrees(&list[i]) {
			j.add("times", Holds, text+": the two agree.")
		} else {
			j.add("times", Against, text+": the two cannot both hold.")
		}
	}
	if len(list) > 0 {
		j.add("times", Lacks, fmt.Sprintf("%q compares with something; a claim that can be checked gives both counts and both windows.", list[0].stated()))
	}
}

// direction: "at 75 %" is not "by 75 %".
func (j *Judged) direction() {
	f := j.Figure
	if f.Share == nil {
		return
	}
	for _, q := range quantities(f.Sentence) {
		dir := strings.Replace(q.before, "at", "to", 1)
		if q.Dim != Percent || q.Value != f.Share.Value || dir != "to" && dir != "by" {
			continue
		}
		if f.Share.Direction == "" {
			f.Share.Direction = dir
		}
		if f.Share.Direction != dir {
			j.add("to-against-by", Against, fmt.Sprintf("The sentence says %q, the direction says %q: %s.", q.before+" "+q.Text, f.Share.Direction, toBy(f.Share.Value)))
		}
	}
	if f.Share.Direction == "" {
		j.add("to-against-by", Lacks, fmt.Sprintf("Nobody said whether it went to %s %% or by %s %%: %s.", four(f.Share.Value), four(f.Share.Value), toBy(f.Share.Value)))
	}
}

// toBy tells what the two words mean for a percentage.
func toBy(v float64) string {
	if v > 100 {
		return fmt.Sprintf("to %s %% is a change by %s %%, by %s %% is not that", four(v), four(v-100), four(v))
	}
	return fmt.Sprintf("at %s %% of what is usual %s %% are missing, less by %s %% leaves %s %%", four(v), four(100-v), four(v), four(100-v))
}

// Packets of the smallest size that lines carry, per second (84 bytes on the wire).
const (
	gigabitPackets = 1e9 / (84 * 8)
)

// perSource: what each source would have to send.
func (j *Judged) perSource() {
	f := j.Figure
	if f.Rate == nil || f.Sources == nil || f.Sources.Value < 1 {
		return
	}
	each := f.Rate.Value / f.Sources.Value
	text := fmt.Sprintf("%s / %s sources = ", f.Rate.stated(), group(f.Sources.Value))
	var line float64 // bit/s on the wire
	switch {
	case f.Rate.Dim == Data:
		line = each
		text += dataText(each, false) + "/s a source"
	case sameKinds(f.Rate.Kinds, []string{"packets"}):
		line = each / gigabitPackets * 1e9
		text += fmt.Sprintf("%s packets/s a source, at least %s/s on its line", group(each), dataText(line, false))
	default:
		return
	}
	if line <= 1e9 {
		j.add("per-source", Holds, text+". That is plausible: one ordinary line can send so much.")
	} else {
		j.add("per-source", Lacks, text+". Few lines can send so much: more than a gigabit/s from each source wants an explanation.")
	}
}

// length: a rate says nothing about how much there was.
func (j *Judged) length() {
	f := j.Figure
	if f.Rate != nil && f.Count == nil && f.Duration == nil && (f.Rate.Dim == Data || sameKinds(f.Rate.Kinds, []string{"packets"})) {
		j.add("no-duration", Lacks, fmt.Sprintf("No duration: nobody said for how long it was %s, nor whether that is a peak or a mean.", f.Rate.stated()))
	}
}

// proof: what a claim file shows of the figure.
func (j *Judged) proof(p Proof) {
	f := j.Figure
	if p.Err != "" {
		j.add("proof", Against, fmt.Sprintf("The claim file %s does not hold: %s.", f.Claim, strings.TrimSuffix(p.Err, ".")))
		return
	}
	said := fmt.Sprintf("The claim file %s holds and says: %s", f.Claim, p.Sentence)
	differs, narrower := f.differs(&p)
	switch {
	case len(differs) > 0:
		j.add("proof", Against, said+" That is not what was stated: "+strings.Join(differs, "; ")+".")
	case p.Kind != "live":
		j.add("proof", Lacks, said+fmt.Sprintf(" But its log is a %s: it counted no traffic as it passed.", p.Kind))
	case f.Count == nil || len(f.Windows) == 0:
		j.add("proof", Lacks, said+" But the figure states no count or no window that could be compared with it.")
	case len(narrower) > 0:
		j.add("proof", Holds, said+" Count and window agree, but the figure does not say what the claim counts: "+strings.Join(narrower, "; ")+".")
	case p.Said != "":
		j.add("proof", Holds, said+fmt.Sprintf(" Count and window agree; but the file says %s and does not prove it: an audit of it in the logs' folders (--full) shows that.", p.Said))
	case p.SelfCertified:
		j.add("proof", Holds, said+fmt.Sprintf(" Count and window agree. The key (%s) is the claim's own, and anybody can make a log under a key of his own: with --key and the log's key from elsewhere this would be proven.", p.Key))
	default:
		j.add("proof", Proves, said+fmt.Sprintf(" Count and window agree, and key %s signed it. %s A log cannot prove who did it, nor that an attack was not staged.", p.Key, p.Coverage))
	}
}

// differs lists what a claim says otherwise than the figure, and what one of the two narrows down and the other does not.
func (f *Figure) differs(p *Proof) (out, narrower []string) {
	net := float64(p.Net)
	if f.Count != nil && !f.Count.meets(net, net) {
		out = append(out, fmt.Sprintf("it counts %s, stated are %s (rounding allows %s)", group(net), f.Count.stated(), f.Count.span()))
	}
	if f.Count != nil && len(f.Count.Kinds) > 0 && !sameKinds(f.Count.Kinds, []string{p.Unit}) {
		out = append(out, fmt.Sprintf("it counts %s, the figure %s", p.Unit, kindsText(f.Count.Kinds)))
	}
	if len(f.Windows) > 0 {
		w, c := &f.Windows[0], between(p.From, p.To, time.Minute)
		if w.placed() && !w.same(c) {
			out = append(out, fmt.Sprintf("its window is %s, that of the figure %s", c.String(), w.String()))
		}
	}
	for _, x := range []struct {
		name, mine string
		theirs     []string
	}{{"class", f.Class, p.Classes}, {"outcome", f.Outcome, p.Outcomes}, {"side", f.Side, p.Sides}, {"risk", "", p.Risks}, {"result", "", p.Results}} {
		theirs := strings.Join(x.theirs, " or ")
		mine := x.mine
		if mine == "" && f.speaksOf(x.theirs) {
			continue
		}
		switch {
		case strings.EqualFold(theirs, mine):
		case mine != "" && theirs != "":
			out = append(out, fmt.Sprintf("it counts %s %s, the figure %s", x.name, theirs, mine))
		default:
			narrower = append(narrower, fmt.Sprintf("%s: the claim %s, the figure %s", x.name, orAll(theirs), orAll(mine)))
		}
	}
	return out, narrower
}

// foiledWords are those that people use for what a claim calls foiled.
var foiledWords = []string{"foil", "thwart", "repel", "stopp", "block", "prevent", "avert"}

// speaksOf says whether the sentence names all of a claim's selection.
func (f *Figure) speaksOf(names []string) bool {
	low := strings.ToLower(f.Sentence)
	for _, n := range names {
		if !strings.Contains(low, n) && !strings.Contains(low, strings.ReplaceAll(n, "-", " ")) && (n != "foiled" || !hasAny(low, foiledWords...)) {
			return false
		}
	}
	return len(names) > 0
}

func orAll(s string) string {
	if s == "" {
		return "all"
	}
	return s
}
