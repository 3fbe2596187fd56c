package filter

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"
)

// value is one value of a field, as JSON, and what it means, said as plainly as can be.
type value struct {
	json string
	slow func(*flowpb.Flow) bool
}

// flowOf are the parts of a flow that values ask for.
type part[T any] func(*flowpb.Flow) T

func is[T comparable](json string, have part[T], want T) value {
	return value{json, func(f *flowpb.Flow) bool { return have(f) == want }}
}

// where gives all values the same additional condition.
func where(also func(*flowpb.Flow) bool, list ...value) []value {
	var out []value
	for _, v := range list {
		out = append(out, value{v.json, func(f *flowpb.Flow) bool { return also(f) && v.slow(f) }})
	}
	return out
}

func has(list part[[]string], wanted string) func(*flowpb.Flow) bool {
	return func(f *flowpb.Flow) bool {
		for _, have := range list(f) {
			if have == wanted {
				return true
			}
		}
		return false
	}
}

func not(match func(*flowpb.Flow) bool) func(*flowpb.Flow) bool {
	return func(f *flowpb.Flow) bool { return !match(f) }
}

// ofAddress has the values of a field of addresses; flows have those of the list addressed.
func ofAddress(have part[string]) []value {
	return []value{
		is(`"10.0.0.5"`, have, "10.0.0.5"),
		{`"10.0.0.0/24"`, func(f *flowpb.Flow) bool { return strings.HasPrefix(have(f), "10.0.0.") }},
		{`"fd00::/64"`, func(f *flowpb.Flow) bool { return strings.HasPrefix(have(f), "fd00::") }},
		{`"::/0"`, func(f *flowpb.Flow) bool { return strings.Contains(have(f), ":") }},
	}
}

// ofName has the values of a field of pods or services; flows have namespaces shop, default and none, names web-1, db-0 and none.
func ofName(namespace, name part[string]) []value {
	known := func(f *flowpb.Flow) bool { return namespace(f) != "" || name(f) != "" }
	return where(known,
		value{`"shop/web"`, func(f *flowpb.Flow) bool { return namespace(f) == "shop" && name(f) == "web-1" }},
		value{`"web-1"`, func(f *flowpb.Flow) bool { return namespace(f) == "default" && name(f) == "web-1" }},
		value{`"shop/"`, func(f *flowpb.Flow) bool { return namespace(f) == "shop" }},
		value{`"/d"`, func(f *flowpb.Flow) bool { return name(f) == "db-0" }},
		value{`"/"`, func(*flowpb.Flow) bool { return true }},
	)
}

// ofLabels has the values of a field of selectors; flows have lists of k8s:app=web, k8s:app=db, k8s:tier=back, reserved:host.
func ofLabels(have part[[]string]) []value {
	web, db, tier := has(have, "k8s:app=web"), has(have, "k8s:app=db"), has(have, "k8s:tier=back")
	return []value{
		{`"app=web"`, web},
		{`"k8s:app in (web, db)"`, func(f *flowpb.Flow) bool { return web(f) || db(f) }},
		{`"reserved:app"`, func(*flowpb.Flow) bool { return false }},
		{`"reserved:host"`, has(have, "reserved:host")},
		{`"!tier"`, not(tier)},
		{`"app!=web,tier=back"`, func(f *flowpb.Flow) bool { return !web(f) && tier(f) }},
	}
}

func ofDomain(have part[[]string]) []value {
	return []value{
		{`"db.example.com"`, has(have, "db.example.com")},
		{`"*.example.com"`, func(f *flowpb.Flow) bool { return has(have, "db.example.com")(f) || has(have, "a.b.example.com")(f) }},
		{`"*"`, func(f *flowpb.Flow) bool { return len(have(f)) > 0 }},
	}
}

func ofWorkload(end part[*flowpb.Endpoint]) []value {
	one := func(f *flowpb.Flow) *flowpb.Workload { return append(end(f).GetWorkloads(), &flowpb.Workload{})[0] }
	there := func(f *flowpb.Flow) bool { return len(end(f).GetWorkloads()) > 0 }
	return where(there,
		value{`{"kind":"Deployment","name":"web"}`, func(f *flowpb.Flow) bool { return one(f).GetKind() == "Deployment" && one(f).GetName() == "web" }},
		value{`{"kind":"StatefulSet"}`, func(f *flowpb.Flow) bool { return one(f).GetKind() == "StatefulSet" }},
		value{`{"name":"web"}`, func(f *flowpb.Flow) bool { return one(f).GetName() == "web" }},
	)
}

