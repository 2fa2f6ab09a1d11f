package httpapi

import "strings"

// nearest returns the known name that somebody who wrote name most likely
// meant, or nothing.
func nearest(name string, known []string) string {
	const most = 3 // changes; more is another word
	if len(name) > 64 {
		return ""
	}
	best, least := "", most+1
	for _, k := range known {
		if strings.EqualFold(strings.ReplaceAll(k, "_", ""), strings.NewReplacer("_", "", "-", "").Replace(name)) {
			return k // maxTokens, Max-Tokens
		}
		// A word that keeps nothing of the other is no misspelling of it.
		if d := distance(name, k); d < least && d < len(k)/2+1 {
			best, least = k, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete or replace to make a into b.
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
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
