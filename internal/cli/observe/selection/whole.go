package selection

import (
	"fmt"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/reflect/protoreflect"

	"weftnet.io/weftnet/internal/flow"
)

// wholeFlags are about a flow as a whole.
func wholeFlags() []filterFlag {
	verdicts := []string{"FORWARDED", "DROPPED", "DENIED", "AUDIT", "REDIRECTED", "ERROR", "TRACED", "TRANSLATED"}
	verdict := both("verdict", "", "verdict: "+strings.Join(verdicts, ", ")+" (dropped by a policy)", verdicts, setVerdict)
	plain := verdict.set
	verdict.set = func(p *pair, value string) error {
		if strings.EqualFold(value, "DENIED") {
			p.denied = true
			return nil
		}
		return plain(p, value)
	}
	version := func(name, short string, v flowpb.IPVersion) filterFlag {
		f := both(name, short, "flows of "+v.String()+" only", nil, func(f *flowpb.FlowFilter, _ string) error {
			f.IpVersion = append(f.IpVersion, v)
			return nil
		})
		f.bare = "true"
		return f
	}
	return append([]filterFlag{
		verdict,
		both("type", "t", "type of event: "+strings.Join(flow.EventTypes(), ", ")+"; or TYPE:SUBTYPE", typeNames(), setType),
		both("protocol", "", "tcp, udp, sctp, icmp, icmpv4, icmpv6, dns, http, …", []string{"tcp", "udp", "sctp", "icmp", "icmpv4", "icmpv6"}, func(f *flowpb.FlowFilter, value string) error {
			f.Protocol = append(f.Protocol, value)
			return nil
		}),
		both("tcp-flags", "", "TCP flags that must all be set, e.g. SYN,ACK", nil, setTCPFlags),
		both("drop-reason-desc", "", "reason of a drop by its name in Hubble's API, e.g. POLICY_DENIED", nil, func(f *flowpb.FlowFilter, value string) error {
			n, known := flowpb.DropReason_value[strings.ToUpper(value)]
			if !known {
				return fmt.Errorf("%q is no drop reason, as POLICY_DENIED or INVALID_SOURCE_IP are", value)
			}
			f.DropReasonDesc = append(f.DropReasonDesc, flowpb.DropReason(n))
			return nil
		}),
		both("traffic-direction", "", "ingress or egress, seen from the pod whose policy or NIC saw it", []string{"ingress", "egress"}, func(f *flowpb.FlowFilter, value string) error {
			n := flowpb.TrafficDirection_value[strings.ToUpper(value)]
			if n == 0 {
				return fmt.Errorf("%q is neither ingress nor egress", value)
			}
			f.TrafficDirection = append(f.TrafficDirection, flowpb.TrafficDirection(n))
			return nil
		}),
		version("ipv4", "4", flowpb.IPVersion_IPv4),
		version("ipv6", "6", flowpb.IPVersion_IPv6),
		both("interface", "", "device where it was seen, as the pod calls it", nil, func(f *flowpb.FlowFilter, value string) error {
			f.Interface = append(f.Interface, &flowpb.NetworkInterface{Name: value})
			return nil
		}),
		both("node-name", "", "node that saw it: [CLUSTER/]NAME, with * for any characters", nil, func(f *flowpb.FlowFilter, value string) error {
			f.NodeName = append(f.NodeName, value)
			return nil
		}),
		both("uuid", "", "the one flow with this unique id", nil, func(f *flowpb.FlowFilter, value string) error {
			f.Uuid = append(f.Uuid, value)
			return nil
		}),
	}, moreFlags()...)
}

// text makes a flag whose values go into a list as they are.
func text(name, usage string, list func(*flowpb.FlowFilter) *[]string, values ...string) filterFlag {
	return both(name, "", usage, values, func(f *flowpb.FlowFilter, value string) error {
		*list(f) = append(*list(f), value)
		return nil
	})
}

// bare makes a flag without a value.
func bare(name, usage string, set func(*flowpb.FlowFilter)) filterFlag {
	f := both(name, "", usage, nil, func(f *flowpb.FlowFilter, _ string) error { set(f); return nil })
	f.bare = "true"
	return f
}

