package chain

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/md5"  //nolint:gosec // the rule language names it
	"crypto/sha1" //nolint:gosec // the rule language names it
	"crypto/sha256"
	"io"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/detect/regex"
	"github.com/dejpha/dejpha/rule"
)

type transformKind uint8

const (
	trDotPrefix transformKind = iota
	trLower
	trUpper
	trStrip
	trCompress
	trMD5
	trSHA1
	trSHA256
	trURLDecode
	trXOR
	trPCRE
	trBase64
	trPseudoHeader
	trDomain
	trTLD
	trHeaderLower
	trGunzip
	trZlib
)

var transformKinds = map[string]transformKind{
	"dotprefix": trDotPrefix, "to_lowercase": trLower, "to_uppercase": trUpper, "strip_whitespace": trStrip,
	"compress_whitespace": trCompress, "to_md5": trMD5, "to_sha1": trSHA1, "to_sha256": trSHA256, "url_decode": trURLDecode,
	"xor": trXOR, "pcrexform": trPCRE, "from_base64": trBase64, "strip_pseudo_headers": trPseudoHeader,
	"domain": trDomain, "tld": trTLD, "header_lowercase": trHeaderLower, "gunzip": trGunzip, "zlib_deflate": trZlib,
}

// Transform changes a buffer before it is inspected.
type Transform struct {
	kind   transformKind
	key    []byte
	re     *regex.Regex
	bytes  int
	offset int
	mode   string
}

// NewTransforms compiles transforms; key names them, equal for equal lists.
func NewTransforms(list []rule.Transform) ([]Transform, string, *Refusal) {
	var out []Transform
	key := ""
	for _, t := range list {
		kind, ok := transformKinds[t.Name]
		if !ok {
			return nil, "", &Refusal{Why: t.Name + " is not supported yet"}
		}
		x := Transform{kind: kind}
		arg := strings.Trim(strings.TrimSpace(t.Arg), `"`)
		switch kind {
		case trXOR:
			for i := 0; i+1 < len(arg); i += 2 {
				v, err := strconv.ParseUint(arg[i:i+2], 16, 8)
				if err != nil {
					return nil, "", &Refusal{Why: "xor: expected a hexadecimal key"}
				}
				x.key = append(x.key, byte(v))
			}
			if len(x.key) == 0 {
				return nil, "", &Refusal{Why: "xor: expected a hexadecimal key"}
			}
		case trPCRE:
			re, err := regex.Compile(strings.Trim(arg, "/"), regex.Flags{})
			if err != nil {
				return nil, "", &Refusal{Why: "pcrexform: " + err.Error()}
			}
			x.re = re
		case trBase64:
			base64Options(&x, arg)
		case trGunzip, trZlib:
			x.bytes = inflateBytes
			if f := strings.Fields(strings.ReplaceAll(arg, ",", " ")); len(f) == 2 && f[0] == "max-size" {
				if n, err := strconv.Atoi(f[1]); err == nil && n > 0 && n <= inflateMax {
					x.bytes = n
				}
			}
		}
		key += "|" + t.Name + ":" + t.Arg
		out = append(out, x)
	}
	return out, key, nil
}

func base64Options(x *Transform, arg string) {
	x.mode = "rfc4648"
	for _, part := range strings.Split(arg, ",") {
		f := strings.Fields(strings.ReplaceAll(part, ":", " "))
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.Atoi(f[1])
		switch f[0] {
		case "bytes":
			x.bytes = n
		case "offset":
			x.offset = n
		case "mode":
			x.mode = strings.ToLower(f[1])
		}
	}
}

// Bounds on what a transform may inflate: a few bytes can stand for gigabytes.
const (
	inflateBytes = 1024
	inflateMax   = 1 << 20
)

// Apply runs the transforms; the result is buf itself or lies in scratch memory, valid until the next Apply.
func (e *Eval) Apply(list []Transform, buf []byte) []byte {
	for i := range list {
		dst := e.scratch[i&1][:0]
		dst = e.applyOne(&list[i], dst, buf)
		e.scratch[i&1] = dst
		buf = dst
	}
	return buf
}

