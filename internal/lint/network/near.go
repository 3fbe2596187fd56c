package network

import (
	"maps"
	"slices"
	"strings"
)

// nearest is the word of a list that another was probably meant to be; empty: none is near.
func nearest(word string, list []string) string {
	best, least := "", 3
	for _, one := range list {
		if d := distance(word, one); d < least && d*3 <= len(word) {
			best, least = one, d
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or changed to make one word of another (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			here := before
			if a[i] != b[j] {
				here = min(before, row[j], row[j+1]) + 1
			}
			before, row[j+1] = row[j+1], here
		}
	}
	return row[len(b)]
}

// near are the definitions that a name may have meant: of the same name elsewhere, and of a similar name in its namespace.
func (c *checker) near(in, name string) (elsewhere, similar []*definition) {
	for _, key := range slices.Sorted(maps.Keys(c.definitions)) {
		d := c.definitions[key]
		switch {
		case d.Name == name && d.Namespace != in:
			elsewhere = append(elsewhere, d)
		case d.Namespace == in && alike(d.Name, name):
			similar = append(similar, d)
		}
	}
	return elsewhere, similar
}

// alike tells whether one name may have been written for another: few letters differ, or one is the other cut short.
func alike(a, b string) bool {
	d := distance(a, b)
	return d <= 2 && d*3 <= len(b) || strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

func titles(list []*definition) string {
	var names []string
	for _, d := range list {
		names = append(names, d.title())
	}
	return strings.Join(names, " or ")
}
