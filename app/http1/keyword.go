package http1

import "github.com/dejpha/dejpha/app/contract"

// Keywords, indices into keywords().
const (
	kwMethod = iota
	kwURI
	kwURIRaw
	kwProtocol
	kwRequestLine
	kwStart
	kwHost
	kwHostRaw
	kwUserAgent
	kwReferer
	kwAccept
	kwAcceptEnc
	kwAcceptLang
	kwContentLen
	kwContentType
	kwConnection
	kwHeader
	kwHeaderRaw
	kwHeaderNames
	kwCookie
	kwRequestHeader
	kwResponseHeader
	kwLocation
	kwServer
	kwResponseLine
	kwStatCode
	kwStatMsg
	kwRequestBody
	kwResponseBody
	kwRequestFrame
	kwResponseFrame
	kwReply // the first of i2kw, for answers
)

// keywords are http's words in rules (Suricata's documentation, "HTTP Keywords").
func keywords() []contract.Keyword {
	req, reply, both := contract.OnRequest, contract.OnReply, contract.OnBoth
	line, head := [2]uint8{stepLine, stepLine}, [2]uint8{stepHeaders, stepHeaders}
	one := func(name string, dirs contract.DirSet, step [2]uint8, aliases ...string) contract.Keyword {
		return contract.Keyword{Name: name, Aliases: aliases, Dirs: dirs, Step: step}
	}
	list := []contract.Keyword{
		kwMethod:         one("http.method", req, line, "http_method"),
		kwURI:            one("http.uri", req, line, "http_uri", "uricontent"),
		kwURIRaw:         one("http.uri.raw", req, line, "http_raw_uri"),
		kwProtocol:       one("http.protocol", both, line, "http_protocol"),
		kwRequestLine:    one("http.request_line", req, line, "http_request_line"),
		kwStart:          one("http.start", both, head, "http_start"),
		kwHost:           one("http.host", req, head, "http_host"),
		kwHostRaw:        one("http.host.raw", req, head, "http_raw_host"),
		kwUserAgent:      one("http.user_agent", req, head, "http_user_agent"),
		kwReferer:        one("http.referer", req, head, "http_referer"),
		kwAccept:         one("http.accept", req, head, "http_accept"),
		kwAcceptEnc:      one("http.accept_enc", req, head, "http_accept_enc"),
		kwAcceptLang:     one("http.accept_lang", req, head, "http_accept_lang"),
		kwContentLen:     one("http.content_len", both, head, "http_content_len"),
		kwContentType:    one("http.content_type", both, head, "http_content_type"),
		kwConnection:     one("http.connection", both, head, "http_connection"),
		kwHeader:         one("http.header", both, head, "http_header"),
		kwHeaderRaw:      one("http.header.raw", both, head, "http_raw_header"),
		kwHeaderNames:    one("http.header_names", both, head, "http_header_names"),
		kwCookie:         one("http.cookie", both, head, "http_cookie"),
		kwRequestHeader:  {Name: "http.request_header", Kind: contract.KindMulti, Dirs: req, Step: head},
		kwResponseHeader: {Name: "http.response_header", Kind: contract.KindMulti, Dirs: reply, Step: head},
		kwLocation:       one("http.location", reply, head),
		kwServer:         one("http.server", reply, head),
		kwResponseLine:   one("http.response_line", reply, line, "http_response_line"),
		kwStatCode:       one("http.stat_code", reply, line, "http_stat_code"),
		kwStatMsg:        one("http.stat_msg", reply, line, "http_stat_msg"),
		kwRequestBody:    {Name: "http.request_body", Aliases: []string{"http_client_body"}, Dirs: req, Step: [2]uint8{stepBody, stepBody}, Streaming: true},
		kwResponseBody:   {Name: "http.response_body", Aliases: []string{"http_server_body"}, Dirs: reply, Step: [2]uint8{stepBody, stepBody}, Streaming: true},
		kwRequestFrame:   {Name: "frame:http.request", Dirs: req, Streaming: true},
		kwResponseFrame:  {Name: "frame:http.response", Dirs: reply, Streaming: true},
	}
	// A word whose buffer differs by direction stands twice: here for requests, at kwReply+i for answers.
	for i := range list {
		k := list[i]
		if k.Dirs == both && !k.Streaming {
			list[i].Dirs = req
		}
	}
	for i, name := range replyWords() {
		list = append(list, one(name, reply, list[i2kw[i]].Step))
	}
	return list
}

// i2kw are the keywords that stand a second time for answers, in the order of kwReply.
var i2kw = [...]int{kwProtocol, kwStart, kwContentLen, kwContentType, kwConnection, kwHeader, kwHeaderRaw, kwHeaderNames, kwCookie}

func replyWords() []string {
	return []string{"http.protocol", "http.start", "http.content_len", "http.content_type", "http.connection", "http.header", "http.header.raw", "http.header_names", "http.cookie"}
}
