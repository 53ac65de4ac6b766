package stated

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// together compares figures that are about the same, each with each: a file holds 2,000 at most.
func together(list []Judged) {
	groups := map[string][]*Judged{}
	var order []string
	for i := range list {
		k := list[i].Figure.matter()
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], &list[i])
	}
	for _, k := range order {
		g := groups[k]
		for i := range g {
			for _, b := range g[i+1:] {
				counts(g[i], b)
				rates(g[i], b)
				g[i].pair(b, "two-durations", g[i].Figure.Duration, b.Figure.Duration, "two lengths for one event", g[i].Figure.Event != "")
				shares(g[i], b)
				factors(g[i], b)
				countAndRate(g[i], b)
				countAndRate(b, g[i])
			}
		}
		manyWindows(g)
	}
}

// matter is what a figure is about: figures with the same are compared.
func (f *Figure) matter() string {
	if f.Event != "" {
		return "event " + strings.ToLower(f.Event)
	}
	return "about " + strings.ToLower(first(f.About, f.System))
}

func (f *Figure) name() string {
	if who := f.said(); who != "" {
		return fmt.Sprintf("figure %s (%s)", f.ID, who)
	}
	return "figure " + f.ID
}

// both adds a finding to two figures, each naming the other.
func both(a, b *Judged, rule string, w Weight, text func(mine, other *Figure) string) {
	for _, x := range [2][2]*Judged{{a, b}, {b, a}} {
		if len(x[0].Findings) >= findings {
			x[0].More++ // its text is not even made: files may hold thousands that differ
			continue
		}
		x[0].add(rule, w, text(x[0].Figure, x[1].Figure), x[1].Figure.ID)
	}
}

// countable says whether two counts can be set against each other at all.
func countable(a, b *Figure) bool {
	differ := func(x, y string) bool { return x != "" && y != "" && !strings.EqualFold(x, y) }
	return a.Count != nil && b.Count != nil && len(a.Count.Kinds) > 0 && len(b.Count.Kinds) > 0 &&
		!differ(a.Class, b.Class) && !differ(a.Outcome, b.Outcome) && !differ(a.Side, b.Side)
}

// narrower says whether a counts a part of what b counts: of its classes, outcomes, sides or kinds of things.
func narrower(a, b *Figure) bool {
	less := within(a.Count.Kinds, b.Count.Kinds)
	if !less && !sameKinds(a.Count.Kinds, b.Count.Kinds) {
		return false
	}
	for _, x := range [][2]string{{a.Class, b.Class}, {a.Outcome, b.Outcome}, {a.Side, b.Side}} {
		if x[0] == "" && x[1] != "" {
			return false
		}
		less = less || x[0] != "" && x[1] == ""
	}
	return less
}

// alike says whether both count the same things.
func alike(a, b *Figure) bool {
	return sameKinds(a.Count.Kinds, b.Count.Kinds) && strings.EqualFold(a.Class, b.Class) && strings.EqualFold(a.Outcome, b.Outcome) && strings.EqualFold(a.Side, b.Side)
}

// counts: two figures for one window, and a part that is more than its whole.
func counts(ja, jb *Judged) {
	a, b := ja.Figure, jb.Figure
	if !countable(a, b) {
		return
	}
	for i := range a.Windows {
		for k := range b.Windows {
			wa, wb := &a.Windows[i], &b.Windows[k]
			switch {
			case wa.same(wb):
				sameWindow(ja, jb, wa)
				return
			case wa.holds(wb):
				if partOfWhole(jb, ja, wb, wa) {
					return
				}
			case wb.holds(wa):
				if partOfWhole(ja, jb, wa, wb) {
					return
				}
			}
		}
	}
	if a.Count.Value == b.Count.Value && a.Count.Value >= 1000 && !sameKinds(a.Count.Kinds, b.Count.Kinds) {
		twoUnits(ja, jb)
	}
}

func twoUnits(ja, jb *Judged) {
	both(ja, jb, "one-number-two-units", Against, func(m, o *Figure) string {
		return fmt.Sprintf("One number, two units: %s counts %s here and %s in %s; it can count one of them at most.", group(m.Count.Value), kindsText(m.Count.Kinds), kindsText(o.Count.Kinds), o.name())
	})
}

