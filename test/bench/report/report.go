// Package report writes what was measured: sections of docs/benchmarks.md, each with its targets, tables and chart.
//
// # The world it models
//
//	row --measured--> Section{Targets, Tables, Notes, Chart} --Publish--> between two marks of a file, and a chart beside it
//
// # Invariants
//
//   - What is compared is measured in rounds: a ratio is the median of the rounds' ratios, never one of two medians.
//   - A section replaces its former self and nothing else; a file that has no place for it is an error.
//
// # Example
//
//	s := report.Section{Name: "memory", Title: "Memory of an agent"}
//	err := s.Publish("docs/benchmarks.md")
package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/test/bench/chart"
)

// Section is what a row has to tell.
type Section struct {
	Name, Title      string
	Machine, Command string
	Tables           []Table
	Chart            chart.Chart
	Notes            []string
	Targets          []Target
}

// Table is one of Markdown. All columns but the first hold numbers.
type Table struct {
	Header []string
	Rows   [][]string
}

// Target is what was aimed at, and what came of it.
type Target struct {
	What, Aim, Got string
	Met            bool
}

// Machine says in one line where and when this was measured.
func Machine() string {
	var name unix.Utsname
	_ = unix.Uname(&name) // cannot fail on Linux
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	load, _ := os.ReadFile("/proc/loadavg") // a line without it does
	average, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%d × %s, Linux %s, %s; %s; load average before: %s", runtime.NumCPU(), model,
		unix.ByteSliceToString(name.Release[:]), runtime.Version(), time.Now().UTC().Format("2006-01-02 15:04 UTC"), average)
}

// Median is the one in the middle.
func Median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	if len(s) == 0 {
		return 0
	}
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// Quantile is the least value that a share of the values does not exceed.
func Quantile(list []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(list))
	if len(s) == 0 {
		return 0
	}
	return s[max(0, min(len(s)-1, int(float64(len(s))*q+0.999999)-1))]
}

// Ratio is the median of the rounds' ratios.
func Ratio(a, b []float64) float64 {
	list := make([]float64, len(a))
	for i := range a {
		list[i] = a[i] / b[i]
	}
	return Median(list)
}

func (t Table) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "| %s |\n|---|%s\n", strings.Join(t.Header, " | "), strings.Repeat("--:|", len(t.Header)-1))
	for _, r := range t.Rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(r, " | "))
	}
	b.WriteString("\n")
}

// markdown is the section; picture is the path of its chart, from where the text stands.
func (s Section) markdown(picture string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", s.Title)
	if len(s.Targets) > 0 {
		t := Table{Header: []string{"target", "aim", "measured", "met"}}
		for _, x := range s.Targets {
			t.Rows = append(t.Rows, []string{x.What, x.Aim, x.Got, map[bool]string{true: "yes", false: "**no**"}[x.Met]})
		}
		t.markdown(&b)
	}
	for _, t := range s.Tables {
		t.markdown(&b)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(&b, "%s\n\n", n)
	}
	if len(s.Chart.Groups) > 0 {
		fmt.Fprintf(&b, "![%s](%s)\n\n", s.Title, picture)
	}
	fmt.Fprintf(&b, "`%s` on %s\n", s.Command, s.Machine)
	return b.String()
}

// Publish puts the section in its place in a file, between two marks, and the chart beside it; without a file it prints.
func (s Section) Publish(file string) error {
	if file == "" {
		_, err := os.Stdout.WriteString(s.markdown("-") + "\n")
		return err
	}
	picture := filepath.Join("benchmarks", s.Name+".svg")
	begin, end := fmt.Sprintf("<!-- test/bench writes: %s -->\n", s.Name), fmt.Sprintf("<!-- end of %s -->\n", s.Name)
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(old, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return fmt.Errorf("write section %s: %s has not the lines %q and %q, between which it stands", s.Name, file, begin, end)
	}
	if len(s.Chart.Groups) > 0 {
		path := filepath.Join(filepath.Dir(file), picture)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, s.Chart.SVG(), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(file, slices.Concat(before, []byte(begin+"\n"+s.markdown(picture)+"\n"+end), after), 0o644)
}

// Aimed is a target.
func Aimed(what, aim, got string, met bool) Target { return Target{what, aim, got, met} }
