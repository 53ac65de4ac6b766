package smtp

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

const (
	receivedMax = 64
	linksMax    = 64
	linkMax     = 1024
)

// headerNames are the mail's headers that are kept whole, headerKeys what eve calls them.
var (
	headerNames = [5]string{"From", "Subject", "Date", "Message-ID", "X-Mailer"}
	headerKeys  = [5]string{"from", "subject", "date", "message_id", "x_mailer"}
)

// urls says which links are taken out of a mail's text.
type urls struct {
	schemes [][]byte // "http://"; none: nothing is looked for
	whole   bool     // keep the scheme
}

// urlSettings reads Suricata's mime settings.
func urlSettings(s map[string]string) *urls {
	u := &urls{whole: yes(s["mime.log-url-scheme"])}
	if v, said := s["mime.extract-urls"]; said && !yes(v) {
		return u
	}
	for i := 0; ; i++ {
		name, ok := s["mime.extract-urls-schemes."+strconv.Itoa(i)]
		if !ok {
			break
		}
		u.schemes = append(u.schemes, scheme(name))
	}
	if len(u.schemes) == 0 {
		u.schemes = [][]byte{scheme("http")} // Suricata looks for no other unless told
	}
	return u
}

func yes(s string) bool { return s == "yes" || s == "true" || s == "on" || s == "1" }

func scheme(name string) []byte {
	name = strings.ToLower(strings.TrimSuffix(name, "://"))
	if name == "mailto" {
		return []byte("mailto:")
	}
	return []byte(name + "://")
}

// latestFirst is the order in which Suricata's records list links.
func latestFirst(list [][]byte) [][]byte {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// findURLs notes the links of a line of the mail's text.
func (t *tx) findURLs(line []byte) {
	if t.urls == nil || t.mime.coding == base64Coded {
		return
	}
	for len(line) > 0 && len(t.links) < linksMax {
		at, found := -1, []byte(nil)
		if bytes.IndexByte(line, ':') < 0 {
			return
		}
		for _, s := range t.urls.schemes {
			if i := indexFold(line, s); i >= 0 && (at < 0 || i < at) {
				at, found = i, s
			}
		}
		if at < 0 {
			return
		}
		end := at + len(found)
		for end < len(line) && inURL(line[end]) {
			end++
		}
		from := at + len(found)
		if t.urls.whole {
			from = at
		}
		if end > at+len(found) {
			t.links = append(t.links, bytes.Clone(line[from:min(end, from+linkMax)]))
		}
		line = line[end:]
	}
}

// inURL says whether a link goes on with c: text around it is set off by blanks, quotes and brackets.
func inURL(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte("\"'<>()[]{}|\\^`", c) < 0
}

// indexFold finds a lower-case word whatever its case in b.
func indexFold(b, word []byte) int {
	for i := 0; i+len(word) <= len(b); i++ {
		if b[i]|0x20 == word[0] && bytes.EqualFold(b[i:i+len(word)], word) {
			return i
		}
	}
	return -1
}
