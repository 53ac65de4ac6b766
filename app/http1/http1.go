// Package http1 reads HTTP/0.9 to HTTP/1.1 as forgivingly as browsers do (RFC 9112 and its abuses).
//
// In: both directions' bytes from app's driver. Out: transactions with the buffers that rules
// name, bodies with their content codings undone, files, eve's http record and facts for the
// own detectors. It never judges, never drops a byte silently (oddities become events), and
// holds at most the limits it was made with.
package http1

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
)

// Defaults of the limits, each a stock value of the rules' users.
const (
	defaultBody   = 100 << 10 // request-body-limit, response-body-limit
	defaultField  = 18000     // field-limit: a line longer than this is an attack on the parser's memory
	maxHeaders    = 1024      // header fields of a message
	maxRepeats    = 64        // repetitions of one header that are joined
	maxHead       = 256 << 10 // bytes of a message's head; many folded or short lines
	unlimitedBody = 128 << 10 // window kept of a body whose limit is set to 0
)

// Steps of a transaction by direction; Progress counts those that are over.
const (
	stepStarted uint8 = iota
	stepLine
	stepHeaders
	stepBody
	stepTrailer
	stepComplete
)

// Protocol is http's line in app's table.
func Protocol() contract.Protocol {
	idle := &spares{}
	return contract.Protocol{
		Name:        "http",
		Aliases:     []string{"http1"},
		EventType:   "http",
		Transport:   contract.TCP,
		ServerPorts: []uint16{80, 8080, 8000, 3128, 8888, 81},
		Probe:       Probe,
		New:         func(l contract.Limits) contract.Parser { return newParser(l, idle) },
		Keywords:    keywords(),
		Events:      eventNames(),
		Steps: [2][]string{
			{"request_started", "request_line", "request_headers", "request_body", "request_trailer", "request_complete"},
			{"response_started", "response_line", "response_headers", "response_body", "response_trailer", "response_complete"},
		},
		Limits: contract.Limits{MaxTx: 512, BodyBytes: [2]int{defaultBody, defaultBody}, BufferBytes: defaultField},
	}
}

var methods = [...]string{"GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "DELETE", "TRACE", "PATCH", "PROPFIND", "PROPPATCH",
	"MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "VERSION-CONTROL", "REPORT", "UPDATE", "CHECKOUT", "UNCHECKOUT", "CHECKIN",
	"MKACTIVITY", "BASELINE-CONTROL", "MERGE", "MKWORKSPACE", "SEARCH", "SUBSCRIBE", "UNSUBSCRIBE", "NOTIFY", "M-SEARCH",
	"BDELETE", "BCOPY", "BMOVE", "BPROPFIND", "BPROPPATCH", "ACL", "INVALID", "LINK", "UNLINK", "PURGE"}

// Probe judges first bytes: a known method and a blank, or a status line.
func Probe(data []byte, dir contract.Direction, _ uint16) contract.Verdict {
	for len(data) > 0 && (data[0] == '\r' || data[0] == '\n' || data[0] == ' ' || data[0] == '\t') {
		data = data[1:]
	}
	if len(data) == 0 {
		return contract.Maybe
	}
	verdict := probeRequest(data)
	if verdict == contract.No {
		if verdict = probeResponse(data); verdict == contract.Yes && dir == contract.ToServer {
			return contract.YesReversed
		}
		return verdict
	}
	if verdict == contract.Yes && dir == contract.ToClient {
		return contract.YesReversed
	}
	return verdict
}

func probeRequest(data []byte) contract.Verdict {
	verdict := contract.No
	for _, m := range methods {
		n := len(m)
		switch {
		case len(data) > n && string(data[:n]) == m && (data[n] == ' ' || data[n] == '\t'):
			return requestLineOf(data)
		case len(data) <= n && m[:len(data)] == string(data):
			verdict = contract.Maybe
		}
	}
	return verdict
}

// requestLineOf tells HTTP's request line from those of protocols that borrowed its form.
func requestLineOf(data []byte) contract.Verdict {
	line := data
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		line = data[:i]
	}
	if bytes.Contains(line, []byte(" SIP/2.0")) || bytes.Contains(line, []byte(" RTSP/1.")) {
		return contract.No
	}
	if len(line) == len(data) && len(data) < 16 {
		return contract.Maybe
	}
	return contract.Yes
}

func probeResponse(data []byte) contract.Verdict {
	const want = "HTTP/"
	if len(data) < len(want)+1 {
		if want[:min(len(data), len(want))] == string(data[:min(len(data), len(want))]) {
			return contract.Maybe
		}
		return contract.No
	}
	if string(data[:len(want)]) == want && data[5] >= '0' && data[5] <= '9' {
		return contract.Yes
	}
	return contract.No
}

// config is what the settings say, read once.
type config struct {
	body      [2]int // bytes kept of a body; 0 = none
	unlimited [2]bool
	field     int
	layers    int
	bomb      uint64
	dumpAll   bool
	doublePth bool
	doubleQry bool
	plusSpace bool
	spaceURI  bool
}

func readConfig(l contract.Limits) config {
	c := config{body: l.BodyBytes, field: l.BufferBytes, layers: 2, bomb: 1 << 20}
	if c.field <= 0 {
		c.field = defaultField
	}
	get := func(key string) (string, bool) {
		v, ok := l.Settings["libhtp.default-config."+key]
		return v, ok
	}
	for dir, key := range [2]string{"request-body-limit", "response-body-limit"} {
		if v, ok := get(key); ok {
			if n, ok := size(v); ok {
				c.body[dir] = n
			}
		} else if c.body[dir] <= 0 {
			c.body[dir] = defaultBody
		}
		if c.body[dir] == 0 {
			c.unlimited[dir], c.body[dir] = true, unlimitedBody
		}
	}
	if v, ok := get("response-body-decompress-layer-limit"); ok {
		if n, err := strconv.Atoi(v); err == nil && n >= 0 {
			c.layers = n
		}
	}
	if v, ok := get("compression-bomb-limit"); ok {
		if n, ok := size(v); ok && n > 0 {
			c.bomb = uint64(n)
		}
	}
	yes := func(key string) bool { v, _ := get(key); return v == "yes" || v == "true" || v == "on" || v == "1" }
	c.doublePth, c.doubleQry = yes("double-decode-path"), yes("double-decode-query")
	c.plusSpace, c.spaceURI = yes("query-plusspace-decode"), yes("allow-space-uri")
	c.dumpAll = l.Settings["dump-all-headers"] != ""
	return c
}

// size reads "100kb", "1 MiB", "2048".
func size(v string) (int, bool) {
	v = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(v), " ", ""))
	unit := 1
	for _, u := range []struct {
		name string
		n    int
	}{{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}} {
		if strings.HasSuffix(v, u.name) {
			v, unit = strings.TrimSuffix(v, u.name), u.n
			break
		}
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > 1<<31/unit {
		return 0, false
	}
	return n * unit, true
}
