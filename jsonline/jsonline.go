// Package jsonline appends JSON to a reused buffer: eve's lines and the protocols' records.
//
// In: values and the caller's buffer. Out: the buffer, longer. Called by eve and by the
// protocols' AppendRecord. A leaf: it imports nothing of ours, keeps no state and
// allocates nothing beyond the caller's buffer.
package jsonline

import (
	"strconv"
	"time"
	"unicode/utf8"
)

const hexLower = "0123456789abcdef"
const hexUpper = "0123456789ABCDEF"

// AppendString appends s as a quoted JSON string. Control bytes are escaped; where s is not
// valid UTF-8, each byte from 0x80 on becomes the four characters \xHH, as in Suricata's records.
func AppendString[T []byte | string](dst []byte, s T) []byte {
	dst = append(dst, '"')
	dst = AppendEscaped(dst, s)
	return append(dst, '"')
}

// AppendEscaped appends the inside of a JSON string, without quotes: for values put together from parts.
// Each part is judged by itself: one part's invalid UTF-8 does not spoil another's text.
func AppendEscaped[T []byte | string](dst []byte, s T) []byte {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return append(dst, s...)
	}
	valid := validUTF8(s)
	for i := 0; i < len(s); i++ {
		dst = appendByte(dst, s[i], valid)
	}
	return dst
}

func appendByte(dst []byte, c byte, valid bool) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c >= 0x80:
		if valid {
			return append(dst, c)
		}
		return append(dst, '\\', '\\', 'x', hexUpper[c>>4], hexUpper[c&15])
	case c >= 0x20 && c != 0x7f:
		return append(dst, c)
	}
	switch c {
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	}
	return append(dst, '\\', 'u', '0', '0', hexLower[c>>4], hexLower[c&15])
}

// validUTF8 judges bytes and strings without a conversion that would allocate.
func validUTF8[T []byte | string](s T) bool {
	switch v := any(s).(type) {
	case string:
		return utf8.ValidString(v)
	case []byte:
		return utf8.Valid(v)
	}
	return false
}

// AppendPrintable appends s as a quoted JSON string in which every byte outside printable ASCII
// becomes a dot: the form of payload_printable. CR and LF stay, escaped.
func AppendPrintable[T []byte | string](dst []byte, s T) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\r' || c == '\n', c >= 0x20 && c < 0x7f:
			dst = appendByte(dst, c, true)
		default:
			dst = append(dst, '.')
		}
	}
	return append(dst, '"')
}

// AppendKey appends `"key":`, with a comma before it unless it opens an object or array.
// The key is the program's own text and is not escaped.
func AppendKey(dst []byte, key string) []byte {
	dst = AppendComma(dst)
	dst = append(dst, '"')
	dst = append(dst, key...)
	return append(dst, '"', ':')
}

// AppendComma appends a comma unless dst is empty or ends in an opening bracket, a comma or a colon.
func AppendComma(dst []byte) []byte {
	if n := len(dst); n > 0 {
		switch dst[n-1] {
		case '{', '[', ',', ':':
		default:
			return append(dst, ',')
		}
	}
	return dst
}

// AppendInt appends a signed number.
func AppendInt(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) }

// AppendUint appends an unsigned number.
func AppendUint(dst []byte, v uint64) []byte { return strconv.AppendUint(dst, v, 10) }

// AppendBool appends true or false.
func AppendBool(dst []byte, v bool) []byte { return strconv.AppendBool(dst, v) }

// AppendFloat appends a finite number in its shortest form; NaN and infinities, which JSON lacks, become 0.
func AppendFloat(dst []byte, v float64) []byte {
	if v != v || v > 1.7e308 || v < -1.7e308 {
		v = 0
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

// KeyString appends a key and a string.
func KeyString[T []byte | string](dst []byte, key string, v T) []byte {
	return AppendString(AppendKey(dst, key), v)
}

// KeyInt appends a key and a signed number.
func KeyInt(dst []byte, key string, v int64) []byte { return AppendInt(AppendKey(dst, key), v) }

// KeyUint appends a key and an unsigned number.
func KeyUint(dst []byte, key string, v uint64) []byte { return AppendUint(AppendKey(dst, key), v) }

// KeyBool appends a key and true or false.
func KeyBool(dst []byte, key string, v bool) []byte { return AppendBool(AppendKey(dst, key), v) }

// KeyTime appends a key and a quoted time, see AppendTime.
func KeyTime(dst []byte, key string, ns int64) []byte { return AppendTime(AppendKey(dst, key), ns) }

// AppendTime appends ns since 1970 as a quoted UTC time with microseconds, as eve writes it:
// "2026-11-24T11:15:59.123456+0000".
func AppendTime(dst []byte, ns int64) []byte {
	t := time.Unix(0, ns).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(dst, '"')
	dst = appendPadded(dst, year, 4)
	dst = append(dst, '-')
	dst = appendPadded(dst, int(month), 2)
	dst = append(dst, '-')
	dst = appendPadded(dst, day, 2)
	dst = append(dst, 'T')
	dst = appendPadded(dst, hour, 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, minute, 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, second, 2)
	dst = append(dst, '.')
	dst = appendPadded(dst, t.Nanosecond()/1000, 6)
	return append(dst, "+0000\""...)
}

// appendPadded appends v >= 0 with leading zeros up to width digits.
func appendPadded(dst []byte, v, width int) []byte {
	for limit := 10; width > 1; width-- {
		if v < limit {
			dst = append(dst, '0')
		}
		limit *= 10
	}
	return strconv.AppendInt(dst, int64(v), 10)
}

// AppendHex appends b as a quoted lower-case hex string.
func AppendHex(dst, b []byte) []byte {
	dst = append(dst, '"')
	for _, c := range b {
		dst = append(dst, hexLower[c>>4], hexLower[c&15])
	}
	return append(dst, '"')
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// AppendBase64 appends b as a quoted string in standard base64 with padding.
func AppendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	for ; len(b) >= 3; b = b[3:] {
		v := uint(b[0])<<16 | uint(b[1])<<8 | uint(b[2])
		dst = append(dst, base64Digits[v>>18], base64Digits[v>>12&63], base64Digits[v>>6&63], base64Digits[v&63])
	}
	switch len(b) {
	case 1:
		v := uint(b[0]) << 16
		dst = append(dst, base64Digits[v>>18], base64Digits[v>>12&63], '=', '=')
	case 2:
		v := uint(b[0])<<16 | uint(b[1])<<8
		dst = append(dst, base64Digits[v>>18], base64Digits[v>>12&63], base64Digits[v>>6&63], '=')
	}
	return append(dst, '"')
}
