package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/console/place"
	reports "github.com/dejpha/dejpha/report"
	"github.com/dejpha/dejpha/shield"
)

type reportCmd struct {
	Dir       string `short:"d" required:"" placeholder:"DIR" help:"The folder of a log (evidence), or the folder it lies in."`
	Month     string `placeholder:"YYYY-MM" help:"The month, UTC."`
	From      string `placeholder:"TIME" help:"Begin of the window instead, UTC: 2026-11-01, 2026-11-01T08:30. Default the log's begin."`
	To        string `placeholder:"TIME" help:"End of the window. Default the log's end."`
	Out       string `short:"o" required:"" placeholder:"FILE.html" help:"Write the page there, and the same as JSON beside it."`
	JSON      string `name:"json" placeholder:"FILE" help:"Write the JSON there instead."`
	Origins   string `enum:"none,country,prefix,address" default:"country" help:"What the report shows of origins: ${enum}. Default ${default}."`
	Targets   string `enum:"none,port,group,address" default:"group" help:"What it shows of targets: ${enum}. Default ${default}."`
	Top       int    `default:"20" placeholder:"N" help:"Rows of a table; the rest is counted in one. Default ${default}."`
	Countries string `placeholder:"FILE.mmdb" help:"A database of countries instead of the built-in one."`
}

// Help is shown by report -h.
func (reportCmd) Help() string {
	return "Example: dejpha report --month 2026-11 -d out -o november.html"
}

const topMax = 1000

// Run writes the report of a window.
func (c *reportCmd) Run(w *world) error {
	if c.Top < 1 || c.Top > topMax {
		return usage("--top %d: a table has 1 to %d rows", c.Top, topMax)
	}
	dir := shield.EvidenceFolder(c.Dir)
	window, title, err := c.window(dir)
	if err != nil {
		return err
	}
	places, err := place.Open(c.Countries)
	if err != nil {
		return usage("--countries: %v", err)
	}
	defer places.Close()
	r, err := reports.Make(dir, reports.Options{Window: window, Title: title, Origins: c.Origins, Targets: c.Targets, Top: c.Top, Country: places.Country, CountryName: places.Name()})
	if err != nil {
		return noLog(c.Dir, err)
	}
	var page, text bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		return err
	}
	if err := r.WriteJSON(&text); err != nil {
		return err
	}
	beside := c.JSON
	if beside == "" {
		beside = strings.TrimSuffix(c.Out, filepath.Ext(c.Out)) + ".json"
	}
	if filepath.Clean(beside) == filepath.Clean(c.Out) {
		return usage("-o %s: the page and its JSON would be one file; name the page .html", c.Out)
	}
	for _, x := range []struct {
		path string
		b    []byte
	}{{c.Out, page.Bytes()}, {beside, text.Bytes()}} {
		if err := os.WriteFile(x.path, x.b, 0o644); err != nil {
			return fmt.Errorf("cannot write the report: %w", err)
		}
	}
	fmt.Fprintf(w.stdout, "%s\n%s and %s written\n", r.Claim.Sentence, c.Out, beside)
	return nil
}

// window is the one that was asked for, and its name.
func (c *reportCmd) window(dir string) (claim.Window, string, error) {
	if c.Month != "" {
		if c.From != "" || c.To != "" {
			return claim.Window{}, "", usage("give --month, or --from and --to, not both")
		}
		window, title, err := reports.Month(c.Month)
		if err != nil {
			err = usage("--month %v", err)
		}
		return window, title, err
	}
	window, err := claim.Whole(dir)
	if err != nil {
		return window, "", noLog(c.Dir, err)
	}
	for _, x := range []struct {
		flag, text string
		to         *claim.Time
	}{{"--from", c.From, &window.From}, {"--to", c.To, &window.To}} {
		if x.text != "" {
			if *x.to, err = moment(x.flag, x.text); err != nil {
				return window, "", err
			}
		}
	}
	const layout = "2 January 2006 15:04"
	return window, window.From.Go().UTC().Format(layout) + " to " + window.To.Go().UTC().Format(layout), nil
}
