package detect

// pickFast chooses the literal that a rule is filed under: the one its author chose, else the strongest.
func (s *sig) pickFast() fastPattern {
	best := fastPattern{tx: -1}
	top := -1
	for i := range s.tx {
		t := &s.tx[i]
		if t.kind != txBuffer {
			continue
		}
		f, score := t.chain.Best()
		if score >= 0 && score < 1<<20 {
			score *= bufferFactor(t.name)
		}
		if score > top {
			best, top = fastPattern{Fast: f, tx: i}, score
		}
	}
	if len(s.tx) > 0 {
		return best // payload of a transaction's rule is looked at last
	}
	for i := range s.payload {
		if f, score := s.payload[i].Best(); score > top {
			best, top = fastPattern{Fast: f, tx: -1}, score
		}
	}
	return best
}

// bufferFactor prefers short buffers, which are scanned for less.
func bufferFactor(name string) int {
	switch name {
	case "file.data", "http.response_body", "http.request_body":
		return 3
	case "http.method", "http.stat_code", "http.protocol", "http.stat_msg", "http.header_names", "http.accept", "http.connection", "http.content_type":
		return 2
	}
	return 4
}
