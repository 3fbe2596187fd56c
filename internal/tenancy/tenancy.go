// Package tenancy says what of a flow a reader sees who may see some namespaces, not all.
//
// # The world it models
//
// A flow has two ends. Each is
//
//	own       of namespaces that the reader may see
//	open      no tenant's: outside the cluster, a node, the API server
//	foreign   another tenant's, or it is not known what it is
//
//	own    – own, open   all of it, but for services and policies of namespaces that the reader may not see
//	own    – foreign     what both ends know of it anyway, what the own end is, and of the other one its namespace
//	no own end           nothing
//
// # Invariants
//
//   - What is shown of a flow depends on nothing that is hidden of it. So filters, field masks, limits and counts that are applied to
//     what Show gives, and to nothing else, say nothing about what is hidden.
//   - Of a flow with a foreign end, fields are named that are shown; a field that Hubble or Weftnet adds is hidden until it is named here.
//   - What is not known is foreign: an end without a namespace is open only if its identity says so.
//
// # Example
//
//	shown := tenancy.Show(f, func(namespace string) bool { return namespace == "shop" })
//	if shown == nil {
//		return // it is none of the reader's business
//	}
package tenancy

import (
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/identity"
)

// side is what an end of a flow is to the reader. Zero is the one that is shown least.
type side int

const (
	foreign side = iota
	open
	own
)

// Show gives what of a flow may be seen: nil is nothing, f itself is all. f is not changed, and what is given shares parts with it.
func Show(f *flowpb.Flow, may func(namespace string) bool) *flowpb.Flow {
	src, dst := sideOf(f.GetSource(), may), sideOf(f.GetDestination(), may)
	switch {
	case src != own && dst != own:
		return nil
	case src == foreign || dst == foreign:
		return between(f, src, dst, may)
	}
	return strip(f, src, dst, may)
}

// sideOf tells what an end is. All that it says about its namespace must agree: an address may have been another pod's a moment ago.
func sideOf(e *flowpb.Endpoint, may func(string) bool) side {
	named := namespaces(e)
	switch {
	case len(named) > 0 && !slices.ContainsFunc(named, func(n string) bool { return !may(n) }):
		return own
	case len(named) > 0 || e.GetPodName() != "" || len(e.GetWorkloads()) > 0:
		return foreign
	case isOpen(identity.Number(e.GetIdentity())):
		return open
	}
	return foreign
}

// namespaces are those that an end has by its name and by its labels.
func namespaces(e *flowpb.Endpoint) (all []string) {
	if e.GetNamespace() != "" {
		all = append(all, e.GetNamespace())
	}
	for _, label := range e.GetLabels() {
		key, value, _ := strings.Cut(label, "=")
		if _, name, found := strings.Cut(key, ":"); found {
			key = name
		}
		if key == identity.LabelNamespace && !slices.Contains(all, value) {
			all = append(all, value)
		}
	}
	return all
}

// isOpen tells whether a number is that of something which belongs to no namespace: a reserved one that has a name, or one that a node
// gives addresses outside the cluster, or nodes (scopes 1 and 2 in the top 8 bits). Init and unmanaged are pods.
func isOpen(n identity.Number) bool {
	switch n {
	case identity.Init, identity.Unmanaged:
		return false
	}
	return n.Name() != "" || n>>24 == 1 || n>>24 == 2
}

// strip takes out what other namespaces have added to a flow that has no foreign end.
func strip(f *flowpb.Flow, src, dst side, may func(string) bool) *flowpb.Flow {
	named := policies{f}.of(src, dst, may)
	services := [2]*flowpb.Service{service(f.GetSourceService(), may), service(f.GetDestinationService(), may)}
	if named.same(f) && services == [2]*flowpb.Service{f.GetSourceService(), f.GetDestinationService()} {
		return f
	}
	out := &flowpb.Flow{}
	to, from := out.ProtoReflect(), f.ProtoReflect()
	from.Range(copyTo(to))
	out.SourceService, out.DestinationService = services[0], services[1]
	named.set(out)
	return out
}

// service gives a service if its namespace may be seen.
func service(s *flowpb.Service, may func(string) bool) *flowpb.Service {
	if s == nil || !may(s.GetNamespace()) {
		return nil
	}
	return s
}

