package filter

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/reflect/protoreflect"

	"weftnet.io/weftnet/internal/flow"
)

// Func tells whether a flow is wanted. It may be called from many goroutines.
type Func func(*flowpb.Flow) bool

// New compiles filters: a flow is wanted if a filter of include matches, or there is none, and no filter of exclude does.
func New(include, exclude []*flowpb.FlowFilter) (Func, error) {
	if err := bounded(list{"whitelist", include}, list{"blacklist", exclude}); err != nil {
		return nil, err
	}
	in, err := compile("whitelist", include)
	if err != nil {
		return nil, err
	}
	out, err := compile("blacklist", exclude)
	if err != nil {
		return nil, err
	}
	return func(f *flowpb.Flow) bool {
		return (len(in) == 0 || anyOf(in, f)) && !anyOf(out, f)
	}, nil
}

func anyOf(list []Func, f *flowpb.Flow) bool {
	return slices.ContainsFunc(list, func(match Func) bool { return match(f) })
}

func compile(list string, filters []*flowpb.FlowFilter) ([]Func, error) {
	out := make([]Func, 0, len(filters))
	for i, f := range filters {
		match, err := all(f)
		if err != nil {
			return nil, fmt.Errorf("%s[%d].%w", list, i, err)
		}
		out = append(out, match)
	}
	return out, nil
}

var errUnknown = errors.New("has a field that this version does not know: ask an agent that is as new as the client")

// all matches if each field that is set does.
func all(f *flowpb.FlowFilter) (Func, error) {
	var (
		fields []Func
		failed error
	)
	m := f.ProtoReflect()
	if len(m.GetUnknown()) > 0 {
		return nil, fmt.Errorf("filter: %w", errUnknown)
	}
	m.Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		name := string(field.Name())
		build, known := builders[name]
		if !known {
			failed = fmt.Errorf("%s: %w", name, errUnknown)
			return false
		}
		match, err := build(f)
		if err != nil {
			failed = fmt.Errorf("%s: %w", name, err)
			return false
		}
		fields = append(fields, match)
		return true
	})
	return func(f *flowpb.Flow) bool {
		return !slices.ContainsFunc(fields, func(match Func) bool { return !match(f) })
	}, failed
}

type builder func(*flowpb.FlowFilter) (Func, error)

