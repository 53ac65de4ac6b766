package detect

import (
	"slices"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/detect/chain"
	"github.com/dejpha/dejpha/flow"
)

// Bounds on what a transaction can make detect hold and do.
const (
	streamSlots  = 8
	pendingMax   = 512  // half matched rules; a request built to half match every rule
	instancesMax = 4096 // of a buffer with several instances: headers, answers
	bodyStep     = 32 << 10
	bodyOverlap  = 4 << 10
)

// txState is what detect remembers of a transaction between packets.
type txState struct {
	seen    [2][streamSlots]uint64 // bytes of growing buffers looked at
	pending []pending
	matched []uint64 // rule index << 1 | direction
}

// pending is a rule of which some tests have held.
type pending struct {
	rule uint32
	mask uint32
	dirs uint8
}

func (w *Worker) txState(st *contract.TxState, f *flow.Flow) *txState {
	if st.Detect == 0 {
		if n := len(w.freeTxs); n > 0 {
			st.Detect, w.freeTxs = w.freeTxs[n-1], w.freeTxs[:n-1]
		} else {
			w.txs = append(w.txs, txState{})
			st.Detect = uint32(len(w.txs) - 1)
		}
		fs := w.flowState(f, true)
		fs.txs = append(fs.txs, st.Detect)
	}
	return &w.txs[st.Detect]
}

func (w *Worker) freeTx(h uint32) {
	t := &w.txs[h]
	t.seen = [2][streamSlots]uint64{}
	t.pending, t.matched = t.pending[:0], t.matched[:0]
	w.freeTxs = append(w.freeTxs, h)
}

// transactions looks at the flow's live transactions in the packet's direction; those about to be released in both.
func (w *Worker) transactions(in *Input, plan *protoPlan) {
	dir := contract.Direction(in.Dir)
	for _, tx := range in.Conversation.Txs() {
		st := tx.State()
		if st.NoInspect[0] && st.NoInspect[1] {
			continue
		}
		if st.DetectSet != w.renewed { // seen by another set
			w.again(st)
		}
		switch st.OneWay { // nothing of it travels the other way: rules have no business there
		case 1:
			st.NoInspect[contract.ToClient] = true
		case 2:
			st.NoInspect[contract.ToServer] = true
		}
		done := in.Conversation.CompleteIn(tx, dir)
		w.transaction(in, tx, st, plan, dir, done)
		if done && !st.NoInspect[1-dir] && in.Conversation.CompleteIn(tx, 1-dir) {
			w.turn(in)
			w.transaction(in, tx, st, plan, 1-dir, true)
			w.turn(in)
		}
		if st.NoInspect[0] && st.NoInspect[1] && st.Detect != 0 {
			w.dropTx(st, in.Flow)
		}
	}
}

// again lets the rules of a new set look at a transaction from its beginning.
func (w *Worker) again(st *contract.TxState) {
	st.DetectSet = w.renewed
	st.DetectSeen, st.DetectEvent, st.Inspected = [2]uint64{}, [2]uint8{}, [2]uint8{}
	if st.Detect != 0 {
		w.txs[st.Detect].seen = [2][streamSlots]uint64{}
	}
}

// turn looks at the flow from its other side.
func (w *Worker) turn(in *Input) {
	h := &w.header
	h.src, h.dst, h.srcPort, h.dstPort = h.dst, h.src, h.dstPort, h.srcPort
	in.Dir = 1 - in.Dir
}

func (w *Worker) dropTx(st *contract.TxState, f *flow.Flow) {
	if fs := w.flowState(f, false); fs != nil {
		if i := slices.Index(fs.txs, st.Detect); i >= 0 {
			fs.txs = slices.Delete(fs.txs, i, i+1)
		}
	}
	w.freeTx(st.Detect)
	st.Detect = 0
}

// transaction looks at what is new in one direction.
func (w *Worker) transaction(in *Input, tx contract.Tx, st *contract.TxState, plan *protoPlan, dir contract.Direction, done bool) {
	if st.NoInspect[dir] {
		return
	}
	dp := &plan.dirs[dir]
	upto := tx.Progress(dir)
	if done {
		upto = 254
	}
	w.txID = st.ID
	w.cand = w.cand[:0]
	fresh := upto+1 > st.Inspected[dir] || done
	if n := int(st.DetectEvent[dir]); len(st.Events) > n {
		fresh = true
		for _, e := range st.Events[n:] {
			w.cand = append(w.cand, dp.events[e]...)
		}
		st.DetectEvent[dir] = uint8(min(len(st.Events), 255))
	}
	grown := w.scanEntries(in, tx, st, dp, dir, upto, done)
	if fresh || grown || len(w.cand) > 0 {
		w.judge(in, tx, st, dir, upto, done)
	}
	st.Inspected[dir] = max(st.Inspected[dir], upto+1)
	if done {
		st.NoInspect[dir] = true
	}
}