func sameWindow(ja, jb *Judged, w *Window) {
	a, b := ja.Figure, jb.Figure
	agree := a.Count.agrees(b.Count)
	switch {
	case alike(a, b) && agree:
		both(ja, jb, "said-twice", Remark, func(m, o *Figure) string {
			return fmt.Sprintf("%s says the same (%s). A number that is said twice is not checked twice.", capital(o.name()), o.Count.stated())
		})
	case alike(a, b):
		both(ja, jb, "two-figures", Against, func(m, o *Figure) string {
			return fmt.Sprintf("Two figures for one window (%s): %s here, %s in %s. They differ by %s, a factor of %s; rounding allows %s.",
				w.String(), m.Count.stated(), o.Count.stated(), o.name(), group(math.Abs(m.Count.Value-o.Count.Value)), ratio(m.Count, o.Count), m.Count.span())
		})
	case narrower(a, b):
		partInWindow(ja, jb, w)
	case narrower(b, a):
		partInWindow(jb, ja, w)
	case a.Count.Value == b.Count.Value && !sameKinds(a.Count.Kinds, b.Count.Kinds):
		twoUnits(ja, jb)
	}
}

// partInWindow: one window; part counts a part of what whole counts.
func partInWindow(part, whole *Judged, w *Window) {
	p, q := part.Figure.Count, whole.Figure.Count
	mixed := within(p.Kinds, q.Kinds)
	switch {
	case p.Lo > q.Hi:
		both(part, whole, "part-over-whole", Against, func(m, o *Figure) string {
			return fmt.Sprintf("In one window (%s) a part is more than its whole: %s here, %s in %s.", w.String(), m.Count.stated(), o.Count.stated(), o.name())
		})
	case mixed && !p.agrees(q):
		rest := slices.DeleteFunc(slices.Clone(q.Kinds), func(k string) bool { return slices.Contains(p.Kinds, k) })
		both(part, whole, "two-figures", Against, func(m, o *Figure) string {
			return fmt.Sprintf("Two figures for one window (%s), in different units: %s (%s) here, %s (%s) in %s. Both could hold only if %s of them were %s, which nobody said.",
				w.String(), m.Count.stated(), kindsText(m.Count.Kinds), o.Count.stated(), kindsText(o.Count.Kinds), o.name(), group(q.Value-p.Value), kindsText(rest))
		})
	case mixed:
		both(part, whole, "mixed-units", Against, func(m, o *Figure) string {
			return fmt.Sprintf("One number, two units: %s counts %s here and %s in %s for the same window (%s).", group(m.Count.Value), kindsText(m.Count.Kinds), kindsText(o.Count.Kinds), o.name(), w.String())
		})
	}
}

// partOfWhole: a window within another one cannot count more than that; true when it said so.
func partOfWhole(part, whole *Judged, wp, ww *Window) bool {
	p, q := part.Figure, whole.Figure
	if !alike(p, q) && !narrower(p, q) || p.Count.Lo <= q.Count.Hi {
		return false
	}
	both(part, whole, "part-over-whole", Against, func(m, o *Figure) string {
		return fmt.Sprintf("The window %s lies within %s, but counts more: %s in figure %s, %s in figure %s.", wp.String(), ww.String(), p.Count.stated(), p.ID, q.Count.stated(), q.ID)
	})
	return true
}

func ratio(a, b *Quantity) string {
	lo, hi := min(a.Value, b.Value), max(a.Value, b.Value)
	if lo == 0 {
		return "more than any number"
	}
	return four(math.Round(hi/lo*100) / 100)
}

// manyWindows: one number under several windows that overlap.
func manyWindows(g []*Judged) {
	done := map[*Judged]bool{}
	for _, a := range g {
		if a.Figure.Count == nil || done[a] || a.Figure.Count.Value < 1000 {
			continue
		}
		var windows []*Window
		var with []*Judged
		for _, b := range g {
			if b.Figure.Count == nil || b.Figure.Count.Value != a.Figure.Count.Value || !sameKinds(a.Figure.Count.Kinds, b.Figure.Count.Kinds) || !countable(a.Figure, b.Figure) {
				continue
			}
			with = append(with, b)
			for i := range b.Figure.Windows {
				windows = addWindow(windows, &b.Figure.Windows[i])
			}
		}
		if len(windows) < 2 || !anyMeet(windows) {
			continue
		}
		var names []string
		for _, w := range windows {
			names = append(names, w.String())
		}
		slices.Sort(names)
		for _, j := range with {
			done[j] = true
			var others []string
			for _, o := range with {
				if o != j {
					others = append(others, o.Figure.ID)
				}
			}
			j.add("one-number-many-windows", Against, fmt.Sprintf("One number under %d windows: %s is said of %s. Windows that overlap and differ do not count the same; at most one of them is the one that was counted.",
				len(windows), group(a.Figure.Count.Value), strings.Join(names, ", of ")), others...)
		}
	}
}