// builders has one element per field of FlowFilter that can be served. The order in which fields are asked is free.
var builders = map[string]builder{
	"uuid":                oneOf((*flowpb.FlowFilter).GetUuid, (*flowpb.Flow).GetUuid),
	"source_ip":           func(f *flowpb.FlowFilter) (Func, error) { return ips(f.GetSourceIp(), sourceIP) },
	"destination_ip":      func(f *flowpb.FlowFilter) (Func, error) { return ips(f.GetDestinationIp(), destinationIP) },
	"source_ip_xlated":    func(f *flowpb.FlowFilter) (Func, error) { return ips(f.GetSourceIpXlated(), translatedIP) },
	"ip_version":          oneOf((*flowpb.FlowFilter).GetIpVersion, func(f *flowpb.Flow) flowpb.IPVersion { return f.GetIP().GetIpVersion() }),
	"source_pod":          func(f *flowpb.FlowFilter) (Func, error) { return names(f.GetSourcePod(), sourcePod) },
	"destination_pod":     func(f *flowpb.FlowFilter) (Func, error) { return names(f.GetDestinationPod(), destinationPod) },
	"source_service":      func(f *flowpb.FlowFilter) (Func, error) { return names(f.GetSourceService(), sourceService) },
	"destination_service": func(f *flowpb.FlowFilter) (Func, error) { return names(f.GetDestinationService(), destinationService) },
	"source_fqdn": func(f *flowpb.FlowFilter) (Func, error) {
		return domains(f.GetSourceFqdn(), (*flowpb.Flow).GetSourceNames)
	},
	"destination_fqdn": func(f *flowpb.FlowFilter) (Func, error) {
		return domains(f.GetDestinationFqdn(), (*flowpb.Flow).GetDestinationNames)
	},
	"source_label":      func(f *flowpb.FlowFilter) (Func, error) { return labels(f.GetSourceLabel(), sourceLabels) },
	"destination_label": func(f *flowpb.FlowFilter) (Func, error) { return labels(f.GetDestinationLabel(), destinationLabels) },
	"node_labels": func(f *flowpb.FlowFilter) (Func, error) {
		return labels(f.GetNodeLabels(), (*flowpb.Flow).GetNodeLabels)
	},
	"source_workload": func(f *flowpb.FlowFilter) (Func, error) {
		return workloads(f.GetSourceWorkload(), (*flowpb.Flow).GetSource)
	},
	"destination_workload": func(f *flowpb.FlowFilter) (Func, error) {
		return workloads(f.GetDestinationWorkload(), (*flowpb.Flow).GetDestination)
	},
	"source_cluster_name": func(f *flowpb.FlowFilter) (Func, error) { return patterns(f.GetSourceClusterName(), sourceCluster) },
	"destination_cluster_name": func(f *flowpb.FlowFilter) (Func, error) {
		return patterns(f.GetDestinationClusterName(), destinationCluster)
	},
	"source_identity": func(f *flowpb.FlowFilter) (Func, error) {
		return identities(f.GetSourceIdentity(), (*flowpb.Flow).GetSource), nil
	},
	"destination_identity": func(f *flowpb.FlowFilter) (Func, error) {
		return identities(f.GetDestinationIdentity(), (*flowpb.Flow).GetDestination), nil
	},
	"source_port":       func(f *flowpb.FlowFilter) (Func, error) { return ports(f.GetSourcePort(), 0) },
	"destination_port":  func(f *flowpb.FlowFilter) (Func, error) { return ports(f.GetDestinationPort(), 1) },
	"traffic_direction": oneOf((*flowpb.FlowFilter).GetTrafficDirection, (*flowpb.Flow).GetTrafficDirection),
	"verdict":           oneOf((*flowpb.FlowFilter).GetVerdict, (*flowpb.Flow).GetVerdict),
	"drop_reason_desc":  func(f *flowpb.FlowFilter) (Func, error) { return reasons(f.GetDropReasonDesc()), nil },
	"trace_id":          oneOf((*flowpb.FlowFilter).GetTraceId, func(f *flowpb.Flow) string { return f.GetTraceContext().GetParent().GetTraceId() }),
	"ip_trace_id":       oneOf((*flowpb.FlowFilter).GetIpTraceId, func(f *flowpb.Flow) uint64 { return f.GetIpTraceId().GetTraceId() }),
	"encrypted":         oneOf((*flowpb.FlowFilter).GetEncrypted, func(f *flowpb.Flow) bool { return f.GetIP().GetEncrypted() }),
	"reply":             func(f *flowpb.FlowFilter) (Func, error) { return replies(f.GetReply()), nil },
	"event_type":        func(f *flowpb.FlowFilter) (Func, error) { return events(f.GetEventType()), nil },
	"interface":         func(f *flowpb.FlowFilter) (Func, error) { return interfaces(f.GetInterface()), nil },
	"protocol":          func(f *flowpb.FlowFilter) (Func, error) { return protocols(f.GetProtocol()) },
	"tcp_flags":         func(f *flowpb.FlowFilter) (Func, error) { return tcpFlags(f.GetTcpFlags()), nil },
	"node_name":         func(f *flowpb.FlowFilter) (Func, error) { return nodes(f.GetNodeName()) },
	"dns_query":         func(f *flowpb.FlowFilter) (Func, error) { return queries(f.GetDnsQuery()) },
	"http_status_code":  ofHTTP((*flowpb.FlowFilter).GetHttpStatusCode, statuses),
	"http_method":       ofHTTP((*flowpb.FlowFilter).GetHttpMethod, methods),
	"http_path":         ofHTTP((*flowpb.FlowFilter).GetHttpPath, paths),
	"http_url":          ofHTTP((*flowpb.FlowFilter).GetHttpUrl, urls),
	"http_header":       ofHTTP((*flowpb.FlowFilter).GetHttpHeader, headers),
	"experimental":      experimental,
}

// experimental has CEL expressions, and nothing else that this version knows. One without any asks for nothing.
func experimental(f *flowpb.FlowFilter) (Func, error) {
	if len(f.GetExperimental().ProtoReflect().GetUnknown()) > 0 {
		return nil, errUnknown
	}
	list := f.GetExperimental().GetCelExpression()
	if len(list) == 0 {
		return func(*flowpb.Flow) bool { return true }, nil
	}
	return conditions(list)
}

func oneOf[T comparable](values func(*flowpb.FlowFilter) []T, have func(*flowpb.Flow) T) builder {
	return func(f *flowpb.FlowFilter) (Func, error) {
		list := values(f)
		return func(f *flowpb.Flow) bool { return slices.Contains(list, have(f)) }, nil
	}
}

func sourceIP(f *flowpb.Flow) string            { return f.GetIP().GetSource() }
func destinationIP(f *flowpb.Flow) string       { return f.GetIP().GetDestination() }
func translatedIP(f *flowpb.Flow) string        { return f.GetIP().GetSourceXlated() }
func sourceLabels(f *flowpb.Flow) []string      { return f.GetSource().GetLabels() }
func destinationLabels(f *flowpb.Flow) []string { return f.GetDestination().GetLabels() }
func sourceCluster(f *flowpb.Flow) string       { return f.GetSource().GetClusterName() }
func destinationCluster(f *flowpb.Flow) string  { return f.GetDestination().GetClusterName() }

