// Package tiles serves a log to whoever wants to check it, as C2SP's tlog-tiles: its checkpoint, its tree's hashes and
// its entries, under paths that never change their content.
//
// In: a log's folder, also while it is written. Out: GET /checkpoint, /cosigned, /tile/L/N, /tile/entries/N, partial ones
// too. Called by cmd. What is private of a log (who, packets, seeds, keys) is not served, nor is any other file.
package tiles

import (
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/evidence"
)

// Handler serves the log of folder dir below any prefix that a proxy leaves away.
func Handler(dir string) http.Handler {
	s := &server{dir: dir, busy: make(chan struct{}, requestsMax)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkpoint", s.bounded(s.checkpoint))
	mux.HandleFunc("GET /cosigned", s.bounded(s.cosigned))
	mux.HandleFunc("GET /tile/{level}/{name...}", s.bounded(s.tile))
	return mux
}

// requestsMax is how many requests are answered at a time.
const requestsMax = 32

type server struct {
	dir  string
	busy chan struct{}
}

func (s *server) bounded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.busy <- struct{}{}:
			defer func() { <-s.busy }()
			w.Header().Set("X-Content-Type-Options", "nosniff")
			h(w, r)
		case <-r.Context().Done():
		}
	}
}

func (s *server) checkpoint(w http.ResponseWriter, _ *http.Request) {
	p, err := evidence.ReadHead(s.dir)
	if err != nil {
		fail(w, err)
		return
	}
	head(w, p.Note)
}

func (s *server) cosigned(w http.ResponseWriter, _ *http.Request) {
	b, err := evidence.ReadCosigned(s.dir)
	switch {
	case err != nil:
		fail(w, err)
	case b == nil:
		http.Error(w, "no witness has cosigned this log yet", http.StatusNotFound)
	default:
		head(w, b)
	}
}

func head(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(b)
}

func (s *server) tile(w http.ResponseWriter, r *http.Request) {
	n, width, ok := parseTile(r.PathValue("name"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	p, err := evidence.ReadHead(s.dir)
	if err != nil {
		fail(w, err)
		return
	}
	var b []byte
	if level := r.PathValue("level"); level == "entries" {
		b, err = evidence.ReadBundle(s.dir, p.Size, n, width)
	} else if l, perr := strconv.ParseUint(level, 10, 6); perr == nil && strconv.FormatUint(l, 10) == level {
		b, err = evidence.ReadTile(s.dir, p.Size, int(l), n, width)
	} else {
		err = evidence.ErrNoTile
	}
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(b)
}

// parseTile reads a tile's number from elements of three digits, all but the last with an x before them, and its width.
func parseTile(name string) (n, width int64, ok bool) {
	width = evidence.TileWidth
	if at := strings.Index(name, ".p/"); at >= 0 {
		w, err := strconv.ParseInt(name[at+3:], 10, 16)
		if err != nil || w < 1 || w >= width || strconv.FormatInt(w, 10) != name[at+3:] {
			return 0, 0, false
		}
		name, width = name[:at], w
	}
	parts := strings.Split(name, "/")
	if len(parts) > partsMax {
		return 0, 0, false
	}
	for i, p := range parts {
		if i < len(parts)-1 {
			if p, ok = strings.CutPrefix(p, "x"); !ok {
				return 0, 0, false
			}
		}
		d, err := strconv.ParseUint(p, 10, 16)
		if err != nil || len(p) != 3 || i == 0 && d == 0 && len(parts) > 1 {
			return 0, 0, false
		}
		n = n*1000 + int64(d)
	}
	return n, width, true
}

// partsMax keeps a tile's number below 10^15.
const partsMax = 5

func fail(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, evidence.ErrNoTile):
		http.Error(w, "the log has no such tile", http.StatusNotFound)
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, "the log has no checkpoint yet", http.StatusNotFound)
	default:
		http.Error(w, "the log cannot be read", http.StatusInternalServerError)
	}
}
