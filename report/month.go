package report

import (
	"fmt"
	"time"

	"github.com/dejpha/dejpha/claim"
)

// MonthLayout is how a month is written: 2026-11.
const MonthLayout = "2006-01"

// Month is the window of a month, UTC, and its name. The error is for a person.
func Month(text string) (claim.Window, string, error) {
	t, err := time.Parse(MonthLayout, text)
	if err != nil {
		return claim.Window{}, "", fmt.Errorf("%q: no month; write it as 2026-11", text)
	}
	return claim.Window{From: claim.TimeOf(t), To: claim.TimeOf(t.AddDate(0, 1, 0))}, t.Format("January 2006"), nil
}
