package service

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/explain/service/callee"
	"weftnet.io/weftnet/internal/explain/service/lead"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// starting is why the kernel is not compared.
const starting = "the kernel's maps are not compared: the agent is starting, and its programs are not loaded yet"

// Show gives a Service (NAMESPACE/NAME), what it became, and what of that the kernel has; or what has an ADDRESS:PORT: a Service, or the
// frontends of a CiliumLocalRedirectPolicy.
func (n Node) Show(of string) (agentv1.ServiceDetail, error) {
	r := n.Now()
	var also []string
	if to, is := address(of); is {
		owner, others, err := n.owner(r, to)
		if err != nil {
			return agentv1.ServiceDetail{}, err
		}
		of, also = owner, others
	}
	if p, is := policyOf(r, of); is {
		return n.showPolicy(r, p, also)
	}
	s, err := n.find(r, of)
	if err != nil {
		return agentv1.ServiceDetail{}, err
	}
	d := agentv1.ServiceDetail{
		Notes:     also,
		Namespace: s.Namespace, Name: s.Name, Headless: len(s.ClusterIPs) == 0,
		ClusterIPs: texts(s.ClusterIPs), ExternalIPs: texts(s.ExternalIPs), Selector: s.Selector,
		AffinitySeconds: s.AffinitySeconds, InternalTrafficPolicy: trafficPolicy(s.InternalLocal), Endpoints: n.endpoints(r, s),
		ExternalTrafficPolicy: trafficPolicy(s.ExternalLocal), HealthCheckNodePort: s.HealthCheckNodePort,
		Ports: []agentv1.ServicePort{}, Frontends: []agentv1.FrontendDetail{},
	}
	for _, p := range s.Ports {
		d.Ports = append(d.Ports, agentv1.ServicePort{Name: p.Name, Protocol: callee.ProtocolName(p.Protocol), Port: p.Port, NodePort: p.NodePort})
	}
	if n.Maps == nil {
		d.Notes = append(d.Notes, starting)
	}
	var rows []table.Frontend
	for row := range n.Tables.Frontends.By(r, table.ByService, table.ObjectKey(s.Namespace, s.Name)) {
		if row.Kind != table.HostPort { // of a pod of this name
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b table.Frontend) int { return order(kindOf(a)) - order(kindOf(b)) })
	for _, row := range rows {
		if err := n.add(r, &d, row); err != nil {
			return d, err
		}
	}
	d.Notes = append(append(d.Notes, n.taken(r, s)...), lead.OfService(r, n.Tables, s, rows)...)
	return d, n.strays(r, &d, s)
}

// find finds a Service, or says what there is instead.
func (n Node) find(r state.Reader, of string) (table.Service, error) {
	namespace, name, ok := strings.Cut(of, "/")
	if !ok || namespace == "" || name == "" {
		return table.Service{}, fmt.Errorf("%q is no NAMESPACE/NAME of a service", of)
	}
	if s, ok := n.Tables.Services.One(r, table.ObjectKey(namespace, name)); ok {
		return s, nil
	}
	var similar []string
	for s := range n.Tables.Services.Prefix(r, state.Join(namespace)) {
		if strings.HasPrefix(s.Name, name) && len(similar) < 3 {
			similar = append(similar, s.Namespace+"/"+s.Name)
		}
	}
	text := fmt.Sprintf("there is no service %s", of)
	if len(similar) > 0 {
		text += "; there is " + strings.Join(similar, ", ")
	}
	return table.Service{}, errors.New(text)
}

func trafficPolicy(local bool) string {
	if local {
		return "Local"
	}
	return "Cluster"
}

func texts(list []netip.Addr) (out []string) {
	for _, a := range list {
		out = append(out, a.String())
	}
	return out
}

func (n Node) endpoints(r state.Reader, s table.Service) (e agentv1.ServiceEndpoints) {
	for slice := range n.Tables.EndpointSlices.By(r, table.ByService, table.ObjectKey(s.Namespace, s.Name)) {
		e.Slices++
		for _, one := range slice.Endpoints {
			switch {
			case one.Ready:
				e.Ready++
			case one.Serving && one.Terminating:
				e.Terminating++
			default:
				e.NotReady++
			}
		}
	}
	return e
}

// add puts a frontend beside what the kernel has of it.
func (n Node) add(r state.Reader, d *agentv1.ServiceDetail, row table.Frontend) error {
	f := agentv1.FrontendDetail{Frontend: n.frontendOf(r, row), Sides: []agentv1.Side{}}
	if n.Maps == nil {
		for _, b := range row.Backends {
			f.Sides = append(f.Sides, agentv1.Side{Table: addressOf(b).String(), State: stateOf(b)})
		}
	} else {
		have, list, faults, note, err := n.compare(r, row)
		if err != nil {
			return err
		}
		if have.ID != 0 {
			f.Kernel = kernelFrontend(have)
		}
		f.Sides, f.Faults = append(f.Sides, list...), faults
		for _, text := range faults {
			d.Faults = append(d.Faults, nameOf(row)+": "+text)
		}
		if note != "" {
			d.Notes = append(d.Notes, note)
		}
	}
	d.Frontends = append(d.Frontends, f)
	return nil
}

func kernelFrontend(have Held) *agentv1.KernelFrontend {
	k := &agentv1.KernelFrontend{Service: have.ID, AffinitySeconds: have.AffinitySeconds, TableSize: len(have.Elements)}
	for _, b := range have.Backends {
		if b.Slot >= 0 {
			k.Slots++
		}
	}
	return k
}

// taken names the addresses and ports of a Service that another one has: it was there before by the order of names, or has them as
// cluster address.
func (n Node) taken(r state.Reader, s table.Service) (notes []string) {
	for _, a := range slices.Concat(s.ClusterIPs, s.ExternalIPs) {
		for _, p := range s.Ports {
			row, ok := n.Tables.Frontends.One(r, n.Tables.Frontends.Key(table.Frontend{Address: a, Port: p.Port, Protocol: p.Protocol}))
			if ok && (row.Namespace != s.Namespace || row.Name != s.Name) {
				notes = append(notes, fmt.Sprintf("%s is that of service %s/%s, not of this one", nameOf(row), row.Namespace, row.Name))
			}
		}
	}
	return notes
}

// strays finds what the kernel has at the addresses of a Service and the table has not.
func (n Node) strays(r state.Reader, d *agentv1.ServiceDetail, s table.Service) error {
	if n.Maps == nil {
		return nil
	}
	there, err := n.Maps.At(slices.Concat(s.ClusterIPs, s.ExternalIPs))
	if err != nil {
		return err
	}
	now := n.Now()
	for _, row := range there {
		key := n.Tables.Frontends.Key(row)
		_, before := n.Tables.Frontends.One(r, key)
		_, after := n.Tables.Frontends.One(now, key)
		if before || after {
			continue
		}
		if text := nameOf(row) + " is in map services, and the table does not have it"; n.removed(r, key) {
			d.Faults = append(d.Faults, text)
		} else {
			d.Notes = append(d.Notes, text+" any more: the agent is removing it")
		}
	}
	return nil
}

// removed tells whether the agent has nothing to remove of a row that the table does not have.
func (n Node) removed(r state.Reader, key state.Key) bool {
	_, left := status.Statuses.One(r, status.KeyOf(n.Tables.Frontends, key))
	whole, _ := status.Statuses.One(r, status.KeyOf(n.Tables.Frontends, ""))
	return !left && whole.Rev >= n.Tables.Frontends.LastRevision(r)
}
