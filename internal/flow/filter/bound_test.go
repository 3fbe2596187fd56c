package filter

import (
	"runtime"
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

func ofExpression(list ...string) *flowpb.FlowFilter {
	return &flowpb.FlowFilter{Experimental: &flowpb.FlowFilter_Experimental{CelExpression: list}}
}

func repeat(n int, f *flowpb.FlowFilter) (list []*flowpb.FlowFilter) {
	for range n {
		list = append(list, f)
	}
	return list
}

// Each of these took seconds or hundreds of megabytes: of a relay that all tenants share, by the right to see one namespace.
func TestNoRequestCostsMoreThanItsShare(t *testing.T) {
	large := strings.Repeat(`\pL{1000}`, 400)
	for name, c := range map[string]struct {
		filters []*flowpb.FlowFilter
		want    string
	}{
		"a million filters":          {repeat(1_000_000, &flowpb.FlowFilter{}), "whitelist: has 1000000 filters"},
		"a million values":           {[]*flowpb.FlowFilter{{SourcePod: strings.Split(strings.Repeat("a/b ", 1_000_000), " ")}}, "bytes, and may have"},
		"a large regular expression": {[]*flowpb.FlowFilter{{}, {HttpUrl: []string{large}}}, "whitelist[1].http_url: "},
		"many regular expressions":   {[]*flowpb.FlowFilter{{HttpPath: []string{"a{900}", "b{900}", "c{900}"}}}, "whitelist[0].http_path: "},
		"one of each field":          {[]*flowpb.FlowFilter{{HttpPath: []string{"a{900}"}}, {HttpUrl: []string{"b{900}"}}, {DnsQuery: []string{"c{900}"}}}, "whitelist[2].dns_query: "},
		"many classes":               {[]*flowpb.FlowFilter{{DnsQuery: []string{strings.Repeat(`\pL`, 2000)}}}, "whitelist[0].dns_query: "},
		"many expressions":           {[]*flowpb.FlowFilter{ofExpression(strings.Split(strings.Repeat("true ", 17), " ")[:17]...)}, "whitelist[0].experimental: "},
		"a pattern in an expression": {[]*flowpb.FlowFilter{ofExpression(`_flow.uuid.matches(r"` + large + `")`)}, "whitelist[0].experimental: cel_expression[0]: "},
		"a pattern that is made":     {[]*flowpb.FlowFilter{ofExpression(`_flow.uuid.matches("a{900}" + "b{900}" + _flow.node_name)`)}, "a pattern must be written out"},
		"of a function":              {[]*flowpb.FlowFilter{ofExpression(`matches(_flow.uuid, _flow.node_name)`)}, "a pattern must be written out"},
		"of a variable":              {[]*flowpb.FlowFilter{ofExpression(`["a{900}"].exists(p, _flow.uuid.matches(p))`)}, "a pattern must be written out"},
		"types of types":             {[]*flowpb.FlowFilter{ofExpression("size(" + strings.Repeat("{1:", 200) + "1" + strings.Repeat("}", 200) + ") == 0")}, "cel_expression[0]: "},
		"lists of lists":             {[]*flowpb.FlowFilter{ofExpression("size(" + strings.Repeat("[", 200) + strings.Repeat("]", 200) + ") == 0")}, "cel_expression[0]: "},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := New(c.filters, nil)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: have %.200v", name, err)
		} else if len(err.Error()) > 1000 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
		if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 32 {
			t.Errorf("%s: to refuse it takes %d MB", name, mb)
		}
		if _, err = New(nil, c.filters); err == nil {
			t.Errorf("%s: is excluded", name)
		}
	}
}

func TestWhatPeopleAskForIsWithinTheBounds(t *testing.T) {
	pods := &flowpb.FlowFilter{}
	for range 500 {
		pods.SourcePod = append(pods.SourcePod, "a-namespace-of-a-team/a-deployment-of-some-application-5d4f8b7c9d-x7k2p")
	}
	f := web()
	f.Uuid = "0123"
	for text, want := range map[string]bool{
		`_flow.uuid.matches("^[0-9a-f]{4}$")`: true, `matches(_flow.uuid, r"^[0-9]{3}$")`: false,
		`_flow.source.labels.exists(l, l.matches("^k8s:(app|name)=w.{0,255}$")) && (((_flow.verdict == Verdict.DROPPED)))`: true,
	} {
		match, err := New([]*flowpb.FlowFilter{ofExpression(text)}, []*flowpb.FlowFilter{pods})
		if err != nil || match(f) != want {
			t.Errorf("%s: have %v", text, err)
		}
	}
	if _, err := New([]*flowpb.FlowFilter{{HttpUrl: []string{`^https?://[^/]{1,253}(:[0-9]{1,5})?/api/v[0-9]+/(users|orders)/\d+(\?.*)?$`, `\.(png|jpe?g)$`}}}, nil); err != nil {
		t.Error(err)
	}
	if _, err := New([]*flowpb.FlowFilter{ofExpression(`_flow.uuid.matches("(")`)}, nil); err == nil || !strings.Contains(err.Error(), "cel_expression[0]") {
		t.Errorf("have %v", err)
	}
}
