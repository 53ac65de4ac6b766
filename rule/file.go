package rule

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Digests are the hashes of files that filemd5, filesha1 and filesha256 ask for; each key is a hash's bytes.
type Digests map[string]bool

var errNoLists = errors.New("there are no lists of hashes here")

// digestBytes are the lengths of the hashes by keyword.
var digestBytes = map[string]int{"filemd5": 16, "filesha1": 20, "filesha256": 32}

// ofFile reads a condition on a file: a word (filename, fileext, filemagic), a list of hashes, or the wish to keep it.
func (p *parser) ofFile(o *option, e Entry) *fault {
	c := &Custom{Name: e.Name, App: e.App, Index: e.Index, Pos: p.pos(o.at)}
	text := strings.TrimSpace(o.value)
	if strings.HasPrefix(text, "!") {
		c.Negated, text = true, strings.TrimSpace(text[1:])
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, `"`), `"`)
	n, digest := digestBytes[e.Name]
	switch {
	case e.Name == "filestore":
		c.Arg = text
	case text == "":
		return faultf(max(o.valueAt, o.at), "%s: a value is missing", o.name)
	case digest:
		list, err := p.digests(text, n)
		if err != nil {
			return faultf(o.valueAt, "%s: %v", o.name, err)
		}
		c.Arg = list
	default:
		c.Arg = string(unescapeHex(text))
	}
	p.addGeneral(c)
	return nil
}

// ReadBeside reads a list that stands beside the rule file which names it.
func ReadBeside(ruleFile, name string) ([]byte, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(ruleFile), name)
	}
	return os.ReadFile(name)
}

// unescapeHex undoes |00 ff| in a word.
func unescapeHex(text string) []byte {
	var out []byte
	for {
		before, rest, ok := strings.Cut(text, "|")
		out = append(out, before...)
		if !ok {
			return out
		}
		code, after, closed := strings.Cut(rest, "|")
		b, err := hex.DecodeString(strings.ReplaceAll(code, " ", ""))
		if !closed || err != nil {
			return append(append(out, '|'), rest...)
		}
		out, text = append(out, b...), after
	}
}

// digests reads a list of hashes, one a line; what follows one is a note.
func (p *parser) digests(name string, size int) (Digests, error) {
	read := p.env.ReadList
	if read == nil {
		return nil, errNoLists
	}
	text, err := read(p.env.file, name)
	if err != nil {
		return nil, err
	}
	list := Digests{}
	for line := range bytes.Lines(text) {
		word, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if len(word) == 0 || word[0] == '#' || len(word) != 2*size {
			continue
		}
		b := make([]byte, size)
		if _, err := hex.Decode(b, word); err == nil {
			list[string(b)] = true
		}
	}
	return list, nil
}