func sourcePod(f *flowpb.Flow) (namespace, name string) {
	return f.GetSource().GetNamespace(), f.GetSource().GetPodName()
}

func destinationPod(f *flowpb.Flow) (namespace, name string) {
	return f.GetDestination().GetNamespace(), f.GetDestination().GetPodName()
}

func sourceService(f *flowpb.Flow) (namespace, name string) {
	return f.GetSourceService().GetNamespace(), f.GetSourceService().GetName()
}

func destinationService(f *flowpb.Flow) (namespace, name string) {
	return f.GetDestinationService().GetNamespace(), f.GetDestinationService().GetName()
}

// ips takes addresses and prefixes.
func ips(values []string, have func(*flowpb.Flow) string) (Func, error) {
	var list []netip.Prefix
	for _, value := range values {
		p, err := netip.ParsePrefix(value)
		if err != nil {
			a, err := netip.ParseAddr(value)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address nor a prefix", value)
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		list = append(list, p)
	}
	return func(f *flowpb.Flow) bool {
		a, err := netip.ParseAddr(have(f))
		return err == nil && slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
	}, nil
}

// names takes [namespace/]prefix. Without a slash the namespace is default, with nothing before it any.
func names(values []string, have func(*flowpb.Flow) (string, string)) (Func, error) {
	type name struct{ namespace, prefix string }
	var list []name
	for _, value := range values {
		if value == "" {
			return nil, errors.New("a name must not be empty")
		}
		namespace, prefix, slash := strings.Cut(value, "/")
		if !slash {
			namespace, prefix = "default", value
		}
		list = append(list, name{namespace, prefix})
	}
	return func(f *flowpb.Flow) bool {
		namespace, is := have(f)
		if namespace == "" && is == "" {
			return false
		}
		return slices.ContainsFunc(list, func(n name) bool {
			return strings.HasPrefix(is, n.prefix) && (n.namespace == "" || n.namespace == namespace)
		})
	}, nil
}

func ports(values []string, end int) (Func, error) {
	var list []uint16
	for _, value := range values {
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is no port (0 to 65535)", value)
		}
		list = append(list, uint16(n))
	}
	return func(f *flowpb.Flow) bool {
		src, dst, ok := flow.Ports(f)
		return ok && slices.Contains(list, [2]uint16{src, dst}[end])
	}, nil
}

// replies: a flow of which it is not known whether it is a reply matches neither value; but one that was dropped is taken for
// none, as Hubble takes it for clients of before is_reply.
func replies(values []bool) Func {
	return func(f *flowpb.Flow) bool {
		known := f.GetIsReply() != nil || f.GetVerdict() == flowpb.Verdict_DROPPED
		return known && slices.Contains(values, f.GetIsReply().GetValue())
	}
}

// reasons: only what was dropped has one.
func reasons(values []flowpb.DropReason) Func {
	return func(f *flowpb.Flow) bool {
		return f.GetVerdict() == flowpb.Verdict_DROPPED && slices.Contains(values, f.GetDropReasonDesc())
	}
}

// identities: 0 is an end that is there and has none.
func identities(values []uint32, end func(*flowpb.Flow) *flowpb.Endpoint) Func {
	return func(f *flowpb.Flow) bool { return end(f) != nil && slices.Contains(values, end(f).GetIdentity()) }
}

func events(values []*flowpb.EventTypeFilter) Func {
	return func(f *flowpb.Flow) bool {
		have := f.GetEventType()
		return have != nil && slices.ContainsFunc(values, func(v *flowpb.EventTypeFilter) bool {
			return (v.GetType() == 0 || v.GetType() == have.GetType()) &&
				(!v.GetMatchSubType() || v.GetSubType() == have.GetSubType())
		})
	}
}

func interfaces(values []*flowpb.NetworkInterface) Func {
	return func(f *flowpb.Flow) bool {
		have := f.GetInterface()
		return have != nil && slices.ContainsFunc(values, func(v *flowpb.NetworkInterface) bool {
			return (v.GetName() == "" || v.GetName() == have.GetName()) && (v.GetIndex() == 0 || v.GetIndex() == have.GetIndex())
		})
	}
}

func workloads(values []*flowpb.Workload, end func(*flowpb.Flow) *flowpb.Endpoint) (Func, error) {
	return func(f *flowpb.Flow) bool {
		return slices.ContainsFunc(end(f).GetWorkloads(), func(have *flowpb.Workload) bool {
			return slices.ContainsFunc(values, func(v *flowpb.Workload) bool {
				return (v.GetName() == "" || v.GetName() == have.GetName()) && (v.GetKind() == "" || v.GetKind() == have.GetKind())
			})
		})
	}, nil
}

