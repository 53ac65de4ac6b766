package audit

import (
	"fmt"
	"math"
)

// confidence is how sure a bound is.
const confidence = 0.95

// missed is the chance that none of drawn things, drawn without replacement from all, is among bad of them.
func missed(all, drawn, bad uint64) float64 {
	if bad > all-drawn {
		return 0
	}
	ln := 0.0
	for i := range min(drawn, bad) { // (all-drawn choose bad)/(all choose bad), whichever product is shorter
		ln += math.Log1p(-float64(max(drawn, bad)) / float64(all-i))
	}
	return math.Exp(ln)
}

// fewerThan is the bound that a sample without a find shows: at the confidence, fewer than so many of all are bad.
// Drawing without replacement is reckoned exactly; for a small part of all it is 1-(1-e)^drawn >= 0.95.
func fewerThan(all, drawn uint64) uint64 {
	low, high := uint64(0), all // missed(low) is above what may be, missed(high) is not
	for high-low > 1 {
		mid := low + (high-low)/2
		if missed(all, drawn, mid) > 1-confidence {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// bound says what a sample without a find shows.
func bound(all, drawn uint64, things, bad string) string {
	switch {
	case all == 0:
		return ""
	case drawn >= all:
		return fmt.Sprintf("every one of the %s was looked at: none %s", things, bad)
	case drawn == 0:
		return fmt.Sprintf("none of the %s was looked at: nothing is shown of them", things)
	}
	n := fewerThan(all, drawn)
	return fmt.Sprintf("with %.0f %% confidence fewer than %s (%s of %s) of the %s %s", 100*confidence, percent(n, all), number(n), number(all), things, bad)
}

// percent is a part in percent, to two digits that count, rounded up: a bound must not be told too low.
func percent(n, all uint64) string {
	p := 100 * float64(n) / float64(all)
	unit := math.Pow(10, math.Floor(math.Log10(p))-1)
	return fmt.Sprintf("%.*f %%", max(0, int(-math.Floor(math.Log10(unit)))), math.Ceil(p/unit-1e-9)*unit)
}

// number has a comma before each three digits.
func number(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