// scanEntries gathers candidates from the buffers that became whole and from growing ones with new bytes.
func (w *Worker) scanEntries(in *Input, tx contract.Tx, st *contract.TxState, dp *dirPlan, dir contract.Direction, upto uint8, done bool) (grown bool) {
	for i := range dp.entries {
		e := &dp.entries[i]
		if e.streaming {
			if w.scanBodies(in, tx, st, e, dir, done) {
				grown = true
			}
			continue
		}
		bit := uint64(1) << min(i, 63)
		if e.step > upto || st.DetectSeen[dir]&bit != 0 && (i < 63 || e.step < st.Inspected[dir]) {
			continue
		}
		if e.buffer < 0 {
			st.DetectSeen[dir] |= bit
			w.cand = append(w.cand, e.group.always...)
			continue
		}
		for n := 0; n < instancesMax; n++ {
			b, ok := tx.Buffer(int(e.kw), n)
			if !ok {
				if n == 0 && done {
					w.cand = append(w.cand, e.group.always...) // an absent buffer may be what is asked for
				}
				break
			}
			if !e.grows || done {
				st.DetectSeen[dir] |= bit
			}
			w.gather(&e.group, w.eval.Apply(e.trans, b))
			if !e.multi {
				break
			}
		}
	}
	return grown
}

// bodyOf returns the i-th growing buffer of a keyword.
func bodyOf(tx contract.Tx, kw int16, dir contract.Direction, i int) *contract.Body {
	if kw < sharedBase {
		if b, ok := tx.(contract.BodyTx); ok {
			return b.Body(int(kw), dir, i)
		}
		return nil
	}
	if f := fileOf(tx, dir, i); f != nil {
		return &f.Body
	}
	return nil
}

// fileOf returns the i-th file of a direction.
func fileOf(tx contract.Tx, dir contract.Direction, i int) *contract.File {
	for _, f := range tx.State().Files {
		if f.Dir == dir {
			if i == 0 {
				return f
			}
			i--
		}
	}
	return nil
}

// scanBodies scans what is new in growing buffers: in steps while they grow, whole at their end.
func (w *Worker) scanBodies(in *Input, tx contract.Tx, st *contract.TxState, e *planEntry, dir contract.Direction, done bool) (grown bool) {
	if e.kw >= sharedBase && int(e.kw) != sharedBase+app.SharedFileData {
		n := 0
		for ; n < instancesMax; n++ {
			f := fileOf(tx, dir, n)
			if f == nil {
				break
			}
			w.gather(&e.group, w.eval.Apply(e.trans, f.Name))
		}
		return n > 0
	}
	var total uint64
	bodies, ended := 0, true
	for ; bodies < instancesMax; bodies++ {
		b := bodyOf(tx, e.kw, dir, bodies)
		if b == nil {
			break
		}
		total += b.Total
		ended = ended && b.Done
	}
	if bodies == 0 {
		if done && st.Inspected[dir] <= 254 {
			w.cand = append(w.cand, e.group.always...)
		}
		return false
	}
	ended = ended || done
	t := w.txState(st, in.Flow)
	seen := &t.seen[dir][e.slot]
	const over = 1 << 63
	last := *seen &^ over
	if *seen&over != 0 && total == last || !ended && total < last+bodyStep && !(last == 0 && total >= bodyStep) {
		return false
	}
	for i := 0; i < bodies; i++ {
		b := bodyOf(tx, e.kw, dir, i)
		data := b.Data
		if bodies == 1 && last > b.Offset+bodyOverlap && last-bodyOverlap-b.Offset < uint64(len(data)) {
			data = data[last-bodyOverlap-b.Offset:]
		}
		w.gather(&e.group, w.eval.Apply(e.trans, data))
	}
	*seen = total
	if ended {
		*seen |= over
	}
	return true
}