func (e *Eval) applyOne(t *Transform, dst, b []byte) []byte {
	switch t.kind {
	case trDotPrefix:
		return append(append(dst, '.'), b...)
	case trLower:
		for _, c := range b {
			if c >= 'A' && c <= 'Z' {
				c += 32
			}
			dst = append(dst, c)
		}
	case trUpper:
		for _, c := range b {
			dst = append(dst, upper(c))
		}
	case trStrip:
		for _, c := range b {
			if !isSpace(c) {
				dst = append(dst, c)
			}
		}
	case trCompress:
		for i, c := range b {
			if !isSpace(c) || i == 0 || !isSpace(b[i-1]) {
				dst = append(dst, c)
			}
		}
	case trMD5:
		h := md5.Sum(b) //nolint:gosec // the rule language names it
		return append(dst, h[:]...)
	case trSHA1:
		h := sha1.Sum(b) //nolint:gosec // the rule language names it
		return append(dst, h[:]...)
	case trSHA256:
		h := sha256.Sum256(b)
		return append(dst, h[:]...)
	case trURLDecode:
		return urlDecode(dst, b)
	case trXOR:
		for i, c := range b {
			dst = append(dst, c^t.key[i%len(t.key)])
		}
	case trPCRE:
		if _, _, ok := e.machine.Match(t.re, b, 0); ok {
			if g, ok := e.machine.Capture(1); ok {
				return append(dst, g...)
			}
		}
		return append(dst, b...)
	case trBase64:
		return fromBase64(t, dst, b)
	default:
		return otherTransform(t, dst, b)
	}
	return dst
}

func isSpace(c byte) bool { return c == ' ' || c >= 9 && c <= 13 }

func urlDecode(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '+':
			dst = append(dst, ' ')
		case b[i] == '%' && i+2 < len(b) && digit(b[i+1]) < 16 && digit(b[i+2]) < 16:
			dst = append(dst, byte(digit(b[i+1])<<4|digit(b[i+2])))
			i += 2
		default:
			dst = append(dst, b[i])
		}
	}
	return dst
}

func fromBase64(t *Transform, dst, b []byte) []byte {
	src := b
	if t.offset > 0 {
		if t.offset >= len(src) {
			return append(dst, b...)
		}
		src = src[t.offset:]
	}
	if t.bytes > 0 && t.bytes < len(src) {
		src = src[:t.bytes]
	}
	n := len(dst)
	dst = decodeBase64(dst, src)
	if len(dst) == n {
		return append(dst, b...)
	}
	return dst
}

func otherTransform(t *Transform, dst, b []byte) []byte {
	switch t.kind {
	case trPseudoHeader:
		for len(b) > 0 {
			line := b
			for i, c := range b {
				if c == '\n' {
					line = b[:i+1]
					break
				}
			}
			if line[0] != ':' {
				dst = append(dst, line...)
			}
			b = b[len(line):]
		}
	case trHeaderLower:
		name := true
		for _, c := range b {
			switch {
			case c == ':':
				name = false
			case c == '\n':
				name = true
			case name && c >= 'A' && c <= 'Z':
				c += 32
			}
			dst = append(dst, c)
		}
	case trGunzip, trZlib:
		return inflate(t, dst, b)
	case trTLD, trDomain:
		dots, want := 0, 1
		if t.kind == trDomain {
			want = 2
		}
		i := len(b)
		for i > 0 {
			if b[i-1] == '.' {
				if dots++; dots == want {
					break
				}
			}
			i--
		}
		return append(dst, b[i:]...)
	}
	return dst
}

// inflate appends what b unpacks to, at most t.bytes; what is not packed stays as it is.
func inflate(t *Transform, dst, b []byte) []byte {
	var r io.Reader
	var err error
	if t.kind == trGunzip {
		r, err = gzip.NewReader(bytes.NewReader(b))
	} else {
		r, err = zlib.NewReader(bytes.NewReader(b))
	}
	if err != nil {
		return append(dst, b...)
	}
	out := bytes.NewBuffer(dst)
	if _, err = io.Copy(out, io.LimitReader(r, int64(t.bytes))); err != nil && out.Len() == len(dst) {
		return append(dst, b...)
	}
	return out.Bytes()
}
