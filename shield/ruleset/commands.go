package ruleset

import (
	"encoding/json"
	"time"

	"github.com/dejpha/dejpha/control"
)

// failedMost bounds the refused rules that are told.
const failedMost = 10000

// Commands are the field's commands on rules. reload has the running shield reload and says how it went.
func (r *Reloader) Commands(reload func() error) map[string]control.Command {
	now := func(json.RawMessage) (any, error) { return nil, reload() }
	later := func(json.RawMessage) (any, error) {
		if r.Busy() {
			return nil, ErrReloading
		}
		go reload() //nolint:errcheck // it is said
		return "the reload has begun", nil
	}
	return map[string]control.Command{
		"reload-rules": now, "ruleset-reload-rules": now, "ruleset-reload-nonblocking": later,
		"ruleset-reload-time":  func(json.RawMessage) (any, error) { return r.time(), nil },
		"ruleset-stats":        func(json.RawMessage) (any, error) { return r.stats(), nil },
		"ruleset-failed-rules": func(json.RawMessage) (any, error) { return r.failed(), nil },
	}
}

func (r *Reloader) time() any {
	return []map[string]any{{"id": 0, "last_reload": r.Since().UTC().Format(time.RFC3339)}}
}

func (r *Reloader) stats() any {
	one := map[string]any{"id": 0, "rules_loaded": 0, "rules_failed": 0, "rules_skipped": 0}
	if l := r.Current(); l != nil {
		one["rules_loaded"], one["rules_failed"] = l.Set.Len(), len(l.Refused)
	}
	if last := r.last.Load(); last != nil {
		one["reload_seconds"] = last.Took.Seconds()
	}
	return []any{one}
}

func (r *Reloader) failed() any {
	list := []map[string]any{}
	l := r.Current()
	if l == nil {
		return list
	}
	for _, f := range l.Refused[:min(len(l.Refused), failedMost)] {
		list = append(list, map[string]any{"tenant_id": 0, "rule": f.SID, "filename": f.File, "line": f.Line, "error": f.Message})
	}
	return list
}
