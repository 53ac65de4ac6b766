// Package inforce writes and reads what a log keeps of the rules and settings that its attacks were found with, so that
// their detection can be run again.
//
// In: texts and switches; out: bytes that are the same for the same input, and back. Called by shield; it reads no files
// and knows no rule.
package inforce

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// most bounds what is read: a log may come from anybody.
const most = 256 << 20

// Set is what is in force.
type Set struct {
	Format    int      `json:"format"`
	Sets      []string `json:"set,omitempty"` // --set, as given
	Detectors bool     `json:"detectors"`
	Inline    bool     `json:"inline,omitempty"`
	Texts     []Text   `json:"files"`
}

// Text is the configuration, a rule file, or what the configuration names.
type Text struct {
	Kind string `json:"kind"` // config, rules, or the setting that names it
	Name string `json:"name"`
	Size int    `json:"bytes"` // set by Pack
	Text []byte `json:"-"`
}

// pieceBytes are compressed between two steps.
const pieceBytes = 64 << 10

// Pack puts a set together: its header as a line of JSON, then the texts one behind the other, all compressed. step is
// called between pieces of the work.
func Pack(s Set, step func()) ([]byte, error) {
	s.Format = 1
	for i := range s.Texts {
		s.Texts[i].Size = len(s.Texts[i].Text)
	}
	head, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	_, err = z.Write(append(head, '\n'))
	for i := 0; err == nil && i < len(s.Texts); i++ {
		for piece := range slices.Chunk(s.Texts[i].Text, pieceBytes) {
			if _, err = z.Write(piece); err != nil {
				break
			}
			step()
		}
	}
	if err == nil {
		err = z.Close()
	}
	return out.Bytes(), err
}

// Unpack takes a set apart again.
func Unpack(packed []byte) (s Set, err error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return s, fmt.Errorf("reading the rules in force: %w", err)
	}
	r := bufio.NewReader(io.LimitReader(z, most))
	head, err := r.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(head, &s)
	}
	if err != nil || s.Format != 1 {
		return s, fmt.Errorf("reading the rules in force: format %d: %w", s.Format, err)
	}
	for i := range s.Texts {
		t := &s.Texts[i]
		if t.Size < 0 || t.Size > most {
			return s, fmt.Errorf("reading the rules in force: a text of %d bytes", t.Size)
		}
		if t.Text, err = io.ReadAll(io.LimitReader(r, int64(t.Size))); err != nil || len(t.Text) < t.Size {
			return s, fmt.Errorf("reading the rules in force: %d of %d bytes of %s: %w", len(t.Text), t.Size, t.Name, err)
		}
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n > 0 { // the checksum stands at the very end
		return s, fmt.Errorf("reading the rules in force: %d bytes too many: %w", n, err)
	}
	return s, nil
}
