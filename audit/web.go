package audit

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/dejpha/dejpha/evidence"
)

// Web is a log that is served as C2SP's tlog-tiles, below an address without its last slash.
type Web struct {
	Address string
	Client  *http.Client // nil: one that waits 30 s for an answer
}

// errNotThere is an answer of 404.
var errNotThere = errors.New("the server does not have it")

const answerWait = 30 * time.Second

// Tile fetches a tile.
func (w *Web) Tile(_ int64, level int, n, width int64) ([]byte, error) {
	b, err := w.part(fmt.Sprintf("/tile/%d/", level), n, width, evidence.TileWidth*32)
	return b[:min(int64(len(b)), width*32)], err
}

// Bundle fetches entries.
func (w *Web) Bundle(_, n, width int64) ([]byte, error) {
	b, err := w.part("/tile/entries/", n, width, bundleMax)
	if err != nil {
		return nil, err
	}
	end := 0 // of the leaves that were asked for, where there are more by now
	for range width {
		if end+2 > len(b) {
			break
		}
		end += 2 + int(b[end])<<8 + int(b[end+1])
	}
	return b[:min(end, len(b))], nil
}

// part fetches a partial tile, or the whole one that has come of it.
func (w *Web) part(under string, n, width int64, most int64) ([]byte, error) {
	path := under + tileName(n)
	if width < evidence.TileWidth {
		b, err := w.get(fmt.Sprintf("%s.p/%d", path, width), most)
		if !errors.Is(err, errNotThere) {
			return b, err
		}
	}
	return w.get(path, most)
}

// tileName writes a number in elements of three digits, all but the last with an x before them.
func tileName(n int64) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	return name
}

func (w *Web) get(path string, most int64) ([]byte, error) {
	c := w.Client
	if c == nil {
		c = &http.Client{Timeout: answerWait}
	}
	answer, err := c.Get(strings.TrimSuffix(w.Address, "/") + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%s: %w", path, errNotThere)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: the server answers %s", path, answer.Status)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s: more than the %d bytes that it can have", path, most)
	}
	return b, err
}
