package ssh

import "github.com/dejpha/dejpha/app/contract"

// guesses tells refused log-ins inside one connection from the sizes of the server's encrypted turns, RFC 4252. A turn
// is all that one side says before the other speaks. The server's turns after the keys are: the service is accepted;
// the request that only asks for methods is refused (with a banner perhaps); then each refusal has the size of the one
// before, and the success, one byte, is the smallest message there is. What comes after a success is never counted:
// the echoes of a person's keys are all of one size too.
type guesses struct {
	turns   int  // of the server that are complete
	size    int  // bytes of the turn in hand
	client  int  // bytes of the client's turn before it
	refusal int  // size of a refusal; 0 none yet
	other   int  // turns of other sizes in a row: a question between two refusals
	small   bool // the third turn was smaller than the second
	over    bool
}

const (
	passwordMax  = 256 // bytes of a turn with a password; offers of keys are mostly longer
	refusalsMost = 64  // told of one connection
)

// answer is what a complete turn of the server shows.
type answer uint8

const (
	unclear answer = iota
	refused
	succeeded
	inSession // turns of many sizes: whatever let the client in, it is in
)

// said counts n encrypted bytes of a direction and tells of the server's turn that they end.
func (g *guesses) said(dir contract.Direction, n int) answer {
	if g.over {
		return unclear
	}
	if dir == contract.ToClient {
		if g.client > 0 { // what the server says before the client's first request is no answer
			g.size += n
		}
		return unclear
	}
	a := unclear
	if g.size > 0 {
		a = g.turn()
		g.client, g.size = 0, 0
	}
	g.client += n
	return a
}

// turn judges the server's turn that is complete.
func (g *guesses) turn() answer {
	g.turns++
	switch {
	case g.turns == 1:
		return unclear
	case g.turns == 2:
		g.refusal = g.size
		return unclear
	case g.size == g.refusal:
		g.other = 0
		g.over = g.turns > refusalsMost
		if g.client >= passwordMax {
			return unclear
		}
		return refused
	case g.turns == 4 && g.small:
		g.over = true // the smaller third turn was the success
		return succeeded
	case g.size > g.refusal:
		if g.other++; g.other > 1 {
			g.over = true
			return inSession
		}
		return unclear
	case g.turns == 3: // a success at once, or the first refusal carried a banner
		g.refusal, g.small = g.size, true
		return unclear
	}
	g.over = true
	return succeeded
}
