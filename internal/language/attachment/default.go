package attachment

import (
	"fmt"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/policy/gap"
)

// DefaultNamespace has the definitions that annotation v1.multus-cni.io/default-network names without a namespace: multusNamespace, as Multus'
// own manifests set it.
const DefaultNamespace = "kube-system"

// Default reads the annotation by which a pod asks for a definition that takes the place of the cluster's network.
func Default(text string) (Request, []gap.Gap) {
	requests, gaps := Requests(text, DefaultNamespace)
	if len(gaps) == 0 && len(requests) != 1 {
		gaps = append(gaps, gap.Gap{Reason: gap.Invalid, Message: fmt.Sprintf("it names %d definitions, and one takes the place of the cluster's network", len(requests))})
	}
	if len(gaps) > 0 {
		return Request{}, gaps
	}
	return requests[0], nil
}

// StandsIn says what keeps a pod's first NIC from being made by a definition: the agent makes all first NICs, in the pod network.
func (d *Definition) StandsIn(q Request, first string) []gap.Gap {
	if gaps := d.Unfit(); len(gaps) > 0 {
		return gaps
	}
	reject := func(because string, args ...any) []gap.Gap {
		return []gap.Gap{{Reason: gap.NotImplemented, Field: cncfv1.DefaultNetworkAnnotation, Message: fmt.Sprintf(because, args...)}}
	}
	switch {
	case d.Main() == nil:
		return reject("%s/%s has no configuration, and no file on the node has one of its name", d.Namespace, d.Name)
	case d.Overlay() != "":
		return reject("%s is made in the pod network, and not in overlay network %s (%s/%s)", first, d.Overlay(), d.Namespace, d.Name)
	case !d.Own():
		return reject("%s is made in the pod network, and not by %s (%s/%s)", first, d.Main().Type, d.Namespace, d.Name)
	case len(q.Addresses) > 0 || q.MAC != nil || len(q.DefaultRoute) > 0:
		return reject("ips, mac and default-route are not taken for %s", first)
	}
	return nil
}
