package evidence

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/compact"
	"github.com/dejpha/dejpha/evidence/twin"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	fieldCount = 8
	saltBytes  = compact.SaltBytes
	seedBytes  = 16
)

// Fields of a private part.
const (
	fieldOrigin = iota
	fieldTarget
	fieldAlerts
	fieldPackets // SHA-256 of the packets kept
	fieldDetectors
	fieldSubject
	fieldRest     // the record's other fields
	fieldIncident // opening of the incident's commitment: salt, number
)

// Private is up to eight values; a nil one is absent.
type Private [fieldCount][]byte

// FieldCommitment is c_i for a value under its salt; nil is an absent value.
func FieldCommitment(i int, salt, value []byte) [32]byte {
	var l twin.List
	commitField(&l, i, salt, value)
	var out [32]byte
	l.Sums(out[:])
	return out
}

// commitField adds what c_i is the hash of.
func commitField(l *twin.List, i int, salt, value []byte) {
	l.Write(0x20, byte(i))
	l.Write(salt...)
	if value != nil {
		l.Uint32(uint32(len(value)))
		l.Write(value...)
	}
	l.End()
}

// commitment binds all fields under the leaf's seed.
func (p *Private) commitment(seed []byte) [32]byte {
	c, _ := p.commit(compact.NewSecrets(seed), &room{})
	return c
}

// room is memory that hiding one private part after another uses again.
type room struct {
	salts   [fieldCount * saltBytes]byte
	opening []byte // of an incident
	hashed  twin.List
	key     []byte
	beside  [2]tlog.Hash // of what was hashed beside the last one
}

// commit is that, with room for what is hashed, and what an attack's leaf says of its incident. Up to two other messages
// are hashed beside it, into the room, which costs next to nothing; one without bytes is left out.
func (p *Private) commit(s compact.Secrets, r *room, beside ...[]byte) (private, incident [32]byte) {
	var all [1 + (fieldCount+1)*32]byte
	all[0] = 0x21
	s.Salts(r.salts[:])
	l := &r.hashed
	l.Reset()
	for i, v := range p {
		commitField(l, i, r.salts[i*saltBytes:][:saltBytes], v)
	}
	commitIncident(l, p[fieldIncident])
	l.Sums(all[1:])
	incident = [32]byte(all[1+fieldCount*32:])
	l.Reset()
	l.Write(all[:1+fieldCount*32]...)
	l.End()
	for _, b := range beside {
		if len(b) > 0 {
			l.Write(b...)
			l.End()
		}
	}
	var sums [3 * 32]byte
	l.Sums(sums[:])
	rest := sums[32:]
	for i, b := range beside {
		if len(b) > 0 {
			r.beside[i], rest = tlog.Hash(rest), rest[32:]
		}
	}
	return [32]byte(sums[:]), incident
}

// append adds the values as they are, each behind its length + 1, or 0 if it is absent.
func (p *Private) append(b []byte) []byte {
	for _, v := range p {
		if v == nil {
			b = be.AppendUint32(b, 0)
			continue
		}
		b = be.AppendUint32(b, uint32(len(v))+1)
		b = append(b, v...)
	}
	return b
}

// openPrivate decrypts what is stored of a private part: an attack's record in its short form and the opening of its
// incident, or the values as they are. Of an attack in its short form the record comes with it, without story and leaf.
func openPrivate(sealed, seed []byte, words *wordReader) (p Private, r *attack.Record, err error) {
	b := append([]byte(nil), sealed...)
	compact.NewSecrets(seed).Mask(b, nil)
	if len(b) > saltBytes && b[0] == compact.Version {
		x, err := compact.Read(b[:len(b)-saltBytes], words.at)
		if err != nil {
			return p, nil, fmt.Errorf("private part: %w", err)
		}
		return split(&x, incidentOpening(nil, b[len(b)-saltBytes:], x.Incident), &compact.Values{}), &x, nil
	}
	for i := range p {
		if len(b) < 4 {
			return p, nil, errors.New("private part is cut")
		}
		n := be.Uint32(b)
		b = b[4:]
		if n == 0 {
			continue
		}
		if uint64(n-1) > uint64(len(b)) {
			return p, nil, errors.New("private part is cut")
		}
		p[i] = b[: n-1 : n-1]
		b = b[n-1:]
	}
	if len(b) > 0 {
		return p, nil, errors.New("private part has bytes left over")
	}
	return p, nil, nil
}

// split lays a record out over the fields; they are valid as long as v is not used again.
func split(r *attack.Record, opening []byte, v *compact.Values) (p Private) {
	v.Append(r)
	p[fieldOrigin], p[fieldTarget], p[fieldAlerts], p[fieldDetectors], p[fieldRest] = v.Origin, v.Target, v.Alerts, v.Detectors, v.Rest
	if r.Subject != "" {
		p[fieldSubject] = []byte(r.Subject)
	}
	if r.Evidence.Packets != "" {
		p[fieldPackets] = []byte(r.Evidence.Packets)
	}
	p[fieldIncident] = opening
	return p
}

// joined is the record that split laid out, with its story told again.
func joined(p *Private, leaf int64) (r attack.Record, err error) {
	if r, err = laidOut(p, leaf); err == nil {
		r.Retell()
	}
	return r, err
}

// laidOut is that record without its story.
func laidOut(p *Private, leaf int64) (r attack.Record, err error) {
	get := func(i int, v any) {
		if e := json.Unmarshal(p[i], v); e != nil && err == nil {
			err = fmt.Errorf("reading private part, field %d: %w", i, e)
		}
	}
	get(fieldRest, &r)
	get(fieldOrigin, &r.Origin)
	get(fieldTarget, &r.Target)
	get(fieldAlerts, &r.Alerts)
	get(fieldDetectors, &r.Detectors)
	r.Subject = string(p[fieldSubject])
	r.Evidence = attack.Evidence{Leaf: leaf, Packets: string(p[fieldPackets])}
	return r, err
}

// agrees says whether an attack's leaf says what its private part says; r is the record in it, nil if it has yet to be read.
func (p *Private) agrees(r *attack.Record, x *AttackLeaf, leaf int64) bool {
	if r == nil {
		read, err := laidOut(p, leaf)
		if err != nil {
			return false
		}
		r = &read
	}
	y, err := publicPart(r)
	y.Ordinal, y.Sensor, y.Ruleset, y.Private, y.Incident = x.Ordinal, x.Sensor, x.Ruleset, x.Private, x.Incident
	y.Stage = x.Stage // the class table's, which may be another by now
	return err == nil && y == *x && incidentCommitment(p[fieldIncident]) == x.Incident
}