// between is a flow of an own end with a foreign one.
func between(f *flowpb.Flow, src, dst side, may func(string) bool) *flowpb.Flow {
	out := &flowpb.Flow{
		Time: f.GetTime(), Uuid: f.GetUuid(), Emitter: f.GetEmitter(), Type: f.GetType(), EventType: f.GetEventType(),
		Verdict: f.GetVerdict(), DropReasonDesc: f.GetDropReasonDesc(), AuthType: f.GetAuthType(),
		L4: f.GetL4(), IsReply: f.GetIsReply(), TrafficDirection: f.GetTrafficDirection(),
		TraceObservationPoint: f.GetTraceObservationPoint(), TraceReason: f.GetTraceReason(), SockXlatePoint: f.GetSockXlatePoint(),
		Source: end(f.GetSource(), src), Destination: end(f.GetDestination(), dst),
		IP: &flowpb.IP{IpVersion: f.GetIP().GetIpVersion(), Encrypted: f.GetIP().GetEncrypted()},
	}
	//lint:ignore SA1019 clients before 1.15 read them
	out.DropReason, out.Reply = f.GetDropReason(), f.GetReply()
	if src == own {
		out.IP.Source, out.SourceNames, out.SourceService = f.GetIP().GetSource(), f.GetSourceNames(), service(f.GetSourceService(), may)
	}
	if dst == own {
		out.IP.Destination, out.DestinationNames, out.DestinationService = f.GetIP().GetDestination(), f.GetDestinationNames(), service(f.GetDestinationService(), may)
	}
	if src == own && f.GetSource().GetID() != 0 || dst == own && f.GetDestination().GetID() != 0 { // the own end lives where it was seen
		out.NodeName, out.NodeLabels = f.GetNodeName(), f.GetNodeLabels()
	}
	policies{f}.of(src, dst, may).set(out)
	out.L7 = layer7(f, src, dst)
	out.Extensions = extension(f, src, dst)
	//lint:ignore SA1019 it is what clients print
	if text := f.GetSummary(); f.GetL7() == nil && (flow.TellsCarried(f) || text == flow.Summary(f.GetL4())) {
		//lint:ignore SA1019 it is what clients print
		out.Summary = text
	}
	return out
}

// end is an own one as it is, and of another one its namespace.
func end(e *flowpb.Endpoint, s side) *flowpb.Endpoint {
	if s == own {
		return e
	}
	return &flowpb.Endpoint{Namespace: e.GetNamespace()}
}

// layer7 is a request or an answer: whole if the own end asked, since it knows both; else of which kind it is, and how it ended.
func layer7(f *flowpb.Flow, src, dst side) *flowpb.Layer7 {
	l := f.GetL7()
	client := src
	if l.GetType() == flowpb.L7FlowType_RESPONSE {
		client = dst
	}
	if l == nil || client == own {
		return l
	}
	out := &flowpb.Layer7{Type: l.GetType(), LatencyNs: l.GetLatencyNs()}
	switch {
	case l.GetHttp() != nil:
		out.Record = &flowpb.Layer7_Http{Http: &flowpb.HTTP{Code: l.GetHttp().GetCode(), Method: l.GetHttp().GetMethod(), Protocol: l.GetHttp().GetProtocol()}}
	case l.GetDns() != nil:
		out.Record = &flowpb.Layer7_Dns{Dns: &flowpb.DNS{Rcode: l.GetDns().GetRcode(), Qtypes: l.GetDns().GetQtypes(), ObservationSource: l.GetDns().GetObservationSource()}}
	}
	return out
}

// extension keeps of what Hubble has no field for what is of the connection, and of the own end.
func extension(f *flowpb.Flow, src, dst side) *anypb.Any {
	var said structpb.Struct
	if f.GetExtensions().UnmarshalTo(&said) != nil {
		return nil
	}
	kept := map[string]*structpb.Value{}
	for name, keep := range map[string]bool{"network": true, "close": true, "progress": true, "source": src == own, "destination": dst == own} {
		if value := said.GetFields()[name]; keep && value != nil {
			kept[name] = value
		}
	}
	if len(kept) == 0 {
		return nil
	}
	if schema := said.GetFields()["schema"]; schema != nil {
		kept["schema"] = schema
	}
	out := &anypb.Any{}
	if anypb.MarshalFrom(out, &structpb.Struct{Fields: kept}, proto.MarshalOptions{Deterministic: true}) != nil {
		return nil // of a message that cannot be serialised, which this can
	}
	return out
}
