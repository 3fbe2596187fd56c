package filter

import (
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// web is a flow that most of the tests ask about.
func web() *flowpb.Flow {
	return &flowpb.Flow{
		Uuid: "u1", NodeName: "default/n1", Verdict: flowpb.Verdict_DROPPED, DropReasonDesc: flowpb.DropReason_POLICY_DENIED,
		IP:                 &flowpb.IP{Source: "10.0.0.5", Destination: "fd00::9", IpVersion: flowpb.IPVersion_IPv4},
		L4:                 &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{TCP: &flowpb.TCP{SourcePort: 4000, DestinationPort: 80, Flags: &flowpb.TCPFlags{SYN: true, ACK: true}}}},
		Source:             &flowpb.Endpoint{Identity: 300, Namespace: "shop", PodName: "web-1", Labels: []string{"k8s:app=web", "k8s:tier=front", "k8s:n=7"}, ClusterName: "default"},
		Destination:        &flowpb.Endpoint{Identity: 1, Labels: []string{"reserved:host"}},
		DestinationService: &flowpb.Service{Namespace: "shop", Name: "db"},
		DestinationNames:   []string{"db.example.com"},
		EventType:          &flowpb.CiliumEventType{Type: 1, SubType: 133},
		TrafficDirection:   flowpb.TrafficDirection_INGRESS,
		IsReply:            wrapperspb.Bool(false),
		Interface:          &flowpb.NetworkInterface{Index: 4, Name: "weft0"},
	}
}

func parse(t *testing.T, list ...string) (filters []*flowpb.FlowFilter) {
	t.Helper()
	for _, text := range list {
		f := &flowpb.FlowFilter{}
		if err := protojson.Unmarshal([]byte(text), f); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		filters = append(filters, f)
	}
	return filters
}