// judge evaluates the candidates and the half matched rules of a transaction.
func (w *Worker) judge(in *Input, tx contract.Tx, st *contract.TxState, dir contract.Direction, upto uint8, done bool) {
	var t *txState
	if st.Detect != 0 {
		t = &w.txs[st.Detect]
		for i := range t.pending {
			if t.pending[i].dirs&dirBit(dir) != 0 {
				w.cand = append(w.cand, t.pending[i].rule)
			}
		}
	}
	list := w.candidates()
	for n := 0; n < len(list); n++ {
		i := list[n]
		s := &w.set.rules[i]
		w.counts[i].Checks++
		var known uint32
		at := -1
		if t != nil {
			if slices.Contains(t.matched, uint64(i)<<1|uint64(dir)) {
				continue
			}
			for j := range t.pending {
				if t.pending[j].rule == i && t.pending[j].dirs&dirBit(dir) != 0 {
					known, at = t.pending[j].mask, j
				}
			}
		}
		verdict, mask := w.txRule(s, i, in, tx, dir, upto, done, known)
		if verdict == txPending {
			t = w.txState(st, in.Flow)
			w.remember(t, s, i, at, mask, dir)
			continue
		}
		if at >= 0 {
			t.pending = slices.Delete(t.pending, at, at+1)
		}
		if verdict != txMatch {
			continue
		}
		if !done || s.txRule {
			t = w.txState(st, in.Flow)
			t.matched = append(t.matched, uint64(i)<<1|uint64(dir))
			if s.txRule {
				t.matched = append(t.matched, uint64(i)<<1|uint64(1-dir))
			}
		}
		st.Alerts++
		w.matched(s, i, in, Match{TxID: st.ID, HasTx: true, Tx: tx, Flow: true, Frame: w.frame})
	}
}

func (w *Worker) remember(t *txState, s *sig, index uint32, at int, mask uint32, dir contract.Direction) {
	if at >= 0 {
		t.pending[at].mask = mask
		return
	}
	if len(t.pending) >= pendingMax {
		w.Stats.PendingDropped++
		return
	}
	dirs := dirBit(dir)
	if s.txRule {
		dirs = 3
	}
	t.pending = append(t.pending, pending{index, mask, dirs})
}

type txVerdict uint8

const (
	txFail txVerdict = iota
	txPending
	txMatch
)

// txRule evaluates a rule on a transaction; mask holds the tests that have held so far.
func (w *Worker) txRule(s *sig, index uint32, in *Input, tx contract.Tx, dir contract.Direction, upto uint8, done bool, mask uint32) (txVerdict, uint32) {
	if !s.flowHolds(in) || !s.txRule && !w.headerHolds(s) || s.txRule && !w.headerHolds(s) && !w.headerTurned(s) {
		return txFail, 0
	}
	for i := range s.packet {
		if !s.packet[i].packetHolds(w, in) {
			return txFail, 0
		}
	}
	open := false
	w.frame = Frame{}
	for i := range s.tx {
		bit := uint32(1) << min(i, 31)
		if mask&bit != 0 && i < 31 {
			continue
		}
		switch w.txTest(s, &s.tx[i], index, in, tx, dir, upto, done) {
		case txFail:
			return txFail, 0
		case txPending:
			open = true
		case txMatch:
			mask |= bit
		}
	}
	if open {
		return txPending, mask
	}
	if s.hasPayload {
		if _, ok := w.payload(s, index, in); !ok {
			return waitFor(done), mask
		}
	}
	for i := range s.buffers {
		b, have := s.buffers[i].buffer.bytes(in.Packet)
		if !have || !w.chainHolds(&s.buffers[i].chain, w.eval.Apply(s.buffers[i].trans, b), index) {
			return txFail, 0
		}
	}
	for i := range s.state {
		if !w.stateHolds(&s.state[i], in) {
			return txFail, 0
		}
	}
	return txMatch, mask
}

func (w *Worker) headerTurned(s *sig) bool {
	h := &w.header
	h.src, h.dst, h.srcPort, h.dstPort = h.dst, h.src, h.dstPort, h.srcPort
	ok := w.headerHolds(s)
	h.src, h.dst, h.srcPort, h.dstPort = h.dst, h.src, h.dstPort, h.srcPort
	return ok
}

// txTest evaluates one test of a rule on a transaction.
func (w *Worker) txTest(s *sig, t *txTest, index uint32, in *Input, tx contract.Tx, dir contract.Direction, upto uint8, done bool) txVerdict {
	kw := t.kw[in.Flow.AppProto][dir]
	if s.txRule && kw < 0 {
		dir = 1 - dir
		kw = t.kw[in.Flow.AppProto][dir]
		done = in.Conversation.CompleteIn(tx, dir)
		upto = tx.Progress(dir)
	}
	if kw < 0 {
		return txFail
	}
	if t.kind == txEvent {
		if slices.Contains(tx.State().Events, uint8(t.event)) {
			return txMatch
		}
		return waitFor(done)
	}
	if kw >= sharedBase {
		return w.fileTest(t, index, tx, dir, kw, done)
	}
	k := &w.set.opts.Protocols[in.Flow.AppProto-w.set.opts.FirstProtocol].Keywords[kw]
	if k.Streaming {
		return w.bodyTest(t, index, tx, dir, kw, done)
	}
	if k.Step[dir] > upto && !done {
		return txPending
	}
	v := w.valueTest(t, index, tx, k, int(kw), dir, done)
	if v == txFail && k.Grows && !done {
		return txPending
	}
	return v
}

