package shield

import (
	"github.com/dejpha/dejpha/console"
	"github.com/dejpha/dejpha/explain"
)

// Inspector of the setup's rules, for a console.
func (s *Setup) Inspector() console.Inspector {
	return explain.New(s.loaded.Rules())
}
