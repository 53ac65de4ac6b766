package tls

import (
	"errors"
	"strings"
	"time"

	"github.com/dejpha/dejpha/app/contract"
)

// States for ssl_state.
const (
	stateClientHello = 1 << iota
	stateServerHello
	stateClientKeyx
	stateServerKeyx
	stateUnknown
)

var (
	errVersion = errors.New("expected a version such as 1.2, tls1.2 or sslv3")
	errState   = errors.New("expected client_hello, server_hello, client_keyx, server_keyx or unknown")
	errDate    = errors.New("expected a date such as 2016-05-30, with <, > or <> before it or between two")
	errText    = errors.New("expected text")
)

// textArg is part of a name, or a whole fingerprint.
type textArg struct {
	text string
	not  bool
}

// versionArg is a set of versions; raw is one given as a number.
type versionArg struct {
	yes, no []uint16
}

// dateArg is a range of seconds, both ends within.
type dateArg struct{ from, to int64 }

// stateArg is a set of states, or its complement.
type stateArg struct {
	set uint8
	not bool
}

// compile checks the argument of a custom keyword.
func compile(kw int, text string) (any, error) {
	switch kw {
	case kwVersion, kwSSLVersion:
		return compileVersion(text)
	case kwSSLState:
		return compileState(text)
	case kwNotBefore, kwNotAfter:
		return compileDate(text)
	}
	arg, not := trimmed(text)
	if arg == "" {
		return nil, errText
	}
	return &textArg{arg, not}, nil
}

func compileVersion(text string) (any, error) {
	names := map[string]uint16{"1.0": 0x301, "1.1": 0x302, "1.2": 0x303, "1.3": 0x304, "tls1.0": 0x301, "tls1.1": 0x302, "tls1.2": 0x303,
		"tls1.3": 0x304, "sslv2": 2, "sslv3": 0x300}
	text = strings.Trim(strings.TrimSpace(text), `"`)
	a := &versionArg{}
	for _, part := range strings.Split(text, ",") {
		name, not := trimmed(strings.ToLower(part))
		v, ok := names[name]
		if hex, raw := strings.CutPrefix(name, "0x"); !ok && raw && len(hex) == 4 {
			ok = true
			for _, c := range []byte(hex) {
				d := strings.IndexByte("0123456789abcdef", c)
				ok = ok && d >= 0
				v = v<<4 | uint16(max(d, 0))
			}
		}
		if !ok {
			return nil, errVersion
		}
		if not {
			a.no = append(a.no, v)
		} else {
			a.yes = append(a.yes, v)
		}
	}
	return a, nil
}

func compileState(text string) (any, error) {
	names := map[string]uint8{"client_hello": stateClientHello, "server_hello": stateServerHello, "client_keyx": stateClientKeyx,
		"server_keyx": stateServerKeyx, "unknown": stateUnknown}
	arg, not := trimmed(text)
	a := &stateArg{not: not}
	for _, part := range strings.FieldsFunc(arg, func(r rune) bool { return r == '|' || r == ',' }) {
		name, no := trimmed(part)
		bit, ok := names[name]
		if !ok {
			return nil, errState
		}
		a.set |= bit
		a.not = a.not || no
	}
	if a.set == 0 {
		return nil, errState
	}
	return a, nil
}

func compileDate(text string) (any, error) {
	text = strings.Trim(strings.TrimSpace(text), `"`)
	const far = int64(1) << 62
	a := &dateArg{-far, far}
	var err error
	switch left, right, both := strings.Cut(text, "<>"); {
	case both:
		if a.from, err = parseDate(left); err != nil {
			return nil, err
		}
		a.to, err = parseDate(right)
	case strings.HasPrefix(text, ">"):
		a.from, err = parseDate(text[1:])
		a.from++
	case strings.HasPrefix(text, "<"):
		a.to, err = parseDate(text[1:])
		a.to--
	default:
		a.from, err = parseDate(text)
		a.to = a.from
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

func parseDate(text string) (int64, error) {
	text = strings.Replace(strings.TrimSpace(text), "T", " ", 1)
	for _, layout := range []string{"2006", "2006-01", "2006-01-02", "2006-01-02 15", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Unix(), nil
		}
	}
	return 0, errDate
}

// MatchCustom says whether the transaction meets a custom keyword.
func (t *tx) MatchCustom(kw int, arg any, dir contract.Direction) bool {
	c := &t.certs[1]
	switch a := arg.(type) {
	case *versionArg:
		return a.match(t.spoken(dir))
	case *stateArg:
		return (t.states&a.set != 0) != a.not
	case *dateArg:
		v := c.notBefore
		if kw == kwNotAfter {
			v = c.notAfter
		}
		return c.dates && v >= a.from && v <= a.to
	case *textArg:
		if c.count == 0 {
			return false
		}
		switch kw {
		case kwOldSubject:
			return strings.Contains(string(c.subject), a.text) != a.not
		case kwOldIssuer:
			return strings.Contains(string(c.issuer), a.text) != a.not
		case kwOldFingerprint:
			return strings.EqualFold(string(c.fingerprint), a.text) != a.not
		}
	}
	return false
}

func (a *versionArg) match(v uint16) bool {
	if v == 0 {
		return false
	}
	for _, n := range a.no {
		if n == v {
			return false
		}
	}
	for _, y := range a.yes {
		if y == v {
			return true
		}
	}
	return len(a.yes) == 0
}

// spoken is the version of a direction: what the client offers, what the server chose.
func (t *tx) spoken(dir contract.Direction) uint16 {
	v := t.version[dir]
	if v&0xff00 == 0x7f00 {
		return 0x0304
	}
	return v
}
