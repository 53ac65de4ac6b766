package evidence

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dejpha/dejpha/attack"
)

const (
	fieldCount = 8
	saltBytes  = 16
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

// mac is HMAC-SHA-256 of a short message under a leaf's seed, without the allocations of crypto/hmac.
func mac(seed, message []byte) [sha256.Size]byte {
	const block = sha256.BlockSize
	var inner [block + seedBytes]byte
	var outer [block + sha256.Size]byte
	for i := range block {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range seed[:min(len(seed), block)] {
		inner[i], outer[i] = inner[i]^b, outer[i]^b
	}
	h := sha256.Sum256(append(inner[:block], message...))
	copy(outer[block:], h[:])
	return sha256.Sum256(outer[:])
}

func salt(seed []byte, i int) []byte {
	m := mac(seed, []byte{byte(i)})
	return m[:saltBytes]
}

// FieldCommitment is c_i for a value under its salt; nil is an absent value.
func FieldCommitment(i int, salt, value []byte) [32]byte {
	var room [1024]byte
	b := append(append(room[:0], 0x20, byte(i)), salt...)
	if value != nil {
		b = be.AppendUint32(b, uint32(len(value)))
		b = append(b, value...)
	}
	return sha256.Sum256(b)
}

// commitment binds all fields under the leaf's seed.
func (p *Private) commitment(seed []byte) [32]byte {
	var room [1 + fieldCount*sha256.Size]byte
	b := append(room[:0], 0x21)
	for i, v := range p {
		m := mac(seed, []byte{byte(i)})
		c := FieldCommitment(i, m[:saltBytes], v)
		b = append(b, c[:]...)
	}
	return sha256.Sum256(b)
}

// seal encrypts the values under a key from the seed; integrity comes from the commitment.
func (p *Private) seal(seed []byte) []byte {
	var b []byte
	for _, v := range p {
		if v == nil {
			b = be.AppendUint32(b, 0)
			continue
		}
		b = be.AppendUint32(b, uint32(len(v))+1)
		b = append(b, v...)
	}
	keystream(seed).XORKeyStream(b, b)
	return b
}

// keystream is used for one message only: each leaf has a seed of its own.
func keystream(seed []byte) cipher.Stream {
	key := mac(seed, []byte("values"))
	block, _ := aes.NewCipher(key[:]) // 32 bytes: never an error
	return cipher.NewCTR(block, make([]byte, aes.BlockSize))
}

func openPrivate(sealed, seed []byte) (p Private, err error) {
	b := make([]byte, len(sealed))
	keystream(seed).XORKeyStream(b, sealed)
	for i := range p {
		if len(b) < 4 {
			return p, errors.New("private part is cut")
		}
		n := be.Uint32(b)
		b = b[4:]
		if n == 0 {
			continue
		}
		if uint64(n-1) > uint64(len(b)) {
			return p, errors.New("private part is cut")
		}
		p[i] = b[: n-1 : n-1]
		b = b[n-1:]
	}
	if len(b) > 0 {
		return p, errors.New("private part has bytes left over")
	}
	return p, nil
}

// split lays a record out over the fields.
func split(r *attack.Record, k Key) (p Private, err error) {
	put := func(i int, v any) {
		b, e := json.Marshal(v)
		if e != nil && err == nil {
			err = fmt.Errorf("writing private part: %w", e)
		}
		p[i] = b
	}
	put(fieldOrigin, r.Origin)
	put(fieldTarget, r.Target)
	put(fieldAlerts, r.Alerts)
	put(fieldDetectors, r.Detectors)
	if r.Subject != "" {
		p[fieldSubject] = []byte(r.Subject)
	}
	if r.Evidence.Packets != "" {
		p[fieldPackets] = []byte(r.Evidence.Packets)
	}
	rest := *r
	rest.Origin, rest.Target, rest.Alerts, rest.Detectors, rest.Subject, rest.Story = attack.Origin{}, attack.Target{}, nil, nil, "", ""
	rest.Evidence = attack.Evidence{}
	put(fieldRest, rest)
	p[fieldIncident] = be.AppendUint64(k.incidentSalt(r.Incident), r.Incident)
	return p, err
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

// agrees says whether an attack's leaf says what its private part says.
func (p *Private) agrees(x *AttackLeaf, leaf int64) bool {
	r, err := laidOut(p, leaf)
	if err != nil {
		return false
	}
	y, err := publicPart(&r)
	y.Ordinal, y.Sensor, y.Ruleset, y.Private, y.Incident = x.Ordinal, x.Sensor, x.Ruleset, x.Private, x.Incident
	y.Stage = x.Stage // the class table's, which may be another by now
	return err == nil && y == *x && incidentCommitment(p[fieldIncident]) == x.Incident
}
