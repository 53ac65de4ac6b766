package rule

import (
	"maps"
	"slices"
)

// Nearest returns the word closest to word by edit distance, "" if none is close.
func Nearest(word string, words []string) string {
	best, least := "", len(word)/2+1
	for _, w := range words {
		if abs(len(w)-len(word)) >= least {
			continue
		}
		if d := distance(word, w); d < least || d == least && best == "" {
			best, least = w, d
		}
	}
	return best
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// hint is `; did you mean "x"?`, or nothing.
func hint(word string, words []string) string {
	if n := Nearest(word, words); n != "" {
		return `; did you mean "` + n + `"?`
	}
	return ""
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