func ofIdentity(end part[*flowpb.Endpoint]) []value {
	number := func(f *flowpb.Flow) uint32 { return end(f).GetIdentity() }
	return where(func(f *flowpb.Flow) bool { return end(f) != nil }, is("300", number, 300), is("1", number, 1), is("0", number, 0))
}

func ofPort(tcp func(*flowpb.TCP) uint32, udp func(*flowpb.UDP) uint32) []value {
	port := func(f *flowpb.Flow) uint32 {
		if f.GetL4().GetUDP() != nil {
			return udp(f.GetL4().GetUDP())
		}
		return tcp(f.GetL4().GetTCP())
	}
	ports := func(f *flowpb.Flow) bool { return f.GetL4().GetTCP() != nil || f.GetL4().GetUDP() != nil }
	return where(ports, is(`"80"`, port, 80), is(`"4000"`, port, 4000), is(`"0"`, port, 0))
}

func http(f *flowpb.Flow) bool { return f.GetL7().GetHttp() != nil }

// matrix has values for each field of FlowFilter.
var matrix = map[string][]value{
	"uuid":             {is(`"u1"`, (*flowpb.Flow).GetUuid, "u1"), is(`"u2"`, (*flowpb.Flow).GetUuid, "u2")},
	"source_ip":        ofAddress(func(f *flowpb.Flow) string { return f.GetIP().GetSource() }),
	"destination_ip":   ofAddress(func(f *flowpb.Flow) string { return f.GetIP().GetDestination() }),
	"source_ip_xlated": ofAddress(func(f *flowpb.Flow) string { return f.GetIP().GetSourceXlated() }),
	"ip_version": {
		is(`"IPv4"`, func(f *flowpb.Flow) string { return f.GetIP().GetIpVersion().String() }, "IPv4"),
		is(`"IPv6"`, func(f *flowpb.Flow) string { return f.GetIP().GetIpVersion().String() }, "IPv6"),
		is(`"IP_NOT_USED"`, func(f *flowpb.Flow) string { return f.GetIP().GetIpVersion().String() }, "IP_NOT_USED"),
	},
	"source_pod":               ofName(func(f *flowpb.Flow) string { return f.GetSource().GetNamespace() }, func(f *flowpb.Flow) string { return f.GetSource().GetPodName() }),
	"destination_pod":          ofName(func(f *flowpb.Flow) string { return f.GetDestination().GetNamespace() }, func(f *flowpb.Flow) string { return f.GetDestination().GetPodName() }),
	"source_service":           ofName(func(f *flowpb.Flow) string { return f.GetSourceService().GetNamespace() }, func(f *flowpb.Flow) string { return f.GetSourceService().GetName() }),
	"destination_service":      ofName(func(f *flowpb.Flow) string { return f.GetDestinationService().GetNamespace() }, func(f *flowpb.Flow) string { return f.GetDestinationService().GetName() }),
	"source_fqdn":              ofDomain((*flowpb.Flow).GetSourceNames),
	"destination_fqdn":         ofDomain((*flowpb.Flow).GetDestinationNames),
	"source_label":             ofLabels(func(f *flowpb.Flow) []string { return f.GetSource().GetLabels() }),
	"destination_label":        ofLabels(func(f *flowpb.Flow) []string { return f.GetDestination().GetLabels() }),
	"node_labels":              ofLabels((*flowpb.Flow).GetNodeLabels),
	"source_workload":          ofWorkload((*flowpb.Flow).GetSource),
	"destination_workload":     ofWorkload((*flowpb.Flow).GetDestination),
	"source_cluster_name":      {is(`"default"`, func(f *flowpb.Flow) string { return f.GetSource().GetClusterName() }, "default")},
	"destination_cluster_name": {is(`"def*"`, func(f *flowpb.Flow) string { return f.GetDestination().GetClusterName() }, "default"), is(`"other"`, func(f *flowpb.Flow) string { return f.GetDestination().GetClusterName() }, "other")},
	"source_identity":          ofIdentity((*flowpb.Flow).GetSource),
	"destination_identity":     ofIdentity((*flowpb.Flow).GetDestination),
	"source_port":              ofPort((*flowpb.TCP).GetSourcePort, (*flowpb.UDP).GetSourcePort),
	"destination_port":         ofPort((*flowpb.TCP).GetDestinationPort, (*flowpb.UDP).GetDestinationPort),
	"traffic_direction": {
		is(`"INGRESS"`, func(f *flowpb.Flow) string { return f.GetTrafficDirection().String() }, "INGRESS"),
		is(`"EGRESS"`, func(f *flowpb.Flow) string { return f.GetTrafficDirection().String() }, "EGRESS"),
	},
	"verdict": {
		is(`"FORWARDED"`, func(f *flowpb.Flow) string { return f.GetVerdict().String() }, "FORWARDED"),
		is(`"DROPPED"`, func(f *flowpb.Flow) string { return f.GetVerdict().String() }, "DROPPED"),
	},
	"drop_reason_desc": where(func(f *flowpb.Flow) bool { return f.GetVerdict() == flowpb.Verdict_DROPPED },
		is(`"POLICY_DENIED"`, func(f *flowpb.Flow) string { return f.GetDropReasonDesc().String() }, "POLICY_DENIED"),
		is(`"DROP_REASON_UNKNOWN"`, func(f *flowpb.Flow) string { return f.GetDropReasonDesc().String() }, "DROP_REASON_UNKNOWN")),
	"reply": {
		{`true`, func(f *flowpb.Flow) bool { return f.GetIsReply() != nil && f.GetIsReply().GetValue() }},
		{`false`, func(f *flowpb.Flow) bool {
			if f.GetIsReply() == nil {
				return f.GetVerdict() == flowpb.Verdict_DROPPED
			}
			return !f.GetIsReply().GetValue()
		}},
	},
	"encrypted": {is(`true`, func(f *flowpb.Flow) bool { return f.GetIP().GetEncrypted() }, true), is(`false`, func(f *flowpb.Flow) bool { return f.GetIP().GetEncrypted() }, false)},
	"event_type": where(func(f *flowpb.Flow) bool { return f.GetEventType() != nil },
		is(`{"type":129}`, func(f *flowpb.Flow) int32 { return f.GetEventType().GetType() }, 129),
		value{`{"type":4,"match_sub_type":true}`, func(f *flowpb.Flow) bool {
			return f.GetEventType().GetType() == 4 && f.GetEventType().GetSubType() == 0
		}},
		value{`{"type":129,"match_sub_type":true,"sub_type":3}`, func(f *flowpb.Flow) bool {
			return f.GetEventType().GetType() == 129 && f.GetEventType().GetSubType() == 3
		}},
		value{`{}`, func(*flowpb.Flow) bool { return true }}),
	"interface": where(func(f *flowpb.Flow) bool { return f.GetInterface() != nil },
		is(`{"name":"eth0"}`, func(f *flowpb.Flow) string { return f.GetInterface().GetName() }, "eth0"),
		is(`{"index":4}`, func(f *flowpb.Flow) uint32 { return f.GetInterface().GetIndex() }, 4)),
	"protocol": {
		{`"tcp"`, func(f *flowpb.Flow) bool { return f.GetL4().GetTCP() != nil }},
		{`"UDP"`, func(f *flowpb.Flow) bool { return f.GetL4().GetUDP() != nil }},
		{`"icmp"`, func(f *flowpb.Flow) bool { return f.GetL4().GetICMPv4() != nil || f.GetL4().GetICMPv6() != nil }},
		{`"icmpv6"`, func(f *flowpb.Flow) bool { return f.GetL4().GetICMPv6() != nil }},
		{`"http"`, http},
		{`"dns"`, func(f *flowpb.Flow) bool { return f.GetL7().GetDns() != nil }},
	},
	"tcp_flags": where(func(f *flowpb.Flow) bool { return f.GetL4().GetTCP().GetFlags() != nil },
		value{`{"SYN":true}`, func(f *flowpb.Flow) bool { return f.GetL4().GetTCP().GetFlags().GetSYN() }},
		value{`{"SYN":true,"ACK":true}`, func(f *flowpb.Flow) bool {
			return f.GetL4().GetTCP().GetFlags().GetSYN() && f.GetL4().GetTCP().GetFlags().GetACK()
		}}),
	"node_name": {
		is(`"n1"`, (*flowpb.Flow).GetNodeName, "default/n1"),
		{`"n*"`, func(f *flowpb.Flow) bool { return f.GetNodeName() != "" }},
		is(`"other/"`, (*flowpb.Flow).GetNodeName, "other/n2"),
	},
	"trace_id":    {is(`"t1"`, func(f *flowpb.Flow) string { return f.GetTraceContext().GetParent().GetTraceId() }, "t1")},
	"ip_trace_id": {is(`7`, func(f *flowpb.Flow) uint64 { return f.GetIpTraceId().GetTraceId() }, 7)},
	"dns_query": {
		{`"^kube.*"`, func(f *flowpb.Flow) bool { return f.GetL7().GetDns().GetQuery() == "kube-dns.local." }},
		{`""`, func(f *flowpb.Flow) bool { return f.GetL7().GetDns() != nil }},
	},
	"http_status_code": where(http,
		is(`"404"`, func(f *flowpb.Flow) uint32 { return f.GetL7().GetHttp().GetCode() }, 404),
		value{`"4+"`, func(f *flowpb.Flow) bool { return f.GetL7().GetHttp().GetCode()/100 == 4 }},
		value{`"20+"`, func(f *flowpb.Flow) bool { return f.GetL7().GetHttp().GetCode()/10 == 20 }}),
	"http_method": where(http, is(`"get"`, func(f *flowpb.Flow) string { return f.GetL7().GetHttp().GetMethod() }, "GET")),
	"http_path": where(http,
		value{`"^/page/\\d+$"`, func(f *flowpb.Flow) bool { return strings.Contains(f.GetL7().GetHttp().GetUrl(), "/page/") }},
		value{`"q=1"`, func(*flowpb.Flow) bool { return false }}),
	"http_url":    where(http, value{`"q=1"`, func(f *flowpb.Flow) bool { return strings.Contains(f.GetL7().GetHttp().GetUrl(), "q=1") }}),
	"http_header": where(http, value{`{"key":"x","value":"1"}`, func(f *flowpb.Flow) bool { return len(f.GetL7().GetHttp().GetHeaders()) > 0 }}),
	"experimental": {
		{`"_flow.verdict == Verdict.DROPPED"`, func(f *flowpb.Flow) bool { return f.GetVerdict() == flowpb.Verdict_DROPPED }},
		{`"_flow.l4.TCP.destination_port in [uint(80), 443u]"`, func(f *flowpb.Flow) bool { return f.GetL4().GetTCP().GetDestinationPort() == 80 }},
		{`"_flow.source.labels.exists(l, l.startsWith('k8s:app='))"`, func(f *flowpb.Flow) bool {
			return has(func(f *flowpb.Flow) []string { return f.GetSource().GetLabels() }, "k8s:app=web")(f) || has(func(f *flowpb.Flow) []string { return f.GetSource().GetLabels() }, "k8s:app=db")(f)
		}},
		{`"_flow.extensions.close.sent.bytes > 1000.0"`, func(f *flowpb.Flow) bool { return f.GetExtensions() != nil }},
		{`"has(_flow.extensions) && _flow.extensions.vm == 'vm1'"`, func(*flowpb.Flow) bool { return false }}, // it has no such field
	},
}