func addWindow(list []*Window, w *Window) []*Window {
	if !w.placed() || slices.ContainsFunc(list, func(o *Window) bool { return o.same(w) }) {
		return list
	}
	return append(list, w)
}

func anyMeet(list []*Window) bool {
	for i, a := range list {
		for _, b := range list[i+1:] {
			if a.meets(b) {
				return true
			}
		}
	}
	return false
}

// pair compares one quantity of two figures.
func (j *Judged) pair(o *Judged, rule string, a, b *Quantity, what string, sameEvent bool) {
	if a == nil || b == nil || !sameEvent || a.Dim != b.Dim || a.agrees(b) {
		return
	}
	both(j, o, rule, Against, func(m, other *Figure) string {
		mine, theirs := a, b
		if m == o.Figure {
			mine, theirs = b, a
		}
		return fmt.Sprintf("%s: %s here, %s in %s, a factor of %s.", capital(what), mine.stated(), theirs.stated(), other.name(), ratio(a, b))
	})
}

// rates: two rates for one event or one window.
func rates(ja, jb *Judged) {
	a, b := ja.Figure, jb.Figure
	if a.Rate == nil || b.Rate == nil || a.Rate.Dim != b.Rate.Dim || !sameKinds(a.Rate.Kinds, b.Rate.Kinds) {
		return
	}
	same := a.Event != ""
	for i := range a.Windows {
		for k := range b.Windows {
			same = same || a.Windows[i].same(&b.Windows[k])
		}
	}
	ja.pair(jb, "two-rates", a.Rate, b.Rate, "two rates for one event", same)
}

// shares: "at 75 %" and "by 75 %" of one event.
func shares(ja, jb *Judged) {
	a, b := ja.Figure, jb.Figure
	if a.Share == nil || b.Share == nil || a.Event == "" || a.Share.Direction == "" || b.Share.Direction == "" {
		return
	}
	to, by := a.Share, b.Share
	if to.Direction == "by" {
		to, by = by, to
	}
	switch {
	case to.Direction == by.Direction:
		ja.pair(jb, "two-shares", &a.Share.Quantity, &b.Share.Quantity, "two shares for one event", true)
	case to.agrees(&by.Quantity) && !to.meets(100-by.Hi, 100-by.Lo):
		both(ja, jb, "to-against-by", Against, func(m, o *Figure) string {
			return fmt.Sprintf("%q here, %q in %s: %s. One was retold as the other.", m.Share.Direction+" "+four(m.Share.Value)+" %", o.Share.Direction+" "+four(o.Share.Value)+" %", o.name(), toBy(to.Value))
		})
	case to.meets(100-by.Hi, 100-by.Lo):
		both(ja, jb, "to-against-by", Holds, func(m, o *Figure) string {
			return fmt.Sprintf("To %s %% and less by %s %% (%s) are the same.", four(to.Value), four(by.Value), o.name())
		})
	default:
		both(ja, jb, "two-shares", Against, func(m, o *Figure) string {
			return fmt.Sprintf("To %s %% is less by %s %%, but less by %s %% was said in one of the two (%s).", four(to.Value), four(100-to.Value), four(by.Value), o.name())
		})
	}
}

// factors: "30 times" here, "three times" there.
func factors(ja, jb *Judged) {
	for _, x := range ja.Figure.Factors {
		for _, y := range jb.Figure.Factors {
			if !x.agrees(&y) {
				both(ja, jb, "times", Against, func(m, o *Figure) string {
					mine, theirs := x, y
					if m == jb.Figure {
						mine, theirs = y, x
					}
					return fmt.Sprintf("%q here, %q in %s: %s times as much (%s) against %s times (%s), a factor of %s.", mine.stated(), theirs.stated(), o.name(),
						four(mine.Value), percentOf(mine.Value), four(theirs.Value), percentOf(theirs.Value), ratio(&x, &y))
				})
				return
			}
		}
	}
}

// countAndRate: "412 million a year" here, "a million a day" there.
func countAndRate(jc, jr *Judged) {
	c, r := jc.Figure, jr.Figure
	if c.Count == nil || r.Rate == nil || r.Count != nil || r.Rate.Dim != Things || len(c.Windows) == 0 || !sameKinds(r.Rate.Kinds, c.Count.Kinds) {
		return
	}
	meets := len(r.Windows) == 0
	for i := range r.Windows {
		meets = meets || c.Windows[0].same(&r.Windows[i])
	}
	if !meets {
		return
	}
	text, ok := rateText(c.Count, r.Rate, &c.Windows[0])
	w := Against
	if ok {
		w = Holds
	}
	both(jc, jr, "rate-times-window", w, func(_, o *Figure) string { return "Together with " + o.name() + ": " + text })
}
