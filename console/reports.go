package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/report"
)

// reportPolicy is for the page of a report: a document of its own, whose style stands in it, that loads nothing, runs
// nothing and may only save the claims that it holds.
const reportPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-downloads"

const (
	reportRows = 20  // of a table in a report
	monthsMost = 120 // listed
)

// reports makes reports of months, one at a time: a month of a million attacks takes seconds of a core. The last one
// stays, for its JSON is mostly asked for after its page.
type reports struct {
	turn  chan struct{} // room for one
	month string
	size  int64 // of the log that last is about, leaves
	last  *report.Report
}

// month is one that the log has something of.
type month struct {
	Month string `json:"month"` // 2026-11
	Name  string `json:"name"`
	Over  bool   `json:"over"` // the log goes on past its end
}

// months are those that the log has something of, the newest first.
func months(dir string) ([]month, error) {
	out := []month{}
	w, err := claim.Whole(dir)
	var outside *claim.OutsideError
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, &outside) { // nothing is sealed yet
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	begin, end := w.From.Go().UTC(), w.To.Go().UTC()
	at := time.Date(end.Year(), end.Month(), 1, 0, 0, 0, 0, time.UTC)
	for ; at.AddDate(0, 1, 0).After(begin) && len(out) < monthsMost; at = at.AddDate(0, -1, 0) {
		out = append(out, month{at.Format(report.MonthLayout), at.Format("January 2006"), !at.AddDate(0, 1, 0).After(end)})
	}
	return out, nil
}

func (c *Console) reportList(w http.ResponseWriter, _ *http.Request) {
	all, err := months(c.opt.Evidence)
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, map[string]any{"months": all})
}

// report is the one that a URL names, or nil after an answer.
func (c *Console) report(w http.ResponseWriter, r *http.Request) *report.Report {
	window, title, err := report.Month(r.PathValue("month"))
	if err != nil {
		fail(w, http.StatusNotFound, err.Error())
		return nil
	}
	made, err := c.reports.of(r.Context(), c.opt.Evidence, r.PathValue("month"), report.Options{
		Window: window, Title: title, Origins: "country", Targets: "group", Top: reportRows, Country: c.places.Country, CountryName: c.places.Name()})
	var outside *claim.OutsideError
	var empty *claim.WindowError
	switch {
	case errors.As(err, &outside) || errors.As(err, &empty) || errors.Is(err, fs.ErrNotExist):
		fail(w, http.StatusNotFound, "the log has nothing of "+title)
	case err != nil:
		fail(w, http.StatusInternalServerError, err.Error())
	}
	return made
}

// of makes a report when it is its turn, unless it is the last one and nothing was sealed since.
func (x *reports) of(ctx context.Context, dir, name string, opt report.Options) (*report.Report, error) {
	select {
	case x.turn <- struct{}{}:
		defer func() { <-x.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h, err := evidence.ReadHead(dir)
	if err != nil {
		return nil, err
	}
	if x.last != nil && x.month == name && x.size == h.Size {
		return x.last, nil
	}
	made, err := report.Make(dir, opt)
	if err == nil {
		x.month, x.size, x.last = name, made.Size, made
	}
	return made, err
}

func (c *Console) reportPage(w http.ResponseWriter, r *http.Request) {
	if made := c.report(w, r); made != nil {
		w.Header().Set("Content-Security-Policy", reportPolicy)
		sendReport(w, made.WriteHTML, "text/html; charset=utf-8", fmt.Sprintf(`inline; filename="report-%s.html"`, r.PathValue("month")))
	}
}

func (c *Console) reportJSON(w http.ResponseWriter, r *http.Request) {
	if made := c.report(w, r); made != nil {
		sendReport(w, made.WriteJSON, "application/json", fmt.Sprintf(`attachment; filename="report-%s.json"`, r.PathValue("month")))
	}
}

// sendReport answers with what write writes, whole or not at all.
func sendReport(w http.ResponseWriter, write func(io.Writer) error, media, disposition string) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Disposition", disposition)
	_, _ = w.Write(b.Bytes())
}
