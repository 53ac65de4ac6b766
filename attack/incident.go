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
// in time, and not earlier in the order of techniques than the story has come.
type incidents struct {
	list []incident // by time of the last step, oldest first
}

type incident struct {
	ID    uint64   `json:"id"`
	Names []string `json:"names"` // origins and victims, addresses or prefixes
	Stage uint8    `json:"stage"`
	Last  int64    `json:"last"`
}

// of is the incident of a newly opened attack: the id of the first attack of its story.
func (s *incidents) of(k Key, p *piece, now int64) uint64 {
	names := parties(k, p)
	stage := table[k.Class].Stage
	if k.Overflow || k.Authorised || len(names) == 0 {
		return p.ID
	}
	for i := len(s.list) - 1; i >= 0; i-- {
		x := s.list[i]
		if now-x.Last > int64(incidentQuiet) || stage < x.Stage {
			continue
		}
		if !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(x.Names, n) }) {
			continue
		}
		for _, n := range names {
			if len(x.Names) < listMax && !slices.Contains(x.Names, n) {
				x.Names = append(x.Names, n)
			}
		}
		x.Stage, x.Last = stage, max(x.Last, now)
		s.list = append(slices.Delete(s.list, i, i+1), x)
		return x.ID
	}
	if len(s.list) >= incidentsMax {
		s.list = slices.Delete(s.list, 0, incidentsMax/16)
	}
	s.list = append(s.list, incident{p.ID, names, stage, now})
	return p.ID
}

func parties(k Key, p *piece) []string {
	var names []string
	if kind, rest, ok := strings.Cut(k.Origin, " "); ok && (kind == "ip" || kind == "net" || kind == "dom" || kind == "mac") {
		names = append(names, rest)
	}
	if k.Subject.IsValid() {
		return append(names, k.Subject.String())
	}
	if t := p.Targets.names(); len(t) > 0 {
		names = append(names, t[0])
	}
	return names
}
