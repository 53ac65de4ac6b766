// Package ask is a log's side of witnessing: it has the log's heads cosigned by those who are named, over HTTP or by
// file, and keeps the newest head that a quorum of them signed beside the log.
//
// In: the log's folder, also while it is written, and the witnesses. Out: the file cosigned, and the news that a witness
// knows another history, upon which the log must sign nothing more. Called by shield (a goroutine of its own, which the
// merge point never waits for) and by cmd. It does not sign and changes nothing else of the log.
package ask

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/dejpha/dejpha/cosign"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
)

// Party is a witness that the log asks.
type Party struct {
	Name string
	Keys []*cosign.Verifier // of that name, one or both kinds
	URL  string             // of its submission prefix; "": asked by file
}

// Panel is the witnesses of a log, and how many of them must have signed a head.
type Panel struct {
	Parties []Party
	Quorum  int
}

// NewPanel reads witnesses: verifier keys, each with a URL or "". Two keys of one name are one witness. Quorum 0 is one.
func NewPanel(keys, urls []string, quorum int) (p Panel, err error) {
	for i, text := range keys {
		v, err := cosign.NewVerifier(strings.TrimSpace(text))
		switch {
		case err != nil:
			return p, fmt.Errorf("witness %d: %w", i+1, err)
		case !v.Witness():
			return p, fmt.Errorf("witness %d: %s is a log's key, no witness's", i+1, v.Name())
		}
		at := slices.IndexFunc(p.Parties, func(x Party) bool { return x.Name == v.Name() })
		if at < 0 {
			at = len(p.Parties)
			p.Parties = append(p.Parties, Party{Name: v.Name()})
		}
		x := &p.Parties[at]
		x.Keys = append(x.Keys, v)
		if urls[i] == "" {
			continue
		}
		u, err := url.Parse(urls[i])
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return p, fmt.Errorf("witness %s: %q is no http or https address", v.Name(), urls[i])
		}
		x.URL = strings.TrimSuffix(urls[i], "/")
	}
	if p.Quorum = max(quorum, 1); len(p.Parties) > 0 && p.Quorum > len(p.Parties) {
		return p, fmt.Errorf("a quorum of %d of %d witnesses cannot be", p.Quorum, len(p.Parties))
	}
	return p, nil
}

// verifiers are the log's key and all of the witnesses'.
func (p *Panel) verifiers(logKey string) ([]note.Verifier, error) {
	v, err := cosign.NewVerifier(logKey)
	if err != nil {
		return nil, fmt.Errorf("the log's key: %w", err)
	}
	list := []note.Verifier{v}
	for _, x := range p.Parties {
		for _, k := range x.Keys {
			list = append(list, k)
		}
	}
	return list, nil
}

// Signed is a head with the signatures over it, as far as the panel's keys and the log's reach.
type Signed struct {
	Head cosign.Head
	Note []byte   // the log's signature and those of witnesses that were checked
	By   []string // names of the witnesses that signed it
	At   int64    // the time that the latest of them gives, s since 1970
}

// Check opens a note: the log must have signed it. What is signed by unknown keys is left out.
func (p *Panel) Check(msg []byte, logKey string) (s Signed, unchecked []string, err error) {
	list, err := p.verifiers(logKey)
	if err != nil {
		return s, nil, err
	}
	head, text, sigs, err := cosign.Open(msg, list...)
	if err != nil {
		return s, nil, err
	}
	s.Head = head
	var kept []cosign.Signature
	own := false
	for _, x := range sigs {
		switch {
		case !x.Checked:
			unchecked = append(unchecked, x.Name)
			continue
		case x.ID == list[0].KeyHash() && x.Name == list[0].Name():
			own = true
		case !slices.Contains(s.By, x.Name):
			s.By = append(s.By, x.Name)
		}
		s.At = max(s.At, x.Timestamp)
		kept = append(kept, x)
	}
	if !own {
		return s, nil, errors.New("the log's own signature is missing")
	}
	s.Note = cosign.Note(text, kept)
	return s, unchecked, nil
}

// memory is what is kept of the exchange with witnesses: the last size that each has signed, and heads that wait for more
// signatures. Losing it costs a question.
type memory struct {
	Sizes map[string]int64 `json:"sizes"`
	Notes []string         `json:"notes"` // newest last
}

// notesMax is how many heads wait for more signatures.
const notesMax = 16

func memoryFile(dir string) string { return filepath.Join(dir, "witnesses") }

func recall(dir string) memory {
	var m memory
	if b, err := os.ReadFile(memoryFile(dir)); err == nil {
		_ = json.Unmarshal(b, &m)
	}
	if m.Sizes == nil {
		m.Sizes = map[string]int64{}
	}
	return m
}

// Known is the size that a witness signed last, as far as the log's folder tells; 0: none.
func Known(dir, name string) int64 { return recall(dir).Sizes[name] }

// ErrBusy says that another process is keeping signatures of the same log.
var ErrBusy = errors.New("another process is keeping signatures of this log")