// flows gives those that the values of matrix speak of.
var flows = rapid.Custom(func(t *rapid.T) *flowpb.Flow {
	pick := func(name string, values ...string) string { return rapid.SampledFrom(values).Draw(t, name) }
	maybe := func(name string) bool { return rapid.Bool().Draw(t, name) }
	labels := func(name string) (out []string) {
		for _, label := range []string{"k8s:app=" + pick(name, "web", "db"), "k8s:tier=back", "reserved:host"} {
			if maybe(label) {
				out = append(out, label)
			}
		}
		return out
	}
	end := func(name string) *flowpb.Endpoint {
		if !maybe(name) {
			return nil
		}
		e := &flowpb.Endpoint{
			Identity: rapid.SampledFrom([]uint32{0, 1, 300}).Draw(t, "identity"), Namespace: pick("namespace", "", "default", "shop"),
			PodName: pick("pod", "", "web-1", "db-0"), Labels: labels("labels"), ClusterName: pick("cluster", "", "default", "other"),
		}
		if maybe("workload") {
			e.Workloads = []*flowpb.Workload{{Kind: pick("kind", "Deployment", "StatefulSet"), Name: pick("workload name", "web", "db")}}
		}
		return e
	}
	addresses := []string{"", "10.0.0.5", "10.0.0.9", "10.1.0.5", "fd00::5", "fd01::5"}
	names := [][]string{nil, {"db.example.com"}, {"example.com"}, {"x.org", "a.b.example.com"}}
	f := &flowpb.Flow{
		Uuid: pick("uuid", "u1", "u2"), NodeName: pick("node", "", "default/n1", "other/n2"), Source: end("source"), Destination: end("destination"),
		Verdict:        rapid.SampledFrom([]flowpb.Verdict{flowpb.Verdict_FORWARDED, flowpb.Verdict_DROPPED, flowpb.Verdict_AUDIT}).Draw(t, "verdict"),
		DropReasonDesc: rapid.SampledFrom([]flowpb.DropReason{0, flowpb.DropReason_POLICY_DENIED}).Draw(t, "reason"),
		SourceService:  &flowpb.Service{Namespace: pick("service namespace", "", "default", "shop"), Name: pick("service", "", "web-1", "db-0")},
		SourceNames:    rapid.SampledFrom(names).Draw(t, "source names"), DestinationNames: rapid.SampledFrom(names).Draw(t, "destination names"),
		NodeLabels: labels("node labels"), TrafficDirection: flowpb.TrafficDirection(rapid.IntRange(0, 2).Draw(t, "direction")),
	}
	if maybe("IP") {
		f.IP = &flowpb.IP{
			Source: pick("src", addresses...), Destination: pick("dst", addresses...), SourceXlated: pick("snat", addresses...),
			Encrypted: maybe("encrypted"), IpVersion: flowpb.IPVersion(rapid.IntRange(0, 2).Draw(t, "version")),
		}
	}
	if maybe("service") {
		f.DestinationService = &flowpb.Service{Namespace: pick("to namespace", "", "default", "shop"), Name: pick("to service", "", "web-1", "db-0")}
	}
	if maybe("is reply") {
		f.IsReply = wrapperspb.Bool(maybe("reply"))
	}
	if maybe("interface") {
		f.Interface = &flowpb.NetworkInterface{Name: pick("device", "eth0", "eth1"), Index: rapid.Uint32Range(3, 4).Draw(t, "index")}
	}
	if maybe("traced") {
		f.TraceContext, f.IpTraceId = &flowpb.TraceContext{Parent: &flowpb.TraceParent{TraceId: "t1"}}, &flowpb.IPTraceID{TraceId: 7}
	}
	if maybe("typed") {
		f.EventType = &flowpb.CiliumEventType{Type: rapid.SampledFrom([]int32{4, 129}).Draw(t, "type"), SubType: rapid.SampledFrom([]int32{0, 3}).Draw(t, "sub type")}
	}
	if maybe("closed") {
		f.Extensions, _ = anypb.New(&structpb.Struct{Fields: map[string]*structpb.Value{"close": structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
			"sent": structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"bytes": structpb.NewNumberValue(1e6)}}),
		}})}})
	}
	port := func(name string) uint32 { return rapid.SampledFrom([]uint32{0, 80, 4000}).Draw(t, name) }
	switch pick("L4", "none", "tcp", "udp", "icmp", "icmp6") {
	case "tcp":
		tcp := &flowpb.TCP{SourcePort: port("sport"), DestinationPort: port("dport")}
		if maybe("flags") {
			tcp.Flags = &flowpb.TCPFlags{SYN: maybe("SYN"), ACK: maybe("ACK")}
		}
		f.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{TCP: tcp}}
	case "udp":
		f.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_UDP{UDP: &flowpb.UDP{SourcePort: port("sport"), DestinationPort: port("dport")}}}
	case "icmp":
		f.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv4{ICMPv4: &flowpb.ICMPv4{}}}
	case "icmp6":
		f.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv6{ICMPv6: &flowpb.ICMPv6{}}}
	}
	switch pick("L7", "none", "http", "dns") {
	case "http":
		h := &flowpb.HTTP{Code: rapid.SampledFrom([]uint32{0, 200, 404}).Draw(t, "code"), Method: pick("method", "", "GET", "PUT"), Url: pick("url", "", "http://a/page/7?q=1", "http://a/x", "::")}
		if maybe("headers") {
			h.Headers = []*flowpb.HTTPHeader{{Key: "y", Value: "1"}, {Key: "x", Value: "1"}}
		}
		f.L7 = &flowpb.Layer7{Record: &flowpb.Layer7_Http{Http: h}}
	case "dns":
		f.L7 = &flowpb.Layer7{Record: &flowpb.Layer7_Dns{Dns: &flowpb.DNS{Query: pick("query", "", "kube-dns.local.", "example.com.")}}}
	}
	return f
})