var protocolTests = map[string]Func{
	"tcp":    func(f *flowpb.Flow) bool { return f.GetL4().GetTCP() != nil },
	"udp":    func(f *flowpb.Flow) bool { return f.GetL4().GetUDP() != nil },
	"sctp":   func(f *flowpb.Flow) bool { return f.GetL4().GetSCTP() != nil },
	"icmp":   func(f *flowpb.Flow) bool { return f.GetL4().GetICMPv4() != nil || f.GetL4().GetICMPv6() != nil },
	"icmpv4": func(f *flowpb.Flow) bool { return f.GetL4().GetICMPv4() != nil },
	"icmpv6": func(f *flowpb.Flow) bool { return f.GetL4().GetICMPv6() != nil },
	"vrrp":   func(f *flowpb.Flow) bool { return f.GetL4().GetVRRP() != nil },
	"igmp":   func(f *flowpb.Flow) bool { return f.GetL4().GetIGMP() != nil },
	"dns":    func(f *flowpb.Flow) bool { return f.GetL7().GetDns() != nil },
	"http":   func(f *flowpb.Flow) bool { return f.GetL7().GetHttp() != nil },
}

func protocols(values []string) (Func, error) {
	var tests []Func
	for _, value := range values {
		test, known := protocolTests[strings.ToLower(value)]
		if !known {
			return nil, fmt.Errorf("%q is no protocol (tcp, udp, sctp, icmp, icmpv4, icmpv6, vrrp, igmp, dns, http)", value)
		}
		tests = append(tests, test)
	}
	return func(f *flowpb.Flow) bool { return anyOf(tests, f) }, nil
}

// tcpFlags: a flow matches if it has at least the flags of one of the values.
func tcpFlags(values []*flowpb.TCPFlags) Func {
	return func(f *flowpb.Flow) bool {
		have := f.GetL4().GetTCP().GetFlags()
		return have != nil && slices.ContainsFunc(values, func(v *flowpb.TCPFlags) bool { return bits(v)&^bits(have) == 0 })
	}
}

func bits(f *flowpb.TCPFlags) (b uint16) {
	for i, set := range []bool{f.GetFIN(), f.GetSYN(), f.GetRST(), f.GetPSH(), f.GetACK(), f.GetURG(), f.GetECE(), f.GetCWR(), f.GetNS()} {
		if set {
			b |= 1 << i
		}
	}
	return b
}

// patterns takes names with *.
func patterns(values []string, have func(*flowpb.Flow) string) (Func, error) {
	for _, value := range values {
		if err := checkPattern(value); err != nil {
			return nil, err
		}
	}
	return func(f *flowpb.Flow) bool {
		name := have(f)
		return name != "" && slices.ContainsFunc(values, func(v string) bool { return matches(v, name) })
	}, nil
}

func checkPattern(value string) error {
	if value == "" {
		return errors.New("a pattern must not be empty")
	}
	if strings.IndexFunc(value, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("-_.*", r)
	}) >= 0 {
		return fmt.Errorf("%q is no pattern: letters, digits, - _ . and *", value)
	}
	return nil
}

// matches: * stands for any characters of a name, dots included, as path.Match has it where there are no slashes.
func matches(pattern, name string) bool {
	ok, err := path.Match(strings.ToLower(strings.TrimSuffix(pattern, ".")), strings.ToLower(strings.TrimSuffix(name, ".")))
	return err == nil && ok
}

// domains takes patterns of domain names.
func domains(values []string, have func(*flowpb.Flow) []string) (Func, error) {
	for _, value := range values {
		if err := checkPattern(strings.TrimSpace(value)); err != nil {
			return nil, err
		}
	}
	return func(f *flowpb.Flow) bool {
		return slices.ContainsFunc(have(f), func(name string) bool {
			return slices.ContainsFunc(values, func(v string) bool { return matches(strings.TrimSpace(v), name) })
		})
	}, nil
}

// nodes takes [cluster/]node, either part a pattern, empty or missing: any. A node without a cluster is of cluster default.
func nodes(values []string) (Func, error) {
	type node struct{ cluster, name string }
	var list []node
	for _, value := range values {
		cluster, name, slash := strings.Cut(value, "/")
		if !slash {
			cluster, name = "", value
		}
		n := node{cluster, name}
		for _, part := range []*string{&n.cluster, &n.name} {
			if *part == "" && value != "" {
				*part = "*"
			}
			if err := checkPattern(*part); err != nil {
				return nil, err
			}
		}
		list = append(list, n)
	}
	return func(f *flowpb.Flow) bool {
		cluster, name, slash := strings.Cut(f.GetNodeName(), "/")
		if !slash {
			cluster, name = "default", f.GetNodeName()
		}
		return name != "" && slices.ContainsFunc(list, func(n node) bool { return matches(n.cluster, cluster) && matches(n.name, name) })
	}, nil
}