// Kept says what became of signatures that came in.
type Kept struct {
	Signed
	Quorum bool // enough have signed this head
	Newest bool // and it is the newest of such heads: it became the file cosigned
}

// Keep takes a head with signatures of witnesses: it must be one of the log as it stands. What is known of the same head
// is put together; once a quorum has signed, it becomes the log's cosigned head, unless that is newer.
func (p *Panel) Keep(dir string, msg []byte) (k Kept, err error) {
	disk := durable.OS()
	lock, err := disk.Lock(filepath.Join(dir, "witnesses.lock"))
	if errors.Is(err, durable.ErrLocked) {
		return k, ErrBusy
	}
	if err != nil {
		return k, err
	}
	defer lock.Close()
	own, err := evidence.ReadHead(dir)
	if err != nil {
		return k, err
	}
	if k.Signed, _, err = p.Check(msg, own.Key); err != nil {
		return k, err
	}
	if len(k.By) == 0 {
		return k, errors.New("none of the log's witnesses has signed this head")
	}
	if err := ours(dir, own, k.Head); err != nil {
		return k, err
	}
	m := recall(dir)
	if err := p.merge(&k, &m, own.Key); err != nil {
		return k, err
	}
	old, err := evidence.ReadCosigned(dir)
	if err != nil {
		return k, err
	}
	if k.Quorum = len(k.By) >= p.Quorum; k.Quorum {
		have, _, err := p.Check(old, own.Key)
		if k.Newest = err != nil || have.Head.Size < k.Head.Size || have.Head.Size == k.Head.Size && len(have.By) <= len(k.By); k.Newest {
			if err := evidence.KeepCosigned(disk, dir, k.Note); err != nil {
				return k, err
			}
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return k, fmt.Errorf("keeping signatures: %w", err)
	}
	return k, disk.Replace(memoryFile(dir), append(b, '\n'))
}

// ours says whether a head is one of this log.
func ours(dir string, own evidence.Head, h cosign.Head) error {
	if h.Origin != own.Origin || h.Size > own.Size {
		return fmt.Errorf("the head has %d leaves of %s, the log %d of %s", h.Size, h.Origin, own.Size, own.Origin)
	}
	root, err := evidence.RootAt(dir, h.Size)
	if err != nil {
		return err
	}
	if root != h.Root {
		return &OtherHistoryError{"a note with the log's own signature", h.Size, own.Size, "the leaves here are not those it signed"}
	}
	return nil
}

// merge puts together what is known of one head, and remembers it.
func (p *Panel) merge(k *Kept, m *memory, key string) error {
	rest := m.Notes[:0]
	for _, text := range m.Notes {
		x, _, err := p.Check([]byte(text), key)
		switch {
		case err != nil:
		case x.Head != k.Head:
			rest = append(rest, text)
		default:
			_, lines, _ := strings.Cut(text, "\n\n")
			both, _, err := p.Check(append(slices.Clip(k.Note), lines...), key)
			if err != nil {
				return err
			}
			k.Signed = both
		}
	}
	m.Notes = append(rest, string(k.Note))
	if n := len(m.Notes) - notesMax; n > 0 {
		m.Notes = slices.Delete(m.Notes, 0, n)
	}
	for _, name := range k.By {
		m.Sizes[name] = max(m.Sizes[name], k.Head.Size)
	}
	return nil
}

// OtherHistoryError says that a witness knows a history of this log that is not the one here. The log must sign nothing
// more under its name.
type OtherHistoryError struct {
	Who         string
	Knows, Have int64 // leaves
	What        string
}

// Error says what is known where, and the remedy.
func (e *OtherHistoryError) Error() string {
	return fmt.Sprintf("%s knows %d leaves of this log, here are %d: %s. Is this an older copy, brought back from a backup? It must sign nothing more: "+
		"bring the newer copy back, or keep this one aside (evidence and log.key) and start again, which begins a log of another name", e.Who, e.Knows, e.Have, e.What)
}

// Request makes the file by which a witness is asked: old is the size it signed last. The head is the newest that other
// witnesses signed, if there is one, so that their signatures come together; else the newest of the log.
func Request(dir string, old int64) (b []byte, h cosign.Head, err error) {
	own, err := evidence.ReadHead(dir)
	if err != nil {
		return nil, h, err
	}
	r := cosign.Request{Old: old, Checkpoint: own.Note}
	h = cosign.Head{Origin: own.Origin, Size: own.Size, Root: own.Root}
	if other, err := evidence.ReadCosigned(dir); err == nil && other != nil {
		if c, err := evidence.OpenCheckpoint(other, own.Key); err == nil && c.Size >= old && c.Size <= own.Size {
			r.Checkpoint, h = other, cosign.Head{Origin: c.Origin, Size: c.Size, Root: c.Root}
		}
	}
	if old > h.Size {
		return nil, h, &OtherHistoryError{"a witness", old, own.Size, "it signed more than there is"}
	}
	if r.Proof, err = evidence.Consistency(dir, old, h.Size); err != nil {
		return nil, h, err
	}
	return r.Append(nil), h, nil
}
