// Package chart draws bar charts as SVG, to be shown beside a table in a Markdown file.
//
// # The world it models
//
//	Title
//	group   name   ########## 12.3 unit
//	        name   ######     7.4 unit
//
// Bars lie on their side, so that names have room. A bar may have a whisker from its least to its most, and a chart a
// line that marks a target.
//
// # Invariants
//
//   - The picture is a function of the chart: equal charts give equal bytes, and a diff shows what changed.
//   - Colours are readable on light and dark pages.
//
// # Example
//
//	svg := chart.Chart{Title: "Throughput", Unit: "Gbit/s", Groups: []chart.Group{{Name: "TCP", Bars: bars}}}.SVG()
package chart

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bar is one value.
type Bar struct {
	Name        string
	Value       float64
	Least, Most float64 // the whisker; both 0: none
	Ours        bool    // drawn in the colour that stands out
}

// Group is bars that are compared with each other, on a scale of their own.
type Group struct {
	Name   string
	Unit   string
	Bars   []Bar
	Target float64 // a line; 0: none
}

// Chart is a picture.
type Chart struct {
	Title  string
	Groups []Group
}

// Sizes in pixels.
const (
	width     = 760
	labels    = 250 // names
	figures   = 120 // values, right of the bars
	barHeight = 18
	barGap    = 6
	groupHead = 26
	groupGap  = 14
	titleRoom = 34
)

// SVG draws the chart.
func (c Chart) SVG() []byte {
	height := titleRoom
	for _, g := range c.Groups {
		height += groupHead + len(g.Bars)*(barHeight+barGap) + groupGap
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	text(&b, 12, 22, "start", `font-size="15" font-weight="bold"`, c.Title)
	y := titleRoom
	for _, g := range c.Groups {
		y = g.draw(&b, y)
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

func (g Group) draw(b *strings.Builder, y int) int {
	most := g.Target
	for _, bar := range g.Bars {
		most = max(most, bar.Value, bar.Most)
	}
	if most == 0 {
		most = 1
	}
	room := float64(width - labels - figures)
	at := func(v float64) float64 { return float64(labels) + v/most*room }
	title := g.Name
	if g.Unit != "" {
		title += ", " + g.Unit
	}
	text(b, 12, y+16, "start", `font-weight="bold"`, title)
	y += groupHead
	top := y
	for _, bar := range g.Bars {
		colour := "#9aa5b1"
		if bar.Ours {
			colour = "#2f7d8c"
		}
		middle := float64(y) + barHeight/2.0
		text(b, labels-8, y+13, "end", "", bar.Name)
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", labels, y, at(bar.Value)-labels, barHeight, colour)
		end := at(bar.Value)
		if bar.Most > 0 {
			fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8" stroke="#33404d" fill="none"/>`+"\n",
				at(bar.Least), middle, at(bar.Most), at(bar.Least), middle-4, at(bar.Most), middle-4)
			end = max(end, at(bar.Most))
		}
		text(b, int(end)+6, y+13, "start", "", Figure(bar.Value))
		y += barHeight + barGap
	}
	if g.Target > 0 {
		fmt.Fprintf(b, `<path d="M%.1f %dV%d" stroke="#c0392b" stroke-dasharray="4 3"/>`+"\n", at(g.Target), top-4, y)
	}
	return y + groupGap
}

func text(b *strings.Builder, x, y int, anchor, more, s string) {
	if more != "" {
		more = " " + more
	}
	s = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="%s" fill="#1f2933"%s>%s</text>`+"\n", x, y, anchor, more, s)
}

// Figure writes a value with three significant digits, and all digits before the point.
func Figure(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}
