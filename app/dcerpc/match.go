package dcerpc

import (
	"errors"
	"strconv"
	"strings"
)

var (
	errIface = errors.New("expected UUID[,[<>=!]VERSION][,any_frag]")
	errOpnum = errors.New("expected an operation number, a list of numbers and ranges, or a comparison")
)

type ifaceArg struct {
	uuid    [uuidLen]byte
	op      byte // 0: any version
	version uint16
	anyFrag bool
}

// match wants the context of the call to be one that was offered for the interface and accepted.
func (a *ifaceArg) match(s *Session, c *Call) bool {
	for i := range s.Ifaces {
		f := &s.Ifaces[i]
		if f.UUID != a.uuid || f.Ctx != c.Ctx || !f.Acked || f.Result != 0 || !a.anyFrag && !f.First {
			continue
		}
		if a.op == 0 || compare(a.op, uint32(f.Ver), uint32(a.version)) {
			return true
		}
	}
	return false
}

func compare(op byte, have, want uint32) bool {
	switch op {
	case '<':
		return have < want
	case '>':
		return have > want
	case '!':
		return have != want
	}
	return have == want
}

type opnumArg struct {
	ranges [][2]uint32
	not    bool
}

func (a *opnumArg) match(n uint16) bool {
	for _, r := range a.ranges {
		if uint32(n) >= r[0] && uint32(n) <= r[1] {
			return !a.not
		}
	}
	return a.not
}

// Compile checks the argument of dcerpc.iface (iface true) or dcerpc.opnum and prepares it for Match.
func Compile(iface bool, text string) (any, error) {
	if iface {
		return compileIface(text)
	}
	return compileOpnum(text)
}

func compileIface(text string) (any, error) {
	parts := strings.Split(text, ",")
	a := &ifaceArg{}
	var ok bool
	if a.uuid, ok = parseUUID(strings.TrimSpace(parts[0])); !ok || len(parts) > 3 {
		return nil, errIface
	}
	for i, p := range parts[1:] {
		p = strings.TrimSpace(p)
		if p == "any_frag" && i == len(parts)-2 {
			a.anyFrag = true
			continue
		}
		if i != 0 || p == "" {
			return nil, errIface
		}
		a.op = '='
		if strings.IndexByte("<>=!", p[0]) >= 0 {
			a.op, p = p[0], strings.TrimSpace(strings.TrimPrefix(p[1:], "="))
		}
		v, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return nil, errIface
		}
		a.version = uint16(v)
	}
	return a, nil
}

func compileOpnum(text string) (any, error) {
	text = strings.TrimSpace(text)
	a := &opnumArg{}
	if text != "" && strings.IndexByte("<>!=", text[0]) >= 0 {
		v, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(text[1:], "=")), 10, 16)
		if err != nil {
			return nil, errOpnum
		}
		n := uint32(v)
		switch equal := len(text) > 1 && text[1] == '='; {
		case text[0] == '<' && equal:
			a.ranges = [][2]uint32{{0, n}}
		case text[0] == '<' && n > 0:
			a.ranges = [][2]uint32{{0, n - 1}}
		case text[0] == '>' && equal:
			a.ranges = [][2]uint32{{n, 65535}}
		case text[0] == '>':
			a.ranges = [][2]uint32{{n + 1, 65535}}
		case text[0] != '<':
			a.ranges, a.not = [][2]uint32{{n, n}}, text[0] == '!'
		}
		return a, nil
	}
	for _, p := range strings.Split(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(p), "-")
		if !isRange {
			high = low
		}
		l, err := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
		h, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
		if err != nil || err2 != nil || h < l {
			return nil, errOpnum
		}
		a.ranges = append(a.ranges, [2]uint32{uint32(l), uint32(h)})
	}
	return a, nil
}
