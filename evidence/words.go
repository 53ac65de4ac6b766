package evidence

import (
	"fmt"
	"path/filepath"

	"github.com/dejpha/dejpha/evidence/segment"
)

// Texts that come with many attacks, which are the rules' messages, are held once in the store words, framed as entries
// are, and named by their positions. What they say of an attack is bound by its commitment, as all of a private part is.
const (
	wordsMax = 1 << 16 // texts; later ones stand in the private parts
	wordMax  = 1 << 10 // bytes
)

// openWords reads the texts that are there. After broken bytes, which a crash left, it goes on in a new file.
func (l *Log) openWords() (err error) {
	dir := filepath.Join(l.dir, "words")
	if l.words, err = segment.Open(l.disk, dir); err != nil {
		return err
	}
	l.wordAt = map[string]uint64{}
	if l.opt.discard {
		return l.words.Roll()
	}
	list, err := segment.List(dir)
	if err != nil {
		return err
	}
	at := segment.Scanned{}
	for _, n := range list {
		at.Pos, at.Bad = segment.Position(n, 0), false
		err := segment.ScanFile(segment.Name(dir, n), 0, &at, func(_ int64, pos uint64, text []byte) error {
			l.wordAt[string(text)] = pos
			return nil
		})
		if err != nil {
			return err
		}
	}
	if at.Bad {
		return l.words.Roll()
	}
	return nil
}

// word is where a text lies; false: it is to stand where it is used. An error of the disk is kept for the next write.
func (l *Log) word(text string) (uint64, bool) {
	at, ok := l.wordAt[text]
	if ok || text == "" || len(text) > wordMax || len(l.wordAt) >= wordsMax {
		return at, ok
	}
	l.beforeRoll(l.words)
	at, err := l.words.Entry([]byte(text))
	if l.keep(err) != nil {
		return 0, false
	}
	l.wordAt[text] = at
	return at, true
}

// wordReader finds texts again.
type wordReader struct {
	dir string // of the log
	got map[uint64]string
}

func (w *wordReader) at(pos uint64) (string, error) {
	if s, ok := w.got[pos]; ok {
		return s, nil
	}
	b, err := segment.ReadEntry(filepath.Join(w.dir, "words"), pos, wordMax)
	if err != nil {
		return "", fmt.Errorf("reading a rule's message: %w", err)
	}
	s := string(b)
	if w.got == nil {
		w.got = map[uint64]string{}
	}
	if len(w.got) < wordsMax {
		w.got[pos] = s
	}
	return s, nil
}
