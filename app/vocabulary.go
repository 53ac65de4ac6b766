package app

import (
	"sort"

	"github.com/dejpha/dejpha/app/contract"
)

// Word is one keyword as rules may use it: plain data, which shield hands to rule.
type Word struct {
	Name     string // canonical: "http.uri"
	App      string // the protocol that has it; "" for the keywords of Shared()
	Index    int    // into the protocol's Keywords, or into Shared()
	Modifier bool   // the old form that follows a content ("http_uri")
	Keyword  contract.Keyword
}

// Vocabulary is what rules may say about protocols.
type Vocabulary struct {
	protocols map[string]string
	words     map[string]Word
	events    map[string]map[string]int
	compile   map[string]func(int, string) (any, error)
	names     []string
	apps      []string
}

// Shared lists the keywords that several protocols answer through TxState.Files; detect resolves them there.
func Shared() []contract.Keyword {
	return []contract.Keyword{
		{Name: "file.data", Aliases: []string{"file_data"}, Kind: contract.KindBuffer, Dirs: contract.OnBoth, Streaming: true},
		{Name: "file.name", Kind: contract.KindMulti, Dirs: contract.OnBoth},
		{Name: "file.magic", Kind: contract.KindMulti, Dirs: contract.OnBoth},
		{Name: "filesize", Kind: contract.KindNumber, Dirs: contract.OnBoth},
		{Name: "filename", Kind: contract.KindCustom, Dirs: contract.OnBoth},
		{Name: "fileext", Kind: contract.KindCustom, Dirs: contract.OnBoth},
		{Name: "filemagic", Kind: contract.KindCustom, Dirs: contract.OnBoth},
		{Name: "filestore", Kind: contract.KindCustom, Dirs: contract.OnBoth},
		{Name: "filemd5", Kind: contract.KindCustom, Dirs: contract.OnBoth},
		{Name: "filesha1", Kind: contract.KindCustom, Dirs: contract.OnBoth},
		{Name: "filesha256", Kind: contract.KindCustom, Dirs: contract.OnBoth},
	}
}

// Indices into Shared.
const (
	SharedFileData = iota
	SharedFileName
	SharedFileMagic
	SharedFileSize
	SharedFilenameOld
	SharedFileExt
	SharedFileMagicOld
	SharedFileStore
	SharedFileMD5
	SharedFileSHA1
	SharedFileSHA256
)

// Vocabulary of the protocols that are switched on.
func (d *Driver) Vocabulary() *Vocabulary {
	v := &Vocabulary{map[string]string{}, map[string]Word{}, map[string]map[string]int{}, map[string]func(int, string) (any, error){}, nil, nil}
	for i, k := range Shared() {
		v.add(Word{Name: k.Name, Index: i, Keyword: k})
	}
	for i := range d.protocols {
		p := &d.protocols[i]
		if !d.enabled[i] {
			continue
		}
		v.apps = append(v.apps, p.Name)
		v.protocols[p.Name] = p.Name
		for _, a := range p.Aliases {
			v.protocols[a] = p.Name
		}
		v.compile[p.Name] = p.Compile
		for k := range p.Keywords {
			v.add(Word{Name: p.Keywords[k].Name, App: p.Name, Index: k, Keyword: p.Keywords[k]})
		}
		events := map[string]int{}
		for e, name := range p.Events {
			events[name] = e
		}
		v.events[p.Name] = events
	}
	generic := map[string]int{}
	for e, name := range Events() {
		generic[name] = e
	}
	v.events[""] = generic
	sort.Strings(v.names)
	return v
}

func (v *Vocabulary) add(w Word) {
	if _, taken := v.words[w.Name]; !taken {
		v.words[w.Name] = w
		v.names = append(v.names, w.Name)
	}
	for _, alias := range w.Keyword.Aliases {
		if _, taken := v.words[alias]; taken {
			continue
		}
		old := w
		old.Modifier = modifier(alias)
		v.words[alias] = old
		v.names = append(v.names, alias)
	}
}

// modifier reports whether an alias is an old content modifier: they have underscores where sticky buffers
// have dots. file_data and the like are sticky buffers of old and are none.
func modifier(alias string) bool {
	switch alias {
	case "http_uri", "http_raw_uri", "http_method", "http_header", "http_raw_header", "http_cookie", "http_user_agent",
		"http_host", "http_raw_host", "http_client_body", "http_server_body", "http_stat_code", "http_stat_msg":
		return true
	}
	return false
}

// Protocol resolves a name in a rule's header or in app-layer-protocol.
func (v *Vocabulary) Protocol(name string) (canonical string, ok bool) {
	canonical, ok = v.protocols[name]
	return canonical, ok
}

// Keyword resolves a keyword of any protocol.
func (v *Vocabulary) Keyword(name string) (Word, bool) {
	w, ok := v.words[name]
	return w, ok
}

// Event resolves an event's name of a protocol; app "" are the events of identification.
func (v *Vocabulary) Event(app, name string) (int, bool) {
	i, ok := v.events[app][name]
	return i, ok
}

// Compile checks the argument of a protocol's custom keyword; a nil value for protocols that compile nothing.
func (v *Vocabulary) Compile(app string, index int, text string) (any, error) {
	if f := v.compile[app]; f != nil {
		return f(index, text)
	}
	return nil, nil
}

// Words lists all names, sorted.
func (v *Vocabulary) Words() []string { return v.names }

// Protocols lists the canonical names of the protocols that are on, in table order.
func (v *Vocabulary) Protocols() []string { return v.apps }

// AskedName is the name that a DNS message asks for, "" if it asks for none or is none.
func AskedName(p *contract.Protocol, tx contract.Tx) string {
	if p == nil || tx == nil {
		return ""
	}
	for kw := range p.Keywords {
		if p.Keywords[kw].Name == "dns.queries.rrname" {
			name, _ := tx.Buffer(kw, 0)
			return string(name)
		}
	}
	return ""
}