// valueTest judges a keyword by what the transaction holds now.
func (w *Worker) valueTest(t *txTest, index uint32, tx contract.Tx, k *contract.Keyword, kw int, dir contract.Direction, done bool) txVerdict {
	switch t.kind {
	case txBuffer:
		return w.bufferTest(t, index, tx, kw, k.Kind == contract.KindMulti, done)
	case txNumber:
		return numberTest(t, tx, kw, done)
	case txFlag:
		v, ok := tx.Number(kw, 0)
		return verdictOf((ok && v != 0) != t.flag.Negated)
	}
	if c, ok := tx.(contract.CustomTx); ok {
		return verdictOf(c.MatchCustom(kw, t.custom.Arg, dir) != t.custom.Negated)
	}
	return txFail
}

func verdictOf(ok bool) txVerdict {
	if ok {
		return txMatch
	}
	return txFail
}

func waitFor(done bool) txVerdict {
	if done {
		return txFail
	}
	return txPending
}

func numberTest(t *txTest, tx contract.Tx, kw int, done bool) txVerdict {
	if _, ok := tx.Number(kw, 0); !ok && (!done || !t.number.Of.All) {
		return waitFor(done)
	}
	return verdictOf(severalHold(t.number.Of, func(i int) (bool, bool) {
		v, ok := tx.Number(kw, i)
		return ok && chain.Compare(t.number.Op, v, t.number.A, t.number.B), ok
	}))
}

// bufferTest runs the chain on a buffer; of several instances one must hold.
func (w *Worker) bufferTest(t *txTest, index uint32, tx contract.Tx, kw int, multi, done bool) txVerdict {
	e := &w.eval
	e.DCEBig = false
	if x, ok := tx.(contract.EndianTx); ok {
		e.DCEBig = x.BigEndian(kw)
	}
	trans := w.set.names.buffers[t.buffer].trans
	for n := 0; n < instancesMax; n++ {
		b, ok := tx.Buffer(kw, n)
		if !ok {
			switch {
			case n > 0:
				return txFail
			case !done:
				return txPending
			}
			return verdictOf(t.chain.AcceptsAbsent())
		}
		if w.chainHolds(&t.chain, w.eval.Apply(trans, b), index) {
			if t.frame != "" {
				w.frame = Frame{t.frame, b, uint64(len(b)), true}
			}
			return txMatch
		}
		if !multi {
			break
		}
	}
	return txFail
}

// bodyTest runs the chain on what is kept of growing buffers.
func (w *Worker) bodyTest(t *txTest, index uint32, tx contract.Tx, dir contract.Direction, kw int16, done bool) txVerdict {
	trans := w.set.names.buffers[t.buffer].trans
	e := &w.eval
	for n := 0; n < instancesMax; n++ {
		b := bodyOf(tx, kw, dir, n)
		if b == nil {
			if n == 0 && done {
				return verdictOf(t.chain.AcceptsAbsent())
			}
			break
		}
		final := done || b.Done
		if !final && b.Total < bodyStep {
			continue
		}
		e.Start = b.Offset
		ok := w.chainHolds(&t.chain, w.eval.Apply(trans, b.Data), index)
		e.Start = 0
		if ok {
			if t.frame != "" {
				w.frame = Frame{t.frame, b.Data, b.Total, b.Done}
			}
			return txMatch
		}
	}
	return waitFor(done)
}

// fileTest answers the keywords of files.
func (w *Worker) fileTest(t *txTest, index uint32, tx contract.Tx, dir contract.Direction, kw int16, done bool) txVerdict {
	switch int(kw - sharedBase) {
	case app.SharedFileData:
		return w.bodyTest(t, index, tx, dir, kw, done)
	case app.SharedFileName:
		for n := 0; n < instancesMax; n++ {
			f := fileOf(tx, dir, n)
			if f == nil {
				break
			}
			if w.chainHolds(&t.chain, w.eval.Apply(w.set.names.buffers[t.buffer].trans, f.Name), index) {
				return txMatch
			}
		}
	case app.SharedFilenameOld, app.SharedFileExt, app.SharedFileMagicOld, app.SharedFileMD5, app.SharedFileSHA1, app.SharedFileSHA256:
		for n := 0; n < instancesMax; n++ {
			f := fileOf(tx, dir, n)
			if f == nil {
				break
			}
			if holds, known := fileHolds(t.custom, f, int(kw-sharedBase), done); known && holds != t.custom.Negated {
				return txMatch
			}
		}
	case app.SharedFileStore:
		return txMatch // a wish, not a condition
	case app.SharedFileSize:
		for n := 0; n < instancesMax; n++ {
			f := fileOf(tx, dir, n)
			if f == nil {
				break
			}
			if f.State != contract.FileOpen && chain.Compare(t.number.Op, f.Body.Total, t.number.A, t.number.B) {
				return txMatch
			}
		}
	}
	return waitFor(done)
}
