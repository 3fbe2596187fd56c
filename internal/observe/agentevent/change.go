package agentevent

//lint:file-ignore SA1019 clients of Hubble read these fields

import (
	"hash/fnv"
	"net/netip"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

func (e *Events) policy(s *state.Snapshot, c state.Change[table.PolicyObject]) {
	p := c.Row
	kind := flowpb.AgentEventType_POLICY_UPDATED
	if c.Deleted {
		kind = flowpb.AgentEventType_POLICY_DELETED
	}
	var labels []string
	for _, label := range []struct{ key, value string }{
		{"derived-from", p.Kind}, {"name", p.Name}, {"namespace", p.Namespace}, {"uid", p.UID},
	} {
		if label.value != "" {
			labels = append(labels, "k8s:io.cilium.k8s.policy."+label.key+"="+label.value)
		}
	}
	e.tell(&flowpb.AgentEvent{Type: kind, Notification: &flowpb.AgentEvent_PolicyUpdate{PolicyUpdate: &flowpb.PolicyUpdateNotification{
		Labels: labels, Revision: e.tables.Policies.LastRevision(s), RuleCount: int64(len(p.Rules)),
	}}})
}

func (e *Events) attachment(s *state.Snapshot, c state.Change[table.Attachment]) {
	switch {
	case c.Deleted:
		e.endpoint(s, flowpb.AgentEventType_ENDPOINT_DELETED, c.Row)
	case !c.HadOld:
		e.endpoint(s, flowpb.AgentEventType_ENDPOINT_CREATED, c.Row)
	case c.Old.Incarnation != c.Row.Incarnation: // the same name of another sandbox
		e.endpoint(s, flowpb.AgentEventType_ENDPOINT_DELETED, c.Old)
		e.endpoint(s, flowpb.AgentEventType_ENDPOINT_CREATED, c.Row)
	}
}

func (e *Events) endpoint(s *state.Snapshot, kind flowpb.AgentEventType, a table.Attachment) {
	e.tell(&flowpb.AgentEvent{Type: kind, Notification: &flowpb.AgentEvent_EndpointUpdate{EndpointUpdate: &flowpb.EndpointUpdateNotification{
		Id: uint64(a.Incarnation), Labels: e.labels(s, a), Namespace: a.Namespace, PodName: a.Pod,
	}}})
}

// labels are those of an attachment's workload.
func (e *Events) labels(s *state.Snapshot, a table.Attachment) (list []string) {
	w, _ := e.tables.Workloads.One(s, table.AttachmentKey(a.ContainerID, a.Interface))
	for key, value := range w.Labels.All() {
		list = append(list, key+"="+value)
	}
	return list
}

// set: the kernel has a new version of a policy set, and with it each NIC that has this set already.
func (e *Events) set(s *state.Snapshot, c state.Change[table.SetStatus]) {
	if c.Deleted || c.HadOld && c.Old.Revision == c.Row.Revision {
		return
	}
	for w := range e.tables.Workloads.By(s, table.BySet, c.Row.Set) {
		a, _ := e.tables.Attachments.One(s, table.AttachmentKey(w.ContainerID, w.Interface))
		if n, there := e.tables.NICStatuses.One(s, state.Join(a.Incarnation)); there && n.SetIndex == c.Row.Index {
			e.regenerated(s, a, "")
		}
	}
}

// nic: the kernel has a NIC, or another policy set for it.
func (e *Events) nic(s *state.Snapshot, c state.Change[table.NICStatus]) {
	if c.Deleted || c.HadOld && c.Old.SetIndex == c.Row.SetIndex && c.Old.Identity == c.Row.Identity {
		return
	}
	for a := range e.tables.Attachments.By(s, table.ByNumber, state.Join(c.Row.Incarnation)) {
		e.regenerated(s, a, "")
	}
}

// outcome: a policy set or a NIC could not be put into the kernel.
func (e *Events) outcome(s *state.Snapshot, c state.Change[status.Status]) {
	if c.Deleted || c.Row.Err == "" || c.HadOld && c.Old.Err == c.Row.Err {
		return
	}
	switch c.Row.Table {
	case e.tables.PolicySets.Name():
		for w := range e.tables.Workloads.By(s, table.BySet, c.Row.Key) {
			a, _ := e.tables.Attachments.One(s, table.AttachmentKey(w.ContainerID, w.Interface))
			e.regenerated(s, a, c.Row.Err)
		}
	case e.tables.NICs.Name():
		n, _ := e.tables.NICs.One(s, c.Row.Key)
		for a := range e.tables.Attachments.By(s, table.ByNumber, state.Join(n.Incarnation)) {
			e.regenerated(s, a, c.Row.Err)
		}
	}
}

func (e *Events) regenerated(s *state.Snapshot, a table.Attachment, failure string) {
	kind := flowpb.AgentEventType_ENDPOINT_REGENERATE_SUCCESS
	if failure != "" {
		kind = flowpb.AgentEventType_ENDPOINT_REGENERATE_FAILURE
	}
	e.tell(&flowpb.AgentEvent{Type: kind, Notification: &flowpb.AgentEvent_EndpointRegenerate{EndpointRegenerate: &flowpb.EndpointRegenNotification{
		Id: uint64(a.Incarnation), Labels: e.labels(s, a), Error: failure,
	}}})
}

func (e *Events) ipcache(s *state.Snapshot, c state.Change[table.IPCacheRow]) {
	row := c.Row
	n := &flowpb.IPCacheNotification{Cidr: row.Prefix.String(), Identity: uint32(row.Identity), HostIp: address(row.Tunnel)}
	kind := flowpb.AgentEventType_IPCACHE_DELETED
	if !c.Deleted {
		kind = flowpb.AgentEventType_IPCACHE_UPSERTED
		n.Namespace, n.PodName = e.pod(s, row.Prefix)
		if c.HadOld && c.Old.Identity != row.Identity {
			n.OldIdentity = wrapperspb.UInt32(uint32(c.Old.Identity))
		}
		if c.HadOld && c.Old.Tunnel != row.Tunnel {
			n.OldHostIp = address(c.Old.Tunnel)
		}
	}
	e.tell(&flowpb.AgentEvent{Type: kind, Notification: &flowpb.AgentEvent_IpcacheUpdate{IpcacheUpdate: n}})
}

// pod is what lives at a single address.
func (e *Events) pod(s *state.Snapshot, at netip.Prefix) (namespace, name string) {
	if !at.IsSingleIP() {
		return "", ""
	}
	for w := range e.tables.Workloads.By(s, table.ByAddress, state.Join(at.Addr())) {
		if w.Network == 0 {
			return w.Namespace, w.Pod
		}
	}
	for p := range e.tables.Endpoints.By(s, table.ByAddress, state.Join(at.Addr())) {
		return p.Namespace, p.Name
	}
	return "", ""
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func (e *Events) frontend(s *state.Snapshot, c state.Change[table.Frontend]) {
	f := c.Row
	number := fnv.New32a()
	_, _ = number.Write([]byte(c.Key)) // never fails
	if c.Deleted {
		//nolint:staticcheck // deprecated, and there is no other for services
		e.tell(&flowpb.AgentEvent{Type: flowpb.AgentEventType_SERVICE_DELETED, Notification: &flowpb.AgentEvent_ServiceDelete{
			ServiceDelete: &flowpb.ServiceDeleteNotification{Id: number.Sum32()},
		}})
		return
	}
	service, _ := e.tables.Services.One(s, table.ObjectKey(f.Namespace, f.Name))
	//nolint:staticcheck // as above
	n := &flowpb.ServiceUpsertNotification{
		Id: number.Sum32(), FrontendAddress: &flowpb.ServiceUpsertNotificationAddr{Ip: f.Address.String(), Port: uint32(f.Port)},
		Type: string(f.Kind), Name: f.Name, Namespace: f.Namespace,
		ExtTrafficPolicy: traffic(service.ExternalLocal), IntTrafficPolicy: traffic(service.InternalLocal),
	}
	for _, b := range f.Backends {
		n.BackendAddresses = append(n.BackendAddresses, &flowpb.ServiceUpsertNotificationAddr{Ip: b.Address.String(), Port: uint32(b.Port)}) //nolint:staticcheck // as above
	}
	e.tell(&flowpb.AgentEvent{Type: flowpb.AgentEventType_SERVICE_UPSERTED, Notification: &flowpb.AgentEvent_ServiceUpsert{ServiceUpsert: n}}) //nolint:staticcheck // as above
}

func traffic(local bool) string {
	if local {
		return "Local"
	}
	return "Cluster"
}
