package detect

import "github.com/dejpha/dejpha/rule"

// pickFast chooses the literal that a rule is filed under: the one its author chose, else the strongest.
func (s *sig) pickFast() fastPattern {
	best := fastPattern{tx: -1}
	score := -1
	consider := func(r *rule.Rule, st *step, payload bool, tx int, factor int) {
		if st.kind != stContent || st.negated || len(st.lit) == 0 || st.source == nil {
			return
		}
		v := strength(st.lit) * factor
		if st.source.FastPattern {
			v = 1 << 30
		}
		if v > score {
			score = v
			best = st.fast(payload, tx)
		}
	}
	for i := range s.tx {
		t := &s.tx[i]
		if t.kind != txBuffer {
			continue
		}
		for j := range t.chain.steps {
			consider(s.rule, &t.chain.steps[j], false, i, bufferFactor(t.name))
		}
	}
	if len(s.tx) > 0 {
		return best // payload of a transaction's rule is looked at last
	}
	for i := range s.payload {
		for j := range s.payload[i].steps {
			consider(s.rule, &s.payload[i].steps[j], true, -1, 4)
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

// strength estimates how rare a literal is: length counts, repeated and common bytes count less.
func strength(lit []byte) int {
	v := 0
	var seen [4]uint64
	for _, c := range lit {
		w := 3
		switch {
		case c == 0 || c == ' ' || c == 0xff:
			w = 1
		case c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z':
			w = 4
		}
		if seen[c>>6]>>(c&63)&1 != 0 {
			w = (w + 1) / 2
		}
		seen[c>>6] |= 1 << (c & 63)
		v += w
	}
	return min(v, 80)
}

func (s *step) fast(payload bool, tx int) fastPattern {
	t := s.source
	f := fastPattern{content: t, bytes: t.Pattern, nocase: t.NoCase, payload: payload, tx: tx}
	if t.FastLength > 0 && t.FastOffset >= 0 && t.FastOffset+t.FastLength <= len(t.Pattern) {
		f.bytes = t.Pattern[t.FastOffset : t.FastOffset+t.FastLength]
		return f
	}
	if s.relative || s.offset.ref > 0 || s.depth.ref > 0 {
		return f
	}
	if s.hasOffset && s.offset.value > 0 && s.offset.value < 1<<30 {
		f.offset = uint32(s.offset.value)
	}
	if s.hasDepth && s.depth.value > 0 && s.depth.value < 1<<30 {
		f.depth = uint32(s.depth.value)
	}
	return f
}
