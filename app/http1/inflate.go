package http1

import "math/bits"

// inflater undoes DEFLATE (RFC 1951) as bytes come, in any cut: where a symbol or a block's
// tables are not whole yet it steps back to their start and waits. Its memory is a 32 KiB
// window, two tables and at most a block header's worth of waiting bytes.
type inflater struct {
	in     []byte // not yet used; the bytes of which bits are in hold stay, too
	pos    int
	gone   uint64 // bytes that came before in
	hold   uint32
	nhold  uint
	state  inflateState
	final  bool
	stored int
	length int // of a match that is being copied
	lit    huffman
	dist   huffman
	window [1 << 15]byte
	wpos   int // next write
	filled int
	flush  int // start of what was not handed out yet
	out    func([]byte) bool
	total  uint64
}

type inflateState uint8

const (
	inBlock inflateState = iota
	inStored
	inCodes
	inDone
	inError
)

// huffman is a canonical code decoded by counting (codes up to 15 bits), with a 9-bit table for the short ones.
type huffman struct {
	count  [16]uint16
	symbol [288]uint16
	fast   [512]uint16 // symbol<<4 | length, 0 = longer than 9 bits
}

func (z *inflater) reset(out func([]byte) bool) {
	z.in, z.pos, z.gone, z.hold, z.nhold = z.in[:0], 0, 0, 0, 0
	z.state, z.final, z.stored, z.wpos, z.filled, z.flush, z.total = inBlock, false, 0, 0, 0, 0, 0
	z.out = out
}

// build makes the decoding tables of code lengths; false: over-subscribed.
func (h *huffman) build(lengths []uint8) bool {
	*h = huffman{}
	for _, l := range lengths {
		h.count[l]++
	}
	h.count[0] = 0
	left := 1
	var offset, code [16]uint16
	next := uint16(0)
	for l := 1; l < 16; l++ {
		left = left<<1 - int(h.count[l])
		if left < 0 {
			return false
		}
		next = (next + h.count[l-1]) << 1
		code[l] = next
		if l > 1 {
			offset[l] = offset[l-1] + h.count[l-1]
		}
	}
	for s, l := range lengths {
		if l == 0 {
			continue
		}
		h.symbol[offset[l]] = uint16(s)
		offset[l]++
		if l <= 9 {
			r := bits.Reverse16(code[l]) >> (16 - l)
			for i := uint(r); i < 512; i += 1 << l {
				h.fast[i] = uint16(s)<<4 | uint16(l)
			}
		}
		code[l]++
	}
	return true
}

// need makes n <= 24 bits available; false: more input is needed.
func (z *inflater) need(n uint) bool {
	for z.nhold < n {
		if z.pos >= len(z.in) {
			return false
		}
		z.hold |= uint32(z.in[z.pos]) << z.nhold
		z.pos++
		z.nhold += 8
	}
	return true
}

func (z *inflater) take(n uint) uint32 {
	v := z.hold & (1<<n - 1)
	z.hold >>= n
	z.nhold -= n
	return v
}

