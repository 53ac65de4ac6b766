package attack

import (
	"slices"
	"strings"
	"time"
)

const (
	// incidentsMax bounds the stories kept open; the oldest is forgotten.
	incidentsMax = 4096
	// incidentQuiet is how long after its last attack a story still takes a step.
	incidentQuiet = 24 * time.Hour
)

// incidents joins attacks that are steps of one story: the same origin or victim, or a victim turned origin,
// in time, and not earlier in the order of techniques than the story has come. The zero value is ready.
type incidents struct {
	oldest *incident // of a list by last steps
	newest *incident
	count  int
	byName map[string]*party // a million attackers must not make each search long
	turn   uint64
}

type incident struct {
	ID    uint64   `json:"id"`
	Names []string `json:"names"` // origins and victims, addresses or prefixes
	Stage uint8    `json:"stage"`
	Last  int64    `json:"last"`
	turn  uint64   // of the last step, counted: the latest story takes a step

	older, newer *incident
	parties      []*party // of the names
	room         struct {
		names   [2]string
		parties [2]*party
	}
}

// party is an origin or victim and the stories that it has a part in.
type party struct {
	name    string
	stories []*incident
	one     [1]*incident
}

// of is the incident of a newly opened attack: the id of the first attack of its story.
func (s *incidents) of(k Key, p *piece, now int64) uint64 {
	var room [2]string
	names := parties(room[:0], k, p)
	stage := table[k.Class].Stage
	if k.Overflow || k.Authorised || len(names) == 0 {
		return p.ID
	}
	var x *incident
	var known [2]*party
	for i, n := range names {
		if known[i] = s.byName[n]; known[i] == nil {
			continue
		}
		for _, y := range known[i].stories {
			if now-y.Last <= int64(incidentQuiet) && stage >= y.Stage && (x == nil || y.turn > x.turn) {
				x = y
			}
		}
	}
	if x == nil {
		if s.count >= incidentsMax {
			s.forget(incidentsMax / 16)
			known = [2]*party{} // may have gone
		}
		x = newIncident(p.ID)
	} else {
		s.unlink(x)
	}
	s.link(x)
	for i, n := range names {
		s.name(x, n, known[i])
	}
	s.turn++
	x.Stage, x.Last, x.turn = stage, max(x.Last, now), s.turn
	return x.ID
}

func newIncident(id uint64) *incident {
	x := &incident{ID: id}
	x.Names, x.parties = x.room.names[:0], x.room.parties[:0]
	return x
}

// name makes n a party of the story; known is that party if it has been looked up.
func (s *incidents) name(x *incident, n string, known *party) {
	if len(x.Names) >= listMax || slices.Contains(x.Names, n) {
		return
	}
	x.Names = append(x.Names, n)
	s.index(x, n, known)
}

func (s *incidents) index(x *incident, n string, p *party) {
	if s.byName == nil {
		s.byName = map[string]*party{}
	}
	if p == nil {
		p = s.byName[n]
	}
	if p == nil {
		p = &party{name: n}
		p.stories = p.one[:0]
		s.byName[n] = p
	}
	if p.stories = append(p.stories, x); len(p.stories) > 1 {
		p.one[0] = nil // or it would hold its story, and that all later ones, for as long as the party lives
	}
	x.parties = append(x.parties, p)
}

// forget lets go of the n stories whose last step is longest ago.
func (s *incidents) forget(n int) {
	for ; n > 0 && s.oldest != nil; n-- {
		x := s.oldest
		s.unlink(x)
		for _, p := range x.parties {
			p.stories = slices.DeleteFunc(p.stories, func(y *incident) bool { return y == x })
			if len(p.stories) == 0 {
				delete(s.byName, p.name)
			}
		}
	}
}

// link puts a story behind all others.
func (s *incidents) link(x *incident) {
	x.older, x.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = x
	} else {
		s.oldest = x
	}
	s.newest = x
	s.count++
}

func (s *incidents) unlink(x *incident) {
	if x.newer != nil {
		x.newer.older = x.older
	} else {
		s.newest = x.older
	}
	if x.older != nil {
		x.older.newer = x.newer
	} else {
		s.oldest = x.newer
	}
	x.older, x.newer = nil, nil
	s.count--
}

// saved is all stories, those with the oldest last steps first.
func (s *incidents) saved() []incident {
	var out []incident
	for x := s.oldest; x != nil; x = x.newer {
		y := *x
		y.older, y.newer, y.parties = nil, nil, nil
		out = append(out, y)
	}
	return out
}

// restore replaces all stories by saved ones.
func (s *incidents) restore(list []incident) {
	*s = incidents{}
	for i := range list {
		x := newIncident(list[i].ID)
		x.Stage, x.Last, x.Names = list[i].Stage, list[i].Last, list[i].Names
		s.turn++
		x.turn = s.turn
		s.link(x)
		for _, n := range x.Names {
			s.index(x, n, nil)
		}
	}
}

// parties appends the origin, if it is proven, and the subject or a victim.
func parties(names []string, k Key, p *piece) []string {
	if kind, rest, ok := strings.Cut(k.Origin, " "); ok && (kind == "ip" || kind == "net" || kind == "dom" || kind == "mac") {
		names = append(names, rest)
	}
	if k.Subject.IsValid() {
		return append(names, k.Subject.String())
	}
	if p.Targets.len() > 0 {
		names = append(names, p.Targets.least())
	}
	return names
}
