// Package listing prints tables as text, as people and scripts read them.
//
// # Example
//
//	listing.Write(os.Stdout, pods, db.Snapshot())
//
//	NAME  NODE
//	web   a
//	db    -
package listing

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"

	"weftnet.io/weftnet/internal/state"
)

// Write writes a table as aligned text: a line of column names, a line per row in key order, two spaces between
// columns, "-" for an empty cell.
func Write(w io.Writer, t state.AnyTable, s *state.Snapshot) error {
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