// decode reads one symbol: -1 more input is needed, -2 no such code.
func (z *inflater) decode(h *huffman) int {
	z.need(15)
	if e := h.fast[z.hold&511]; e != 0 && uint(e&15) <= z.nhold {
		z.take(uint(e & 15))
		return int(e >> 4)
	}
	code, first, index := 0, 0, 0
	for l := uint(1); l < 16; l++ {
		if l > z.nhold {
			return -1
		}
		code |= int(z.hold>>(l-1)) & 1
		count := int(h.count[l])
		if code-count < first {
			z.take(l)
			return int(h.symbol[index+code-first])
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return -2
}

// write takes more input. ok false: the data is no DEFLATE stream; done: the last block is over.
func (z *inflater) write(data []byte) (done, ok bool) {
	z.pos -= int(z.nhold / 8) // whole bytes in hold are taken again
	z.nhold &= 7
	z.hold &= 1<<z.nhold - 1
	z.gone += uint64(z.pos)
	z.in = append(z.in[:copy(z.in, z.in[z.pos:])], data...)
	z.pos = 0
	for {
		pos, hold, nhold := z.pos, z.hold, z.nhold
		more := false
		switch z.state {
		case inBlock:
			more = z.block()
		case inStored:
			more = z.copyStored()
			pos, hold, nhold = z.pos, z.hold, z.nhold // bytes copied are gone, whole or not
		case inCodes:
			more = z.codes()
			pos, hold, nhold = z.pos, z.hold, z.nhold
		}
		if z.state == inError {
			z.pos, z.hold, z.nhold = pos, hold, nhold // of the symbol or block that is wrong
		}
		if z.state == inDone || z.state == inError {
			z.emit()
			return z.state == inDone, z.state != inError
		}
		if !more {
			z.pos, z.hold, z.nhold = pos, hold, nhold
			z.emit()
			return false, z.state != inError
		}
	}
}

// rest is what follows the stream, or its last right symbol, in the bytes given.
func (z *inflater) rest() []byte { return z.in[z.pos-int(z.nhold/8):] }

// position is where rest begins in the whole.
func (z *inflater) position() uint64 { return z.gone + uint64(z.pos) - uint64(z.nhold/8) }

// block reads a block's header; false: more input is needed.
func (z *inflater) block() bool {
	if z.final {
		z.state = inDone
		return true
	}
	if !z.need(3) {
		return false
	}
	final := z.take(1) == 1
	switch z.take(2) {
	case 0:
		z.take(z.nhold & 7)
		if !z.need(16) {
			return false
		}
		n := z.take(16)
		if !z.need(16) {
			return false
		}
		if z.take(16) != ^n&0xffff {
			z.state = inError
			return true
		}
		z.stored, z.state = int(n), inStored
	case 1:
		z.fixed()
		z.state = inCodes
	case 2:
		if !z.dynamic() {
			return z.state == inError
		}
		z.state = inCodes
	default:
		z.state = inError
	}
	z.final = final
	return true
}

func (z *inflater) fixed() {
	var l [288]uint8
	for i := range l {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		default:
			l[i] = 8
		}
	}
	z.lit.build(l[:])
	for i := range 30 {
		l[i] = 5
	}
	z.dist.build(l[:30])
}

var lengthOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads a block's own tables; false: more input is needed, or the state is inError.
func (z *inflater) dynamic() bool {
	if !z.need(14) {
		return false
	}
	nlit, ndist, ncode := int(z.take(5))+257, int(z.take(5))+1, int(z.take(4))+4
	if nlit > 286 || ndist > 30 {
		z.state = inError
		return false
	}
	var lengths [320]uint8
	for i := range ncode {
		if !z.need(3) {
			return false
		}
		lengths[lengthOrder[i]] = uint8(z.take(3))
	}
	if !z.lit.build(lengths[:19]) {
		z.state = inError
		return false
	}
	lengths = [320]uint8{}
	if !z.lengths(lengths[:nlit+ndist]) {
		return false
	}
	if lengths[256] == 0 || !z.lit.build(lengths[:nlit]) || !z.dist.build(lengths[nlit:nlit+ndist]) {
		z.state = inError
		return false
	}
	return true
}

// lengths reads run-length coded code lengths.
func (z *inflater) lengths(l []uint8) bool {
	for i := 0; i < len(l); {
		s := z.decode(&z.lit)
		if s < 0 {
			if s == -2 {
				z.state = inError
			}
			return false
		}
		if s < 16 {
			l[i] = uint8(s)
			i++
			continue
		}
		var value uint8
		extra, base := uint(2), 3
		switch s {
		case 16:
			if i == 0 {
				z.state = inError
				return false
			}
			value = l[i-1]
		case 17:
			extra = 3
		default:
			extra, base = 7, 11
		}
		if !z.need(extra) {
			return false
		}
		n := base + int(z.take(extra))
		if i+n > len(l) {
			z.state = inError
			return false
		}
		for ; n > 0; n-- {
			l[i] = value
			i++
		}
	}
	return true
}

func (z *inflater) copyStored() bool {
	for z.stored > 0 && z.nhold >= 8 {
		z.put(byte(z.take(8)))
		z.stored--
	}
	n := min(z.stored, len(z.in)-z.pos)
	for _, c := range z.in[z.pos : z.pos+n] {
		z.put(c)
	}
	z.pos += n
	z.stored -= n
	if z.stored > 0 {
		return false
	}
	z.state = inBlock
	return true
}

var (
	lengthBase  = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase    = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distExtra   = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

// codes reads literals and matches until the block ends; false: more input is needed.
func (z *inflater) codes() bool {
	for {
		pos, hold, nhold := z.pos, z.hold, z.nhold
		s := z.decode(&z.lit)
		switch {
		case s >= 0 && s < 256:
			z.put(byte(s))
			continue
		case s == 256:
			z.state = inBlock
			return true
		case s > 256:
			switch z.match(s - 257) {
			case 1:
				continue
			case -2:
				s = -2
			}
		}
		z.pos, z.hold, z.nhold = pos, hold, nhold
		if s == -2 {
			z.state = inError
		}
		return s == -2
	}
}

// match copies one match: 1 done, -1 more input is needed, -2 damaged.
func (z *inflater) match(s int) int {
	if s >= len(lengthBase) {
		return -2
	}
	if !z.need(uint(lengthExtra[s])) {
		return -1
	}
	n := int(lengthBase[s]) + int(z.take(uint(lengthExtra[s])))
	d := z.decode(&z.dist)
	if d < 0 {
		return d
	}
	if d >= len(distBase) {
		return -2
	}
	if !z.need(uint(distExtra[d])) {
		return -1
	}
	far := int(distBase[d]) + int(z.take(uint(distExtra[d])))
	if far > z.filled {
		return -2
	}
	for from := z.wpos - far; n > 0; n-- {
		z.put(z.window[from&(len(z.window)-1)])
		from++
	}
	return 1
}

func (z *inflater) put(c byte) {
	z.window[z.wpos] = c
	z.wpos++
	if z.filled < len(z.window) {
		z.filled++
	}
	if z.wpos == len(z.window) {
		z.emit()
		z.wpos, z.flush = 0, 0
	}
}

// emit hands out what was made since the last time. A receiver that has enough ends the stream.
func (z *inflater) emit() {
	if z.flush < z.wpos {
		z.total += uint64(z.wpos - z.flush)
		part := z.window[z.flush:z.wpos]
		z.flush = z.wpos
		if !z.out(part) {
			z.state = inDone
		}
	}
}
