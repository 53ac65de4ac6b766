package shield

import (
	"github.com/dejpha/dejpha/console"
	"github.com/dejpha/dejpha/explain"
)

// Inspector of the rules in force, for a console; a reload renews it.
func (s *Setup) Inspector() console.Inspector {
	in := explain.New(s.rules.Current().Rules())
	s.inspector.Store(in)
	return in
}
