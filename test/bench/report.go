package main

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

// section is what a row has to tell.
type section struct {
	name, title      string
	machine, command string
	tables           []table
	chart            chart.Chart
	notes            []string
	targets          []target
}

// table is one of Markdown. All columns but the first hold numbers.
type table struct {
	header []string
	rows   [][]string
}

// target is what was aimed at, and what came of it.
type target struct {
	what, aim, got string
	met            bool
}

// machine says in one line where and when this was measured.
func machine() string {
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

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	if len(s) == 0 {
		return 0
	}
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// quantile is the least value that a share of the values does not exceed.
func quantile(list []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(list))
	if len(s) == 0 {
		return 0
	}
	return s[max(0, min(len(s)-1, int(float64(len(s))*q+0.999999)-1))]
}

// ratio is the median of the rounds' ratios.
func ratio(a, b []float64) float64 {
	list := make([]float64, len(a))
	for i := range a {
		list[i] = a[i] / b[i]
	}
	return median(list)
}

func (t table) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "| %s |\n|---|%s\n", strings.Join(t.header, " | "), strings.Repeat("--:|", len(t.header)-1))
	for _, r := range t.rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(r, " | "))
	}
	b.WriteString("\n")
}

// markdown is the section; picture is the path of its chart, from where the text stands.
func (s section) markdown(picture string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", s.title)
	if len(s.targets) > 0 {
		t := table{header: []string{"target", "aim", "measured", "met"}}
		for _, x := range s.targets {
			t.rows = append(t.rows, []string{x.what, x.aim, x.got, map[bool]string{true: "yes", false: "**no**"}[x.met]})
		}
		t.markdown(&b)
	}
	for _, t := range s.tables {
		t.markdown(&b)
	}
	for _, n := range s.notes {
		fmt.Fprintf(&b, "%s\n\n", n)
	}
	if len(s.chart.Groups) > 0 {
		fmt.Fprintf(&b, "![%s](%s)\n\n", s.title, picture)
	}
	fmt.Fprintf(&b, "`%s` on %s\n", s.command, s.machine)
	return b.String()
}

// publish puts the section in its place in a file, between two marks, and the chart beside it; without a file it prints.
func (s section) publish(file string) error {
	if file == "" {
		_, err := os.Stdout.WriteString(s.markdown("-") + "\n")
		return err
	}
	picture := filepath.Join("benchmarks", s.name+".svg")
	begin, end := fmt.Sprintf("<!-- test/bench writes: %s -->\n", s.name), fmt.Sprintf("<!-- end of %s -->\n", s.name)
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(old, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return fmt.Errorf("write section %s: %s has not the lines %q and %q, between which it stands", s.name, file, begin, end)
	}
	if len(s.chart.Groups) > 0 {
		path := filepath.Join(filepath.Dir(file), picture)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, s.chart.SVG(), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(file, slices.Concat(before, []byte(begin+"\n"+s.markdown(picture)+"\n"+end), after), 0o644)
}
