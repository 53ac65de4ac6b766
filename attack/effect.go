package attack

import "slices"

// Cut tells the accounts that a block or a limit acts because of an attack: what has reached the target by then is
// all that did. An attack that is no longer open is left as it was counted. Only a live shield that acts calls it.
func (a *Accounts) Cut(attack uint64) {
	if p := a.piece(attack); p != nil {
		p.Seen |= sawCut
	}
}

// Stopped adds what a block or limit kept from the target since the last call to the attack that led to it, and says
// whether that is still open.
func (a *Accounts) Stopped(attack, packets, bytes uint64) bool {
	p := a.piece(attack)
	if p == nil {
		return false
	}
	i := slices.IndexFunc(p.Parts, func(x part) bool { return x.Sensor == a.cfg.Sensor })
	if i < 0 {
		return false
	}
	p.Parts[i].PacketsStopped += packets
	p.Parts[i].BytesStopped += bytes
	return true
}

// piece is the open piece of an attack, also by a number that was merged into it.
func (a *Accounts) piece(id uint64) *piece {
	key, known := a.ids[id]
	if !known || id == 0 {
		return nil
	}
	acc := a.open[key]
	if acc == nil {
		return nil
	}
	for i := len(acc.pieces) - 1; i >= 0; i-- {
		if p := acc.pieces[i]; p.ID == id || slices.Contains(p.Merged, id) {
			return p
		}
	}
	return nil
}

// idle says that nothing ever acts on these attacks: nobody asks for them by their numbers.
func (a *Accounts) idle() bool { return a.cfg.Undecided && !a.cfg.Live }

// known files an attack's numbers under its account.
func (a *Accounts) known(acc *account, p *piece) {
	if a.idle() {
		return
	}
	if len(a.ids) > 2*a.cfg.OpenMax+listMax { // numbers merged away by the hundred were not all named
		a.ids = map[uint64]Key{}
		for _, x := range a.open {
			for _, q := range x.pieces {
				a.ids[q.ID] = x.key
			}
		}
	}
	for _, id := range append(slices.Clip(p.Merged), p.ID) {
		if id != 0 {
			a.ids[id] = acc.key
		}
	}
}

// unknown lets go of the numbers of a piece that is no longer open and does not go on.
func (a *Accounts) unknown(acc *account, p *piece) {
	if a.idle() || acc.tail != nil && acc.tail.ID == p.ID {
		return
	}
	for _, id := range append(slices.Clip(p.Merged), p.ID) {
		delete(a.ids, id)
	}
}
