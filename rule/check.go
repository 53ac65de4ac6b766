package rule

// directions notes which way the keyword's protocol speaks what it names.
func (p *parser) directions(_ *option, e Entry) {
	switch {
	case e.ToServer && e.ToClient:
		p.has.bothWays = true
	case e.ToServer:
		p.has.toServer = true
	case e.ToClient:
		p.has.toClient = true
	}
}

// wholeRule refuses rules that can never match or that say two things at once.
func (p *parser) wholeRule() *fault {
	if err := p.checkTransaction(); err != nil {
		return err
	}
	most, sized := p.dsizeMost()
	for i := range p.groups {
		g := &p.groups[i]
		if err := p.checkTransforms(g); err != nil {
			return err
		}
		if sized && g.Buffer.Name == "" {
			if err := p.checkFits(g, most); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkTransaction holds a rule with => to what it promises: one transaction, seen from both sides.
func (p *parser) checkTransaction() *fault {
	if !p.r.TxRule {
		return nil
	}
	for _, c := range p.groups[0].Conditions {
		if f, ok := c.(*FlowState); ok && (f.ToServer || f.ToClient) {
			return faultf(p.offsetOf(f.Pos), "a rule with => means both directions, flow cannot name one")
		}
	}
	switch {
	case p.has.bothWays:
		return faultf(0, "a rule with => cannot have a keyword that stands for either direction")
	case !p.has.toServer || !p.has.toClient:
		return faultf(0, "a rule with => needs keywords of the request and of the reply")
	}
	return nil
}

// offsetOf turns a place in the file back into a byte of the rule.
func (p *parser) offsetOf(at Pos) int { return at.Column - p.column - 1 }

// dsizeMost is the largest payload that the rule's dsize lets through.
func (p *parser) dsizeMost() (most uint64, ok bool) {
	for i := range p.groups {
		for _, c := range p.groups[i].Conditions {
			if n, is := c.(*Number); is && n.Name == "dsize" {
				return mostOf(n)
			}
		}
	}
	return 0, false
}

func mostOf(n *Number) (most uint64, ok bool) {
	switch n.Op {
	case Eq, Le:
		return n.A, true
	case Lt:
		return max(n.A, 1) - 1, true
	case Range:
		return max(n.B, 1) - 1, true
	case InRange:
		return n.B, true
	}
	return 0, false
}

// checkFits refuses contents that end behind the last byte there can be. Only what must hold is counted: a content
// begins at its offset, or at its distance from the end of the one before.
func (p *parser) checkFits(g *Group, most uint64) *fault {
	end := int64(0)
	for _, c := range g.Conditions {
		t, ok := c.(*Content)
		if !ok {
			if moves(c) {
				end = 0 // where the next relative content begins is not known any more
			}
			continue
		}
		if t.Negated {
			continue
		}
		from := t.Offset.Value
		if t.Distance.Set || t.Within.Set {
			from = max(end+t.Distance.Value, 0)
		}
		end = from + int64(len(t.Pattern))
		if uint64(end) > most {
			return faultf(p.offsetOf(t.Pos), "the content can end at byte %d at the earliest, dsize allows %d", end, most)
		}
	}
	return nil
}

// moves says whether a condition changes the place that relative conditions begin at.
func moves(c Condition) bool {
	switch c.(type) {
	case *PCRE, *ByteJump, *ByteExtract, *ByteMath, *Base64Decode:
		return true
	}
	return false
}

// checkTransforms refuses contents that the buffer's transforms can never leave behind.
func (p *parser) checkTransforms(g *Group) *fault {
	for _, t := range g.Transforms {
		never := neverLeaves[t.Name]
		if never == nil {
			continue
		}
		for _, c := range g.Conditions {
			if s, ok := c.(*Content); ok && !s.Negated && never(s) {
				return faultf(p.offsetOf(s.Pos), "%s never leaves this content behind", t.Name)
			}
		}
	}
	return nil
}

// neverLeaves says of a transform which contents cannot stand in what it makes.
var neverLeaves = map[string]func(*Content) bool{
	"to_lowercase":     func(c *Content) bool { return !c.NoCase && anyByte(c.Pattern, isUpper) },
	"to_uppercase":     func(c *Content) bool { return !c.NoCase && anyByte(c.Pattern, isLower) },
	"strip_whitespace": func(c *Content) bool { return anyByte(c.Pattern, isSpace) },
	"compress_whitespace": func(c *Content) bool {
		for i := 1; i < len(c.Pattern); i++ {
			if isSpace(c.Pattern[i-1]) && isSpace(c.Pattern[i]) {
				return true
			}
		}
		return false
	},
}

func anyByte(b []byte, is func(byte) bool) bool {
	for _, c := range b {
		if is(c) {
			return true
		}
	}
	return false
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