// moreFlags are about what fewer flows have.
func moreFlags() []filterFlag {
	return []filterFlag{
		both("ip-version", "", "v4, v6, or none for what is no IP", []string{"v4", "v6", "none"}, setVersion),
		text("snat-ip", "address or prefix that the source went on with", func(f *flowpb.FlowFilter) *[]string { return &f.SourceIpXlated }),
		text("node-label", "label selector of the node that saw it", func(f *flowpb.FlowFilter) *[]string { return &f.NodeLabels }),
		bare("reply", "answers only", func(f *flowpb.FlowFilter) { f.Reply = append(f.Reply, true) }),
		bare("not-reply", "what is no answer", func(f *flowpb.FlowFilter) { f.Reply = append(f.Reply, false) }),
		bare("encrypted", "what went encrypted only", func(f *flowpb.FlowFilter) { f.Encrypted = append(f.Encrypted, true) }),
		bare("unencrypted", "what did not", func(f *flowpb.FlowFilter) { f.Encrypted = append(f.Encrypted, false) }),
		text("http-status", "status of an HTTP answer: 404, or 4+ for all that begin so", func(f *flowpb.FlowFilter) *[]string { return &f.HttpStatusCode }),
		text("http-method", "HTTP method", func(f *flowpb.FlowFilter) *[]string { return &f.HttpMethod }, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"),
		text("http-path", "regular expression found in the path of a URL", func(f *flowpb.FlowFilter) *[]string { return &f.HttpPath }),
		text("http-url", "regular expression found in the URL", func(f *flowpb.FlowFilter) *[]string { return &f.HttpUrl }),
		both("http-header", "", "HTTP header: NAME:VALUE", nil, setHeader),
		text("dns-query", "regular expression found in the name that DNS was asked for", func(f *flowpb.FlowFilter) *[]string { return &f.DnsQuery }),
		text("trace-id", "id of a trace (W3C)", func(f *flowpb.FlowFilter) *[]string { return &f.TraceId }),
		both("ip-trace-id", "", "id of a trace in IP options", nil, func(f *flowpb.FlowFilter, value string) error {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil || n == 0 {
				return fmt.Errorf("%q is no number above 0", value)
			}
			f.IpTraceId = append(f.IpTraceId, n)
			return nil
		}),
		text("cel-expression", "CEL expression of type bool over _flow, e.g. '_flow.l4.TCP.destination_port > 1024u'", func(f *flowpb.FlowFilter) *[]string {
			if f.GetExperimental() == nil {
				f.Experimental = &flowpb.FlowFilter_Experimental{}
			}
			return &f.Experimental.CelExpression
		}),
	}
}

func setVerdict(f *flowpb.FlowFilter, value string) error {
	n, known := flowpb.Verdict_value[strings.ToUpper(value)]
	if !known {
		return fmt.Errorf("%q is no verdict", value)
	}
	f.Verdict = append(f.Verdict, flowpb.Verdict(n))
	return nil
}

func typeNames() []string {
	names := flow.EventTypes()
	for _, point := range flow.Points() {
		names = append(names, "trace:"+point)
	}
	return names
}

func setType(f *flowpb.FlowFilter, value string) error {
	if flow.IsOwnPoint(value) {
		value = "trace:" + value
	}
	name, sub, hasSub := strings.Cut(value, ":")
	kind, known := flow.EventType(name)
	if !known {
		n, err := strconv.ParseUint(name, 10, 31)
		if err != nil {
			return fmt.Errorf("%q is no type of event (%s)", name, strings.Join(flow.EventTypes(), ", "))
		}
		kind = int32(n)
	}
	filter := &flowpb.EventTypeFilter{Type: kind, MatchSubType: hasSub}
	if hasSub {
		n, known := flow.PointSubType(sub)
		if !known || kind != flow.EventTrace {
			parsed, err := strconv.ParseUint(sub, 10, 31)
			if err != nil {
				return fmt.Errorf("%q is no subtype of %s (of trace: %s)", sub, name, strings.Join(flow.Points(), ", "))
			}
			n = int32(parsed)
		}
		filter.SubType = n
	}
	f.EventType = append(f.EventType, filter)
	return nil
}

func setTCPFlags(f *flowpb.FlowFilter, value string) error {
	flags := &flowpb.TCPFlags{}
	m := flags.ProtoReflect()
	for name := range strings.SplitSeq(strings.ToUpper(value), ",") {
		field := m.Descriptor().Fields().ByTextName(strings.TrimSpace(name))
		if field == nil {
			return fmt.Errorf("%q is no TCP flag (FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, NS)", name)
		}
		m.Set(field, protoreflect.ValueOfBool(true))
	}
	f.TcpFlags = append(f.TcpFlags, flags)
	return nil
}

func setVersion(f *flowpb.FlowFilter, value string) error {
	version, known := map[string]flowpb.IPVersion{
		"v4": flowpb.IPVersion_IPv4, "4": flowpb.IPVersion_IPv4, "ipv4": flowpb.IPVersion_IPv4, "ip4": flowpb.IPVersion_IPv4,
		"v6": flowpb.IPVersion_IPv6, "6": flowpb.IPVersion_IPv6, "ipv6": flowpb.IPVersion_IPv6, "ip6": flowpb.IPVersion_IPv6,
		"none": flowpb.IPVersion_IP_NOT_USED,
	}[strings.ToLower(value)]
	if !known {
		return fmt.Errorf("%q is none of v4, v6, none", value)
	}
	f.IpVersion = append(f.IpVersion, version)
	return nil
}

func setHeader(f *flowpb.FlowFilter, value string) error {
	name, text, found := strings.Cut(value, ":")
	if !found {
		return fmt.Errorf("%q should be NAME:VALUE", value)
	}
	f.HttpHeader = append(f.HttpHeader, &flowpb.HTTPHeader{Key: name, Value: text})
	return nil
}
