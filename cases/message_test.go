package cases

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// send is some bytes that one side sends at once.
type send struct {
	toServer bool
	data     []byte
}

// sends turns the lines of a case into what each side sends.
func (k *kase) sends() ([]send, error) {
	var all []send
	var err error
	if k.transport == "http" {
		all, err = k.httpSends()
	} else {
		all, err = k.plainSends()
	}
	if err == nil && k.transport == "pipe" {
		all = overPipe(k.pipe, all)
	}
	return all, err
}

func (k *kase) plainSends() ([]send, error) {
	var all []send
	calls := newAssociation()
	for _, l := range k.lines {
		if l.to == 'c' {
			some, err := calls.call(l.text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.where, err)
			}
			all = append(all, some...)
			continue
		}
		data, err := payload(l.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.where, err)
		}
		all = append(all, send{l.to == '>', data})
	}
	return all, nil
}

// payload reads one line: "hex: ", "netbios: ", "hello: " and "certificate: " have forms of their own, all else is
// text with escapes.
func payload(s string) ([]byte, error) {
	kind, rest, _ := strings.Cut(s, ": ")
	switch kind {
	case "hex":
		return tokens(rest)
	case "netbios": // a NetBIOS session message, RFC 1002 4.3.1: the length is put in front
		b, err := tokens(rest)
		return append([]byte{0, byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...), err
	case "hello":
		return clientHello(rest), nil
	case "certificate":
		return serverCertificate(rest)
	}
	return unescape(s)
}

// unescape reads \r \n \t \\ and \xNN.
func unescape(s string) ([]byte, error) {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		switch {
		case i == len(s):
			return nil, fmt.Errorf("a backslash at the end; write \\\\")
		case s[i] == 'r':
			out = append(out, '\r')
		case s[i] == 'n':
			out = append(out, '\n')
		case s[i] == 't':
			out = append(out, '\t')
		case s[i] == '\\':
			out = append(out, '\\')
		case s[i] == 'x' && i+2 < len(s):
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return nil, err
			}
			out = append(out, byte(n))
			i += 2
		default:
			return nil, fmt.Errorf("\\%c is no escape; there are \\r \\n \\t \\\\ \\xNN", s[i])
		}
	}
	return out, nil
}

// tokens reads bytes in hexadecimal (0500 or 05 00), repeated ones (90*64), "text" and u"text" (UTF-16, little-endian).
func tokens(s string) ([]byte, error) {
	var out []byte
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		wide := strings.HasPrefix(s, `u"`)
		if wide {
			s = s[1:]
		}
		if s[0] == '"' {
			text, rest, closed := strings.Cut(s[1:], `"`)
			b, err := unescape(text)
			if err != nil || !closed {
				return nil, fmt.Errorf("%q: not a closed text: %v", s, err)
			}
			if wide {
				b = wideText(string(b))
			}
			out, s = append(out, b...), rest
			continue
		}
		word, rest := s, ""
		if end := strings.IndexAny(s, " \""); end > 0 {
			word, rest = s[:end], s[end:]
		}
		digits, times, repeated := strings.Cut(word, "*")
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, err
		}
		n := 1
		if repeated {
			if n, err = strconv.Atoi(times); err != nil {
				return nil, err
			}
		}
		for range n {
			out = append(out, b...)
		}
		s = rest
	}
	return out, nil
}

// wideText is s in UTF-16, little-endian.
func wideText(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

// httpSends joins lines of one direction to a message and completes it: the version, Host, Content-Length, and an
// empty 200 for a request that the case does not answer.
func (k *kase) httpSends() ([]send, error) {
	var all []send
	for i := 0; i < len(k.lines); {
		first := k.lines[i]
		var rows [][]byte
		for ; i < len(k.lines) && k.lines[i].to == first.to; i++ {
			b, err := unescapeOrTokens(k.lines[i].text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k.lines[i].where, err)
			}
			rows = append(rows, b)
		}
		if first.to != '>' && first.to != '<' {
			return nil, fmt.Errorf("%s: HTTP knows no calls", first.where)
		}
		all = append(all, send{first.to == '>', httpMessage(rows, first.to == '>')})
		if first.to == '>' && i == len(k.lines) {
			all = append(all, send{false, []byte("HTTP/1.1 200 OK\r\nServer: h\r\nContent-Length: 0\r\n\r\n")})
		}
	}
	return all, nil
}

func unescapeOrTokens(s string) ([]byte, error) {
	if rest, is := strings.CutPrefix(s, "hex: "); is {
		return tokens(rest)
	}
	return unescape(s)
}

// httpMessage makes one message of its rows: the first line, header fields, an empty row, the body's rows (each but
// the last ends in CR LF).
func httpMessage(rows [][]byte, request bool) []byte {
	head, body := rows, []byte(nil)
	for i, r := range rows {
		if len(r) == 0 {
			head, body = rows[:i], join(rows[i+1:])
			break
		}
	}
	first := string(head[0])
	if request && !strings.Contains(first, " HTTP/") {
		first += " HTTP/1.1"
	}
	out := []byte(first + "\r\n")
	names := " "
	for _, r := range head[1:] {
		name, _, _ := strings.Cut(string(r), ":")
		names += strings.ToLower(name) + " "
		out = append(append(out, r...), '\r', '\n')
	}
	if request && !strings.Contains(names, " host ") {
		out = append(out, "Host: shop.example\r\n"...)
	}
	if len(body) > 0 && !strings.Contains(names, " content-length ") && !strings.Contains(names, " transfer-encoding ") {
		out = fmt.Appendf(out, "Content-Length: %d\r\n", len(body))
	}
	return append(append(out, '\r', '\n'), body...)
}

func join(rows [][]byte) []byte {
	var out []byte
	for i, r := range rows {
		if i > 0 {
			out = append(out, '\r', '\n')
		}
		out = append(out, r...)
	}
	return out
}
