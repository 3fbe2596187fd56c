package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Connection is one cell of the matrix: from a tier to a port of another tier.
type Connection struct{ From, To, Port string }

func (c Connection) String() string { return c.From + " -> " + c.To + ":" + c.Port }

// parseOpen reads lines like "web -> database:5432". Text after # is a comment.
func parseOpen(text string) (map[Connection]bool, error) {
	out := map[Connection]bool{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		from, target, ok := strings.Cut(line, " -> ")
		to, port, ok2 := strings.Cut(target, ":")
		if !ok || !ok2 {
			return nil, fmt.Errorf("%q: want FROM -> TO:PORT", line)
		}
		out[Connection{strings.TrimSpace(from), to, port}] = true
	}
	return out, nil
}

// Way is how a connection is made: to the pod or to its service, over which family.
type Way struct {
	Service bool
	V6      bool
}

func (w Way) String() string {
	s := "pod"
	if w.Service {
		s = "service"
	}
	if w.V6 {
		return s + " IPv6"
	}
	return s + " IPv4"
}

// Outcome of one dial.
type Outcome int

// Outcomes. Wrong means that another pod answered than was asked.
const (
	NotDialled Outcome = iota
	Open
	Blocked
	Refused
	Wrong
)

func (o Outcome) mark() string { return [...]string{" ", "●", "·", "R", "?"}[o] }

// Result of one dial, with what is worth knowing beside the outcome.
type Result struct {
	Outcome Outcome
	Detail  string
}

// Matrix holds the result of every dial.
type Matrix map[Connection]map[Way]Result

const legend = "● open   · blocked   R refused   ? another pod answered"

// Print writes the matrix as a table. Each cell shows the ways in order.
func (m Matrix) Print(out io.Writer, ways []Way) {
	var from, to []string
	for c := range m {
		if !slices.Contains(from, c.From) {
			from = append(from, c.From)
		}
		if t := c.To + ":" + c.Port; !slices.Contains(to, t) {
			to = append(to, t)
		}
	}
	slices.Sort(from)
	slices.Sort(to)
	fmt.Fprintf(out, "%-12s", "from \\ to")
	for _, t := range to {
		fmt.Fprintf(out, " %-14s", t)
	}
	fmt.Fprintln(out)
	for _, f := range from {
		fmt.Fprintf(out, "%-12s", f)
		for _, t := range to {
			name, port, _ := strings.Cut(t, ":")
			cell, width := "-", 1
			if results, ok := m[Connection{f, name, port}]; ok {
				cell, width = "", len(ways)
				for _, w := range ways {
					cell += results[w].Outcome.mark()
				}
			}
			fmt.Fprintf(out, " %s%s", cell, strings.Repeat(" ", 14-width))
		}
		fmt.Fprintln(out)
	}
	var names []string
	for _, w := range ways {
		names = append(names, w.String())
	}
	fmt.Fprintf(out, "each cell: %s;  %s\n", strings.Join(names, ", "), legend)
}

// Differences lists every dial whose outcome is not what open says, sorted. With nil, everything should be open.
func (m Matrix) Differences(open map[Connection]bool) []string {
	var out []string
	for c, results := range m {
		for w, r := range results {
			want := Blocked
			if open == nil || open[c] {
				want = Open
			}
			if r.Outcome != want {
				verb := map[Outcome]string{Open: "open", Blocked: "blocked"}[want]
				out = append(out, fmt.Sprintf("%s by %s: should be %s: %s", c, w, verb, r.Detail))
			}
		}
	}
	slices.Sort(out)
	return out
}

// unknown lists connections in open that the matrix does not have: a misspelt line would otherwise do nothing.
func (m Matrix) unknown(open map[Connection]bool) []string {
	var out []string
	for c := range open {
		if _, ok := m[c]; !ok {
			out = append(out, c.String())
		}
	}
	slices.Sort(out)
	return out
}
