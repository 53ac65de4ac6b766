package rule

import (
	"maps"
	"slices"
)

// longestWord keeps a hint cheap: no keyword is as long, and the time grows with the word.
const longestWord = 64

// Nearest returns the word closest to word by edit distance, "" if none is close.
func Nearest(word string, words []string) string {
	if len(word) > longestWord {
		return ""
	}
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

// distance counts the insertions, deletions, changes and swaps of neighbours from a to b.
func distance(a, b string) int {
	row, above, before := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, above, row = above, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := above[j-1]
			if a[i-1] != b[j-1] {
				cost++
			}
			row[j] = min(cost, above[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
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
