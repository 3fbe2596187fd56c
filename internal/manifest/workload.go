package manifest

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/table"
)

// Workload is what runs, or would run, because of an object: a pod, or the pods of a Deployment, a VirtualMachine and
// their kin.
type Workload struct {
	Kind        string
	Namespace   string
	Name        string
	Labels      identity.Labels
	NamedPorts  policy.NamedPorts
	Addresses   []netip.Addr // of a Pod that has some
	Node        string       // that a Pod runs on; empty: not known
	HostNetwork bool         // it is the node, to policies
	HostPorts   []HostPort
}

// HostPort is a port of a node that leads to a port of a pod.
type HostPort struct {
	HostIP         netip.Addr // zero: all addresses of the node
	Protocol       uint8
	HostPort, Port uint16
}

// template is where objects keep labels and containers of pods.
type template struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		ServiceAccountName string             `json:"serviceAccountName"`
		NodeName           string             `json:"nodeName"`
		HostNetwork        bool               `json:"hostNetwork"`
		InitContainers     []corev1.Container `json:"initContainers"`
		Containers         []corev1.Container `json:"containers"`
		Domain             *json.RawMessage   `json:"domain"` // of a VirtualMachineInstance
	} `json:"spec"`
}

// controller makes pods of a template.
type controller struct {
	Spec struct {
		Template template `json:"template"`
	} `json:"spec"`
}

// workloadKinds says where the template is: at the top, in spec.template, in spec.jobTemplate.spec.template.
var workloadKinds = map[string]int{
	"Pod": 0, "VirtualMachineInstance": 0,
	"Deployment": 1, "StatefulSet": 1, "DaemonSet": 1, "ReplicaSet": 1, "ReplicationController": 1, "Job": 1, "VirtualMachine": 1,
	"CronJob": 2,
}

// TemplateDepth says where an object of a kind has what its pods are made of: 0 at the top, 1 in spec.template, 2 in
// spec.jobTemplate.spec.template. False: it has no pods.
func TemplateDepth(kind string) (depth int, ok bool) {
	depth, ok = workloadKinds[kind]
	return depth, ok
}

// Workloads lists the workloads of these objects as they would be known in a cluster of this name: with the labels of
// their namespaces, as far as these are among the objects. The function says which labels count.
func Workloads(objects []*Object, cluster string, labels func(identity.Pod) identity.Labels) (out []Workload) {
	namespaces := map[string]map[string]string{}
	for _, o := range objects {
		if o.Kind == "Namespace" {
			var n corev1.Namespace
			_ = o.Decode(&n)
			namespaces[o.Name] = n.Labels
		}
	}
	all := guestsOf(objects)
	for _, o := range objects {
		depth, ok := workloadKinds[o.Kind]
		if !ok || all.shown(o) {
			continue
		}
		var t template
		var deployment controller
		var cron struct {
			Spec struct {
				JobTemplate controller `json:"jobTemplate"`
			} `json:"spec"`
		}
		var err error
		switch depth {
		case 0:
			err = o.Decode(&t)
		case 1:
			err = o.Decode(&deployment)
			t = deployment.Spec.Template
		case 2:
			err = o.Decode(&cron)
			t = cron.Spec.JobTemplate.Spec.Template
		}
		if err != nil {
			continue
		}
		t.Metadata.Labels = all.labels(o, t.Metadata.Labels)
		out = append(out, t.workload(o, cluster, labels, namespaces))
	}
	return out
}

// Nodes lists the label sets by which policies choose nodes, of the Nodes among these objects.
func Nodes(objects []*Object, cluster string) (out []identity.Labels) {
	for _, o := range objects {
		if n := (&corev1.Node{}); o.Kind == "Node" && o.Decode(n) == nil {
			out = append(out, policyinput.NodeSubject(table.Node{Labels: n.Labels}, settings.Config{Identity: settings.Identity{ClusterName: cluster}}).Labels)
		}
	}
	return out
}

func (t template) workload(o *Object, cluster string, count func(identity.Pod) identity.Labels, namespaces map[string]map[string]string) Workload {
	w := Workload{Kind: o.Kind, Namespace: cmp.Or(o.Namespace, metav1.NamespaceDefault), Name: o.Name, Node: t.Spec.NodeName, HostNetwork: t.Spec.HostNetwork}
	own := map[string]string{corev1.LabelMetadataName: w.Namespace}
	for key, value := range namespaces[w.Namespace] {
		own[key] = value
	}
	labels := t.Metadata.Labels
	if strings.HasPrefix(o.Kind, "VirtualMachine") {
		labels = map[string]string{identity.LabelVMName: o.Name, "kubevirt.io": "virt-launcher"}
		for key, value := range t.Metadata.Labels {
			labels[key] = value
		}
	}
	w.Labels = count(identity.Pod{
		Cluster: cluster, Namespace: w.Namespace, ServiceAccount: cmp.Or(t.Spec.ServiceAccountName, "default"), Labels: labels, NamespaceLabels: own,
	})
	for _, c := range append(t.Spec.InitContainers, t.Spec.Containers...) {
		for _, p := range c.Ports {
			number, known := protocols[p.Protocol]
			if known && p.HostPort > 0 && p.HostPort < 1<<16 && p.ContainerPort > 0 && p.ContainerPort < 1<<16 {
				host, _ := netip.ParseAddr(p.HostIP)
				w.HostPorts = append(w.HostPorts, HostPort{HostIP: host, Protocol: number, HostPort: uint16(p.HostPort), Port: uint16(p.ContainerPort)})
			}
			if p.Name != "" && known && p.ContainerPort > 0 && p.ContainerPort < 1<<16 {
				w.NamedPorts = append(w.NamedPorts, policy.NamedPort{Name: p.Name, Protocol: number, Port: uint16(p.ContainerPort)})
			}
		}
	}
	var status struct {
		Status struct {
			PodIP  string         `json:"podIP"`
			PodIPs []corev1.PodIP `json:"podIPs"`
		} `json:"status"`
	}
	if o.Kind == "Pod" && o.Decode(&status) == nil {
		if status.Status.PodIPs == nil {
			status.Status.PodIPs = []corev1.PodIP{{IP: status.Status.PodIP}}
		}
		for _, ip := range status.Status.PodIPs {
			if a, err := netip.ParseAddr(ip.IP); err == nil {
				w.Addresses = append(w.Addresses, a.Unmap())
			}
		}
	}
	return w
}

var protocols = map[corev1.Protocol]uint8{"": policy.TCP, corev1.ProtocolTCP: policy.TCP, corev1.ProtocolUDP: policy.UDP, corev1.ProtocolSCTP: policy.SCTP}
