package ldap

import (
	"errors"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/der"
)

// part returns the body of the i-th element of b; nil if there are fewer.
func part(b []byte, i int) []byte {
	for ; ; i-- {
		_, body, rest, ok := der.Next(b)
		if !ok {
			return nil
		}
		if i == 0 {
			return body
		}
		b = rest
	}
}

// field returns the body of the first element of b with tag.
func field(b []byte, tag byte) []byte {
	for {
		t, body, rest, ok := der.Next(b)
		if !ok {
			return nil
		}
		if t == tag {
			return body
		}
		b = rest
	}
}

// body is what the request's operation holds.
func (t *tx) body() []byte {
	_, body, _, _ := der.Next(t.req)
	return body
}

// dn is the entry that the request is about.
func (t *tx) dn() []byte {
	switch t.op {
	case opBind:
		return part(t.body(), 1)
	case opDel:
		return t.body()
	case opSearch, opModify, opAdd, opModDN, opCompare:
		return part(t.body(), 0)
	}
	return nil
}

// requestAttribute is the i-th attribute that the request names.
func (t *tx) requestAttribute(i int) ([]byte, bool) {
	if i < 0 || i >= listMax {
		return nil, false
	}
	switch t.op {
	case opSearch:
		a := part(part(t.body(), 7), i)
		return a, a != nil
	case opModify:
		a := part(part(part(part(t.body(), 1), i), 1), 0)
		return a, a != nil
	case opAdd:
		a := part(part(part(t.body(), 1), i), 0)
		return a, a != nil
	case opCompare:
		a := part(part(t.body(), 1), 0)
		return a, a != nil && i == 0
	}
	return nil, false
}

// of is what the i-th kept response holds.
func (t *tx) of(i int) []byte {
	r := t.responses[i]
	_, body, _, _ := der.Next(t.kept[r.from:r.to])
	return body
}

// isResult says whether an operation carries an LDAPResult.
func isResult(op uint8) bool {
	switch op {
	case opBindRes, opDone, opModifyRes, opAddRes, opDelRes, opModDNRes, opCompareRes, opExtendedRes:
		return true
	}
	return false
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress is 1 when the request, or the last response, is there.
func (t *tx) Progress(dir contract.Direction) uint8 {
	if dir == contract.ToServer && t.done || dir == contract.ToClient && t.res {
		return 1
	}
	return 0
}

// Buffer returns a name of the request or of one of the responses.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	switch kw {
	case kwReqDN:
		switch t.op {
		case opBind, opSearch, opModify, opAdd, opDel, opModDN, opCompare:
			return t.dn(), t.hasReq && i == 0
		}
	case kwReqFilter:
		return t.filter, i == 0 && t.hasReq && t.op == opSearch
	case kwReqAttribute:
		return t.requestAttribute(i)
	case kwResDN, kwResMessage:
		return t.responseText(kw, i)
	case kwResAttribute:
		return t.responseAttribute(i)
	}
	return nil, false
}

// responseText is the i-th of the DNs or messages, over the responses that have one.
func (t *tx) responseText(kw, i int) ([]byte, bool) {
	for n := range t.responses {
		op := t.responses[n].op
		at := 0
		switch {
		case isResult(op) && kw == kwResDN:
			at = 1
		case isResult(op):
			at = 2
		case op != opEntry || kw != kwResDN:
			continue
		}
		if i == 0 {
			return part(t.of(n), at), true
		}
		i--
	}
	return nil, false
}

// responseAttribute is the i-th attribute of all entries found.
func (t *tx) responseAttribute(i int) ([]byte, bool) {
	for n := range t.responses {
		if t.responses[n].op != opEntry {
			continue
		}
		for list := part(t.of(n), 1); ; i-- {
			_, a, rest, ok := der.Next(list)
			if !ok {
				break
			}
			if i == 0 {
				return part(a, 0), true
			}
			list = rest
		}
	}
	return nil, false
}

// Number returns the operation or the number of responses.
func (t *tx) Number(kw, i int) (uint64, bool) {
	switch {
	case i != 0:
	case kw == kwReqOperation:
		return uint64(t.op), t.hasReq
	case kw == kwResCount:
		return uint64(t.count), t.count > 0
	}
	return 0, false
}

// indexArg is a comparison with the value of one, any or all responses.
type indexArg struct {
	op       byte
	value    uint64
	all, one bool
	index    int
}

func (a *indexArg) meets(v uint64) bool {
	switch a.op {
	case '<':
		return v < a.value
	case '>':
		return v > a.value
	case '!':
		return v != a.value
	}
	return v == a.value
}

