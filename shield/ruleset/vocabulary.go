package ruleset

import (
	"slices"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/rule"
	"github.com/dejpha/dejpha/rules"
	"github.com/dejpha/dejpha/stream"
)

// vocabulary lets rules speak of app's protocols, and of decode's and stream's events, without either knowing the other.
type vocabulary struct{ app *app.Vocabulary }

// Protocol implements rule.Vocabulary.
func (v vocabulary) Protocol(name string) (string, bool) { return v.app.Protocol(name) }

// Keyword implements rule.Vocabulary.
func (v vocabulary) Keyword(name string) (rule.Entry, bool) {
	w, ok := v.app.Keyword(name)
	if !ok {
		return rule.Entry{}, false
	}
	k := w.Keyword
	e := rule.Entry{Name: w.Name, App: w.App, Index: w.Index, Modifier: w.Modifier, Multi: k.Kind == contract.KindMulti, Streaming: k.Streaming,
		ToServer: k.Dirs&contract.OnRequest != 0, ToClient: k.Dirs&contract.OnReply != 0, Values: k.Values}
	switch k.Kind {
	case contract.KindNumber:
		e.Kind = rule.NumberEntry
	case contract.KindFlag:
		e.Kind = rule.FlagEntry
	case contract.KindCustom:
		e.Kind = rule.CustomEntry
	}
	return e, true
}

// AppEvent implements rule.Vocabulary.
func (v vocabulary) AppEvent(app, name string) (int, bool) { return v.app.Event(app, name) }

// DecodeEvent implements rule.Vocabulary.
func (v vocabulary) DecodeEvent(name string) (int, bool) {
	i := slices.Index(decode.EventNames[:], name)
	return i, i >= 0
}

// StreamEvent implements rule.Vocabulary.
func (v vocabulary) StreamEvent(name string) (int, bool) {
	i := slices.Index(stream.EventNames, name)
	return i, i >= 0
}

// Compile implements rule.Vocabulary.
func (v vocabulary) Compile(e rule.Entry, text string) (any, error) {
	return v.app.Compile(e.App, e.Index, text)
}

// Words implements rule.Vocabulary.
func (v vocabulary) Words() []string { return v.app.Words() }

func builtinClassifications() map[string]rule.Classification {
	b, err := rules.Files.ReadFile("classification.config")
	if err != nil {
		return nil
	}
	return rule.ParseClassifications(b)
}

func builtinReferences() map[string]string {
	b, err := rules.Files.ReadFile("reference.config")
	if err != nil {
		return nil
	}
	return rule.ParseReferences(b)
}
