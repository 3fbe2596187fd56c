package measure

import (
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/flow/metric"
)

// context is which labels a metric has of the ends of a flow.
type context struct {
	labels              []string // of labelsContext, in their order
	source, destination end
	ofPods              bool // some label tells pods apart
}

// end is which words name one end: those of a direction of traffic, if they are given, or any.
type end struct{ any, egress, ingress []string }

func (e end) on() bool { return e.any != nil || e.egress != nil || e.ingress != nil }

func (e end) words(d flowpb.TrafficDirection) []string {
	switch {
	case e.ingress != nil && d == flowpb.TrafficDirection_INGRESS:
		return e.ingress
	case e.egress != nil && d == flowpb.TrafficDirection_EGRESS:
		return e.egress
	}
	return e.any
}

func contextOf(m metric.Metric) context {
	of := func(name string) end {
		return end{any: m.Values(name + "context"), egress: m.Values(name + "egresscontext"), ingress: m.Values(name + "ingresscontext")}
	}
	c := context{source: of("source"), destination: of("destination")}
	for _, name := range metric.LabelNames {
		if slices.Contains(m.Values(metric.Labels), name) {
			c.labels = append(c.labels, name)
		}
	}
	words := slices.Concat(c.source.any, c.source.egress, c.source.ingress, c.destination.any, c.destination.egress, c.destination.ingress, c.labels)
	c.ofPods = slices.ContainsFunc(words, func(w string) bool {
		return w == "pod" || w == "pod-name" || w == "ip" || strings.HasSuffix(w, "_pod") || strings.HasSuffix(w, "_ip")
	})
	return c
}

// names are those of the labels that values gives.
func (c context) names() []string {
	out := slices.Clone(c.labels)
	if c.source.on() {
		out = append(out, "source")
	}
	if c.destination.on() {
		out = append(out, "destination")
	}
	return out
}

// values are those of a flow. Inverted: of the flow that it answers.
func (c context) values(f *flowpb.Flow, inverted bool) []string {
	source, destination := f.GetSource(), f.GetDestination()
	from, to := f.GetIP().GetSource(), f.GetIP().GetDestination()
	fromNames, toNames := f.GetSourceNames(), f.GetDestinationNames()
	if inverted {
		source, destination, from, to, fromNames, toNames = destination, source, to, from, toNames, fromNames
	}
	direction := f.GetTrafficDirection()
	out := make([]string, 0, len(c.labels)+2)
	for _, name := range c.labels {
		switch side, what, _ := strings.Cut(name, "_"); {
		case name == "traffic_direction":
			out = append(out, directionText(direction))
		case side == "source":
			out = append(out, label(what, source, from))
		default:
			out = append(out, label(what, destination, to))
		}
	}
	if c.source.on() {
		out = append(out, first(c.source.words(direction), source, from, fromNames))
	}
	if c.destination.on() {
		out = append(out, first(c.destination.words(direction), destination, to, toNames))
	}
	return out
}

// pods are those that the labels of a flow name.
func (c context) pods(f *flowpb.Flow) []Pod {
	if !c.ofPods {
		return nil
	}
	var out []Pod
	for _, e := range []*flowpb.Endpoint{f.GetSource(), f.GetDestination()} {
		if p := (Pod{e.GetNamespace(), e.GetPodName()}); p.Name != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func directionText(d flowpb.TrafficDirection) string {
	if d == flowpb.TrafficDirection_TRAFFIC_DIRECTION_UNKNOWN {
		return "unknown"
	}
	return strings.ToLower(d.String())
}

func label(what string, e *flowpb.Endpoint, ip string) string {
	switch what {
	case "ip":
		return ip
	case "pod":
		return e.GetPodName()
	case "namespace":
		return e.GetNamespace()
	case "workload":
		return workload(e).GetName()
	case "workload_kind":
		return workload(e).GetKind()
	case "app":
		return app(e.GetLabels())
	}
	return ""
}

// first gives the name of an end by the first word that has one.
func first(words []string, e *flowpb.Endpoint, ip string, names []string) string {
	for _, word := range words {
		if text := name(word, e, ip, names); text != "" {
			return text
		}
	}
	return ""
}

func name(word string, e *flowpb.Endpoint, ip string, names []string) string {
	switch word {
	case "identity":
		return strings.Join(e.GetLabels(), ",")
	case "namespace":
		return e.GetNamespace()
	case "pod":
		return within(e.GetNamespace(), e.GetPodName())
	case "pod-name":
		return e.GetPodName()
	case "dns":
		return strings.Join(names, ",")
	case "ip":
		return ip
	case "reserved-identity":
		return reserved(e.GetLabels())
	case "workload":
		if w := workload(e).GetName(); w != "" {
			return within(e.GetNamespace(), w)
		}
	case "workload-name":
		return workload(e).GetName()
	case "app":
		return app(e.GetLabels())
	}
	return ""
}

func within(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

func workload(e *flowpb.Endpoint) *flowpb.Workload {
	if w := e.GetWorkloads(); len(w) > 0 {
		return w[0]
	}
	return nil
}

// reserved is the reserved label of an end; that of the API server before all.
func reserved(labels []string) string {
	const server, prefix = "reserved:kube-apiserver", "reserved:"
	if slices.Contains(labels, server) {
		return server
	}
	if i := slices.IndexFunc(labels, func(l string) bool { return strings.HasPrefix(l, prefix) }); i >= 0 {
		return labels[i]
	}
	return ""
}

// app is the name of the application that a pod's labels say: of the first label of one of these names.
func app(labels []string) string {
	for _, l := range labels {
		for _, name := range [...]string{"k8s:app.kubernetes.io/name=", "k8s:k8s-app=", "k8s:app="} {
			if value, ok := strings.CutPrefix(l, name); ok && value != "" {
				return value
			}
		}
	}
	return ""
}
