package kube

import (
	networkingv1 "k8s.io/api/networking/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/table"
)

func policyRow(o *v2.CiliumNetworkPolicy) (table.PolicyObject, bool) {
	return table.PolicyObject{Kind: policy, Namespace: o.Namespace, Name: o.Name, UID: string(o.UID)}, true
}

func clusterPolicyRow(o *v2.CiliumClusterwideNetworkPolicy) (table.PolicyObject, bool) {
	return table.PolicyObject{Kind: clusterPolicy, Name: o.Name, UID: string(o.UID)}, true
}

func kubernetesPolicyRow(o *networkingv1.NetworkPolicy) (table.PolicyObject, bool) {
	return table.PolicyObject{Kind: kubernetesPolicy, Namespace: o.Namespace, Name: o.Name, UID: string(o.UID)}, true
}