// asked is a filter, and what each of its fields means.
type asked struct {
	json string
	slow func(*flowpb.Flow) bool
}

// filters draws fields, and values for each.
func drawFilter(t *rapid.T, about string, fields []string) asked {
	var parts []string
	var all []func(*flowpb.Flow) bool
	types := ""
	for _, field := range fields {
		values := rapid.SliceOfN(rapid.SampledFrom(indexes(matrix[field])), 1, 3).Draw(t, about+" "+field)
		var texts []string
		var any []func(*flowpb.Flow) bool
		for _, i := range values {
			texts = append(texts, matrix[field][i].json)
			any = append(any, matrix[field][i].slow)
		}
		text := "[" + strings.Join(texts, ",") + "]"
		switch field {
		case "experimental":
			text = `{"cel_expression":` + text + `}`
		case "event_type":
			types = text
		}
		parts = append(parts, fmt.Sprintf("%q:%s", field, text))
		all = append(all, func(f *flowpb.Flow) bool {
			for _, match := range any {
				if match(f) {
					return true
				}
			}
			return false
		})
	}
	if types != "" && strings.Contains(strings.Join(parts, ","), `"http_`) && !strings.Contains(types, "129") {
		t.Skip("is refused") // see TestNothingInAFilterIsIgnored
	}
	return asked{"{" + strings.Join(parts, ",") + "}", func(f *flowpb.Flow) bool {
		for _, match := range all {
			if !match(f) {
				return false
			}
		}
		return true
	}}
}