// MatchCustom decides ldap.responses.operation and ldap.responses.result_code.
func (t *tx) MatchCustom(kw int, arg any, _ contract.Direction) bool {
	a, ok := arg.(*indexArg)
	if !ok {
		return false
	}
	if a.one {
		i := a.index
		if i < 0 {
			i += len(t.responses)
		}
		if i < 0 || i >= len(t.responses) {
			return false
		}
		v, ok := t.value(kw, i)
		return ok && a.meets(v)
	}
	for i := range t.responses {
		v, ok := t.value(kw, i)
		met := ok && a.meets(v)
		if met != a.all {
			return met
		}
	}
	return a.all && len(t.responses) > 0
}

func (t *tx) value(kw, i int) (uint64, bool) {
	op := t.responses[i].op
	if kw == kwResOperation {
		return uint64(op), true
	}
	return uint64(der.Int(part(t.of(i), 0))), isResult(op)
}

var errIndex = errors.New("expected a number or name, with an optional index, any or all after a comma")

func compile(kw int, text string) (any, error) {
	value, index, _ := strings.Cut(text, ",")
	value, index = strings.TrimSpace(value), strings.TrimSpace(index)
	a := &indexArg{op: '='}
	switch index {
	case "", "any":
	case "all":
		a.all = true
	default:
		n, err := strconv.Atoi(index)
		if err != nil {
			return nil, errIndex
		}
		a.one, a.index = true, n
	}
	if value != "" && strings.IndexByte("<>!=", value[0]) >= 0 {
		a.op, value = value[0], strings.TrimSpace(strings.TrimPrefix(value[1:], "="))
	}
	n, err := strconv.ParseUint(value, 0, 32)
	if err == nil {
		a.value = n
		return a, nil
	}
	if kw == kwResOperation {
		for i, name := range operations {
			if name == value && name != "" {
				a.value = uint64(i)
				return a, nil
			}
		}
		return nil, errIndex
	}
	for _, r := range results {
		if r.name == value {
			a.value = uint64(r.code)
			return a, nil
		}
	}
	return nil, errIndex
}

// filterDepth and filterMax bound the text of a filter: nesting is the sender's to choose.
const (
	filterDepth = 16
	filterMax   = 4096
)

// element returns tag and body of the i-th element of b.
func element(b []byte, i int) (tag byte, body []byte) {
	for ; ; i-- {
		t, v, rest, ok := der.Next(b)
		if !ok {
			return 0, nil
		}
		if i == 0 {
			return t, v
		}
		b = rest
	}
}

// appendFilter appends a filter as text (RFC 4515), as far as depth and length allow.
func appendFilter(dst []byte, tag byte, body []byte, depth int) []byte {
	if depth > filterDepth || len(dst) > filterMax {
		return dst
	}
	dst = append(dst, '(')
	switch tag {
	case 0xa0, 0xa1, 0xa2:
		dst = append(dst, "&|!"[tag-0xa0])
		for len(body) > 0 {
			t, v, rest, ok := der.Next(body)
			if !ok {
				break
			}
			dst = appendFilter(dst, t, v, depth+1)
			body = rest
		}
	case 0xa3, 0xa5, 0xa6, 0xa8:
		operator := map[byte]string{0xa3: "=", 0xa5: ">=", 0xa6: "<=", 0xa8: "~="}[tag]
		dst = append(appendShort(dst, part(body, 0)), operator...)
		dst = appendShort(dst, part(body, 1))
	case 0xa4:
		dst = append(appendShort(dst, part(body, 0)), '=')
		dst = appendSubstrings(dst, part(body, 1))
	case 0x87:
		dst = append(appendShort(dst, body), "=*"...)
	case 0xa9:
		dst = appendShort(dst, field(body, 0x82))
		if rule := field(body, 0x81); rule != nil {
			dst = appendShort(append(dst, ':'), rule)
		}
		dst = appendShort(append(dst, ":="...), field(body, 0x83))
	}
	return append(dst, ')')
}

func appendSubstrings(dst, b []byte) []byte {
	const final = 0x82
	for i := 0; len(b) > 0 && i < listMax; i++ {
		t, v, rest, ok := der.Next(b)
		if !ok {
			break
		}
		if i > 0 || t != 0x80 {
			dst = append(dst, '*')
		}
		dst = appendShort(dst, v)
		b = rest
		if t == final {
			return dst
		}
	}
	return append(dst, '*')
}

func appendShort(dst, v []byte) []byte {
	return append(dst, v[:min(len(v), filterMax)]...)
}
