package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAPictureIsWellFormedAndShowsEachName(t *testing.T) {
	svg := Chart{Title: "a < b & c", Groups: []Group{{
		Name: "speed", Unit: "Gbit/s", Target: 9,
		Bars: []Bar{{Name: "ours", Value: 7.25, Least: 6, Most: 10, Ours: true}, {Name: "<theirs>", Value: 0}},
	}}}.SVG()
	var shown []string
	in := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if chars, ok := token.(xml.CharData); ok && strings.TrimSpace(string(chars)) != "" {
			shown = append(shown, string(chars))
		}
	}
	if got, want := strings.Join(shown, "|"), "a < b & c|speed, Gbit/s|ours|7.25|<theirs>|0.000"; got != want {
		t.Errorf("it shows %s, want %s", got, want)
	}
}

func TestBarsKeepTheirProportions(t *testing.T) {
	svg := string(Chart{Groups: []Group{{Bars: []Bar{{Name: "a", Value: 5}, {Name: "b", Value: 10}}}}}.SVG())
	for _, want := range []string{`width="195.0" height="18"`, `width="390.0" height="18"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("no bar with %s in\n%s", want, svg)
		}
	}
}

func TestAFigureHasThreeSignificantDigitsOrMore(t *testing.T) {
	for v, want := range map[float64]string{12345.6: "12346", 99.96: "100.0", 12.34: "12.3", 1.234: "1.23", 0.9555: "0.956"} {
		if got := Figure(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}
