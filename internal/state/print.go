package state

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"
)

// Fprint writes a table as aligned text: a line of column names, a line per row in key order, two spaces between
// columns, "-" for an empty cell. The CLI, bug reports and scripts all show tables this way.
func Fprint(w io.Writer, t AnyTable, s *Snapshot) error {
	lines := [][]string{t.Header()}
	for _, r := range t.Rows(s) {
		lines = append(lines, r.Row())
	}
	var width []int
	for _, cells := range lines {
		for i, c := range cells {
			if i == len(width) {
				width = append(width, 1)
			}
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	out := bufio.NewWriter(w)
	for _, cells := range lines {
		for i, c := range cells {
			if c == "" {
				c = "-"
			}
			out.WriteString(c)
			if i < len(cells)-1 {
				out.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+2))
			}
		}
		out.WriteByte('\n')
	}
	return out.Flush()
}
