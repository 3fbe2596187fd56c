package metric

import (
	"strings"
	"testing"
)

func text(list []Metric) string {
	words := make([]string, len(list))
	for i, m := range list {
		words[i] = m.String()
	}
	return strings.Join(words, " ")
}

func TestAListIsReadHoweverItIsWritten(t *testing.T) {
	const want = "dns:query;ignoreaaaa drop tcp"
	for _, form := range []string{
		"dns:query;ignoreAAAA drop tcp",           // >- in YAML
		"dns:query;ignoreAAAA\ndrop\ntcp\n",       // |
		"- dns:query;ignoreAAAA\n- drop\n- tcp\n", // a list of lines
		"  dns:query;ignoreAAAA   drop,tcp",       // commas between names
		`["drop","dns:query;ignoreAAAA"] tcp`,     // JSON
	} {
		list, err := Parse(form)
		if err != nil {
			t.Errorf("%q: %v", form, err)
		}
		if have := text(list); have != want && have != "drop dns:query;ignoreaaaa tcp" {
			t.Errorf("%q is %q, want %q", form, have, want)
		}
	}
}

func TestOptionsHaveValues(t *testing.T) {
	list, err := Parse("httpV2:exemplars=true;sourceContext=workload-name|IP;labelsContext=source_ip,source_namespace,traffic_direction port-distribution")
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	if have := list[0].String(); have != "httpV2:exemplars=true;sourcecontext=workload-name|ip;labelscontext=source_ip,source_namespace,traffic_direction" {
		t.Error(have)
	}
}

func TestWhatMakesNoSenseIsLeftOutAndNamed(t *testing.T) {
	for _, c := range []struct{ in, out, says string }{
		{"drop fires tcp", "drop tcp", `"fires" is no metric: there are dns, drop,`},
		{"drop:sourceContext=colour tcp", "tcp", `drop: sourceContext has "colour": it takes identity, namespace,`},
		{"drop:labelsContext=source_colour", "", `drop: labelsContext has "source_colour"`},
		{"drop:sourceContext", "", "drop: sourceContext has no value"},
		{"tcp:query", "", `tcp has no option "query"`},
		{"tcp tcp:sourceContext=pod", "tcp", "tcp is there twice"},
		{"http httpV2", "http", "http and httpV2 count the same"},
		{"dns:query;query", "", "dns has query twice"},
		{"", "", ""},
	} {
		list, err := Parse(c.in)
		if have := text(list); have != c.out {
			t.Errorf("%q is %q, want %q", c.in, have, c.out)
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want %q", c.in, err, c.says)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("dns:query;ignoreAAAA drop:sourceContext=pod|ip - a,b")
	f.Fuzz(func(t *testing.T, in string) {
		list, _ := Parse(in)
		again, err := Parse(text(list))
		if err != nil || text(again) != text(list) {
			t.Errorf("%q reads as %q, and that as %q (%v)", in, text(list), text(again), err)
		}
	})
}
