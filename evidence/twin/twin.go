// Package twin computes SHA-256 (FIPS 180-4) of many short messages, two at a time.
//
// In: messages, laid out one behind the other. Out: their sums. Called by evidence, where a leaf hides a dozen values of
// a few blocks each. The processor's instructions for SHA-256 wait for each other most of the time, so that a second
// message costs next to nothing; without them the standard library does the work. It keeps no state but its buffers.
package twin

import (
	"crypto/sha256"
	"encoding/binary"
)

const block = sha256.BlockSize

// List is messages whose sums are wanted. The zero value is ready; Reset makes it ready again. Not for concurrent use.
type List struct {
	buf   []byte // padded
	spans []span
	begun int // where the message in hand begins
}

// span is a padded message.
type span struct{ from, size int } // size: before padding

// Reset forgets all messages and keeps the memory.
func (l *List) Reset() { l.buf, l.spans, l.begun = l.buf[:0], l.spans[:0], 0 }

// Write appends to the message in hand.
func (l *List) Write(p ...byte) { l.buf = append(l.buf, p...) }

// Uint32 appends a number, the highest byte first.
func (l *List) Uint32(v uint32) { l.buf = binary.BigEndian.AppendUint32(l.buf, v) }

// End ends the message in hand.
func (l *List) End() {
	size := len(l.buf) - l.begun
	l.spans = append(l.spans, span{l.begun, size})
	l.buf = append(l.buf, 0x80)
	l.buf = append(l.buf, zeros[:(2*block-8-(size+1)%block)%block]...)
	l.buf = binary.BigEndian.AppendUint64(l.buf, uint64(size)<<3)
	l.begun = len(l.buf)
}

var zeros [block]byte

// blocks is how many a padded message has.
func (s span) blocks() int { return (s.size + 8 + block) / block }

// Sums writes the sums of the ended messages in their order, one behind the other, and returns how many they are. dst
// must have room for all.
func (l *List) Sums(dst []byte) int {
	if !able {
		for i, s := range l.spans {
			h := sha256.Sum256(l.buf[s.from:][:s.size])
			copy(dst[i*sha256.Size:], h[:])
		}
		return len(l.spans)
	}
	// The first lane takes messages from the front, the second from the back, until they meet.
	one, two := lane{step: 1}, lane{next: len(l.spans) - 1, step: -1}
	for left := len(l.spans); ; {
		for _, a := range [...]*lane{&one, &two} {
			if a.left == 0 && left > 0 {
				a.take(l)
				left--
			}
		}
		n := min(one.left, two.left)
		if n == 0 {
			one.alone(l, dst)
			two.alone(l, dst)
			return len(l.spans)
		}
		pair(&one.state, &two.state, &l.buf[one.at], &l.buf[two.at], n)
		one.done(n, dst)
		two.done(n, dst)
	}
}

// state is a chaining value in the order of the processor's registers: F, E, B, A, H, G, D, C.
type state [8]uint32

var initial = state{0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667, 0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372}

// order is where the words of a sum stand in a state.
var order = [8]int{3, 2, 7, 6, 1, 0, 5, 4}

// lane is a message under way.
type lane struct {
	state      state
	next, step int // the message after this one
	message    int
	at, left   int // its next block, and how many are left
}

// take begins the lane's next message.
func (a *lane) take(l *List) {
	s := l.spans[a.next]
	a.state, a.message, a.at, a.left = initial, a.next, s.from, s.blocks()
	a.next += a.step
}

// alone goes to the end of the lane's message, if it has one.
func (a *lane) alone(l *List, dst []byte) {
	if a.left > 0 {
		var idle state
		pair(&a.state, &idle, &l.buf[a.at], &l.buf[a.at], a.left)
		a.done(a.left, dst)
	}
}

// done goes on by n blocks and writes the sum behind the last.
func (a *lane) done(n int, dst []byte) {
	a.at += n * block
	if a.left -= n; a.left > 0 {
		return
	}
	sum := (*[sha256.Size]byte)(dst[a.message*sha256.Size:])
	for i, at := range order {
		binary.BigEndian.PutUint32(sum[4*i:], a.state[at&7])
	}
}