func TestAFilterMatchesIfEachOfItsFieldsDoes(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`:                                         true,
		`{"uuid":["u0","u1"]}`:                       true,
		`{"uuid":["u0"]}`:                            false,
		`{"source_ip":["10.0.0.5"]}`:                 true,
		`{"source_ip":["10.0.0.0/24"]}`:              true,
		`{"source_ip":["10.0.1.0/24"]}`:              false,
		`{"source_ip":["::ffff:10.0.0.5"]}`:          true,
		`{"destination_ip":["fd00::/64"]}`:           true,
		`{"source_ip_xlated":["10.0.0.5"]}`:          false,
		`{"source_pod":["shop/web"]}`:                true,
		`{"source_pod":["web-"]}`:                    false,
		`{"source_pod":["/web-"]}`:                   true,
		`{"source_pod":["shop/"]}`:                   true,
		`{"source_pod":["store/web-1"]}`:             false,
		`{"source_pod":["shop/eb-1"]}`:               false,
		`{"destination_pod":["/"]}`:                  false,
		`{"destination_service":["shop/d"]}`:         true,
		`{"source_service":["shop/d"]}`:              false,
		`{"destination_fqdn":["*.Example.com."]}`:    true,
		`{"destination_fqdn":["example.com"]}`:       false,
		`{"source_label":["app=web"]}`:               true,
		`{"source_label":["k8s:app=web,tier"]}`:      true,
		`{"source_label":["any:app in (api, web)"]}`: true,
		`{"source_label":["reserved:app"]}`:          false,
		`{"source_label":["app=api","tier!=back"]}`:  true,
		`{"source_label":["app=web,!tier"]}`:         false,
		`{"source_label":["color notin (red)"]}`:     true,
		`{"source_label":["n>6,n<8"]}`:               true,
		`{"source_label":["n>7"]}`:                   false,
		`{"destination_label":["reserved:host"]}`:    true,
		`{"source_cluster_name":["def*"]}`:           true,
		`{"source_identity":[300]}`:                  true,
		`{"destination_identity":[300]}`:             false,
		`{"source_port":["4000"]}`:                   true,
		`{"destination_port":["81","80"]}`:           true,
		`{"destination_port":["4000"]}`:              false,
		`{"traffic_direction":["INGRESS"]}`:          true,
		`{"verdict":["FORWARDED"]}`:                  false,
		`{"verdict":["FORWARDED","DROPPED"]}`:        true,
		`{"drop_reason_desc":["POLICY_DENIED"]}`:     true,
		`{"drop_reason_desc":["POLICY_DENY"]}`:       false,
		`{"event_type":[{"type":1}]}`:                true,
		`{"event_type":[{"type":4},{"type":1,"match_sub_type":true,"sub_type":132}]}`: false,
		`{"event_type":[{"type":1,"match_sub_type":true,"sub_type":133}]}`:            true,
		`{"protocol":["UDP","tcp"]}`:                            true,
		`{"protocol":["icmp"]}`:                                 false,
		`{"reply":[false]}`:                                     true,
		`{"reply":[true]}`:                                      false,
		`{"tcp_flags":[{"SYN":true}]}`:                          true,
		`{"tcp_flags":[{"SYN":true,"FIN":true},{"RST":true}]}`:  false,
		`{"node_name":["n1"]}`:                                  true,
		`{"node_name":["n*"]}`:                                  true,
		`{"node_name":["default/"]}`:                            true,
		`{"node_name":["other/n1"]}`:                            false,
		`{"ip_version":["IPv6"]}`:                               false,
		`{"interface":[{"name":"weft0"}]}`:                      true,
		`{"interface":[{"name":"eth0"}]}`:                       false,
		`{"encrypted":[false]}`:                                 true,
		`{"source_pod":["shop/web"],"destination_port":["80"]}`: true,
		`{"source_pod":["shop/web"],"destination_port":["81"]}`: false,
		`{"source_workload":[{"name":"web"}]}`:                  false,
	} {
		match, err := New(parse(t, text), nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if have := match(web()); have != want {
			t.Errorf("%s: have %t", text, have)
		}
	}
}

func TestListsAddUpAndTheSecondTakesAway(t *testing.T) {
	for _, c := range []struct {
		in, out []string
		want    bool
	}{
		{nil, nil, true},
		{[]string{`{"verdict":["AUDIT"]}`, `{"source_pod":["/web"]}`}, nil, true},
		{[]string{`{"verdict":["AUDIT"]}`}, nil, false},
		{nil, []string{`{"verdict":["AUDIT"]}`}, true},
		{[]string{`{}`}, []string{`{"verdict":["AUDIT"]}`, `{"reply":[false]}`}, false},
	} {
		match, err := New(parse(t, c.in...), parse(t, c.out...))
		if err != nil {
			t.Fatal(err)
		}
		if have := match(web()); have != c.want {
			t.Errorf("%v: have %t", c, have)
		}
	}
}

func TestAnUnknownReplyMatchesNeitherValueUnlessItWasDropped(t *testing.T) {
	f := web()
	f.IsReply = nil
	if match, _ := New(parse(t, `{"reply":[false]}`), nil); !match(f) {
		t.Error("what was dropped is no reply, for clients that know no is_reply")
	}
	f.Verdict = flowpb.Verdict_AUDIT
	for _, text := range []string{`{"reply":[true]}`, `{"reply":[false]}`} {
		if match, _ := New(parse(t, text), nil); match(f) {
			t.Errorf("%s matches", text)
		}
	}
}

func TestNothingInAFilterIsIgnored(t *testing.T) {
	for text, want := range map[string]string{
		`{"source_ip":["10.0.0"]}`:                                         `whitelist[0].source_ip: "10.0.0" is neither an address nor a prefix`,
		`{"destination_port":["65536"]}`:                                   `whitelist[0].destination_port: "65536" is no port`,
		`{"source_pod":[""]}`:                                              `whitelist[0].source_pod: a name must not be empty`,
		`{"protocol":["quic"]}`:                                            `"quic" is no protocol`,
		`{"source_label":["app in (a"]}`:                                   `whitelist[0].source_label: selector "app in (a": parentheses do not match`,
		`{"source_label":["app,"]}`:                                        `an empty requirement`,
		`{"source_label":["app of (a)"]}`:                                  `should be: key in (a, b)`,
		`{"source_label":["a>b"]}`:                                         `"b" is no whole number`,
		`{"source_label":["a b"]}`:                                         `"a b" is no label key`,
		`{"node_name":["n/o/d"]}`:                                          `"o/d" is no pattern`,
		`{"node_name":[""]}`:                                               `a pattern must not be empty`,
		`{"http_status_code":["9+"]}`:                                      `whitelist[0].http_status_code: "9+" is no status`,
		`{"http_path":["("]}`:                                              `whitelist[0].http_path: "(" is no regular expression`,
		`{"dns_query":["("]}`:                                              `whitelist[0].dns_query: "(" is no regular expression`,
		`{"http_url":["a"],"event_type":[{"type":4}]}`:                     `whitelist[0].http_url: only flows of type l7 have it`,
		`{"experimental":{"cel_expression":["true", "_flow.sauce == 1"]}}`: `whitelist[0].experimental: cel_expression[1]: "_flow.sauce == 1" is no CEL expression: ERROR: <input>:1:6: undefined field 'sauce'`,
		`{"experimental":{"cel_expression":["1"]}}`:                        `"1" gives int, and must give bool`,
	} {
		_, err := New(parse(t, text), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: have %v", text, err)
		}
	}
	newer := &flowpb.FlowFilter{}
	newer.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 5000, protowire.VarintType), 1))
	if _, err := New(nil, []*flowpb.FlowFilter{newer}); err == nil || !strings.Contains(err.Error(), "blacklist[0]") {
		t.Errorf("have %v", err)
	}
}

func TestAnExpressionCannotCostMoreThanItsShare(t *testing.T) {
	f := web()
	for range 200 {
		f.Source.Labels = append(f.Source.Labels, "k8s:many=labels")
	}
	all := `_flow.source.labels.all(a, _flow.source.labels.all(b, _flow.source.labels.all(c, a != '' && b != '' && c != '')))`
	for text, want := range map[string]bool{`_flow.source.labels.all(a, a != '')`: true, all: false} {
		match, err := New([]*flowpb.FlowFilter{{Experimental: &flowpb.FlowFilter_Experimental{CelExpression: []string{text}}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if have := match(f); have != want {
			t.Errorf("%s: have %t", text, have)
		}
	}
	long := &flowpb.FlowFilter{Experimental: &flowpb.FlowFilter_Experimental{CelExpression: []string{strings.Repeat("true && ", 2000) + "true"}}}
	if _, err := New([]*flowpb.FlowFilter{long}, nil); err == nil || !strings.Contains(err.Error(), "may have") {
		t.Errorf("have %v", err)
	}
}

func FuzzASelectorNeverPanics(f *testing.F) {
	for _, text := range []string{"app=web", "!a,b in (c,d)", "k8s:a.b/c notin (x)", "a>1", "((", "a in ()"} {
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if s, err := parseSelector(text); err == nil {
			s.matches([]string{"k8s:app=web", "reserved:host"})
		}
	})
}
