package flow

//lint:file-ignore SA1019 clients of Hubble read these fields

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
)

// AgentDetails is what `hubble observe agent-events` prints of an event beside its type; times are in a layout of package time.
func AgentDetails(e *flowpb.AgentEvent, layout string) string {
	var b details
	switch n := e.GetNotification().(type) {
	case *flowpb.AgentEvent_Unknown:
		b.add("type", n.Unknown.GetType())
		b.add("notification", n.Unknown.GetNotification())
	case *flowpb.AgentEvent_AgentStart:
		b.add("start time", timeText(n.AgentStart.GetTime(), layout))
	case *flowpb.AgentEvent_PolicyUpdate:
		b.add("labels", list(n.PolicyUpdate.GetLabels()))
		b.add("revision", fmt.Sprint(n.PolicyUpdate.GetRevision()))
		b.add("count", fmt.Sprint(n.PolicyUpdate.GetRuleCount()))
	case *flowpb.AgentEvent_EndpointRegenerate:
		b.add("id", fmt.Sprint(n.EndpointRegenerate.GetId()))
		b.add("labels", list(n.EndpointRegenerate.GetLabels()))
		b.some("error", n.EndpointRegenerate.GetError())
	case *flowpb.AgentEvent_EndpointUpdate:
		b.add("id", fmt.Sprint(n.EndpointUpdate.GetId()))
		b.some("namespace", n.EndpointUpdate.GetNamespace())
		b.some("pod name", n.EndpointUpdate.GetPodName())
	case *flowpb.AgentEvent_IpcacheUpdate:
		b.ipcache(n.IpcacheUpdate)
	case *flowpb.AgentEvent_ServiceUpsert:
		b.service(n.ServiceUpsert) //nolint:staticcheck // deprecated, and there is no other for services
	case *flowpb.AgentEvent_ServiceDelete:
		b.add("id", fmt.Sprint(n.ServiceDelete.GetId())) //nolint:staticcheck // as above
	}
	if len(b) == 0 {
		return "UNKNOWN"
	}
	return clean(strings.Join(b, ", "))
}

// details are texts "name: value".
type details []string

func (d *details) add(name, value string) { *d = append(*d, name+": "+value) }

// some adds what is not empty.
func (d *details) some(name, value string) {
	if value != "" {
		d.add(name, value)
	}
}

func list(values []string) string { return "[" + strings.Join(values, ",") + "]" }

func (d *details) ipcache(n *flowpb.IPCacheNotification) {
	d.add("cidr", n.GetCidr())
	d.add("identity", fmt.Sprint(n.GetIdentity()))
	if n.GetOldIdentity() != nil {
		d.add("old identity", fmt.Sprint(n.GetOldIdentity().GetValue()))
	}
	d.some("host ip", n.GetHostIp())
	d.some("old host ip", n.GetOldHostIp())
	d.add("encrypt key", fmt.Sprint(n.GetEncryptKey()))
}

//nolint:staticcheck // as above
func (d *details) service(n *flowpb.ServiceUpsertNotification) {
	at := func(a *flowpb.ServiceUpsertNotificationAddr) string {
		return net.JoinHostPort(a.GetIp(), strconv.Itoa(int(a.GetPort())))
	}
	d.add("id", fmt.Sprint(n.GetId()))
	if n.GetFrontendAddress() != nil {
		d.add("frontend", at(n.GetFrontendAddress()))
	}
	var backends []string
	for _, a := range n.GetBackendAddresses() {
		backends = append(backends, at(a))
	}
	if len(backends) > 0 {
		d.add("backends", list(backends))
	}
	d.some("type", n.GetType())
	d.some("traffic policy", n.GetTrafficPolicy())
	d.some("namespace", n.GetNamespace())
	d.some("name", n.GetName())
}

// PrintAgentEvent prints one answer of GetAgentEvents.
func (p *Printer) PrintAgentEvent(r *observerpb.GetAgentEventsResponse) error {
	if p.json != nil {
		return p.json.Encode(r)
	}
	when, kind, text := p.time(r.GetTime()), r.GetAgentEvent().GetType().String(), AgentDetails(r.GetAgentEvent(), p.o.TimeFormat)
	return p.event(when, r.GetNodeName(), []string{"TYPE", "DETAILS"}, []string{kind, text}, fmt.Sprintf("%s (%s)", kind, text))
}

// PrintDebugEvent prints one answer of GetDebugEvents.
func (p *Printer) PrintDebugEvent(r *observerpb.GetDebugEventsResponse) error {
	if p.json != nil {
		return p.json.Encode(r)
	}
	e := r.GetDebugEvent()
	from, mark, cpu := "N/A", "N/A", "N/A"
	if s := e.GetSource(); s != nil {
		from = fmt.Sprintf("ID: %d", s.GetID())
		if s.GetPodName() != "" {
			from = clean(fmt.Sprintf("%s/%s (%s)", s.GetNamespace(), s.GetPodName(), from))
		}
	}
	if e.GetHash() != nil {
		mark = fmt.Sprintf("0x%x", e.GetHash().GetValue())
	}
	if e.GetCpu() != nil {
		cpu = fmt.Sprintf("%02d", e.GetCpu().GetValue())
	}
	kind, message := e.GetType().String(), clean(e.GetMessage())
	return p.event(p.time(r.GetTime()), r.GetNodeName(), []string{"TYPE", "FROM", "MARK", "CPU", "MESSAGE"}, []string{kind, from, mark, cpu, message},
		fmt.Sprintf("%s %s MARK: %s CPU: %s (%s)", from, kind, mark, cpu, message))
}

// event prints what is no flow, in the shape that is asked for.
func (p *Printer) event(when, node string, head, cells []string, line string) error {
	first := p.lines == 0
	p.lines++
	switch p.o.Output {
	case Tab:
		head = append([]string{"TIMESTAMP"}, head...)
		cells = append([]string{when}, cells...)
		if p.o.NodeName {
			head = append([]string{"TIMESTAMP", "NODE"}, head[1:]...)
			cells = append([]string{when, clean(node)}, cells[1:]...)
		}
		if first {
			if _, err := fmt.Fprintln(p.tab, strings.Join(head, "\t")); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintln(p.tab, strings.Join(cells, "\t"))
		return err
	case Dict:
		p.lines--
		var pairs []string
		for i, name := range head {
			pairs = append(pairs, name, cells[i])
		}
		err := p.dict(when, node, pairs...)
		p.lines++
		return err
	}
	name := ""
	if p.o.NodeName {
		name = " [" + clean(node) + "]"
	}
	_, err := fmt.Fprintf(p.out, "%s%s: %s\n", when, name, line)
	return err
}
