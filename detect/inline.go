package detect

import "github.com/dejpha/dejpha/flow"

// Inline, each packet's bytes are looked at when it comes, for it goes on or not; what a rule looks for may lie across
// packets. So the last bytes of a stream that were looked at are looked at again with the next ones, as many as a chunk has
// otherwise. A rule that held on bytes is passed over while these are still among them.

// held is a rule's match on a stretch of a stream.
type held struct {
	index uint32
	dir   flow.Direction
	left  int // bytes that are still looked at again
}

// takeInline takes the bytes that came since the last look, with those kept from it. must: a hole follows.
func (w *Worker) takeInline(in *Input, data []byte, must bool) {
	seen := min(in.Stream.RawKept(in.Flow, in.Dir), len(data))
	last := must || in.Ending
	if seen == len(data) {
		if last {
			in.Stream.RawDone(in.Flow, in.Dir, len(data))
		}
		return
	}
	w.data = streamData{bytes: data, seen: seen, have: true}
	if !last {
		w.data.keep = min(len(data), w.set.opts.ChunkBytes)
	}
}

// letGo says that the bytes in hand were looked at.
func (w *Worker) letGo(in *Input) {
	n := len(w.data.bytes)
	if !w.set.opts.Inline {
		in.Stream.RawDone(in.Flow, in.Dir, n)
		return
	}
	in.Stream.RawKeep(in.Flow, in.Dir, n, w.data.keep)
	st := w.flowState(in.Flow, false)
	if st == nil || len(st.held) == 0 {
		return
	}
	kept := st.held[:0]
	for _, h := range st.held {
		if h.dir == in.Dir {
			h.left -= n - w.data.keep
		}
		if h.left > 0 {
			kept = append(kept, h)
		}
	}
	st.held = kept
}

// heldBefore says whether a rule's match on the stream was met before, on bytes that are looked at again; else it is noted.
func (w *Worker) heldBefore(in *Input, index uint32) bool {
	if !w.set.opts.Inline {
		return false
	}
	st := w.flowState(in.Flow, true)
	for _, h := range st.held {
		if h.index == index && h.dir == in.Dir {
			return true
		}
	}
	st.held = append(st.held, held{index, in.Dir, len(w.data.bytes)})
	return false
}

// alone says whether a match that stops the packet in hand lies in it as a whole: nothing of it has gone on before.
func (w *Worker) alone(m *Match, in *Input) bool {
	switch {
	case in.Packet == nil:
		return false
	case m.HasTx:
		return m.Tx.State().FirstNumber == in.Packet.Number
	case !m.Stream:
		return true
	}
	s := &w.set.rules[m.Index]
	return w.data.have && in.Dir == m.Dir && w.chainsHold(s.payload, w.data.bytes[w.data.seen:], m.Index)
}