func indexes[T any](list []T) (out []int) {
	for i := range list {
		out = append(out, i)
	}
	return out
}

func TestEachFieldOfAFilterIsInTheMatrix(t *testing.T) {
	fields := (&flowpb.FlowFilter{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if name := string(fields.Get(i).Name()); len(matrix[name]) == 0 {
			t.Errorf("%s has no values", name)
		}
	}
}

// TestFiltersSayWhatTheirValuesMean: each field alone and any fields together, in lists to include and to leave out, of any flow.
func TestFiltersSayWhatTheirValuesMean(t *testing.T) {
	names := slices.Sorted(maps.Keys(matrix))
	check := func(t *rapid.T, draw func(about string) []string) {
		var lists [2][]asked
		var parsed [2][]*flowpb.FlowFilter
		for i, about := range []string{"include", "exclude"} {
			for range rapid.IntRange(0, 2-i).Draw(t, about) {
				a := drawFilter(t, about, draw(about))
				f := &flowpb.FlowFilter{}
				if err := protojson.Unmarshal([]byte(a.json), f); err != nil {
					t.Fatalf("%s: %v", a.json, err)
				}
				lists[i], parsed[i] = append(lists[i], a), append(parsed[i], f)
			}
		}
		want, err := New(parsed[0], parsed[1])
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			f := flows.Draw(t, "flow")
			slow := len(lists[0]) == 0
			for _, a := range lists[0] {
				slow = slow || a.slow(f)
			}
			for _, a := range lists[1] {
				slow = slow && !a.slow(f)
			}
			if have := want(f); have != slow {
				t.Fatalf("have %t: %s of %v and %v", have, protojson.Format(f), lists[0], lists[1])
			}
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { check(t, func(string) []string { return []string{name} }) })
		})
	}
	t.Run("any fields", func(t *testing.T) {
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID)
		rapid.Check(t, func(t *rapid.T) { check(t, func(about string) []string { return some.Draw(t, about+" fields") }) })
	})
}
